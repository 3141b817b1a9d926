"""Jobs to search, and one job: its reports of all nodes and tries as one. A user finds only jobs of their own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from preflight.digits import is_whole
from preflight.fleet.pages.ask import SIZES, Ask, AskedError, BusyError, NotFoundError, Page, pager
from preflight.fleet.pages.table import Column, Table
from preflight.fleet.pages.views import common
from preflight.fleet.query import node, search
from preflight.fleet.query.jobs import Job
from preflight.report.advice import advise
from preflight.report.merge import merge
from preflight.report.model import VERDICTS
from preflight.report.validate import ReportError, load
from preflight.report.view import View

MOST_REPORTS = 2000  # of one job: more would hold the page up
MOST_BYTES = 16 << 20  # of their reports: merged they take ten times as much memory
LARGE_BYTES = 2 << 20  # from here on one job at a time is merged, whoever asks, and no thread waits for it
_merging = threading.Lock()
MOST_JOBS = 200  # tasks of an array on one page
LARGEST_JOB = 1 << 32


class Read(NamedTuple):
    """A job as it was read: ``cut`` where it has more reports than are merged."""

    jobs: list[Job]
    view: View
    reports: list[dict[str, Any]]
    cut: bool


def listing(ask: Ask) -> Page:
    """Return the page of jobs."""
    window = ask.window("24h")
    partition, name = ask.text("partition"), ask.text("node")
    verdict = ask.choice("verdict", VERDICTS)
    user = ask.text("user") if ask.reader.admin else ask.reader.name
    first, size = ask.paging()
    where: list[tuple[str, str] | None] = []
    where += node.find(ask.store, name) if name and ask.reader.admin else [None] if not name else []
    found: list[Job] = []
    more = False
    for place in where:
        wanted = search.Wanted(window, user or None, partition, verdict, place)
        its, its_more = search.page(ask.store, wanted, first, size)
        found, more = [*found, *its], more or its_more
    empty = f"No job has a report in the last {ask.since('24h')}."
    table = Table("jobs", "Jobs", common.JOB_COLUMNS, common.job_rows(found), empty, shown=SIZES[1])
    values = {
        "filters": {"user": ask.text("user"), "partition": partition, "verdict": verdict, "node": name},
        "since": ask.since("24h"),
        "verdicts": VERDICTS,
        "pager": pager(ask, "/jobs", len(found), more),
    }
    return Page("jobs", "Jobs", {"shown": len(found), "more": more}, (table,), values, common.looked(found))


def page(ask: Ask) -> Page:
    """Return a job's page; raises NotFoundError, also where the job is not the reader's."""
    found, view, _, cut = read(ask)
    moves = _moves(view)
    figures = {
        "job": view.label,
        "verdict": view.verdict,
        "tries": len(view.tries),
        "nodes": list(view.nodes),
        "reports": sum(len(one.reports) for one in view.tries),
        "cut": cut,
    }
    values = {"view": view, "advice": advise(view), "url": _url(ask), "asked_here": bool(ask.states.nodes)}
    return Page("job", f"Job {view.label}", figures, (moves, _findings(view)), values, common.looked(found))


def read(ask: Ask) -> Read:
    """Return the job that is asked for, its reports merged, the first MOST_BYTES of them.

    Raises NotFoundError, and BusyError where another large one is being merged. A number that Slurm gave twice may be
    another user's report: each is held against the reader's name.
    """
    text = ask.text("id")
    number, _, task = text.partition("_")
    if not is_whole(number) or int(number[:12]) >= LARGEST_JOB or (task and not is_whole(task)):
        raise AskedError("id: write a job's number, or 120_3 for a task of an array")
    cluster = ask.text("cluster") if "cluster" in ask.values else None
    user = None if ask.reader.admin else ask.reader.name
    found = search.by_number(ask.store, int(number), cluster, user)
    if task:
        found = [one for one in found if one.array_job == int(number) and one.array_task == int(task[:12])]
    with contextlib.ExitStack() as stack:
        raws, cut = _raws(ask, found, lambda: stack.enter_context(_alone()))
        reports: list[dict[str, Any]] = []
        for job, raw in raws:
            report = _loaded(raw)
            if report and report["cluster"] in (job.cluster, "") and (user is None or report["job"]["user"] == user):
                reports.append(report)
        if not reports:
            raise NotFoundError(f"no report of job {text} is in the store")
        label = search.label(found[0]) if len(found) == 1 else number
        return Read(found, merge(label, reports), reports, cut)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    if not _merging.acquire(blocking=False):
        raise BusyError("another job with many reports is being read: try again")
    try:
        yield
    finally:
        _merging.release()


def _raws(ask: Ask, found: list[Job], large: Callable[[], object]) -> tuple[list[tuple[Job, bytes]], bool]:
    """Return the reports of jobs byte for byte, and whether there are more than may be merged.

    ``large`` is called as soon as they are more than LARGE_BYTES, before all of them are read.
    """
    raws: list[tuple[Job, bytes]] = []
    size = 0
    for job in found[:MOST_JOBS]:
        for raw in search.reports_of(ask.store, job, MOST_REPORTS - len(raws)):
            if size <= LARGE_BYTES < size + len(raw):
                large()
            size += len(raw)
            if size > MOST_BYTES:
                return raws, True
            raws.append((job, raw))
    return raws, len(found) > MOST_JOBS or len(raws) >= MOST_REPORTS


def _loaded(raw: bytes) -> dict[str, Any] | None:
    try:
        report = load(raw)
    except ReportError:  # of a later version: its own Preflight reads it
        return None
    return report if report["job"] else None


def _url(ask: Ask) -> dict[str, str]:
    return {name: ask.values[name] for name in ("cluster", "id") if name in ask.values}


def _moves(view: View) -> Table:
    """Who moved where, and why: a row for each run of each phase that did something."""
    columns = (
        Column("at", "When"),
        Column("try", "Try"),
        Column("phase", "Phase"),
        Column("nodes", "Where"),
        Column("verdict", "Verdict", "verdict"),
        Column("action", "Action"),
        Column("enforced", "Done"),
        Column("detail", "Why"),
    )
    rows = [
        (
            one.time[:19].replace("T", " "),
            one.name,
            one.phase,
            one.where,
            one.verdict,
            "" if one.action == "none" else one.action,
            "" if one.action == "none" else "done" if one.enforced else "not done",
            one.detail,
        )
        for one in view.events
    ]
    return Table("events", "What happened", columns, rows)


def _findings(view: View) -> Table:
    columns = (
        Column("check", "Check", "check"),
        Column("status", "Result", "status"),
        Column("blame", "Blame"),
        Column("subject", "About"),
        Column("message", "What it found"),
        Column("where", "Where"),
        Column("remedy", "What to do"),
    )
    rows = [
        (one.check, one.status, one.blame, one.subject, one.message, one.where, one.remedy)
        for one in (*view.problems, *view.others)
    ]
    return Table("findings", "Findings", columns, rows)
