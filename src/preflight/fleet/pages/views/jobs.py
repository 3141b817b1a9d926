"""Jobs to search, and one job: its reports of all nodes and tries as one. A user finds only jobs of their own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from preflight.digits import is_whole
from preflight.fleet.pages.ask import SIZES, Ask, AskedError, BusyError, NotFoundError, Page, Pager, link
from preflight.fleet.pages.table import Column, Table
from preflight.fleet.pages.views import common
from preflight.fleet.query import node, search
from preflight.fleet.query.jobs import Job
from preflight.report.advice import advise
from preflight.report.clean import clean
from preflight.report.merge import merge
from preflight.report.model import VERDICTS
from preflight.report.validate import ReportError, load
from preflight.report.view import View

FURTHEST = 1_000_000_000  # the last row that a page can begin at: it is only shown
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
    where: list[tuple[str, str]] | None = None
    if name:
        where = node.find(ask.store, name) if ask.reader.admin else []
    wanted = search.Wanted(window, user or None, partition, verdict, where)
    stretch = _stretch(ask, wanted)
    found, more = stretch.jobs, stretch.after
    empty = f"No job has a report in the last {ask.since('24h')}."
    table = Table("jobs", "Jobs", common.JOB_COLUMNS, common.job_rows(found), empty, shown=SIZES[1])
    values = {
        "filters": {"user": ask.text("user"), "partition": partition, "verdict": verdict, "node": name},
        "since": ask.since("24h"),
        "verdicts": VERDICTS,
        "pager": _pager(ask, stretch),
    }
    figures = {"shown": len(found), "more": more, "after": _place(found[-1]) if found and more else ""}
    return Page("jobs", "Jobs", figures, (table,), values, common.looked(found))


def _stretch(ask: Ask, wanted: search.Wanted) -> search.Stretch:
    """Return the jobs that are asked for: those past a job that was shown, or, by older links, the page's number."""
    for name in ("after", "before"):
        if name in ask.values:
            _, size = ask.paging(FURTHEST)
            its = search.page_from(ask.store, wanted, size, _key(ask, name), name == "before")
            if its.before:
                return its
            break  # back at the beginning
    else:
        first, size = ask.paging()
        return search.page(ask.store, wanted, size, first)
    return search.page(ask.store, wanted, size)


def _key(ask: Ask, name: str) -> search.Key:
    """Return the place that `_pager` wrote into a link; raises AskedError for what is none."""
    last, _, rest = ask.text(name).partition(".")
    job, dot, cluster = rest.partition(".")
    if not dot or not all(is_whole(one) and len(one) <= 15 for one in (last, job)):
        raise AskedError(f"{name}: {clean(ask.text(name), 40)!r} is no place in the list of jobs")
    return search.Key(int(last), int(job), cluster)


def _place(job: Job) -> str:
    return ".".join(map(str, search.key(job)))


def _pager(ask: Ask, stretch: search.Stretch) -> Pager:
    """Return where the list goes on: past the jobs that are shown, whatever has come since."""
    first, size = ask.paging(FURTHEST)
    page = first // size + 1 if stretch.before else 1
    shown = stretch.jobs
    kept = {
        name: value for name, value in ask.values.items() if name not in ("page", "after", "before", "format", "table")
    }

    before = link("/jobs", **kept)
    if shown and page > 2:
        before = link("/jobs", **kept, page=page - 1, before=_place(shown[0]))
    return Pager(
        before if stretch.before else "",
        link("/jobs", **kept, page=page + 1, after=_place(shown[-1])) if stretch.after and shown else "",
        (page - 1) * size + 1 if shown else 0,
        (page - 1) * size + len(shown),
    )


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
            if report and report["cluster"] == job.cluster and (user is None or report["job"]["user"] == user):
                reports.append(report)
        if not reports:
            raise NotFoundError(f"no report of job {text} is in the store")
        labels = {search.label(one) for one in found}
        label = labels.pop() if len(labels) == 1 else number
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
