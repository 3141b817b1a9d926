"""The health check: the whole node, and what earlier hooks left half done."""

import time

from preflight.files import tolerate
from preflight.hooks import outbox, record
from preflight.hooks.assess import Assessment, Question, assess
from preflight.hooks.clock import jump
from preflight.hooks.drain import Drained, adopt, ours, resume_ours
from preflight.hooks.pending import Pending, left_over
from preflight.hooks.prolog import act, gres
from preflight.hooks.run import Run
from preflight.report.store import prune_spool
from preflight.slurm import node as slurm_node
from preflight.slurm.commands import Slurm, SlurmError
from preflight.verdict import decide, verdict

DAY_S = 86400
WAITING = ("PENDING", "COMPLETING", "REQUEUED", "REQUEUE_HOLD")  # a requeued job may still be leaving its nodes


def health(run: Run) -> int:
    """Judge the node, drain or resume it, finish or undo what was left, deliver what waits; always returns 0."""
    jumped = jump(run.run_dir, run.node)
    question = Question(run.phase, run.node, run.policy, None, gres=gres(run), clock_jump_s=jumped)
    found = assess(question, run.source, run.probe_deadline)
    decision = decide(run.phase, found.findings, run.policy, run.killed)
    report = record.make(run, found, decision)
    if decision.kind != "none" and decision.enforced:
        act(run, found, decision, report)
    elif not run.killed and run.policy.mode == "enforce":
        resumed = _resume(run, found)
        if resumed is not None:
            report["action"] = {"kind": "resume", "detail": resumed.detail, "enforced": resumed.enforced}
    if not record.finish(run, report):
        return 0  # the spool is full, frozen or gone: what follows works in it
    repair(run)
    if run.policy.publish.enabled:
        from preflight.hooks.publish import tell

        tell(run, found.document)
    outbox.deliver(run)
    if not jumped:
        _prune(run)
    return 0


def _prune(run: Run) -> None:
    """Remove records past their time, but for those whose copies still wait."""
    spool = run.policy.report.spool
    with tolerate(OSError):
        before = time.time() - run.policy.report.keep_days * DAY_S
        prune_spool(spool, before, keep=outbox.waiting_jobs(spool))


def _resume(run: Run, found: Assessment) -> Drained | None:
    remembered = ours(run)
    if remembered is None:
        return None
    parts = remembered["reason"].split(":")
    check = parts[1] if len(parts) > 1 else ""
    same = [one.status for one in found.findings if one.check == check]
    well = verdict(found.findings) in ("ready", "degraded") and "pass" in same and not {"fail", "unknown"} & set(same)
    return resume_ours(run, run.slurm(), well)


def repair(run: Run) -> None:
    """Finish or drop the actions that a kill, a crash or a controller that was down left half done."""
    if run.killed:
        return  # until the admin takes the switch away
    slurm = run.slurm()
    for pending in left_over(run.policy.report.spool, run.run_dir, run.node):
        with tolerate((SlurmError, ValueError)):
            if "move" in pending.entry:
                _repair_move(run, slurm, pending)
            elif "drain" in pending.entry:
                _repair_drain(run, slurm, pending)


def _repair_drain(run: Run, slurm: Slurm, pending: Pending) -> None:
    """A drain that was made is remembered; one that was not has just been decided anew by this health check."""
    adopt(run, slurm_node.read(slurm, run.node), pending)
    pending.done()


def _repair_move(run: Run, slurm: Slurm, pending: Pending) -> None:
    """A job that waits in the queue, requeued by us, gets its exclusion and its release; one that runs is left alone.

    A controller that cannot be reached leaves the entry for the next health check.
    """
    from preflight.hooks.move import Move, finish, is_half_done
    from preflight.slurm import job as slurm_job
    from preflight.slurm.environment import Job

    try:
        told = pending.entry["move"]
        job = Job(**{**told, "gpus": tuple(told["gpus"]), "visible": tuple(told.get("visible", ()))})
        what = Move(job, run.node, pending.entry["cause"], run.policy.hook.max_requeues)
    except (KeyError, TypeError):
        pending.done()
        return
    try:
        name = slurm_job.resolve(slurm, job.id)
    except SlurmError as error:
        if "not in the queue" in str(error) or "Invalid job id" in str(error):
            pending.done()
            return
        raise
    state = slurm_job.read(slurm, name)
    waits = state.state in WAITING and state.priority == 0 and is_half_done(slurm, what, state)
    if waits and pending.entry.get("step") in ("requeue", "held"):
        finish(slurm, what, state._replace(priority=pending.entry.get("priority") or 0), pending)
    pending.done()
