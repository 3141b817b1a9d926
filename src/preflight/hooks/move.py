"""Moving a job off a node that does not fit it, so that it is never lost, doubled or left half moved.

AdminComment carries the record that all nodes of the job share (`preflight:moved:NODE:runN`): what a run of the job was
moved for, how often we moved it, and whether some node decided that it must stay held. See docs/moving-jobs.md.
"""

from __future__ import annotations

from preflight.files import tolerate
from preflight.hooks import tasks
from preflight.hooks.marking import entries, held_by_another, mark, mark_excluded, one_line
from preflight.hooks.pending import Pending
from preflight.hostlist import HostlistError, folded, names
from preflight.slurm import job as slurm_job
from preflight.slurm.commands import Slurm, SlurmError
from preflight.slurm.environment import Job
from preflight.slurm.job import JobState, Queued
from preflight.slurm.marks import CANCELLED, HELD, MOVED, appended
from preflight.slurm.prefer import drop_vain_preference
from preflight.tuples import NamedTuple

NOT_REQUEUED = "scontrol requeuehold has not requeued job {}"
MOVABLE = ("RUNNING", "CONFIGURING", "PENDING", "SUSPENDED")


class Outcome(NamedTuple):
    """What was done: the report's action kind, what to tell, whether all of it was done."""

    kind: str
    detail: str
    done: bool


class Move(NamedTuple):
    """One move: which run of which job, off which node, and why (one printable line).

    ``every``: every task of an array with this requirement would be sent away from the node (hooks/tasks.py).
    """

    job: Job
    node: str
    cause: str
    max_requeues: int
    every: bool = False

    @property
    def run(self) -> int:
        """Return the run of the job that is being moved."""
        return self.job.restart or 0

    @property
    def marker(self) -> str:
        """Return the marker of this node and run."""
        return f"{self.node}:run{self.run}"

    @property
    def shared(self) -> bool:
        """Return whether other nodes run a prolog of the same job."""
        return len(names(self.job.nodes)) > 1

    @property
    def alone(self) -> bool:
        """Return whether no other prolog can act on the job: it has one node, and is no component of another."""
        return not self.job.het_job_id and not self.shared


def move(slurm: Slurm, what: Move, pending: Pending) -> Outcome:
    """Move the job and return what came of it; never raises. What could not be ended stays in ``pending``."""
    kind = "requeue"
    try:
        state = slurm_job.find(slurm, what.job.id)
        if not state.batch or not state.requeue:
            kind = "cancel"
            outcome = _cancel(slurm, what, state)
        else:
            outcome = _requeue(slurm, what, state, pending)
    except (SlurmError, HostlistError) as error:
        return Outcome(kind, f"not done: {error}", False)
    pending.ended(outcome.kind, outcome.detail)
    return outcome


def _cancel(slurm: Slurm, what: Move, state: JobState) -> Outcome:
    """End a job that cannot be requeued, telling it why where it can be told; never one without our mark."""
    text = f"preflight: job {what.job.id} cannot run on {what.node}: {what.cause}"
    why = "it was submitted with --no-requeue" if state.batch else "an interactive job cannot be moved"
    mark(slurm, state.name, CANCELLED, what, why, state.admin_comment, sure=True)
    with tolerate(SlurmError):  # nobody listens to a batch job yet
        slurm_job.notify(slurm, state.name, text)
    slurm_job.cancel(slurm, state.name)
    now = ""
    with tolerate(SlurmError):  # it is gone already
        now = slurm_job.letter(slurm, state.name, "T")
    if now in MOVABLE:
        raise SlurmError(f"scancel has not ended job {state.name}: it is {now.lower()}")
    return Outcome("cancel", f"cancelled, since {why}: {what.cause}", True)


def _requeue(slurm: Slurm, what: Move, state: JobState, pending: Pending) -> Outcome:
    leader = str(what.job.het_job_id) if what.job.het_job_id else state.name
    try:  # first of all, and harmless: a job that cannot be updated (scrontab) or has ended is only reported
        state = state._replace(admin_comment=mark(slurm, state.name, MOVED, what, now=state.admin_comment))
    except SlurmError as error:
        return Outcome("none", f"the job cannot be updated, so it is only reported: {error}", False)
    if leader != state.name:  # what is released at the end is the leader: its priority is the one to keep
        state = state._replace(priority=slurm_job.priority(slurm, leader))
    pending = pending.step("requeue", priority=state.priority)
    if what.alone:
        restarts, now = state.restarts, state.state
    else:  # another node of the job may have been first since
        restarts, now = slurm_job.restarts(slurm, leader), slurm_job.letter(slurm, leader, "T")
    if restarts <= what.run:
        if now in MOVABLE:
            slurm_job.requeue_held(slurm, leader)
            if not what.alone and slurm_job.restarts(slurm, leader) <= what.run:
                raise SlurmError(NOT_REQUEUED.format(leader))
        elif what.alone or slurm_job.restarts(slurm, leader) <= what.run:
            # Its user cancelled it, or it ended: a requeue would bring it back.
            return Outcome("none", f"the job is {now.lower()} already: {what.cause}", True)
    return finish(slurm, what, state, pending.step("held"))


def finish(slurm: Slurm, what: Move, state: JobState, pending: Pending) -> Outcome:
    """Do what follows the requeue: exclude the node and release the job, or leave it held with the reason.

    Also called by the health check for a move that stopped here.
    """
    if what.alone:
        return _finish_alone(slurm, what, state)
    outcome, rows, partition, left = _finish_shared(slurm, what, state)
    if rows and tasks.is_first(slurm, what, state):
        with tolerate((SlurmError, HostlistError)):  # what is not shared now, each task finds out by itself
            tasks.share(slurm, what, state, rows, partition, left)
    return outcome


