"""Jobs as the pages look for them: by number, by user, partition, verdict and node, a stretch at a time."""

from __future__ import annotations

from collections.abc import Iterator
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


class Wanted(NamedTuple):
    """Which jobs; a text that is empty asks for any. ``user``: None any, "" those of whom Slurm gave no user."""

    window: Window
    user: str | None = None
    partition: str = ""
    verdict: str = ""
    node: tuple[str, str] | None = None


def clusters(store: Store) -> list[str]:
    """Return the clusters that nodes have sent reports of, in order."""
    return [cluster for (cluster,) in store.rows("SELECT DISTINCT cluster FROM nodes ORDER BY cluster")]


def page(store: Store, wanted: Wanted, first: int, size: int) -> tuple[list[Job], bool]:
    """Return ``size`` jobs from the ``first`` on, the latest first, and whether there are more."""
    where = ["last_ms >= ?", "first_ms < ?"]
    args: list[Any] = [wanted.window.begin_ms, wanted.window.end_ms]
    if wanted.user is not None:
        where, args = [*where, "user_name = ?"], [*args, wanted.user]
    if wanted.partition:
        where, args = [*where, "partition_name = ?"], [*args, wanted.partition]
    if wanted.verdict:
        where, args = [*where, "verdict = ?"], [*args, VERDICTS.index(wanted.verdict)]
    if wanted.node is not None:
        found = _on_node(store, wanted.window, wanted.node, " AND ".join(where), args)
        return found[first : first + size], len(found) > first + size
    sql = f"SELECT {_COLUMNS} FROM jobs WHERE {' AND '.join(where)} ORDER BY last_ms DESC, job DESC LIMIT ? OFFSET ?"
    rows = [_job(row) for row in store.rows(sql, (*args, size + 1, first))]
    return rows[:size], len(rows) > size


def by_number(store: Store, job: int, cluster: str | None = None, user: str | None = None) -> list[Job]:
    """Return the jobs of a number, and the tasks of an array of that number; ``user``: only of this user."""
    within = clusters(store) if cluster is None else [cluster]
    end, more = ("", ()) if user is None else (" AND user_name = ?", (user,))
    found: dict[tuple[str, int], Job] = {}
    for one in within:
        for column in ("job", "array_job"):
            sql = f"SELECT {_COLUMNS} FROM jobs WHERE cluster = ? AND {column} = ?{end}"
            for row in store.rows(sql, (one, job, *more)):
                its = _job(row)
                found[its.cluster, its.job] = its
    return sorted(found.values(), key=lambda its: (its.cluster, its.job))


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


def _on_node(store: Store, window: Window, node: tuple[str, str], where: str, args: list[Any]) -> list[Job]:
    sql = "SELECT DISTINCT job FROM {reports} WHERE node = ? AND started_ms >= ? AND started_ms < ? AND job IS NOT NULL"
    kept = set(store.days())
    days = [day for day in window.days if day in kept] if len(window.days) > 1 else window.days
    numbers = sorted({job for (job,) in store.day_rows(days, sql, (number(*node), window.begin_ms, window.end_ms))})
    found = []
    for begin in range(0, len(numbers), MARKS):
        part = numbers[begin : begin + MARKS]
        marks = ", ".join("?" * len(part))
        sql = f"SELECT {_COLUMNS} FROM jobs WHERE cluster = ? AND job IN ({marks}) AND {where}"
        found += [_job(row) for row in store.rows(sql, (node[0], *part, *args))]
    return sorted(found, key=lambda job: (-job.last_ms, -job.job))


def _job(row: tuple[Any, ...]) -> Job:
    cluster, job, array, task, user, partition, first, last, verdict, restarts, reports = row
    return Job(cluster, job, array, task, user, partition, first, last, VERDICTS[verdict], restarts + 1, reports)


def label(job: Job) -> str:
    """Return a job's name as Slurm shows it: 123, or 120_3 for a task of an array."""
    return f"{job.array_job}_{job.array_task}" if job.array_job and job.array_task is not None else str(job.job)
