"""From evidence to an explanation. Pure: nothing here reads anything."""

from preflight.submit.why.case import Case, case_of
from preflight.submit.why.ended import ended, only_reported, runaway
from preflight.submit.why.held import held
from preflight.submit.why.model import Evidence, Explanation
from preflight.submit.why.running import LEAVING, RUNNING, STARTING, running
from preflight.submit.why.waiting import waiting

_PENDING = ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD")


def explain(evidence: Evidence) -> Explanation:
    """Return what became of one job; raises ValueError where neither Slurm nor a report knows it."""
    case = case_of(evidence)
    if evidence.job is None:
        if not case.stays:
            why = f" ({evidence.unreached})" if evidence.unreached else ""
            raise ValueError(f"nothing is known of job {evidence.label}: no report, and Slurm did not tell{why}")
        return _with_facts(case, only_reported(case))
    return _with_facts(case, _judge(case))


def _judge(case: Case) -> Explanation:
    state = case.job.state
    if case.evidence.source == "accounting" and state in (*_PENDING, *RUNNING, *LEAVING, *STARTING):
        return runaway(case)
    if state in _PENDING:
        return held(case) if case.job.priority == 0 else waiting(case)
    if state in (*RUNNING, *LEAVING, *STARTING):
        return running(case)
    return ended(case)


def _with_facts(case: Case, told: Explanation) -> Explanation:
    job = case.evidence.job
    return told._replace(
        stays=case.stays,
        notes=case.evidence.notes,
        state=job.state if job else "",
        reason=job.reason if job else "",
        exit_code=job.exit_code if job and told.kind == "failed" else "",
        verdict=case.view.verdict if case.view else "",
        source=case.evidence.source or "reports",
    )
