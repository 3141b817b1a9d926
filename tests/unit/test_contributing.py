"""The example of CONTRIBUTING.md does what the page says, run as it is printed there."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest

from preflight.checks import registry as checks
from preflight.checks.registry import Context
from preflight.checks.run import run_checks
from preflight.cli.generated import facts
from preflight.facts import registry
from preflight.facts.collect import collect
from preflight.facts.schema import check_facts, facts_schema
from preflight.facts.source import Source
from preflight.policy.model import CheckPolicy, Policy

PAGE = Path(__file__).resolve().parents[2] / "CONTRIBUTING.md"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    assert sum(block.count("\n") for block in blocks) <= 30
    checks.every_check()
    registry.every_fact()
    monkeypatch.setattr(registry, "REGISTRY", dict(registry.REGISTRY))
    monkeypatch.setattr(checks, "REGISTRY", dict(checks.REGISTRY))
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), {})


@pytest.mark.usefixtures("example")
@pytest.mark.parametrize(("text", "status"), [("3.5 1 1 1/1 1", "pass"), ("99 1 1 1/1 1", "warn"), (None, "unknown")])
def test_the_example_is_read_and_judged(tmp_path: Path, text: str | None, status: str) -> None:
    (tmp_path / "proc").mkdir()
    if text is not None:
        (tmp_path / "proc/loadavg").write_text(text)
    document = collect(["load"], Source(str(tmp_path), live=False))
    check_facts(document.facts)
    jsonschema.validate(document.facts, facts_schema())
    view = document.view()
    (found,) = [one for one in run_checks(Context("health", view, view, Policy())) if one.check == "node.load"]
    assert (found.status, found.blame, found.subject) == (status, "user", "node")
    assert (found.remedy == "look at top") is (status == "warn")


@pytest.mark.usefixtures("example")
def test_the_example_is_in_the_page_of_facts_and_under_the_policy(tmp_path: Path) -> None:
    assert "- `one_minute` (number processes): that ran or waited for a disk" in facts()
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/loadavg").write_text("3 1 1 1/1 1")
    view = collect(["load"], Source(str(tmp_path), live=False)).view()
    policy = Policy(checks={"node.load": CheckPolicy(limit=2)})
    (found,) = [one for one in run_checks(Context("health", view, view, policy)) if one.check == "node.load"]
    assert (found.status, found.expected) == ("warn", "<= 2")
