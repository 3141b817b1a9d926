"""Jobs as the pages look for them: by number, by user, partition, verdict and node, a stretch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from preflight.fleet.entry import DAY_MS
from preflight.fleet.query.jobs import Job
from preflight.fleet.query.window import Window
from preflight.fleet.store.interface import Store
from preflight.fleet.store.tables import number
from preflight.report.model import VERDICTS

_COLUMNS = (
    "cluster, job, array_job, array_task, user_name, partition_name, first_ms, last_ms, verdict, restarts, reports"
)
MARKS = 400  # parameters of one statement
AT_ONCE = 16  # reports of a job that are unpacked together
LASTS_MS = 30 * DAY_MS  # no job runs longer: so far apart may its first and last report be


class Wanted(NamedTuple):
    """Which jobs; a text that is empty asks for any. ``user``: None any, "" those of whom Slurm gave no user.

    ``nodes``: (cluster, name) of those on one of which a job ran, None for any.
    """

    window: Window
    user: str | None = None
    partition: str = ""
    verdict: str = ""
    nodes: Sequence[tuple[str, str]] | None = None


class Key(NamedTuple):
    """A job's place in the list, which it keeps whatever comes before it: the latest first."""

    last_ms: int
    job: int
    cluster: str


class Stretch(NamedTuple):
    """Jobs of the list, and whether there are ones ``before`` and ``after`` them."""

    jobs: list[Job]
    before: bool
    after: bool


def clusters(store: Store) -> list[str]:
    """Return the clusters that nodes have sent reports of, in order."""
    return [cluster for (cluster,) in store.rows("SELECT DISTINCT cluster FROM nodes ORDER BY cluster")]


def key(job: Job) -> Key:
    """Return a job's place in the list."""
    return Key(job.last_ms, job.job, job.cluster)


def page(store: Store, wanted: Wanted, size: int, first: int = 0) -> Stretch:
    """Return ``size`` jobs from the ``first`` on, the latest first: those before them are walked."""
    found = _jobs(store, wanted, "", [], "LIMIT ? OFFSET ?", (size + 1, first), True)
    return Stretch(found[:size], first > 0, len(found) > size)


def page_from(store: Store, wanted: Wanted, size: int, at: Key, back: bool = False) -> Stretch:
    """Return ``size`` jobs that follow the one at ``at``; with ``back`` those that it follows.

    However far it is in the list, no others are walked than those.
    """
    # The bound on the time alone is what an index is entered by; without it a window's other end may be taken.
    than = ">" if back else "<"
    beyond = f"last_ms {than}= ? AND (last_ms, job, cluster) {than} (?, ?, ?)"
    if back:
        at = max(at, Key(wanted.window.begin_ms, -1, ""))
    found = _jobs(store, wanted, beyond, (at.last_ms, *at), "LIMIT ?", (size + 1,), not back)
    more, its = len(found) > size, found[:size]
    return Stretch(its[::-1], more, True) if back else Stretch(its, True, more)


def _jobs(
    store: Store, wanted: Wanted, beyond: str, at: Sequence[Any], end: str, limit: tuple[int, ...], latest: bool
) -> list[Job]:
    where: list[str] = ["first_ms < ?"]
    args: list[Any] = [wanted.window.end_ms]
    if wanted.user is not None:
        where, args = [*where, "user_name = ?"], [*args, wanted.user]
    if wanted.partition:
        where, args = [*where, "partition_name = ?"], [*args, wanted.partition]
    if wanted.verdict:
        where, args = [*where, "verdict = ?"], [*args, VERDICTS.index(wanted.verdict)]
    if latest or not beyond:
        where, args = [*where, "last_ms >= ?"], [*args, wanted.window.begin_ms]
    if beyond:
        where, args = [*where, beyond], [*args, *at]
    if wanted.nodes is not None:
        found = {key(job): job for node in wanted.nodes for job in _on_node(store, wanted.window, node, where, args)}
        its = [found[one] for one in sorted(found, reverse=latest)]
        size, first = (*limit, 0)[:2]
        return its[first : first + size]
    order = ", ".join(f"{column} DESC" if latest else column for column in Key._fields)
    sql = f"SELECT {_COLUMNS} FROM jobs WHERE {' AND '.join(where)} ORDER BY {order} {end}"
    return [_job(row) for row in store.rows(sql, (*args, *limit))]


