"""One job's evidence laid out for those who judge it."""

from __future__ import annotations

from typing import NamedTuple

from preflight.report.nodes import fold, natural
from preflight.report.view import View
from preflight.slurm.models import JobInfo
from preflight.submit.why.model import Evidence, RunOutcome, Step
from preflight.submit.why.run_outcomes import stays, view_of
from preflight.submit.why.words import clock


class Case(NamedTuple):
    """The evidence, the reports merged, the runs; ``run`` is the run that Slurm is at (or the last on record)."""

    evidence: Evidence
    view: View | None
    stays: tuple[RunOutcome, ...]
    run: int

    @property
    def job(self) -> JobInfo:
        """Return Slurm's own record; only where there is one."""
        assert self.evidence.job is not None
        return self.evidence.job

    @property
    def label(self) -> str:
        """Return the job as its user writes it."""
        return self.evidence.label

    @property
    def head(self) -> str:
        """Return how a sentence about the job begins."""
        return f"Job {self.label}"

    @property
    def address(self) -> str:
        """Return the job as Slurm's commands take it: a component of a heterogeneous job goes by its leader."""
        return str(self.job.het_job_id) if self.job.het_job_id else self.job.name

    def of_run(self, run: int) -> tuple[RunOutcome, ...]:
        """Return the stays of one run."""
        return tuple(stay for stay in self.stays if stay.run == run)

    def earlier(self) -> str:
        """Return " It was sent away …" about runs before the current one, "" where none was."""
        away = [stay for stay in self.stays if stay.run < self.run and stay.outcome in ("moved", "held", "drained")]
        if not away:
            return ""
        runs = len({stay.run for stay in away})
        times = "once" if runs == 1 else "twice" if runs == 2 else f"{runs} times"
        nodes = fold(sorted({stay.nodes for stay in away}, key=natural))
        return f" Before that it was sent away {times}, from {nodes}."

    def at(self, when: float | None) -> str:
        """Return an instant as local time, "" where it is not known."""
        return "" if when is None else clock(when, self.evidence.now)

    def report_step(self) -> Step:
        """Return the step that shows the reports."""
        return Step("All that was checked and measured:", (f"preflight report {self.label.partition('+')[0]}",))


def case_of(evidence: Evidence) -> Case:
    """Return the evidence laid out."""
    view = view_of(evidence)
    found = stays(evidence, view)
    known = max((stay.run for stay in found), default=0)
    return Case(evidence, view, found, evidence.job.restarts if evidence.job else known)
