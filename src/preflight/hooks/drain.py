"""Draining this node and giving it back: only what is ours, never an admin's."""

from __future__ import annotations

import random
import time

from preflight.files import read_json, unlink, write_json
from preflight.hooks.pending import Pending, begin, left_over
from preflight.hooks.run import Run
from preflight.slurm import node as slurm_node
from preflight.slurm.commands import Slurm, SlurmError
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

EXPECTATION = "preflight:expectation:"
SETTLE_S = 1.2  # several commands of a busy controller; drains are rare


class Drained(NamedTuple):
    """What came of it: ``detail`` for the report; ``enforced``: the node is kept from jobs, by us or already.

    ``kind`` is the report's action: "drain", or "none" where the node was away before.
    """

    detail: str
    enforced: bool
    kind: str = "drain"


def drain(run: Run, slurm: Slurm, reason: str) -> Drained:
    """Drain the node with ``reason``, unless it is away already or the drain breaker holds; never raises."""
    spool, run_dir = run.policy.report.spool, run.run_dir
    earlier = [one for one in left_over(spool, run_dir, run.node) if "drain" in one.entry]
    pending = begin(spool, run_dir, f"drain-{run.node}", {"node": run.node, "drain": reason})
    try:
        state = slurm_node.read(slurm, run.node)
        if state.away:
            for one in earlier:
                adopt(run, state, one)
            pending.done()
            return Drained(f"{'+'.join(state.flags)} already, its reason stays: {state.reason}", True, "none")
        limit = most(run.policy.drain.max_nodes, slurm_node.count_nodes(slurm))
        time.sleep(random.uniform(0, 0.25))  # a bad policy hits all nodes at the same moment
        if len(slurm_node.drained_by_us(slurm)) >= limit:
            pending.done()
            return Drained(_held_back(limit, reason), False)
        state = slurm_node.read(slurm, run.node)  # again: an admin may have come while we counted
        if state.away:
            pending.done()
            return Drained(f"{'+'.join(state.flags)} already, its reason stays: {state.reason}", True, "none")
        slurm_node.drain(slurm, run.node, reason)
        _remember(run, slurm_node.read(slurm, run.node), reason)
        if not _within(slurm, run.node, limit):
            _undo(run, slurm)
            pending.done()
            return Drained(_held_back(limit, reason), False)
    except SlurmError as error:
        # Only a prolog's exit status keeps jobs away without Slurm's commands; else the next health check drains. But
        # not for an expectation: a mistake in the policy fails on every node, and nobody could count them.
        ours_to_stop = run.phase == "prolog" and not reason.startswith(EXPECTATION)
        return Drained(f"{reason} (Slurm was not reached: {error})", ours_to_stop)
    pending.done()
    return Drained(reason, True)


def most(share: str, nodes: int) -> int:
    """Return how many nodes the policy lets us drain: a number, or a share of the cluster and then at least one."""
    if share.endswith("%"):
        return max(1, nodes * int(share[:-1]) // 100)
    return int(share)


def _held_back(limit: int, reason: str) -> str:
    return f"drain breaker: {limit} nodes are drained by preflight already ([drain] max_nodes); not drained: {reason}"


def _within(slurm: Slurm, node: str, limit: int) -> bool:
    """Return whether our own drain is among the first ``limit``, by (time, name), after others had time to drain.

    A node that counted just before our drain has made its own well within SETTLE_S; a count before that would miss it.
    """
    left = slurm.deadline - time.monotonic() - 0.5  # a probe that hung has used most of the time
    time.sleep(max(0.0, min(random.uniform(SETTLE_S, SETTLE_S + 0.3), left)))
    return node in [name for _, name in slurm_node.drained_by_us(slurm)[:limit]]


def _place(run: Run) -> str:
    return f"{run.policy.report.spool}/drain-{run.node}.json"


def _remember(run: Run, state: slurm_node.NodeState, reason: str) -> None:
    """Keep what identifies our drain; where it cannot be kept the node stays drained until an admin comes.

    A node whose reason is not ``reason`` any more has become an admin's meanwhile.
    """
    if state.reason != reason:
        return
    record = {"reason": state.reason, "user": state.user, "time": state.time}
    for path in (_place(run), f"{run.run_dir}/drain-{run.node}.json"):
        try:
            write_json(path, record)
            return
        except OSError:
            continue


def ours(run: Run) -> dict[str, Any] | None:
    """Return what we remember of our own drain of this node, or None."""
    for path in (_place(run), f"{run.run_dir}/drain-{run.node}.json"):
        record = read_json(path)
        if isinstance(record, dict) and {"reason", "user", "time"} <= record.keys():
            return record
    return None


def forget(run: Run) -> None:
    """Forget our drain: it was resumed, or is not ours any more."""
    unlink(_place(run))
    unlink(f"{run.run_dir}/drain-{run.node}.json")


def adopt(run: Run, state: slurm_node.NodeState, pending: Pending) -> None:
    """Remember a drain whose hook died between the command and the record of it."""
    began = pending.entry.get("at")
    if not isinstance(began, float) or not state.away or ours(run) is not None:
        return
    first, last = (slurm_node.stamp(began + seconds) for seconds in (-1, run.policy.hook.deadline_s + 1))
    if first <= state.time <= last:
        _remember(run, state, str(pending.entry["drain"]))


def _undo(run: Run, slurm: Slurm) -> None:
    state, record = slurm_node.read(slurm, run.node), ours(run)
    if record and state.drained and is_ours(state, record):
        slurm_node.resume(slurm, run.node)
    forget(run)


def is_ours(state: slurm_node.NodeState, record: dict[str, Any]) -> bool:
    """Return whether the node is drained with exactly the reason, user and time of our drain.

    24.11 leaves all three on a node that was resumed.
    """
    same = (state.reason, state.user, state.time) == (record["reason"], record["user"], record["time"])
    return same and "DRAIN" in state.flags and state.reason.startswith(slurm_node.PREFIX)


def resume_ours(run: Run, slurm: Slurm, well: bool) -> Drained | None:
    """Resume the node if DRAIN is its only flag, the drain exactly ours, and ``well``: what drained it passes now.

    Returns None where there is nothing to resume; never raises.
    """
    record = ours(run)
    if record is None:
        return None
    try:
        state = slurm_node.read(slurm, run.node)
        if not is_ours(state, record):
            forget(run)  # an admin resumed it, or wrote a reason: it is theirs now
            return None
        if not well or not state.only_drained:
            return None
        slurm_node.resume(slurm, run.node)
    except SlurmError as error:
        return Drained(f"not resumed: {error}", False)
    forget(run)
    return Drained(f"resumed, drained for: {record['reason']}", True)