def by_number(store: Store, job: int, cluster: str | None = None, user: str | None = None) -> list[Job]:
    """Return the jobs of a number, and the tasks of an array of that number; ``user``: only of this user.

    ``cluster``: of this one alone, and what its jobs are while some of their nodes' reports name no cluster yet.
    """
    within = clusters(store) if cluster is None else [cluster]
    end, more = ("", ()) if user is None else (" AND user_name = ?", (user,))
    found: dict[tuple[str, int], Job] = {}
    for one in within:
        for column in ("job", "array_job"):
            sql = f"SELECT {_COLUMNS} FROM jobs WHERE cluster = ? AND {column} = ?{end}"
            for row in store.rows(sql, (one, job, *more)):
                its = _job(row)
                found[its.cluster, its.job] = its
    if cluster:
        unnamed = by_number(store, job, "", user)
        found.update(
            (("", its.job), its) for its in unnamed if (named := found.get((cluster, its.job))) and _is(its, named)
        )
    return sorted(found.values(), key=lambda its: (its.cluster, its.job))


def _is(unnamed: Job, one: Job) -> bool:
    """Return whether a job of no cluster is that one before its cluster had a name, and not one of the same number."""
    near = unnamed.first_ms <= one.last_ms and one.first_ms - unnamed.last_ms <= LASTS_MS
    return near and (unnamed.user, unnamed.partition, unnamed.array_job) == (one.user, one.partition, one.array_job)


def reports_of(store: Store, job: Job, most: int) -> Iterator[bytes]:
    """Yield at most ``most`` of a job's reports byte for byte, in order of day and arrival, few at a time in memory."""
    nodes = {node for (node,) in store.rows("SELECT node FROM nodes WHERE cluster = ?", (job.cluster,))}
    for day in range(job.first_ms // DAY_MS, job.last_ms // DAY_MS + 1):
        # Their keys first: what comes meanwhile moves no report from one part to another.
        rows = store.day_rows((day,), "SELECT key, node FROM {reports} WHERE job = ? ORDER BY seq", (job.job,))
        keys = [key for key, node in rows if node in nodes][:most]
        for begin in range(0, len(keys), AT_ONCE):
            part = keys[begin : begin + AT_ONCE]
            yield from store.frames(day, f"WHERE key IN ({', '.join('?' * len(part))})", part)
        most -= len(keys)


def _on_node(store: Store, window: Window, node: tuple[str, str], where: list[str], args: list[Any]) -> list[Job]:
    sql = "SELECT DISTINCT job FROM {reports} WHERE node = ? AND started_ms >= ? AND started_ms < ? AND job IS NOT NULL"
    kept = set(store.days())
    days = [day for day in window.days if day in kept] if len(window.days) > 1 else window.days
    numbers = sorted({job for (job,) in store.day_rows(days, sql, (number(*node), window.begin_ms, window.end_ms))})
    found = []
    for begin in range(0, len(numbers), MARKS):
        part = numbers[begin : begin + MARKS]
        marks = ", ".join("?" * len(part))
        sql = f"SELECT {_COLUMNS} FROM jobs WHERE cluster = ? AND job IN ({marks}) AND {' AND '.join(where)}"
        found += [_job(row) for row in store.rows(sql, (node[0], *part, *args))]
    return found


def _job(row: tuple[Any, ...]) -> Job:
    cluster, job, array, task, user, partition, first, last, verdict, restarts, reports = row
    return Job(cluster, job, array, task, user, partition, first, last, VERDICTS[verdict], restarts + 1, reports)


def label(job: Job) -> str:
    """Return a job's name as Slurm shows it: 123, or 120_3 for a task of an array."""
    return f"{job.array_job}_{job.array_task}" if job.array_job and job.array_task is not None else str(job.job)
