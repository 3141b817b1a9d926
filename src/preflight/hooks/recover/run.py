"""The ladder of [recover], one step in a health check at most: what is due, evidence, the record, the step."""

from __future__ import annotations

from preflight.checks.finding import Finding
from preflight.facts.cache import boot_id
from preflight.files import tolerate
from preflight.hooks import journal
from preflight.hooks.assess import Assessment
from preflight.hooks.drained import is_ours, ours
from preflight.hooks.recover.command import clean, command, time_for
from preflight.hooks.recover.evidence import collects, gather, place_for
from preflight.hooks.recover.ladder import Rung, asked, failing, next_rung
from preflight.hooks.recover.reboot import Held, held_back, note_sent, reboot
from preflight.hooks.recover.record import BEGUN, DONE, EVIDENCE, REBOOT, SENT, Steps, elapsed
from preflight.hooks.run import Run
from preflight.slurm import node as slurm_node
from preflight.slurm.commands import Slurm, SlurmError
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    from preflight.report.model import Report

STALE_S = 3600.0  # evidence older than this is collected anew


def would(run: Run, found: Assessment) -> str:
    """Return what observe mode or the kill switch keeps from being done beside the drain, "" for nothing."""
    for finding in failing(found.findings, run.policy):
        steps = asked(finding, found.document, run.policy)
        if steps:
            return f"; then, by [recover]: {', then '.join(steps)}"
    return ""


def uncured(run: Run, found: Assessment) -> Assessment:
    """Return the findings; those that a reboot was to cure say that it has not."""
    steps = Steps(run.policy.report.spool, run.node, run.policy.recover.hold_down)
    steps.tick()
    row = steps.latest(REBOOT)
    if row is None or row["state"] not in (BEGUN, SENT) or row["boot"] == steps.now.boot:
        return found

    def told(one: Finding) -> Finding:
        if one.status != "fail" or REBOOT not in asked(one, found.document, run.policy):
            return one
        return one._replace(message=f"{one.message}; rebooted at {row['at']}, not cured")

    return found._replace(findings=[told(one) for one in found.findings])


def recover(run: Run, slurm: Slurm, found: Assessment, report: Report) -> dict[str, Any] | None:
    """Take the next step where the node is drained by us; return the report's action, None where nothing is due.

    Never raises. A step that cannot be put on record is not made.
    """
    record = ours(run)
    if record is None:
        return None
    steps = Steps(run.policy.report.spool, run.node, run.policy.recover.hold_down)
    rung = next_rung(found.findings, found.document, run.policy, steps, str(record.get("boot") or ""), boot_id())
    if rung is None:
        return None
    kind = REBOOT if rung.step == REBOOT else "command"
    what = REBOOT if rung.step == REBOOT else f"command {rung.step}"
    subject = f"{rung.finding.check}:{clean(rung.finding.subject)}"
    try:
        came = _step(run, slurm, steps, rung, report)
    except SlurmError as error:
        came = Came(f"Slurm was not reached: {error}")
    except OSError as error:
        came = Came(f"the record cannot be kept: {error.strerror}")
    kept = f"; evidence: {came.evidence}" if came.evidence else ""
    if came.made:
        said = came.detail or "asked for"
        journal.say(journal.WARNING, f"recover step={rung.step} finding={subject} detail={said}{kept}")
    said = f"{what} for {subject}" + (f": {came.detail}" if came.detail else "") + kept
    if not came.made and came.detail.startswith("drain breaker"):
        said = f"{came.detail}; not made: {what} for {subject}"
    if came.waits:
        return {"kind": "none", "detail": f"{report['action']['detail']}; {said}", "enforced": True}
    return {"kind": kind, "detail": said, "enforced": came.made}


class Came(NamedTuple):
    """What came of a step: ``made`` now; ``waits``: it was not due yet, and nothing is amiss."""

    detail: str
    made: bool = False
    evidence: str = ""
    waits: bool = False


def _step(run: Run, slurm: Slurm, steps: Steps, rung: Rung, report: Report) -> Came:
    """Bring the step one further. Raises OSError and SlurmError."""
    row = rung.row
    if rung.step == REBOOT:
        if row is not None and note_sent(slurm, run, steps, row):
            return Came("under way", True, str(row["evidence"]))
        held = held_back(run, slurm)
    else:
        held = _not_ours(run, slurm)
    if held is not None:
        return Came(held.why, waits=held.waits)
    stale = row is not None and row["state"] == EVIDENCE and elapsed(row, steps.now) > STALE_S
    if row is not None and stale and not collects(row, steps):
        steps.drop(row)
        row = None
    if row is None:
        row = steps.begin(rung.step, rung.finding, place_for(run, rung.finding))
        steps.save()
    path = str(row["evidence"])
    if row["state"] == EVIDENCE:
        got = gather(run, report, steps, row)
        if not got.ready:
            return Came(got.why, waits=True)
        row.update(evidence=got.path, detail=got.why)
        path = got.path
        held = held_back(run, slurm) if rung.step == REBOOT else None  # a moment has passed
        if held is not None:
            return Came(held.why, evidence=path, waits=held.waits)
    if run.killed:
        return Came(f"kill switch {run.policy.drain.kill_switch} is on", evidence=path)
    if rung.step == REBOOT:
        why = reboot(run, slurm, steps, row)
        return Came(why, not why, path)
    return _command(run, steps, rung, row, path)


def _not_ours(run: Run, slurm: Slurm) -> Held | None:
    state = slurm_node.read(slurm, run.node)
    if not is_ours(slurm, state, ours(run) or {}):
        return Held("the node is not drained by us any more")
    return Held("the node is rebooted, and has not registered yet") if state.reboots else None


def _command(run: Run, steps: Steps, rung: Rung, row: dict[str, Any], path: str) -> Came:
    late = Came("no time is left for it: the next health check goes on", evidence=path, waits=True)
    if not time_for(run):
        return late
    row.update(state=BEGUN)
    steps.save()
    seconds = time_for(run)  # the disk may have taken some of it
    if not seconds:
        row.update(state=EVIDENCE)
        steps.save()
        return late
    ran = command(run, rung, path, seconds)
    detail = ran.why or "done"
    if ran.last:
        detail += f": {ran.last}"
    row.update(state=DONE, detail=detail)
    with tolerate(OSError):  # begun is as good as done: it is not run again
        steps.save()
    return Came(detail, True, path)
