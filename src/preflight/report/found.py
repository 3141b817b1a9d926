"""Reports that were found: what tells one from another, and what is kept of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from preflight.report.model import run_of

Report = dict[str, Any]
# What is kept of a report, given its bytes too: all of ten thousand would take gigabytes.
Keep = Callable[[Report, bytes], Any]


class Head(NamedTuple):
    """What tells one report from another, as it stands in it."""

    cluster: str
    node: str
    job: int
    array_job: int | None
    array_task: int | None
    run: int
    phase: str
    started: str
    id: str

    @property
    def same(self) -> tuple[str, str, int, int, str]:
        """Return what two reports of the same phase of the same run have in common."""
        return (self.cluster, self.node, self.job, self.run, self.phase)


class Entry(NamedTuple):
    """A report that was found: its head, and what is kept of it."""

    head: Head
    report: Any


class Found(NamedTuple):
    """Reports in order of time, the directories looked in, and one line for each sort of file left out.

    ``owners``: uids of the users whose copies were left out.
    """

    entries: list[Entry]
    looked: list[str]
    notes: list[str]
    owners: tuple[int, ...] = ()

    @property
    def reports(self) -> list[Any]:
        """Return what was kept of each report."""
        return [entry.report for entry in self.entries]


def whole(report: Report, raw: bytes) -> Report:
    """Keep all of a report."""
    return report


def entry_of(report: Report, raw: bytes, keep: Keep) -> Entry:
    """Return the entry of a report that is about a job."""
    job = report["job"]
    head = Head(
        report["cluster"],
        report["node"],
        job["id"],
        job["array_job_id"],
        job["array_task_id"],
        run_of(report),
        report["phase"],
        report["started"],
        report["id"],
    )
    return Entry(head, keep(report, raw))


def with_copies(found: Found, copies: Iterable[Entry]) -> Found:
    """Return what was found with users' ``copies`` of other nodes' runs; of a node that is on record none counts."""
    latest: dict[tuple[Any, ...], Entry] = {one.head.same: one for one in found.entries}
    on_record = {(one.head.node, one.head.job) for one in found.entries}
    for one in copies:
        if (one.head.node, one.head.job) not in on_record:
            latest_of(latest, one)
    return found._replace(entries=in_order(latest.values()))


def latest_of(latest: dict[tuple[Any, ...], Entry], entry: Entry) -> None:
    """Add a report to ``latest``, where it is the latest of the same phase of the same run."""
    before = latest.get(entry.head.same)
    if before is None or before.head.started < entry.head.started:
        latest[entry.head.same] = entry


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Return reports in order of time."""
    return sorted(entries, key=lambda entry: (entry.head.started, entry.head.node))
