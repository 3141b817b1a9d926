"""Moving a job off a node that does not fit it, so that it is never lost, doubled or left half moved.

AdminComment carries the record that all nodes of the job share (`preflight:moved:NODE:runN`): what a run of the job was
moved for, how often we moved it, and whether some node decided that it must stay held. See docs/moving-jobs.md.
"""

from __future__ import annotations

import random
import time

from preflight.digits import is_whole
from preflight.files import tolerate
from preflight.hooks.pending import Pending
from preflight.hostlist import HostlistError, names
from preflight.slurm import job as slurm_job
from preflight.slurm.commands import Slurm, SlurmError
from preflight.slurm.environment import Job
from preflight.slurm.job import JobState
from preflight.slurm.marks import CANCELLED, HELD, MOVED
from preflight.slurm.prefer import drop_vain_preference
from preflight.tuples import NamedTuple

MOVABLE = ("RUNNING", "CONFIGURING", "PENDING", "SUSPENDED")


class Outcome(NamedTuple):
    """What was done: the report's action kind, what to tell, whether all of it was done."""

    kind: str
    detail: str
    done: bool


class Move(NamedTuple):
    """One move: which run of which job, off which node, and why (one printable line)."""

    job: Job
    node: str
    cause: str
    max_requeues: int

    @property
    def run(self) -> int:
        """Return the run of the job that is being moved."""
        return self.job.restart or 0

    @property
    def marker(self) -> str:
        """Return the marker of this node and run."""
        return f"{self.node}:run{self.run}"


def one_line(text: str, limit: int = 300) -> str:
    """Return user text as one printable line that cannot be taken for another entry of AdminComment."""
    cleaned = "".join(c if c.isprintable() else " " for c in text).replace(";", ",").replace("preflight:", "preflight ")
    return cleaned[:limit].strip()


def move(slurm: Slurm, what: Move, pending: Pending) -> Outcome:
    """Move the job and return what came of it; never raises. What could not be ended stays in ``pending``."""
    kind = "requeue"
    try:
        name = slurm_job.resolve(slurm, what.job.id)
        state = slurm_job.read(slurm, name)
        if not state.batch or not state.requeue:
            kind = "cancel"
            outcome = _cancel(slurm, what, state)
        else:
            outcome = _requeue(slurm, what, state, pending)
    except (SlurmError, HostlistError) as error:
        return Outcome(kind, f"not done: {error}", False)
    if outcome.kind == "requeue":
        pending.released()
    else:
        pending.done()
    return outcome


def _cancel(slurm: Slurm, what: Move, state: JobState) -> Outcome:
    """End a job that cannot be requeued, telling it why where it can be told."""
    text = f"preflight: job {what.job.id} cannot run on {what.node}: {what.cause}"
    why = "it was submitted with --no-requeue" if state.batch else "an interactive job cannot be moved"
    _mark(slurm, state.name, CANCELLED, what, why)
    with tolerate(SlurmError):  # nobody listens to a batch job yet
        slurm_job.notify(slurm, state.name, text)
    slurm_job.cancel(slurm, state.name)
    return Outcome("cancel", f"cancelled, since {why}: {what.cause}", True)


def _requeue(slurm: Slurm, what: Move, state: JobState, pending: Pending) -> Outcome:
    leader = str(what.job.het_job_id) if what.job.het_job_id else state.name
    try:  # first of all, and harmless: a job that cannot be updated (scrontab) is only reported
        _mark(slurm, state.name, MOVED, what)
    except SlurmError as error:
        return Outcome("none", f"the job cannot be updated, so it is only reported: {error}", False)
    if leader != state.name:  # what is released at the end is the leader: its priority is the one to keep
        state = state._replace(priority=slurm_job.priority(slurm, leader))
    pending = pending.step("requeue", priority=state.priority)
    if slurm_job.restarts(slurm, leader) <= what.run:
        now = slurm_job.letter(slurm, leader, "T")
        if now in MOVABLE:
            slurm_job.requeue_held(slurm, leader)
        elif slurm_job.restarts(slurm, leader) <= what.run:  # else another node of the job was first just now
            # Its user cancelled it, or it ended: a requeue would bring it back.
            return Outcome("none", f"the job is {now.lower()} already: {what.cause}", True)
    return finish(slurm, what, state, pending.step("held"))


