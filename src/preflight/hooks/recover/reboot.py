"""The step "reboot": Slurm reboots the node, once it is drained by us, within the breaker's limit, and empty."""

from __future__ import annotations

from preflight.hooks.drain import most
from preflight.hooks.drained import LATE_S, is_ours, ours
from preflight.hooks.recover.record import BEGUN, FAILED, SENT, Steps
from preflight.hooks.run import Run
from preflight.slurm import node as slurm_node
from preflight.slurm.commands import Slurm, SlurmError
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any


class Held(NamedTuple):
    """Why the node may not be rebooted now; ``waits``: it may later, and nothing is amiss."""

    why: str
    waits: bool = True


def held_back(run: Run, slurm: Slurm) -> Held | None:
    """Return what keeps the node from being rebooted now, None for nothing. Raises SlurmError.

    Slurm itself starts no reboot while jobs are on the node. Asked for while it has some, it would be made whenever
    they end, without another look.
    """
    seen = slurm_node.look(slurm, run.node)
    record = ours(run)
    if seen.state.reboots:
        return Held("a reboot of the node is under way")
    if record is None or not is_ours(slurm, seen.state, record):
        return Held("the node is not drained by us any more")
    limit = most(run.policy.drain.max_nodes, seen.nodes)
    if seen.rank(run.node) >= limit:
        text = f"drain breaker: {limit} nodes are drained or rebooted by preflight already ([drain] max_nodes)"
        return Held(text, waits=False)
    if not seen.state.empty:
        return Held(f"the node is {'+'.join(seen.state.flags)}: it is rebooted once it is IDLE+DRAIN")
    jobs = slurm_node.jobs_on(slurm, run.node)
    if jobs:
        return Held(f"job {jobs[0]} is on the node" + (f", and {len(jobs) - 1} others" if len(jobs) > 1 else ""))
    if not slurm_node.reboot_program(slurm):
        return Held("slurm.conf names no RebootProgram", waits=False)
    return None


def may_come(row: dict[str, Any], steps: Steps) -> bool:
    """Return whether the command was sent so lately that a controller which was stopped may yet carry it out."""
    sent = row.get("sent_up")
    late = isinstance(sent, (int, float)) and row["clock"] == steps.now.boot
    return row["state"] in (BEGUN, FAILED) and late and steps.now.up - float(sent or 0.0) < LATE_S


def reboot(run: Run, slurm: Slurm, steps: Steps, row: dict[str, Any]) -> str:
    """Ask Slurm for the reboot; return what came of it, "" where it is under way. Raises OSError and SlurmError.

    The record says so before, on the disk: a hook that is killed from here on has asked for it, or has not, and that is
    seen by the node's state, by another boot, or once no command of before can take effect any more.
    """
    if may_come(row, steps):
        left_s = LATE_S - (steps.now.up - float(row["sent_up"]))
        return (
            f"an earlier command may still take effect; asked for again in {left_s:.0f} s: {row['detail'] or 'killed'}"
        )
    row.update(state=BEGUN, sent_up=steps.now.up)
    steps.save()
    if run.killed:
        return f"kill switch {run.policy.drain.kill_switch} is on"
    try:
        slurm_node.reboot(slurm, run.node)
        state = slurm_node.read(slurm, run.node)
    except SlurmError as error:
        row.update(state=FAILED, detail=str(error)[:200])
        steps.save()
        raise
    if not state.reboots:
        row.update(state=FAILED, detail=f"Slurm reboots no node that is {'+'.join(state.flags)}")
        steps.save()
        return str(row["detail"])
    row.update(state=SENT, detail="")
    steps.save()
    return ""


def note_sent(slurm: Slurm, run: Run, steps: Steps, row: dict[str, Any]) -> bool:
    """Return whether the reboot that ``row`` began is under way by Slurm's word, and record it. Raises SlurmError."""
    if row["state"] not in (BEGUN, FAILED) or not slurm_node.read(slurm, run.node).reboots:
        return False
    row.update(state=SENT, detail="")
    steps.save()
    return True
