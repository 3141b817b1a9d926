"""The prolog: does this node hold what the job asks for, and are its GPUs well?"""

import os

from preflight.hooks import record
from preflight.hooks.assess import Assessment, Question, assess
from preflight.hooks.run import Run
from preflight.report.model import Report
from preflight.slurm.gres import Gres, cached
from preflight.verdict import Decision, decide

STOP = 10
KERNEL_LOG = "kernel log"


def prolog(run: Run) -> int:
    """Judge the job's start on this node and do what follows; return the exit code, STOP for an enforced unhealthy."""
    question = Question(run.phase, run.node, run.policy, run.job, gres=gres(run), standing=run.standing)
    found = over_time(run, assess(question, run.reading, run.probe_deadline))
    decision = decide(run.phase, found.findings, run.policy, run.killed)
    report = record.make(run, found, decision)
    stop = False
    if decision.kind != "none" and decision.enforced:
        stop = act(run, found, decision, report)
    record.finish(run, report)
    return STOP if stop else 0


def passing(run: Run, deadline: float) -> str:
    """Judge the job's start and put it on record where nothing is to be done; return why not, "" where it is on record.

    ``deadline``: the time.monotonic() instant by which facts must have come.
    """
    question = Question(run.phase, run.node, run.policy, run.job, gres=gres(run), standing=run.standing)
    found = assess(question, run.reading, deadline)
    failed = next((one for one in found.findings if one.status == "fail" and one.blame == "node"), None)
    if failed is not None:
        return f"{failed.check} fails"
    decision = decide(run.phase, found.findings, run.policy, run.killed)
    if decision.kind != "none":
        return f"to {decision.kind} is to be decided"
    return record.passed(run, record.make(run, found, decision))


def over_time(run: Run, found: Assessment) -> Assessment:
    """Return the findings in the light of earlier ones: a failed one waits until it may be acted on (`after`, `for`).

    Nothing is read or written on a node where nothing fails, or has failed within a day.
    """
    fails = any(one.status == "fail" and one.blame == "node" for one in found.findings)
    if not fails and not has_streaks(run):
        return found
    from preflight.hooks.streaks import Streaks

    streaks = Streaks(run.policy.report.spool, run.node)
    streaks.take(found.findings, found.document)
    streaks.save()
    return found._replace(findings=streaks.patient(found.findings, found.document, run.policy))


def flaps(run: Run) -> dict[str, int]:
    """Return how often within a day each "check|subject" began to fail, {} where none did."""
    if not has_streaks(run):
        return {}
    from preflight.hooks.streaks import Streaks

    return Streaks(run.policy.report.spool, run.node).flaps()


def has_streaks(run: Run) -> bool:
    """Return whether a check of this node failed within a day."""
    return os.path.exists(f"{run.policy.report.spool}/streaks-{run.node}.json")


def act(run: Run, found: Assessment, decision: Decision, report: Report) -> bool:
    """Do what was decided, write what came of it into ``report``; return whether the job must not start here."""
    slurm = run.slurm()
    if decision.kind == "drain":
        from preflight.hooks.drain import drain
        from preflight.hooks.drained import cause_of

        if decision.finding is not None and decision.finding.source == KERNEL_LOG:
            from preflight.hooks.handled import given_back

            if given_back(run, slurm):
                detail = f"another hand gave the node back since: {decision.detail}"
                report["action"] = {"kind": "none", "detail": detail, "enforced": True}
                return False
        drained = drain(run, slurm, cause_of(decision.detail, decision.finding, found.document))
        report["action"] = {"kind": drained.kind, "detail": drained.detail, "enforced": drained.enforced}
        return drained.enforced
    if run.job is not None:
        from preflight.hooks.marking import one_line
        from preflight.hooks.move import Move, move
        from preflight.hooks.pending import begin
        from preflight.hooks.tasks import sends_every_task_away

        every = sends_every_task_away(found.findings, found.document, run.job)
        what = Move(run.job, run.node, one_line(decision.detail), run.policy.hook.max_requeues, every)
        entry = {"node": run.node, "move": what.job._asdict(), "cause": what.cause, "every": every}
        name = f"move-{run.node}-{run.job.id}"
        outcome = move(slurm, what, begin(run.policy.report.spool, run.run_dir, name, entry))
        report["action"] = {"kind": outcome.kind, "detail": outcome.detail, "enforced": outcome.done}
    return False


def gres(run: Run) -> Gres:
    """Return the node's GPUs as Slurm's configuration gives them; not read for a job without GPUs."""
    if run.job is not None and not run.job.gpus_text:
        return Gres()
    return cached(run.policy.hook.slurm_conf or run.slurm_conf, run.node, run.run_dir)
