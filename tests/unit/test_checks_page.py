"""docs/checks.md, docs/facts.md and docs/host-health.md say what the registries say."""

from pathlib import Path

import pytest

from preflight.checks.registry import every_check
from preflight.cli.generated import PAGES, page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "checks.md"


@pytest.mark.parametrize("name", list(PAGES))
def test_the_page_is_current(name: str) -> None:
    text = (PAGE.parent / f"{PAGES[name]}.md").read_text(encoding="utf-8")
    assert page(text, name) == text, "run: python -m preflight.cli.generated"


def test_every_check_has_a_section_with_what_to_do() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name, check in every_check().items():
        section = text.partition(f"### `{name}`")[2].partition("###")[0]
        assert check.remedy in section
        assert check.help in section


def test_a_page_without_marks_is_an_error() -> None:
    with pytest.raises(ValueError, match="no part between"):
        page("# Checks\n", "checks")
