"""What hooks left half done, finished or undone by the health check; and a later look at what they did.

A move is looked at again once it is over: a controller that dies just after it recovers the job as it was saved, held
and without our mark; and a command may have said that it succeeded, and have done nothing, or do it later.
"""

from __future__ import annotations

from preflight.files import tolerate
from preflight.hooks.pending import Pending, left_over
from preflight.hooks.run import Run
from preflight.slurm.commands import Slurm, SlurmError

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from preflight.hooks.move import Move
    from preflight.slurm.job import JobState

SAVED_S = 10.0  # slurmctld saves its state within 5 s
SOON_S = 60.0  # until then nobody else has changed the excluded nodes of a job that was moved
RECOVERED = "job requeued in held state"  # squeue's reason after requeuehold; a hold by hand has another
WAITING = ("PENDING", "COMPLETING", "REQUEUED", "REQUEUE_HOLD")  # a requeued job may still be leaving its nodes


def repair(run: Run) -> None:
    """Finish or drop the actions that a kill, a crash or a controller that was down left half done."""
    if run.killed:
        return  # until the admin takes the switch away
    slurm = run.slurm()
    for pending in list(left_over(run.policy.report.spool, run.run_dir, run.node)):
        with tolerate((SlurmError, ValueError)):
            if "move" in pending.entry:
                _take(run, slurm, pending, over=False)
    if run.policy.mode == "enforce":
        for pending in list(left_over(run.policy.report.spool, run.run_dir, run.node, "released")):
            with tolerate((SlurmError, ValueError)):
                _take(run, slurm, pending, over=True)


def _take(run: Run, slurm: Slurm, pending: Pending, over: bool) -> None:
    """Go on with one move. A controller that cannot be reached leaves the entry for the next health check.

    ``over``: its hook came to the end of it.
    """
    from preflight.hooks.move import Move
    from preflight.slurm import job as slurm_job
    from preflight.slurm.environment import Job

    try:
        told = pending.entry["move"]
        job = Job(**{**told, "gpus": tuple(told["gpus"]), "visible": tuple(told.get("visible", ()))})
        every = pending.entry.get("every") is True
        what = Move(job, run.node, pending.entry["cause"], run.policy.hook.max_requeues, every)
    except (KeyError, TypeError):
        pending.done()
        return
    try:
        state = slurm_job.find(slurm, job.id)
    except SlurmError as error:
        if "Invalid job id" in str(error) or ("not in the queue" in str(error) and slurm_job.is_over(slurm, job.id)):
            pending.done()
            return
        raise
    if pending.entry.get("step") not in ("requeue", "held"):
        pending.done()
    elif over:
        _look(slurm, what, state, pending)
    else:
        _go_on(slurm, what, state, pending)


def _go_on(slurm: Slurm, what: Move, state: JobState, pending: Pending) -> None:
    """A job that waits in the queue, requeued by us, gets its exclusion and its release; one that runs is left."""
    from preflight.hooks.marking import is_half_done, is_marked

    waits = state.state in WAITING and state.priority == 0 and is_half_done(what, state)
    # Its own mark, or our entry and the hold that a requeue leaves: the mark may not have been written.
    if waits and (is_marked(what, state) or _reason(slurm, state) == RECOVERED):
        _finish(slurm, what, state, pending)
    else:
        pending.ended("requeue")


def _look(slurm: Slurm, what: Move, state: JobState, pending: Pending) -> None:
    """See that the job is as the hook left it, and forget it when slurmctld has had the time to save that."""
    from preflight.hooks.marking import is_half_done

    if state.state in WAITING and state.priority == 0:
        reason = _reason(slurm, state)
        if is_half_done(what, state):
            if reason == RECOVERED:
                _finish(slurm, what, state, pending)
                return
            if pending.entry.get("kind") == "hold" and _mark_held(slurm, what, state, pending):
                return
        elif reason == RECOVERED and _hold_again(slurm, what, state):
            return
    elif pending.entry.get("kind") == "requeue" and state.state in WAITING and is_half_done(what, state):
        soon = pending.age() < SOON_S
        if soon and _exclude_again(slurm, what, state):
            return
    if pending.age() > SAVED_S:
        pending.done()


def _finish(slurm: Slurm, what: Move, state: JobState, pending: Pending) -> None:
    from preflight.hooks.marking import is_marked, mark
    from preflight.hooks.move import finish
    from preflight.slurm.marks import MOVED

    if not is_marked(what, state):
        state = state._replace(admin_comment=mark(slurm, state.name, MOVED, what, now=state.admin_comment))
    before = pending.entry.get("priority")
    outcome = finish(slurm, what, state._replace(priority=before if isinstance(before, int) else 0), pending)
    pending.ended(outcome.kind, outcome.detail)


def _reason(slurm: Slurm, state: JobState) -> str:
    from preflight.slurm.job import letter

    return letter(slurm, state.name, "r").replace("_", " ")


def _mark_held(slurm: Slurm, what: Move, state: JobState, pending: Pending) -> bool:
    """Mark a job that was held for good, and whose AdminComment does not say so; return whether that was needed."""
    from preflight.hooks.marking import mark
    from preflight.slurm.marks import HELD

    if what.job.het_job_id:
        return False  # its leader has the mark
    detail = str(pending.entry.get("detail") or "").removeprefix("held, since ")
    why = detail.removesuffix(f": {what.cause}") or "another node of the job decided so"
    mark(slurm, state.name, HELD, what, why, now=state.admin_comment)
    return True


def _hold_again(slurm: Slurm, what: Move, state: JobState) -> bool:
    """Hold a job with our mark so that its user can release it; return whether it was."""
    from preflight.hooks.marking import held_for_good
    from preflight.slurm.job import hold

    if what.job.het_job_id or not held_for_good(what, state):
        return False
    hold(slurm, state.name)
    return True


def _exclude_again(slurm: Slurm, what: Move, state: JobState) -> bool:
    """Exclude the node from a job that was released without that; return whether that was needed."""
    from preflight.hooks.marking import is_marked, mark
    from preflight.hostlist import folded, names
    from preflight.slurm import job as slurm_job
    from preflight.slurm.marks import MOVED

    out = names(slurm_job.excluded(slurm, state.name))
    if what.node not in out:
        slurm_job.update(slurm, state.name, ExcNodeList=folded(out | {what.node}))
    elif is_marked(what, state):
        return False
    mark(slurm, state.name, MOVED, what, now=state.admin_comment)
    return True
