"""Draining this node and giving it back: only what is ours, never an admin's, never more nodes than the policy lets us.

A bad policy hits every node at once, so a count before the drain is a race. Each node counts, drains, waits until the
others have drained, and counts again; those ranked past the limit undo their own. A drain is begun only where all of
that still fits in the deadline, and a node that could not count stops no job. The health check ranks its drain again.
"""

from __future__ import annotations

import random
import time

from preflight.files import tolerate
from preflight.hooks.drained import LATE_S, Cause, adopt, forget, is_ours, ours, remember
from preflight.hooks.pending import Pending, begin, left_over
from preflight.hooks.run import Run
from preflight.slurm import node as slurm_node
from preflight.slurm.commands import Slurm, SlurmError
from preflight.tuples import NamedTuple

SETTLE_S = 1.2  # several commands of a busy controller; drains are rare
SLOWER = 1.25  # how much slower the next command may be than the slowest one so far
JITTER_S = 0.25
SLOW = "slow controller"  # begins what the report says of a drain that was held back for it, and not by the limit
SENT = "sent"  # the step of a drain whose command may take effect at any time, even where it was not heard to


class Drained(NamedTuple):
    """What came of it: ``detail`` for the report; ``enforced``: the node is kept from jobs, by us or already.

    ``kind`` is the report's action: "drain", or "none" where the node was away before.
    """

    detail: str
    enforced: bool
    kind: str = "drain"


def drain(run: Run, slurm: Slurm, cause: Cause) -> Drained:
    """Drain the node for ``cause``, unless it is away already or the drain breaker holds; never raises."""
    spool, run_dir = run.policy.report.spool, run.run_dir
    earlier = [one for one in left_over(spool, run_dir, run.node) if "drain" in one.entry]
    entry = {"node": run.node, "drain": cause.reason, **cause._asdict()}
    pending = begin(spool, run_dir, f"drain-{run.node}", entry)
    try:
        return _drain(run, slurm, cause, pending, earlier)
    except SlurmError as error:
        # Nobody knows how many nodes are drained, so the job is not stopped by the exit status either (Slurm drains a
        # node whose prolog fails); the next health check drains, or undoes.
        return Drained(
            f"{cause.reason} (Slurm was not reached: {error}; no job is stopped by a drain that nobody counted)", False
        )


def _drain(run: Run, slurm: Slurm, cause: Cause, pending: Pending, earlier: list[Pending]) -> Drained:
    left = slurm.deadline - time.monotonic()
    time.sleep(random.uniform(0, max(0.0, min(JITTER_S, left / 10))))  # a bad policy hits all nodes at the same moment
    pace = Pace(slurm)
    seen = pace.look(run.node)
    limit = most(run.policy.drain.max_nodes, seen.nodes)
    if seen.state.away:
        return _away(run, slurm, cause, seen, limit, pending, earlier)
    if len(seen.ours) >= limit:
        pending.done()
        return Drained(_held_back(limit, cause.reason), False)
    if any(_may_come(run, one) for one in earlier):
        pending.done()
        return Drained(f"{SLOW}: an earlier command may still drain this node; not drained: {cause.reason}", False)
    if run.phase == "health":
        pace.look(run.node)  # no job waits: one quick answer of a controller that is mostly slow begins nothing
    if not pace.fits():
        pending.done()
        slow = f"Slurm's commands take {pace.slowest:.1f} s, and {pace.left():.1f} s are left to count and undo"
        return Drained(f"{SLOW}: {slow}; not drained: {cause.reason}", False)
    sent = begin(run.policy.report.spool, run.run_dir, f"drain-{run.node}-{SENT}", pending.entry).step(SENT)
    pending.done()
    pace.drain(run.node, cause.reason)
    pace.settle()
    seen = pace.look(run.node)
    remember(run, seen.state, cause)
    if not seen.state.away:  # `sent` stays: a command that said that it succeeded may be carried out later
        return Drained(f"Slurm has not drained the node, or another hand resumed it: {cause.reason}", False)
    if seen.rank(run.node) < limit:
        sent.done()
        return Drained(cause.reason, True)
    _undo(run, slurm, seen)
    sent.done()
    return Drained(_held_back(limit, cause.reason), False)


def _away(
    run: Run, slurm: Slurm, cause: Cause, seen: slurm_node.Look, limit: int, pending: Pending, earlier: list[Pending]
) -> Drained:
    """Leave a node alone that is drained, down or failing, unless that is a drain of our own past the limit."""
    for one in earlier:
        adopt(run, seen.state, one)
    pending.done()
    if _past(seen, run.node, limit):
        _undo(run, slurm, seen)
        return Drained(_held_back(limit, cause.reason), False)
    return Drained(f"{'+'.join(seen.state.flags)} already, its reason stays: {seen.state.reason}", True, "none")


def _may_come(run: Run, pending: Pending) -> bool:
    """Return whether a drain was sent that may take effect yet, from the queue of a controller that was stopped."""
    at = pending.entry.get("at")
    young = isinstance(at, float) and abs(time.time() - at) < LATE_S + run.policy.hook.deadline_s
    return young and pending.entry.get("step") == SENT


