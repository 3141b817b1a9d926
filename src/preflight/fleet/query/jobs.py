"""Jobs that the store has reports of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from preflight.fleet.keys import DAY_MS
from preflight.fleet.numbers import number
from preflight.fleet.query.window import Window
from preflight.fleet.store.interface import Reader
from preflight.report.model import VERDICTS


class Job(NamedTuple):
    """A job: the worst ``verdict`` of its ``reports`` of all nodes; ``tries``: one more than its restarts."""

    cluster: str
    job: int
    array_job: int | None
    array_task: int | None
    user: str
    partition: str
    first_ms: int
    last_ms: int
    verdict: str
    tries: int
    reports: int


def jobs(
    store: Reader,
    window: Window,
    user: str = "",
    partition: str = "",
    verdict: str = "",
    node: tuple[str, str] | None = None,
    limit: int = 1000,
) -> list[Job]:
    """Return the jobs with a report in a window, the latest first, at most ``limit``; ``node`` is (cluster, name)."""
    where = ["last_ms >= ?", "first_ms < ?"]
    args: list[Any] = [window.begin_ms, window.end_ms]
    for column, value in (("user_name", user), ("partition_name", partition)):
        if value:
            where.append(f"{column} = ?")
            args.append(value)
    if verdict:
        where.append("verdict = ?")
        args.append(VERDICTS.index(verdict))
    sql = (
        "SELECT cluster, job, array_job, array_task, user_name, partition_name, first_ms, last_ms, verdict, restarts,"
        f" reports FROM jobs WHERE {' AND '.join(where)} ORDER BY last_ms DESC, job DESC"
    )
    if node is None:
        rows = store.rows(f"{sql} LIMIT ?", (*args, limit))
    else:
        rows = []
        for part in _parts(sorted(_of_node(store, window, number(*node)))):
            its = f"job IN ({', '.join('?' * len(part))}) AND cluster = ?"
            rows += store.rows(sql.replace("WHERE", f"WHERE {its} AND"), (*part, node[0], *args))
        rows = sorted(rows, key=lambda row: (-row[7], -row[1]))[:limit]
    return [
        Job(cluster, job, array, task, owner, part, first, last, VERDICTS[worst], restarts + 1, reports)
        for cluster, job, array, task, owner, part, first, last, worst, restarts, reports in rows
    ]


def _parts(numbers: list[int], size: int = 500) -> Iterator[list[int]]:
    return (numbers[begin : begin + size] for begin in range(0, len(numbers), size))


def raw_reports(store: Reader, job: int, cluster: str | None = None) -> list[bytes]:
    """Return every report of a job byte for byte, in order of day and arrival; of an array's number, of its tasks."""
    spans: dict[int, tuple[int, int]] = {}
    for column in ("job", "array_job"):  # each by its own index
        sql = f"SELECT job, first_ms, last_ms FROM jobs WHERE {column} = ?"
        args: list[Any] = [job]
        if cluster is not None:
            sql, args = f"{sql} AND cluster = ?", [job, cluster]
        for one, first, last in store.rows(sql, args):
            known = spans.get(one, (first, last))
            spans[one] = (min(first, known[0]), max(last, known[1]))
    found: list[bytes] = []
    for one, (first, last) in sorted(spans.items()):
        for day in range(first // DAY_MS, last // DAY_MS + 1):
            found += store.frames(day, "WHERE job = ?", (one,))
    return found


def _of_node(store: Reader, window: Window, node: int) -> set[int]:
    sql = "SELECT DISTINCT job FROM {reports} WHERE node = ? AND started_ms >= ? AND started_ms < ? AND job IS NOT NULL"
    return {job for (job,) in store.day_rows(window.days, sql, (node, window.begin_ms, window.end_ms))}
