"""The cluster now, and what a window of time brought."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from preflight.fleet.keys import BUCKETS_MS, DAY_MS, STATUSES
from preflight.fleet.query.window import Window
from preflight.fleet.store.interface import Reader
from preflight.report.model import PHASES, VERDICTS

SILENT_MS = 3 * 3_600_000
HEALTH_STANDS_MS = DAY_MS  # how long a health check stands beside the reports of jobs that came after it
# A job's prolog looks at its own GPUs: what the node's latest health check found is not mended by it. Of a row l of
# `latest`: whether that check stands beside a later report, the worse verdict of the two, and what the check found.
_STANDS = f"l.phase <> {PHASES.index('health')} AND l.started_ms - l.health_ms <= {HEALTH_STANDS_MS}"
VERDICT = f"CASE WHEN {_STANDS} AND l.health_verdict < l.verdict THEN l.health_verdict ELSE l.verdict END"
HEALTH_FAILING = f"CASE WHEN {_STANDS} THEN l.health_failing ELSE '' END"


class Latest(NamedTuple):
    """A node's latest report, with what its latest health check found where that still stands.

    ``verdict`` is the worse of the two. ``failing``: lines of status, check and subject, fails first.
    """

    cluster: str
    node: str
    started_ms: int
    phase: str
    verdict: str
    job: int | None
    failing: tuple[str, ...]
    preflight: str
    policy: str


class Failing(NamedTuple):
    """A check that did not pass: on how many ``nodes``, in how many ``runs`` of a window."""

    check: str
    status: str
    nodes: int
    runs: int


class Summary(NamedTuple):
    """A window: ``runs`` by verdict, prologs of ``jobs`` with ``misfits`` among them.

    ``p50_ms`` and ``p95_ms`` of a prolog: upper bounds of the bucket they fall in, None where there was no prolog.
    """

    runs: dict[str, int]
    by_phase: dict[str, int]
    jobs: int
    misfits: int
    p50_ms: int | None
    p95_ms: int | None


def latest(store: Reader, *nodes: int) -> list[Latest]:
    """Return the latest report of every node, in order of cluster and name; ``nodes``: of these numbers alone."""
    where, args = (f" WHERE l.node IN ({', '.join('?' * len(nodes))})", nodes) if nodes else ("", ())
    sql = (
        f"SELECT n.cluster, n.name, l.started_ms, l.phase, {VERDICT}, l.job, l.failing, {HEALTH_FAILING}, l.preflight,"
        f" l.policy FROM latest l JOIN nodes n ON n.node = l.node{where}"
    )
    rows = sorted(store.rows(sql, args), key=lambda row: row[:2])
    return [
        Latest(cluster, name, at, PHASES[phase], VERDICTS[verdict], job, lines_of(failing, health), preflight, policy)
        for cluster, name, at, phase, verdict, job, failing, health, preflight, policy in rows
    ]


def lines_of(failing: str, health: str) -> tuple[str, ...]:
    """Return what a node's latest report and its latest health check found, each line once, fails first."""
    if not health:
        return tuple(failing.split("\n")) if failing else ()
    lines = dict.fromkeys([*failing.split("\n"), *health.split("\n")] if failing else health.split("\n"))
    order = {status: at for at, status in enumerate(STATUSES)}
    return tuple(sorted(lines, key=lambda line: order.get(line.partition(" ")[0], len(order))))


def silent(nodes: list[Latest], now_ms: int, after_ms: int = SILENT_MS) -> list[Latest]:
    """Return the nodes that have sent nothing for ``after_ms``, the longest silent first."""
    return sorted((one for one in nodes if now_ms - one.started_ms > after_ms), key=lambda one: one.started_ms)


def failing(store: Reader, window: Window) -> list[Failing]:
    """Return the checks that did not pass on the days of a window, those on most nodes first."""
    begin, end = window.days[0], window.days[-1]
    runs = store.rows(
        "SELECT t.check_id, c.name, t.status, sum(t.runs) FROM check_totals t JOIN checks c ON c.check_id = t.check_id"
        " WHERE t.day >= ? AND t.day <= ? GROUP BY t.check_id, c.name, t.status",
        (begin, end),
    )
    sql = f"SELECT n.check_id, n.status, count(DISTINCT n.node) FROM check_nodes n WHERE {WITHIN} GROUP BY 1, 2"
    on = {(check, status): number for check, status, number in store.rows(sql, (begin, end, begin, end))}
    found = [Failing(name, STATUSES[status], on[check, status], number) for check, name, status, number in runs]
    return sorted(found, key=lambda one: (STATUSES.index(one.status), -one.nodes, one.check))


# Rows n of check_nodes that have a finding on the days from ? to ?, ? to ? (the same twice). A node on which a check
# failed after those days may have failed it on them, too: only then its days are looked at.
WITHIN = (
    "n.last_day >= ? AND (n.last_day <= ? OR EXISTS (SELECT 1 FROM check_days d WHERE d.check_id = n.check_id"
    " AND d.status = n.status AND d.node = n.node AND d.blame = n.blame AND d.day >= ? AND d.day <= ?))"
)


def summary(store: Reader, window: Window) -> Summary:
    """Return what the whole hours of a window brought."""
    hours = window.hours
    rows = store.rows(
        "SELECT phase, verdict, sum(runs) FROM hours WHERE hour >= ? AND hour < ? GROUP BY phase, verdict", hours
    )
    runs: Counter[str] = Counter()
    by_phase: Counter[str] = Counter()
    for phase, verdict, number in rows:
        runs[VERDICTS[verdict]] += number
        by_phase[PHASES[phase]] += number
    prolog = PHASES.index("prolog")
    misfit = VERDICTS.index("mismatch")
    misfits = sum(number for phase, verdict, number in rows if (phase, verdict) == (prolog, misfit))
    buckets = store.rows(
        "SELECT bucket, sum(runs) FROM durations WHERE hour >= ? AND hour < ? AND phase = ? GROUP BY bucket ORDER BY 1",
        (*hours, prolog),
    )
    return Summary(
        runs={verdict: runs[verdict] for verdict in VERDICTS},
        by_phase={phase: by_phase[phase] for phase in PHASES},
        jobs=by_phase["prolog"],
        misfits=misfits,
        p50_ms=percentile(buckets, 0.50),
        p95_ms=percentile(buckets, 0.95),
    )


def percentile(buckets: list[tuple[int, int]], share: float) -> int | None:
    """Return the upper bound in milliseconds of the bucket in which ``share`` of the runs is reached."""
    whole = sum(number for _, number in buckets)
    reached = 0
    for place, number in sorted(buckets):
        reached += number
        if reached >= share * whole:
            return BUCKETS_MS[place] if place < len(BUCKETS_MS) else 2 * BUCKETS_MS[-1]
    return None