def _finish_shared(slurm: Slurm, what: Move, state: JobState) -> tuple[Outcome, list[Queued], str, set[str]]:
    """As `finish`, of a job whose fields other nodes write too.

    Returns what came of it, the rows of its array ([] where others learn nothing), its partition, the nodes left.
    """
    leader = str(what.job.het_job_id) if what.job.het_job_id else state.name
    rows = slurm_job.queued(slurm, state.array) if what.every and state.array else []
    known = tasks.lessons(slurm, what, state, rows)
    reason = _must_hold(what, state)
    if not reason:
        slurm_job.exclude(slurm, state.name, {what.node, *known})
        mark_excluded(slurm, state.name, known, what)
    partition = slurm_job.partition(slurm, state.name)  # read again: while it ran it was only the one it ran in
    left = _left(slurm, what, partition, slurm_job.excluded(slurm, state.name)) - {what.node}
    reason = reason or _too_few(what, state, partition, left)
    return _hold_or_release(slurm, what, state, leader, reason), rows, partition, left


def _hold_or_release(slurm: Slurm, what: Move, state: JobState, leader: str, reason: str) -> Outcome:
    if reason:
        mark(slurm, leader, HELD, what, reason)  # on the leader: all components of a heterogeneous job look there
        slurm_job.hold(slurm, leader)
        return Outcome("hold", f"held, since {reason}: {what.cause}", True)
    if held_by_another(slurm, what, leader):
        return Outcome("hold", f"left held as another node of the job decided: {what.cause}", True)
    with tolerate(SlurmError):
        drop_vain_preference(slurm, state.name)
    if slurm_job.held(slurm, leader):  # else another node was first, and a release would compute its priority anew
        slurm_job.release(slurm, leader)
    if held_by_another(slurm, what, leader):
        slurm_job.hold(slurm, leader)
        return Outcome("hold", f"left held as another node of the job decided: {what.cause}", True)
    _keep_priority(slurm, leader, state.priority)
    return Outcome("requeue", f"requeued without {what.node}: {what.cause}", True)


def _finish_alone(slurm: Slurm, what: Move, state: JobState) -> Outcome:
    """As `finish`, of a job on one node: no other node of it writes its fields, so each is written once."""
    rows = slurm_job.queued(slurm, state.array or state.name)
    own = next((row for row in rows if row.name == state.name), None)
    if own is None:
        raise SlurmError(f"job {state.name} is not in the queue")
    if own.priority and own.state in MOVABLE and own.state != "PENDING":
        raise SlurmError(NOT_REQUEUED.format(state.name))
    siblings = what.every and len(rows) > 1
    known = tasks.lessons(slurm, what, state, rows)
    out = names(own.excluded) | {what.node} | set(known)
    reason = _must_hold(what, state)
    left = _left(slurm, what, own.partition, folded(out)) if siblings or not reason else set()
    more: list[str] = []
    values: dict[str, str] = {}
    if not reason:
        reason = _too_few(what, state, own.partition, left)
        more = tasks.excluded_entries(known, state.admin_comment, state.restarts)
        if out != names(own.excluded):
            values["ExcNodeList"] = folded(out)
    if reason and f"{HELD}{what.marker}:" not in state.admin_comment:
        more.append(f"{HELD}{what.marker}: {one_line(f'{reason}: {what.cause}')}")
    if more:
        values["AdminComment"] = appended(state.admin_comment, *more)
    if values:
        slurm_job.update(slurm, state.name, **values)
    # A command may say that it succeeded, and have done nothing: without the exclusion the job would come back here.
    if "ExcNodeList" in values and what.node not in names(slurm_job.excluded(slurm, state.name)):
        raise SlurmError(f"scontrol update has not excluded {what.node} from job {state.name}")
    if reason:
        slurm_job.hold(slurm, state.name)
        outcome = Outcome("hold", f"held, since {reason}: {what.cause}", True)
    else:
        if state.prefers:
            with tolerate(SlurmError):
                drop_vain_preference(slurm, state.name)
        if own.priority == 0:
            slurm_job.release(slurm, state.name)
        _keep_priority(slurm, state.name, state.priority)
        outcome = Outcome("requeue", f"requeued without {what.node}: {what.cause}", True)
    if siblings:
        with tolerate((SlurmError, HostlistError)):  # what is not shared now, each task finds out by itself
            tasks.share(slurm, what, state, rows, own.partition, left)
    return outcome


def _must_hold(what: Move, state: JobState) -> str:
    if what.node in names(state.required):
        return tasks.BY_NAME.format(what.node)
    parts = (entry.split(":") for entry in entries(state.admin_comment) if entry.startswith(MOVED))
    runs = {part[3] for part in parts if len(part) > 3}
    if len(runs - {f"run{what.run}"}) >= what.max_requeues:
        return f"it was moved {what.max_requeues} times already ([hook] max_requeues)"
    return ""


def _left(slurm: Slurm, what: Move, partition: str, excluded: str) -> set[str]:
    """Return the nodes of the partition that the job may still go to; those that are down for now count as left."""
    return slurm_job.nodes_of(slurm, partition, gpus=bool(what.job.gpus_text)) - names(excluded)


def _too_few(what: Move, state: JobState, partition: str, left: set[str]) -> str:
    """Return why too few nodes are left for the job, or ""."""
    if len(left) >= max(state.nodes, 1):
        return ""
    return tasks.NONE_LEFT.format(len(left), partition, max(state.nodes, 1))


def _keep_priority(slurm: Slurm, name: str, before: int) -> None:
    """Give back a priority that an admin had set: releasing a job computes it anew."""
    if before and slurm_job.set_by_hand(slurm, name, before):
        with tolerate(SlurmError):
            slurm_job.update(slurm, name, Priority=str(before))
