"""What changes over time: the hooks' durations, and what did not pass on which day."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple, Optional

import msgspec

from preflight.fleet.keys import HOUR_MS, STATUSES
from preflight.fleet.numbers import number
from preflight.fleet.query.status import WITHIN, percentile
from preflight.fleet.query.window import Window
from preflight.fleet.store.interface import Reader
from preflight.report.model import PHASES

SAMPLE = 60  # reports that a check's cost is taken from


class Point(NamedTuple):
    """A step of time: prologs, and within how many ms half and 95 % of them ended (bounds of their buckets)."""

    begin_ms: int
    runs: int
    p50_ms: int | None
    p95_ms: int | None


class Day(NamedTuple):
    """A day (since the epoch): findings by status."""

    day: int
    runs: dict[str, int]


class Blamed(NamedTuple):
    """A check in a window: findings of one ``status`` and ``blame``, on how many nodes, first and last day of them."""

    check: str
    status: str
    blame: str
    nodes: int
    runs: int
    first_day: int
    last_day: int


class Affected(NamedTuple):
    """A node on which a check did not pass: findings by status, first and last day within the window."""

    cluster: str
    node: str
    status: str
    blame: str
    runs: int
    first_day: int
    last_day: int


class Cost(NamedTuple):
    """What a check took in the latest reports, in ms: the median, the most, of so many reports."""

    median_ms: float
    most_ms: float
    of: int


def durations(store: Reader, window: Window, points: int = 48) -> list[Point]:
    """Return the prologs' durations of a window in at most ``points`` steps of whole hours, without a gap."""
    first, end = window.hours
    step = max(1, -(-(end - first) // points))
    prolog = PHASES.index("prolog")
    sql = (
        "SELECT hour, bucket, sum(runs) FROM durations WHERE hour >= ? AND hour < ? AND phase = ? GROUP BY hour, bucket"
    )
    buckets: dict[int, Counter[int]] = defaultdict(Counter)
    for hour, bucket, runs in store.rows(sql, (first, end, prolog)):
        buckets[(hour - first) // step][bucket] += runs
    found = []
    for at in range(-(-(end - first) // step)):
        its = sorted(buckets[at].items())
        runs = sum(runs for _, runs in its)
        found.append(
            Point((first + at * step) * HOUR_MS, runs, percentile(its, 0.5), percentile(its, 0.95))
            if runs
            else Point((first + at * step) * HOUR_MS, 0, None, None)
        )
    return found


def failing_days(store: Reader, window: Window, check: str = "") -> list[Day]:
    """Return what did not pass on each day of a window, of one check or all."""
    sql = "SELECT day, status, sum(runs) FROM check_totals WHERE day >= ? AND day <= ?"
    args: list[int] = [window.days[0], window.days[-1]]
    if check:
        sql, args = f"{sql} AND check_id = ?", [*args, number(check)]
    runs: dict[int, Counter[str]] = defaultdict(Counter)
    for day, status, count in store.rows(f"{sql} GROUP BY day, status", args):
        runs[day][STATUSES[status]] += count
    return [Day(day, {status: runs[day][status] for status in STATUSES}) for day in window.days]


def blamed(store: Reader, window: Window) -> list[Blamed]:
    """Return every check that did not pass on the days of a window, by status and blame, most nodes first."""
    begin, end = window.days[0], window.days[-1]
    rows = store.rows(
        "SELECT t.check_id, t.status, t.blame, c.name, sum(t.runs), min(t.day), max(t.day) FROM check_totals t"
        " JOIN checks c ON c.check_id = t.check_id WHERE t.day >= ? AND t.day <= ?"
        " GROUP BY t.check_id, t.status, t.blame, c.name",
        (begin, end),
    )
    # After the rows, so that what comes between the two questions has its number of nodes.
    sql = f"SELECT check_id, status, blame, count(*) FROM check_nodes n WHERE {WITHIN} GROUP BY 1, 2, 3"
    on = {tuple(key): number for *key, number in store.rows(sql, (begin, end, begin, end))}
    found = [
        Blamed(name, STATUSES[status], blame, on[check, status, blame], *rest)
        for check, status, blame, name, *rest in rows
    ]
    return sorted(found, key=lambda one: (STATUSES.index(one.status), -one.nodes, one.check))


def affected(store: Reader, window: Window, check: str) -> list[Affected]:
    """Return the nodes on which a check did not pass in a window, the worst first."""
    sql = (
        "SELECT n.cluster, n.name, d.status, d.blame, d.runs, d.first, d.last FROM (SELECT status, node, blame,"
        " sum(runs) AS runs, min(day) AS first, max(day) AS last FROM check_days WHERE check_id = ? AND day >= ?"
        " AND day <= ? GROUP BY status, node, blame) d JOIN nodes n ON n.node = d.node"
    )
    rows = store.rows(sql, (number(check), window.days[0], window.days[-1]))
    found = [Affected(cluster, name, STATUSES[status], *rest) for cluster, name, status, *rest in rows]
    return sorted(found, key=lambda one: (STATUSES.index(one.status), -one.runs, one.cluster, one.node))


class _Finding(msgspec.Struct):
    check: str
    duration_ms: Optional[float] = None  # msgspec evaluates it, also on Python 3.9


class _Report(msgspec.Struct):
    findings: list[_Finding]


def costs(store: Reader) -> dict[str, Cost]:
    """Return what each check took in the latest reports of the newest day that has any."""
    took: dict[str, list[float]] = defaultdict(list)
    decoder = msgspec.json.Decoder(_Report)
    for day in reversed(store.days()[-3:]):
        ((last,),) = store.day_rows((day,), "SELECT coalesce(max(seq), 0) FROM {reports}") or [(0,)]
        for raw in store.frames(day, "WHERE seq > ?", (last - SAMPLE,)) if last else ():
            once: Counter[str] = Counter()
            try:
                report = decoder.decode(raw)
            except (msgspec.DecodeError, UnicodeDecodeError):  # a duration that is none: nobody looked at it on the way
                continue
            for one in report.findings:
                once[one.check] += one.duration_ms or 0.0  # type: ignore[assignment]
            for check, ms in once.items():
                took[check].append(ms)
        if took:
            break
    return {check: Cost(sorted(ms)[(len(ms) - 1) // 2], max(ms), len(ms)) for check, ms in took.items()}
