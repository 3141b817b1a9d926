"""Which step of [recover] a finding asks for next. Pure: what was done so far comes from `record`."""

from __future__ import annotations

from fnmatch import fnmatchcase

from preflight.catalog.xids import RECOVERY_ACTION, cure
from preflight.checks.finding import Finding
from preflight.digits import is_whole
from preflight.facts.document import FactsDocument
from preflight.hooks.recover.record import EVIDENCE, REBOOT, Steps, is_taken
from preflight.policy.model import Policy
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

GPU_XID = "gpu.xid"


class Rung(NamedTuple):
    """The step that is due for a finding. ``row``: what the record has of it where it was begun already."""

    step: str
    finding: Finding
    row: dict[str, Any] | None = None


def next_rung(
    findings: Iterable[Finding], document: FactsDocument, policy: Policy, steps: Steps, drained_in: str, boot: str
) -> Rung | None:
    """Return what is to be done next about the first failed finding that asks for something, None for nothing.

    ``drained_in``: the boot in which we drained the node, ``boot``: this one. A later step follows once the one before
    it was taken and the finding still fails; after a reboot, that is in another boot. A node that was rebooted since
    the drain, whoever did it, is not rebooted for it again.
    """
    for finding in failing(findings, policy):
        for step in asked(finding, document, policy):
            row = steps.latest(step, finding)
            if step != REBOOT:
                if row is None or not is_taken(row):
                    return Rung(step, finding, row)
                continue
            if row is not None and row["boot"] != boot:
                if row["state"] != EVIDENCE:
                    continue  # made, by all that is known
                row = None
            if row is None and drained_in != boot:
                continue
            if row is not None and is_taken(row):
                break  # asked for, and not made yet
            return Rung(step, finding, row)
    return None


def failing(findings: Iterable[Finding], policy: Policy) -> list[Finding]:
    """Return what failed by the node's fault and is acted on."""
    bad = [one for one in findings if one.status == "fail" and one.blame == "node"]
    return [one for one in bad if policy.check(one.check).mode != "observe"]


def asked(finding: Finding, document: FactsDocument, policy: Policy) -> list[str]:
    """Return the steps of the first pattern that matches the finding, in the policy's order; [] where none does."""
    names = [finding.check]
    if finding.check == GPU_XID:
        names += _xids(finding, document, policy)
    for pattern, steps in policy.recover.steps.items():
        if any(fnmatchcase(name, pattern) for name in names):
            return list(steps)
    return []


def _xids(finding: Finding, document: FactsDocument, policy: Policy) -> list[str]:
    """Return "xid:79" of each Xid, and "xid:REBOOT" or "xid:RESET": what the driver asks for (Xid 154), else the
    most that the catalog asks for after one of them."""
    codes = [int(one) for one in (finding.observed or "").split(", ") if is_whole(one, 6)]
    tables = policy.tables()
    events = (document.facts.get("kernel_log") or {}).get("events") or []
    levels = [one.get("level") for one in events if one.get("code") == RECOVERY_ACTION and not one.get("state", "")]
    told = {cure(RECOVERY_ACTION, level, tables) for level in levels} if RECOVERY_ACTION in codes else set()
    wanted = (told - {""}) or {cure(code, tables=tables) for code in codes} - {""}
    most = "REBOOT" if "REBOOT" in wanted else "RESET" if wanted else ""
    return [*(f"xid:{code}" for code in codes), *([f"xid:{most}"] if most else [])]
