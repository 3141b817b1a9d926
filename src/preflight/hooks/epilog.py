"""The epilog: what did the job leave, and is the node still well?"""

from preflight.checks.changes import changes
from preflight.hooks import record
from preflight.hooks.assess import Question, assess
from preflight.hooks.prolog import act, gres, over_time
from preflight.hooks.run import Run
from preflight.report.store import read_spool
from preflight.verdict import decide


def epilog(run: Run) -> int:
    """Compare with the prolog's record, drain a node that is not well any more; always returns 0.

    The restart count of the environment belongs to the next run already after a requeue; the record's is this one's.
    """
    before = read_spool(run.policy.report.spool, run.job.id, run.node) if run.job else None
    if run.job is not None and before is not None:
        job = run.job._replace(restart=(before["job"] or {}).get("restart"))
        run = run._replace(job=job)
    facts = before["facts"] if before else None
    question = Question(run.phase, run.node, run.policy, run.job, gres=gres(run), before=facts)
    found = over_time(run, assess(question, run.reading, run.probe_deadline))
    decision = decide(run.phase, found.findings, run.policy, run.killed)
    report = record.make(run, found, decision, changes(facts, found.document.facts, found.gpus))
    if decision.kind != "none" and decision.enforced:
        act(run, found, decision, report)
    record.finish(run, report)
    record.forget_note(run)
    return 0