def most(share: str, nodes: int) -> int:
    """Return how many nodes the policy lets us drain: a number, or a share of the cluster and then at least one."""
    if share.endswith("%"):
        return max(1, nodes * int(share[:-1]) // 100)
    return int(share)


def _held_back(limit: int, reason: str) -> str:
    return f"drain breaker: {limit} nodes are drained by preflight already ([drain] max_nodes); not drained: {reason}"


def _past(seen: slurm_node.Look, node: str, limit: int) -> bool:
    """Return whether the node is drained with a reason of ours, and past the limit."""
    return any(name == node for _, name in seen.ours) and seen.rank(node) >= limit


class Pace:
    """Slurm's commands with the time that each of them takes."""

    def __init__(self, slurm: Slurm) -> None:
        self._slurm = slurm
        self.slowest = 0.0

    def left(self) -> float:
        """Return the seconds until the deadline of Slurm's commands."""
        return self._slurm.deadline - time.monotonic()

    def look(self, node: str) -> slurm_node.Look:
        """Look at all nodes; raises SlurmError."""
        began = time.monotonic()
        seen = slurm_node.look(self._slurm, node)
        self._took(began)
        return seen

    def drain(self, node: str, reason: str) -> None:
        """Drain the node; raises SlurmError. It ends while there is time to count and to undo."""
        began = time.monotonic()
        within = self._slurm._replace(deadline=self._slurm.deadline - 2 * SLOWER * self.slowest)
        slurm_node.drain(within, node, reason)
        self._took(began)

    def _took(self, began: float) -> None:
        self.slowest = max(self.slowest, time.monotonic() - began)

    def fits(self) -> bool:
        """Return whether draining, waiting for others' drains, counting and undoing fit before the deadline."""
        return self.left() >= (3 * SLOWER + 1) * self.slowest

    def settle(self) -> None:
        """Wait until the nodes that counted just before our drain have made their own, as far as time lets us.

        Such a node is at most the answer to its count and its own drain behind.
        """
        wanted = random.uniform(SETTLE_S, SETTLE_S + 0.3) + 2 * self.slowest
        time.sleep(max(0.0, min(wanted, self.left() - 2 * SLOWER * self.slowest)))


def _undo(run: Run, slurm: Slurm, seen: slurm_node.Look) -> bool:
    """Resume the node where the drain just seen is ours; return whether it was. Raises SlurmError."""
    record = ours(run)
    if record is None or not seen.state.drained or not is_ours(slurm, seen.state, record):
        return False
    return _resume(run, slurm)


def _resume(run: Run, slurm: Slurm) -> bool:
    """Resume the node, and forget our drain where that is seen to be over; return whether it is.

    Where the command fails, does nothing, or is carried out later, the record stays for the next health check. Raises
    SlurmError.
    """
    slurm_node.resume(slurm, run.node)
    with tolerate(SlurmError):
        if "DRAIN" not in slurm_node.read(slurm, run.node).flags:
            forget(run)
            return True
    return False


def correct(run: Run, slurm: Slurm) -> Drained | None:
    """Rank our drain of this node among all of ours, and undo it past the limit; never raises.

    Adopts a drain whose hook never heard of it, and forgets one that is not ours any more. Returns None where nothing
    was undone. Slurm is asked only where a drain of ours is on record.
    """
    entries = [one for one in left_over(run.policy.report.spool, run.run_dir, run.node) if "drain" in one.entry]
    if ours(run) is None and not entries:
        return None
    try:
        seen = slurm_node.look(slurm, run.node)
        for one in entries:
            if adopt(run, seen.state, one) or not _may_come(run, one):
                one.done()
        record = ours(run)
        if record is None:
            return None
        if not is_ours(slurm, seen.state, record):
            forget(run)  # an admin resumed it, or wrote a reason: it is theirs now
            return None
        limit = most(run.policy.drain.max_nodes, seen.nodes)
        if _past(seen, run.node, limit):
            undone = _undo(run, slurm, seen)
            return Drained(f"resumed, past the drain breaker's limit of {limit}: {record['reason']}", undone)
    except SlurmError as error:
        return Drained(f"our drain was not ranked: {error}", False)
    return None


def resume_ours(run: Run, slurm: Slurm) -> Drained | None:
    """Resume a node that is well, if DRAIN is its only flag (or DOWN is left of a reboot), and the drain exactly ours.

    Returns None where there is nothing to resume; never raises.
    """
    record = ours(run)
    if record is None:
        return None
    try:
        state = slurm_node.read(slurm, run.node)
        if not is_ours(slurm, state, record):
            forget(run)
            return None
        if not (state.only_drained or state.came_back_drained):
            return None
        if not _resume(run, slurm):
            return Drained("resumed, but the node is not seen to be: the next health check looks again", False)
    except SlurmError as error:
        return Drained(f"not resumed: {error}", False)
    return Drained(f"resumed, drained for: {record['reason']}", True)
