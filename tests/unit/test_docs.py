"""The pages name only what is there: links, tests, policy keys."""

import re
from pathlib import Path

import pytest

from preflight import toml
from preflight.policy.model import SECTIONS, CheckPolicy, Expectation

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "slurm_plugin" / "README.md"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("name", ["slurm.md", "moving-jobs.md", "faults.md"])
def test_tests_that_a_page_names_exist(name: str) -> None:
    named = re.findall(r"`(test_\w+)`", (ROOT / "docs" / name).read_text(encoding="utf-8"))
    code = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/test_*.py"))
    assert [one for one in named if f"def {one}(" not in code] == []


def test_the_policy_page_has_every_key_with_its_default() -> None:
    text = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
    for name, section in SECTIONS.items():
        part = text.partition(f"\n## [{name}]")[2].partition("\n## ")[0]
        keys = re.findall(r"^\| `(\w+)` \| `([^`]*)` \|", part, re.MULTILINE)
        written = {key: toml.loads(f"default = {default}")["default"] for key, default in keys}
        assert written == {key: _toml(value) for key, value in section()._asdict().items()}
    for keys_of, heading in ((CheckPolicy, '## [checks."NAME"]'), (Expectation, "## [[expect]]")):
        part = text.partition(heading)[2].partition("\n## ")[0]
        assert re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE) == [key.rstrip("_") for key in keys_of()._asdict()]


def _toml(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
