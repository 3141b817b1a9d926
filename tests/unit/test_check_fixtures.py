"""Every registered check passes on a sound node, fails where it should, and tells unknown and skipped apart."""

import pytest

from preflight.checks.finding import Finding
from preflight.checks.registry import PHASES, every_check
from preflight.checks.run import run_checks
from preflight.policy.model import Policy
from preflight.verdict import verdict
from unit.check_fixtures import FIXTURES, Case, context

CHECKS = sorted(every_check())
BAD = ("fail", "warn")


def findings(name: str, case: Case) -> list[Finding]:
    """Run the check on the case, in the last phase that it has: the one in which most is read."""
    phase = case.phase or every_check()[name].phases[-1]
    return [one for one in run_checks(context(case, phase)) if one.check == name]


def test_each_check_has_its_fixtures_and_no_fixture_is_left_over() -> None:
    assert sorted(FIXTURES) == CHECKS
    assert len(CHECKS) >= 65


@pytest.mark.parametrize("name", CHECKS)
def test_it_fails_on_its_failing_node(name: str) -> None:
    found = [one for one in findings(name, FIXTURES[name].fails) if one.status in BAD]
    assert found
    for one in found:
        assert one.remedy
        assert one.message
        assert ":" not in one.subject


@pytest.mark.parametrize("name", CHECKS)
def test_it_passes_on_a_sound_node(name: str) -> None:
    found = findings(name, FIXTURES[name].passes)
    assert {one.status for one in found} - {"skip"} == ({"pass"} if name != "gpu.ecc.risen" else set())


@pytest.mark.parametrize("name", [name for name in CHECKS if FIXTURES[name].unknown])
def test_it_is_unknown_where_it_cannot_be_told(name: str) -> None:
    case = FIXTURES[name].unknown
    assert case is not None
    statuses = {one.status for one in findings(name, case)}
    assert "unknown" in statuses
    assert not statuses & set(BAD)


@pytest.mark.parametrize("name", [name for name in CHECKS if FIXTURES[name].skip])
def test_it_is_skipped_where_it_does_not_apply(name: str) -> None:
    case = FIXTURES[name].skip
    assert case is not None
    assert {one.status for one in findings(name, case)} <= {"skip", "pass"}


@pytest.mark.parametrize("phase", PHASES)
def test_the_sound_node_is_ready(phase: str) -> None:
    found = run_checks(context(Case(), phase))
    assert [one for one in found if one.status not in ("pass", "skip")] == []
    assert verdict(found) == "ready"


@pytest.mark.parametrize("name", CHECKS)
def test_only_what_declares_drain_and_blames_the_node_drains(name: str) -> None:
    """A check whose default is warn never makes a node unhealthy, nor one that blames user or site."""
    check, case = every_check()[name], FIXTURES[name].fails
    found = [one for one in run_checks(context(case, case.phase or check.phases[-1])) if one.check == name]
    drains = verdict(found) == "unhealthy"
    assert drains is (check.action == "drain" and any(one.blame == "node" and one.status == "fail" for one in found))
    if check.action == "warn" or check.blame != "node":
        assert not drains


def test_a_skip_fixture_says_skip_somewhere() -> None:
    silent = [
        name
        for name in CHECKS
        if (case := FIXTURES[name].skip) is not None and "skip" not in {one.status for one in findings(name, case)}
    ]
    assert silent in ([], ["gpu.ecc.risen"])


def test_checks_of_health_are_not_run_in_a_prolog() -> None:
    prolog = {one.check for one in run_checks(context(Case(policy=Policy()), "prolog"))}
    assert {name for name, check in every_check().items() if "prolog" not in check.phases}.isdisjoint(prolog)
