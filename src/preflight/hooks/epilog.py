"""The epilog: what did the job leave, who is to blame, and is the node still well?"""

from __future__ import annotations

import os
import time

from preflight.checks.changes import changes, left_over
from preflight.checks.events import of_job, xid_changes
from preflight.hooks import counters, record
from preflight.hooks.assess import Assessment, Question, assess
from preflight.hooks.prolog import act, gres, over_time
from preflight.hooks.run import Run
from preflight.report.store import read_spool
from preflight.slurm.gres import Gres
from preflight.tuples import NamedTuple
from preflight.verdict import Decision, decide

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    from preflight.report.model import Report

AGAIN = 1.5  # how much longer than the first a second look at the GPUs may take


class Asked(NamedTuple):
    """An epilog's question. ``run`` has the restart count of the job's prolog, whose record is ``before``."""

    run: Run
    before: Report | None
    question: Question


def epilog(run: Run) -> int:
    """Compare with the prolog's record, drain a node that is not well any more; always returns 0."""
    asked = ask(run, gres(run))
    run, question = asked.run, asked.question
    found, ended = _after_grace(run, question, assess(question, run.reading, run.probe_deadline))
    keep_counters(asked, found)
    found = over_time(run, found)
    decision = decide(run.phase, found.findings, run.policy, run.killed)
    report = reported(asked, found, decision, ended)
    if decision.kind != "none" and decision.enforced:
        act(run, found, decision, report)
    record.finish(run, report)
    close(asked, found, report)
    return 0


def ask(run: Run, of_slurm: Gres, waiting: bool = True) -> Asked:
    """Return what the epilog of ``run``'s job asks; ``of_slurm``: the node's GPUs as Slurm has them.

    ``waiting``: the node agent may have reports that are still to be written. The restart count of the environment
    belongs to the next run already after a requeue; the record's is this one's.
    """
    before = _before(run, waiting)
    if run.job is not None and before is not None:
        job = run.job._replace(restart=(before["job"] or {}).get("restart"))
        run = run._replace(job=job)
    question = Question(
        run.phase,
        run.node,
        run.policy,
        run.job,
        gres=of_slurm,
        standing=run.standing,
        before=before["facts"] if before else None,
        ran_s=_ran(before),
        earlier=counters.earlier(run.run_dir, run.node),
        samples=counters.samples(run.policy, run.node, run.phase),
    )
    return Asked(run, before, question)


def keep_counters(asked: Asked, found: Assessment) -> None:
    """Keep how the counters are now, for the epilogs and health checks to come."""
    run = asked.run
    counters.keep(run.run_dir, run.node, found.document, asked.question.earlier)
    counters.keep_samples(run.policy, run.node, run.phase, found.document)


def reported(asked: Asked, found: Assessment, decision: Decision, ended: list[dict[str, Any]]) -> Report:
    """Return the report, with what changed while the job ran and what was ``ended`` of it."""
    before, ran_s = asked.question.before, asked.question.ran_s
    changed = changes(before, found.document.facts, found.gpus)
    changed += xid_changes(found.document.view(), before, found.gpus, ran_s, asked.run.policy)
    return record.make(asked.run, found, decision, changed + ended)


def close(asked: Asked, found: Assessment, report: Report) -> None:
    """Do what follows the record: metrics, the task prolog's note, how the job ended, whose its Xids were."""
    run = asked.run
    if run.policy.metrics.textfile:
        from preflight.hooks import textfile

        textfile.keep(run, report)
    record.forget_note(run)
    if run.job is not None and run.job.ended is not None:
        from preflight.hooks.ends import note

        note(run, asked.before)
    _attribute(run, asked.question, found)


def _before(run: Run, waiting: bool) -> Report | None:
    """Return the record of this job's prolog; an agent may be still to write it after a job of milliseconds."""
    if run.job is None:
        return None
    if waiting and os.path.exists(f"{run.run_dir}/agent"):
        from preflight.hooks.answered import prolog_of

        return prolog_of(run)
    return read_spool(run.policy.report.spool, run.job.id, run.node)


def _ran(before: dict[str, Any] | None) -> float | None:
    """Return the seconds since the prolog began, None where it left no record."""
    try:
        text = str(before["started"]) if before else ""
        year, month, day = (int(part) for part in text[:10].split("-"))
        hour, minute, second = (int(part) for part in text[11:19].split(":"))
    except ValueError:
        return None
    began = time.mktime((year, month, day, hour, minute, second, 0, 0, 0)) - time.timezone
    return max(0.0, time.time() - began)


def _after_grace(run: Run, question: Question, found: Assessment) -> tuple[Assessment, list[dict[str, Any]]]:
    """Give the job's own processes a moment to end, end them where the policy says so, and look again if any did."""
    policy = run.policy.epilog
    own = left_over(question.before, found.document.facts, found.gpus)
    acts = policy.end_processes and run.policy.mode == "enforce" and not run.killed and run.job is not None
    if not own and not acts:
        return found, []
    from preflight.hooks import leftover

    looked_s = time.monotonic() - run.began
    until = min(time.monotonic() + policy.grace_s, run.probe_deadline - AGAIN * looked_s)
    gone = leftover.wait_for(own, until)
    ended: list[dict[str, Any]] = []
    if acts and run.job is not None:
        living = leftover.processes_of(run.job, question.ran_s)
        if living:
            patience = max(0.0, min(policy.grace_s, run.probe_deadline - AGAIN * looked_s - time.monotonic()))
            pids, why = leftover.end(run.job, living, run.slurm(), run.node, patience)
            text = f"{len(pids)} ended: {', '.join(map(str, pids[:8]))}" + (f"; {why}" if why else "")
            ended = [{"fact": "processes", "before": None, "after": text, "blame": "user"}]
            gone = gone or bool(pids)
    if not gone:
        return found, ended
    again = run.reading._replace(nvml=None).collect(
        frozenset({"gpus"}), max(run.probe_deadline, time.monotonic() + 0.5)
    )
    if "gpus" not in again.facts:
        return found, ended
    document = found.document._replace(facts={**found.document.facts, "gpus": again.facts["gpus"]})
    return assess(question, run.reading, run.probe_deadline, document), ended


def _attribute(run: Run, question: Question, found: Assessment) -> None:
    """Remember whose the Xids of this job's time were: one that repeats job after job is the GPU's fault."""
    if run.job is None:
        return
    theirs = of_job(found.document.view(), question.before, found.gpus, question.ran_s, "xid")
    if theirs.own:
        from preflight.hooks.handled import history

        history(run).attribute(run.job.id, theirs.own)
