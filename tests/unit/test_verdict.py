"""Findings to verdict to action: design.md sections 2 and 6."""

import itertools

import pytest

from preflight.checks.finding import Finding
from preflight.policy.model import CheckPolicy, DrainPolicy, HookPolicy, Policy
from preflight.verdict import NOTHING, Decision, decide, drain_reason, verdict

ENFORCE = Policy()


def finding(status: str, blame: str = "node", check: str = "gpu.ecc.uncorrected", **more: str) -> Finding:
    said = {"subject": "gpu3", "message": "it is so", **more}
    return Finding(check, status, blame, said["subject"], None, None, said["message"], None, None)


# Worst first, each with findings that alone give it.
RANKS = {
    "unhealthy": [finding("fail", "node")],
    "mismatch": [finding("fail", "job", "requirement")],
    "unknown": [
        finding("unknown", "job", "requirement"),
        finding("unknown", "node", "expectation"),
        finding("unknown", "site", "checker"),
    ],
    "degraded": [
        finding("warn", "node"),
        finding("warn", "job", "requirement"),
        finding("fail", "site", "policy"),
        finding("fail", "user", "gpu.processes"),
        finding("unknown", "node"),
    ],
    "ready": [finding("pass"), finding("skip")],
}


@pytest.mark.parametrize(("said", "one"), [(said, one) for said, ones in RANKS.items() for one in ones])
def test_one_finding_gives_its_verdict(said: str, one: Finding) -> None:
    assert verdict([one]) == said


def test_no_finding_is_ready() -> None:
    assert verdict([]) == "ready"


@pytest.mark.parametrize(("worse", "better"), list(itertools.combinations(RANKS, 2)))
def test_the_first_that_holds_is_the_verdict(worse: str, better: str) -> None:
    for one, other in itertools.product(RANKS[worse], RANKS[better]):
        assert verdict([one, other]) == verdict([other, one]) == worse


@pytest.mark.parametrize("phase", ["prolog", "epilog", "health"])
@pytest.mark.parametrize("said", ["ready", "degraded"])
def test_nothing_is_done_about_a_sound_node(phase: str, said: str) -> None:
    for one in RANKS[said]:
        assert decide(phase, [one], ENFORCE) == NOTHING


@pytest.mark.parametrize("phase", ["prolog", "epilog", "health"])
def test_only_unhealthy_drains(phase: str) -> None:
    decision = decide(phase, RANKS["mismatch"] + RANKS["unhealthy"], ENFORCE)
    assert (decision.kind, decision.enforced) == ("drain", True)
    assert decision.detail == "preflight:gpu.ecc.uncorrected:gpu3: it is so"
    for said in ("mismatch", "unknown", "degraded", "ready"):
        assert all(decide(phase, [one], ENFORCE).kind != "drain" for one in RANKS[said])


def test_a_misfit_is_moved_in_the_prolog_and_nowhere_else() -> None:
    assert decide("prolog", RANKS["mismatch"], ENFORCE)[:3] == ("move", "it is so", True)
    assert decide("epilog", RANKS["mismatch"], ENFORCE) == NOTHING
    assert decide("health", RANKS["mismatch"], ENFORCE) == NOTHING


@pytest.mark.parametrize("one", RANKS["unknown"])
def test_policy_says_whether_a_job_runs_on_unknown(one: Finding) -> None:
    move = ENFORCE._replace(hook=HookPolicy(on_unknown="move"))
    assert decide("prolog", [one], ENFORCE) == NOTHING
    assert decide("prolog", [one], move)[:3] == ("move", "it is so", True)
    assert decide("epilog", [one], move) == NOTHING
    assert decide("prolog", [finding("unknown")], move) == NOTHING  # an unknown that is only degraded


def test_observe_mode_names_the_action_and_does_not_take_it() -> None:
    for findings, kind in ((RANKS["unhealthy"], "drain"), (RANKS["mismatch"], "move")):
        decision = decide("prolog", findings, ENFORCE._replace(mode="observe"))
        assert (decision.kind, decision.enforced) == (kind, False)
        assert decision.detail.startswith("observe mode: ")


def test_the_kill_switch_names_the_action_and_itself() -> None:
    policy = ENFORCE._replace(drain=DrainPolicy(kill_switch="/etc/off"))
    decision = decide("health", RANKS["unhealthy"], policy, killed=True)
    assert (decision.kind, decision.enforced) == ("drain", False)
    assert "/etc/off" in decision.detail
    assert decide("health", RANKS["ready"], policy, killed=True) == NOTHING


def observing(check: str) -> Policy:
    return ENFORCE._replace(checks={check: CheckPolicy(mode="observe")})


def test_one_observed_check_does_not_drain() -> None:
    decision = decide("prolog", RANKS["unhealthy"], observing("gpu.ecc.uncorrected"))
    assert (decision.kind, decision.enforced) == ("drain", False)
    assert decision.detail.startswith("observed check: preflight:gpu.ecc.uncorrected:gpu3")
    assert verdict(RANKS["unhealthy"]) == "unhealthy"  # the verdict says what is so all the same


def test_an_observed_check_holds_no_other_check_back() -> None:
    both = [*RANKS["unhealthy"], finding("fail", "node", "driver.match", subject="driver")]
    decision = decide("prolog", both, observing("gpu.ecc.uncorrected"))
    assert (decision.kind, decision.enforced) == ("drain", True)
    assert decision.detail.startswith("preflight:driver.match:driver: ")


def test_a_misfit_is_moved_beside_an_observed_fault() -> None:
    decision = decide("prolog", RANKS["unhealthy"] + RANKS["mismatch"], observing("gpu.ecc.uncorrected"))
    assert (decision.kind, decision.enforced) == ("move", True)


def test_a_drain_reason_is_for_machines() -> None:
    reason = drain_reason(finding("fail", subject="0000:3b:00.0", message="two: errors\nReason=x\x1b[31m"))
    assert reason == "preflight:gpu.ecc.uncorrected:0000 3b 00.0: two: errors?Reason=x?[31m"


@pytest.mark.parametrize("length", [10, 60, 200, 5000])
def test_a_drain_reason_keeps_its_form_and_160_characters(length: int) -> None:
    reason = drain_reason(finding("fail", check="expectation", subject="gpu=h100|" * length, message="needs " * length))
    head, check, subject, message = reason.split(":", 3)
    assert (head, check) == ("preflight", "expectation")
    assert subject.startswith("gpu=h100")
    assert message.startswith(" needs")
    assert len(reason) <= 160


def test_nothing_decided_is_enforced() -> None:
    assert Decision("none", "", True) == NOTHING
