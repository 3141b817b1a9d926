"""Reading what is known of a job: the queue, accounting, the reports, the nodes that matter. Nothing is changed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from preflight.digits import is_whole
from preflight.hostlist import HostlistError, names
from preflight.report.clean import clean, clean_tree
from preflight.report.find import ReportPlaces, Wanted, find
from preflight.report.model import run_of
from preflight.slurm.accounting import Past, past
from preflight.slurm.by_commands import release
from preflight.slurm.cluster import Cluster
from preflight.slurm.commands import SlurmError
from preflight.slurm.members import Member, members
from preflight.slurm.models import JobInfo, Node
from preflight.slurm.ping import reached
from preflight.submit.why.fits import Fits, Fitting
from preflight.submit.why.model import Evidence, JobRef, Report
from preflight.submit.why.more import of_past, of_queue
from preflight.submit.why.run_outcomes import seconds

WHOLE_CODES = (26, 5)  # sacct of 22.05 and 24.11 lowers exit codes above 127 by 128, that of 26.05 does not
SKEW_S = 60.0  # clocks of nodes and of the controller
_TEXTS = ("reason", "nodes", "required", "excluded", "features", "extra", "dependency", "partition", "admin_comment")
FINAL = ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED",
         "REVOKED", "TIMEOUT")  # fmt: skip
_LONG = 1 << 18  # AdminComment is others' too, and our entries stand at its end


class Known(NamedTuple):
    """What there is under a number: rows of the queue, jobs of accounting, why Slurm was not reached, and notes."""

    members: tuple[Member, ...] = ()
    past: tuple[Past, ...] = ()
    unreached: str = ""
    notes: tuple[str, ...] = ()


class Reader:
    """Where to look; one look at one job is `evidence`."""

    def __init__(
        self, cluster: Cluster, places: ReportPlaces, fitting: Fitting | None = None, euid: int | None = None
    ) -> None:
        self.cluster = cluster
        self._fitting = fitting
        self.places = places
        self._euid = euid
        self._nodes: dict[str, dict[str, Node]] = {}
        self._lowered: bool | None = None

    def known(self, asked: JobRef) -> Known:
        """Return what Slurm has of what was asked for; never raises."""
        try:
            rows = members(reached(self.cluster.slurm), asked.job)
        except SlurmError as error:
            return self._known_to_accounting(asked, clean(str(error), 200))
        here = tuple(row for row in rows if _is_asked(row, asked))
        if here and (asked.task is not None or here[0].array_job_id != asked.job):
            return Known(here)
        try:
            kept = [one._replace(job=clean_job(one.job)) for one in past(self.cluster.slurm, str(asked))]
        except SlurmError as error:
            if here:  # of an array the queue may have forgotten some tasks; without accounting nobody has them
                return Known(here)
            return Known(notes=(f"Slurm's accounting was not asked: {clean(str(error), 160)}",))
        tasks = {row.task for row in here}
        return Known(here, tuple(one for one in kept if not here or one.job.array_task_id not in tasks))

    def _known_to_accounting(self, asked: JobRef, unreached: str) -> Known:
        """Return what accounting has where the controller cannot be asked: slurmdbd may run on another machine."""
        try:
            kept = [one._replace(job=clean_job(one.job)) for one in past(self.cluster.slurm, str(asked))]
        except SlurmError:
            kept = []
        kept = [one for one in kept if one.job.state in FINAL]  # of others it does not know how they go on
        if not kept:
            return Known(unreached=unreached)
        note = f"Slurm's controller could not be asked ({unreached}): this is what accounting knew last."
        return Known(past=tuple(kept), notes=(note,))

    def of_member(self, member: Member) -> Evidence:
        """Return the evidence about one row of the queue."""
        try:
            job = clean_job(self.cluster.job(member.name))
        except SlurmError as error:  # it has left the queue meanwhile
            reports, notes = self._reports(Wanted(member.id, alone=True), None)
            return Evidence(member.name, time.time(), reports=reports, unreached=clean(str(error), 200), notes=notes)
        reports, notes = self._reports(Wanted(job.id, alone=True), job)
        fits = self._fitting.look(job, reports) if self._fitting else Fits()
        nodes = self._nodes_for(job)
        more = of_queue(self.cluster.slurm, job)
        return Evidence(member.name, time.time(), job, "queue", reports=reports, nodes=nodes, fits=fits.lines,
                        left=fits.left, notes=notes, more=more)  # fmt: skip

    def of_past(self, label: str, known: Past) -> Evidence:
        """Return the evidence about a job that accounting knows."""
        job = known.job
        reports, notes = self._reports(Wanted(job.id, alone=True), job, restarts_known=False)
        last = max((run_of(report) for report in reports), default=0)
        more = of_past(self.cluster.slurm, job, known.memory, self._lowers_codes())
        return Evidence(label, time.time(), job._replace(restarts=last), "accounting", known.ended_by,
                        reports=reports, notes=notes, more=more)  # fmt: skip

    def _lowers_codes(self) -> bool:
        """Return whether this sacct shows exit codes above 127 less 128; where its release is not known it may."""
        if self._lowered is None:
            try:
                self._lowered = release(self.cluster.slurm)[:2] < WHOLE_CODES
            except SlurmError:
                self._lowered = True
        return self._lowered

    def of_reports(self, asked: JobRef, known: Known) -> list[Evidence]:
        """Return the evidence about each job of which only reports are left, [] for none."""
        wanted = Wanted(asked.job + (asked.offset or 0), asked.task)  # components are numbered on from their leader
        reports, notes = self._reports(wanted, None)
        by_job: dict[int, list[Report]] = {}
        for report in reports:
            by_job.setdefault(report["job"]["id"], []).append(report)
        return [
            Evidence(
                str(asked) if len(by_job) == 1 else _name_of(own[0]),
                time.time(),
                reports=tuple(own),
                unreached=known.unreached,
                notes=(*known.notes, *notes),
            )
            for own in by_job.values()
        ]

    def _reports(
        self, wanted: Wanted, job: JobInfo | None, restarts_known: bool = True
    ) -> tuple[tuple[Report, ...], tuple[str, ...]]:
        found = find(self.places, wanted, self._euid)
        cleaned = [clean_tree(report) for report in found.reports]
        own = [report for report in cleaned if job is None or is_of(report, job, restarts_known)]
        left = len(cleaned) - len(own)
        older = (f"{left} reports left out: of an earlier job that had the number {wanted.job}",) if left else ()
        # Where reports were found, or none can be yet, a place that cannot be read is no news.
        never_ran = job is not None and not job.nodes and not job.restarts
        return tuple(own), (*(() if own or never_ran else found.notes), *older)

    def _nodes_for(self, job: JobInfo) -> dict[str, Node]:
        """Return the nodes of a waiting job's partition, or those that one which starts has been given, as they are
        now; {} where they cannot be had."""
        if job.state not in ("PENDING", "CONFIGURING") or not job.partition:
            return {}
        if job.partition not in self._nodes:
            try:
                found = self.cluster.nodes(job.partition)
            except SlurmError:
                found = []
            self._nodes[job.partition] = {node.name: clean_node(node) for node in found}
        only = _expanded(job.required if job.state == "PENDING" else job.nodes)
        return {name: node for name, node in self._nodes[job.partition].items() if not only or name in only}


def is_of(report: Report, job: JobInfo, restarts_known: bool = True) -> bool:
    """Return whether a report is about this job and not about an earlier one that had its number.

    A requeue sets the submit time anew, so the time tells only of a job that never restarted, or of its latest run.
    """
    about = report["job"] or {}
    uid = about.get("uid")
    if uid is not None and job.uid >= 0 and uid != job.uid:
        return False
    run = run_of(report)
    if job.submit is None or job.restarts > run or not restarts_known:
        return True
    return run == job.restarts and seconds(report["started"]) >= job.submit - SKEW_S


def clean_job(job: JobInfo) -> JobInfo:
    """Return the job with every text that is shown made safe to show; names of nodes stay what they are."""
    texts: Any = {name: clean(getattr(job, name), _LONG) for name in _TEXTS}
    return job._replace(**texts)


def clean_node(node: Node) -> Node:
    """Return the node with its reason made safe to show."""
    return node._replace(reason=clean(node.reason, 300), name=clean(node.name, 80))


def _is_asked(row: Member, asked: JobRef) -> bool:
    if asked.task is not None:
        return row.array_job_id == asked.job and row.task == asked.task
    if asked.offset is not None:
        return row.offset == asked.offset
    return True


def _name_of(report: Report) -> str:
    about = report["job"]
    if about["array_job_id"] is not None and about["array_task_id"] is not None:
        return f"{about['array_job_id']}_{about['array_task_id']}"
    return str(about["id"])


def _expanded(text: str) -> set[str]:
    try:
        return names(text)
    except HostlistError:
        return set()


def parse(text: str) -> JobRef:
    """Return the job that ``text`` names: 123, 123_4, 123+1; raises ValueError with one line."""
    stripped = text.strip()
    mark = "+" if "+" in stripped else "_"
    job, has_part, part = stripped.partition(mark)
    parts: Iterable[str] = [job, part] if has_part else [job]
    if not all(is_whole(one, 11) for one in parts) or not int(job):
        shown = clean(text, 40)
        raise ValueError(f'not a job id: "{shown}"; write 123, 123_4 (a task of an array) or 123+1 (heterogeneous)')
    number = int(part) if has_part else None
    return JobRef(int(job), number if mark == "_" else None, number if mark == "+" else None)
