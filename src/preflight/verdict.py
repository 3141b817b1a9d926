"""Findings to verdict to action, by phase. Pure: nothing here reads or does anything."""

from __future__ import annotations

from preflight.checks.finding import Finding
from preflight.policy.model import Policy
from preflight.tuples import NamedTuple

VERDICTS = ("ready", "degraded", "unknown", "mismatch", "unhealthy")
MUST_BE_TOLD = ("requirement", "expectation", "checker")
SUBJECT = 60  # characters of a drain reason


def verdict(findings: list[Finding]) -> str:
    """Return the sum of the findings: the first that holds of unhealthy, mismatch, unknown, degraded, ready."""
    failed = {finding.blame for finding in findings if finding.status == "fail"}
    if "node" in failed:
        return "unhealthy"
    if "job" in failed:
        return "mismatch"
    if any(one.status == "unknown" and one.check in MUST_BE_TOLD for one in findings):
        return "unknown"
    if failed or any(one.status in ("warn", "unknown") for one in findings):
        return "degraded"
    return "ready"


def deciding(findings: list[Finding], blame: str) -> Finding | None:
    """Return the first failed finding of ``blame``: the one a reason names."""
    return next((one for one in findings if one.status == "fail" and one.blame == blame), None)


class Decision(NamedTuple):
    """What a phase wants done: ``kind`` none, move or drain, why, and whether it is really to be done."""

    kind: str
    detail: str
    enforced: bool
    finding: Finding | None = None


NOTHING = Decision("none", "", True)


def decide(phase: str, findings: list[Finding], policy: Policy, killed: bool = False) -> Decision:
    """Return the action for ``phase``. ``killed``: the kill switch is on.

    In observe mode, of the site or of all the checks that decide, the action is named and not enforced.
    """
    wanted = _wanted(phase, findings, policy)
    if wanted.kind == "none":
        return wanted
    if killed:
        return wanted._replace(enforced=False, detail=f"kill switch {policy.drain.kill_switch} is on: {wanted.detail}")
    if policy.mode == "observe":
        return wanted._replace(enforced=False, detail=f"observe mode: {wanted.detail}")
    enforced = _wanted(phase, [one for one in findings if policy.check(one.check).mode != "observe"], policy)
    if enforced.kind == "none":
        return wanted._replace(enforced=False, detail=f"observed check: {wanted.detail}")
    return enforced


def _wanted(phase: str, findings: list[Finding], policy: Policy) -> Decision:
    said = verdict(findings)
    if said == "unhealthy":
        cause = deciding(findings, "node")
        return Decision("drain", drain_reason(cause) if cause else "", True, cause)
    if phase != "prolog":
        return NOTHING
    if said == "mismatch":
        cause = deciding(findings, "job")
        return Decision("move", cause.message if cause else "", True, cause)
    if said == "unknown" and policy.hook.on_unknown == "move":
        cause = next((one for one in findings if one.status == "unknown" and one.check in MUST_BE_TOLD), None)
        return Decision("move", cause.message if cause else "", True, cause)
    return NOTHING


def drain_reason(finding: Finding) -> str:
    """Return the machine-readable reason, at most 160 printable characters: "preflight:CHECK:SUBJECT: MESSAGE".

    It holds no " : ", with which Slurm appends a reason of its own.
    """
    text = f"preflight:{finding.check}:{reason_subject(finding.subject)}: {finding.message}"
    shown = "".join(c if c.isprintable() else "?" for c in text)
    while " : " in shown:
        shown = shown.replace(" : ", ": ")
    return shown[:160].rstrip(" :")


def reason_subject(subject: str) -> str:
    """Return a finding's subject as it stands in a drain reason: a long clause must not push the message out."""
    return "".join(c if c.isprintable() else "?" for c in subject.replace(":", " "))[:SUBJECT]