def finish(slurm: Slurm, what: Move, state: JobState, pending: Pending) -> Outcome:
    """Do what follows the requeue: exclude the node and release the job, or leave it held with the reason.

    Also called by the health check for a move that stopped here.
    """
    leader = str(what.job.het_job_id) if what.job.het_job_id else state.name
    reason = _must_hold(slurm, what, state)
    if not reason:
        slurm_job.exclude(slurm, state.name, what.node)
        reason = _too_few(slurm, what, state)
    if reason:
        _mark(slurm, leader, HELD, what, reason)  # on the leader: all components of a heterogeneous job look there
        slurm_job.hold(slurm, leader)
        return Outcome("hold", f"held, since {reason}: {what.cause}", True)
    if _held_by_another(slurm, what, leader):
        return Outcome("hold", f"left held as another node of the job decided: {what.cause}", True)
    with tolerate(SlurmError):
        drop_vain_preference(slurm, state.name)
    if slurm_job.held(slurm, leader):  # else another node was first, and a release would compute its priority anew
        slurm_job.release(slurm, leader)
    if _held_by_another(slurm, what, leader):
        slurm_job.hold(slurm, leader)
        return Outcome("hold", f"left held as another node of the job decided: {what.cause}", True)
    _keep_priority(slurm, leader, state.priority)
    return Outcome("requeue", f"requeued without {what.node}: {what.cause}", True)


def is_half_done(slurm: Slurm, what: Move, state: JobState) -> bool:
    """Return whether a waiting job is one that this very move requeued, and nobody has decided about since."""
    entries = _entries(state.admin_comment)
    marked = any(entry.startswith(f"{MOVED}{what.marker}:") for entry in entries)
    held = any(entry.startswith(HELD) and _run_of(entry) >= what.run for entry in entries)
    same = what.job.uid is None or slurm_job.uid(slurm, state.name) == what.job.uid
    return marked and not held and same and state.restarts == what.run + 1


def _run_of(entry: str) -> int:
    parts = entry.split(":")
    digits = parts[3].removeprefix("run") if len(parts) > 3 else ""
    return int(digits) if is_whole(digits) else 0


def _must_hold(slurm: Slurm, what: Move, state: JobState) -> str:
    if what.node in names(state.required):
        return f"it asks for {what.node} by name (--nodelist), and that node does not fit"
    parts = (entry.split(":") for entry in _entries(state.admin_comment) if entry.startswith(MOVED))
    runs = {part[3] for part in parts if len(part) > 3}
    if len(runs - {f"run{what.run}"}) >= what.max_requeues:
        return f"it was moved {what.max_requeues} times already ([hook] max_requeues)"
    return ""


def _too_few(slurm: Slurm, what: Move, state: JobState) -> str:
    """Return why too few nodes are left for the job, or ""; nodes that are down for now count as left."""
    partition = slurm_job.partition(slurm, state.name)  # read again: while it ran it was only the one it ran in
    left = slurm_job.nodes_of(slurm, partition, gpus=bool(what.job.gpus_text))
    left -= names(slurm_job.excluded(slurm, state.name))
    if len(left) >= max(state.nodes, 1):
        return ""
    return f"no node is left that could fit: {len(left)} of partition {partition}, {max(state.nodes, 1)} needed"


def _mark(slurm: Slurm, name: str, kind: str, what: Move, why: str = "") -> None:
    """Append our marker to AdminComment, keeping what others wrote; again until it stays, as for ExcNodeList."""
    entry = f"{kind}{what.marker}: {one_line(f'{why}: {what.cause}' if why else what.cause)}"
    seen = 0
    for attempt in range(slurm_job.ROUNDS):
        now = slurm_job.admin_comment(slurm, name)
        seen = seen + 1 if f"{kind}{what.marker}:" in now else 0
        if seen == 2 or (seen and not _shared(what)):
            return
        if not seen:
            slurm_job.update(slurm, name, AdminComment=f"{now}; {entry}" if now else entry)
        if _shared(what):
            time.sleep(random.uniform(0.03, 0.08) * (1 + attempt / 4))
    raise SlurmError(f"AdminComment of job {name} does not keep what is written to it")


def _shared(what: Move) -> bool:
    """Return whether other nodes run a prolog of the same job."""
    return len(names(what.job.nodes)) > 1


def _held_by_another(slurm: Slurm, what: Move, name: str) -> bool:
    ending = f":run{what.run}"
    entries = _entries(slurm_job.admin_comment(slurm, name))
    return any(entry.startswith(HELD) and entry.split(": ")[0].endswith(ending) for entry in entries)


def _keep_priority(slurm: Slurm, name: str, before: int) -> None:
    """Give back a priority that an admin had set: releasing a job computes it anew.

    Under priority/basic a priority is never computed again, so the one from before is always right. Under
    priority/multifactor one set by hand is told by standing above all that the factors gave the other jobs.
    """
    if before and slurm_job.set_by_hand(slurm, name, before):
        with tolerate(SlurmError):
            slurm_job.update(slurm, name, Priority=str(before))


def _entries(comment: str) -> list[str]:
    return [entry.strip() for entry in comment.split(";")]
