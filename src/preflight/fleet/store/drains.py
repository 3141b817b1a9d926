"""Drains as rows, kept when reports come: late ones, in any order, and through several collectors.

A drain of ours begins with a run that drained its node, and ends with the health check that resumed it, or with the
first job that Slurm gave to the node again, or where the collector saw in Slurm that it may have some: then somebody
else had resumed it. A node that is drained again while it is drained counts once. What the collector saw ends the drain
that it knew of, by that one's own time: a drain after it is another, whatever the clocks of node and collector say.

Of a node for which a batch has such an event, the drains from that event on are reckoned anew, from its actions and its
prologs: so it does not matter which of them came first.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from preflight.fleet.entry import Entry
from preflight.fleet.keys import DAY_MS, LASTS_MS
from preflight.fleet.numbers import number
from preflight.report.model import PHASES

PROLOG = PHASES.index("prolog")
# Prologs that begin so soon after a drain's run are of jobs that slurmctld had sent before it knew: the run's own
# deadline (8 s) and Slurm's MessageTimeout (10 s).
ON_ITS_WAY_MS = 20_000


class Ledger(Protocol):
    """A store within the transaction that writes a batch: what the batch brought is seen already."""

    def fetch(self, sql: str, args: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the rows of a statement on the derived tables."""

    def run(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each of ``rows``."""

    def prolog(self, day: int, node: int, after_ms: int) -> int | None:
        """Return when the first prolog of ``node`` after ``after_ms`` began on ``day``, None without one."""


class _Begin(NamedTuple):
    at_ms: int
    check: str
    reason: str
    job: int | None


class _End(NamedTuple):
    """``last_ms``: what drains the node after it is another drain, also before the end: there the clocks differ."""

    at_ms: int
    by: str
    last_ms: int


def settle(ledger: Ledger, entries: Iterable[Entry]) -> None:
    """Bring the drains up to date with ``entries``, whose other rows are written already."""
    drained: dict[int, list[int]] = {}
    prologs: dict[int, list[int]] = {}
    changed: dict[int, int] = {}
    for entry in entries:
        if entry.enforced and entry.action in ("drain", "resume"):
            node = number(entry.cluster, entry.node)
            if entry.action == "drain":
                drained.setdefault(node, []).append(entry.started_ms)
            else:
                changed[node] = min(entry.started_ms, changed.get(node, LASTS_MS))
        if entry.phase == "prolog":
            prologs.setdefault(number(entry.cluster, entry.node), []).append(entry.started_ms)
    known = _since(ledger, [*drained.values(), *prologs.values()])
    for node, times in drained.items():
        for at in times:
            if not any(begin < at < end and by != "others" for begin, end, by in known.get(node, ())):
                changed[node] = min(at, changed.get(node, LASTS_MS))
    for node, spans in known.items():
        for at in prologs.get(node, ()):
            if any(begin + ON_ITS_WAY_MS < at < end for begin, end, _ in spans):
                changed[node] = min(at, changed.get(node, LASTS_MS))
    for node, at in sorted(changed.items()):
        reckon(ledger, node, at)


def _since(ledger: Ledger, times: list[list[int]]) -> dict[int, list[tuple[int, int, str]]]:
    """Return (begin, end, by) of the drains that end after the first of ``times``, by node."""
    found: dict[int, list[tuple[int, int, str]]] = {}
    if times:
        sql = "SELECT node, begin_ms, end_ms, ended_by FROM drains WHERE end_ms > ?"
        for node, *span in ledger.fetch(sql, (min(map(min, times)),)):
            found.setdefault(node, []).append((span[0], span[1], span[2]))
    return found


def reckon(ledger: Ledger, node: int, at_ms: int) -> None:
    """Write the drains of ``node`` anew, from the one that lasts or ends at ``at_ms`` on: those before it stay."""
    before = ledger.fetch(
        "SELECT begin_ms, end_ms FROM drains WHERE node = ? AND begin_ms < ? ORDER BY begin_ms DESC LIMIT 1",
        (node, at_ms),
    )
    start = before[0][0] if before and before[0][1] >= at_ms else at_ms
    begins: list[_Begin] = []
    resumes: list[int] = []
    for at, kind, check, detail, job in ledger.fetch(
        "SELECT at_ms, kind, check_name, detail, job FROM actions WHERE node = ? AND at_ms >= ? AND enforced = 1"
        " AND kind IN ('drain', 'resume') ORDER BY at_ms, report",
        (node, start),
    ):
        if kind == "drain":
            begins.append(_Begin(at, check, detail, job))
        else:
            resumes.append(at)
    spans: list[tuple[_Begin, _End]] = []
    for one in begins:
        if spans:
            first, its = spans[-1]
            if one.at_ms < its.at_ms and one.at_ms <= its.last_ms:
                continue
            spans[-1] = first, its._replace(at_ms=min(its.at_ms, one.at_ms))
        spans.append((one, _end(ledger, node, one.at_ms, resumes)))
    rows = [(node, one.at_ms, its.at_ms, its.by, one.check, one.reason, one.job) for one, its in spans]
    ledger.run("DELETE FROM drains WHERE node = ? AND begin_ms >= ?", [(node, start)])
    ledger.run(
        "INSERT INTO drains (node, begin_ms, end_ms, ended_by, check_name, reason, job) VALUES (?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


def _end(ledger: Ledger, node: int, begin_ms: int, resumes: list[int]) -> _End:
    at, by = LASTS_MS, ""
    place = bisect_right(resumes, begin_ms)
    if place < len(resumes):
        at, by = resumes[place], "preflight"
    prolog = _first_prolog(ledger, node, begin_ms + ON_ITS_WAY_MS)
    if prolog is not None and prolog < at:
        at, by = prolog, "others"
    seen = ledger.fetch(
        "SELECT drained_ms, at_ms FROM resumed WHERE node = ? AND drained_ms >= ? ORDER BY drained_ms LIMIT 1",
        (node, begin_ms),
    )
    if not seen or at <= seen[0][0]:  # it ended before the drain that the collector knew of
        return _End(at, by, LASTS_MS)
    last, when = seen[0]
    return _End(when, "others", last) if when < at else _End(at, by, last)


def _first_prolog(ledger: Ledger, node: int, after_ms: int) -> int | None:
    """Return when a job first came to ``node`` after ``after_ms``.

    The day's own reports say it exactly; of later days, and of one whose reports were forgotten, the first and the last
    prolog are known.
    """
    day = after_ms // DAY_MS
    exact = ledger.prolog(day, node, after_ms)
    if exact is not None:
        return exact
    rows = ledger.fetch(
        "SELECT min(CASE WHEN first_ms > ? THEN first_ms ELSE last_ms END) FROM node_days"
        " WHERE node = ? AND phase = ? AND day >= ? AND last_ms > ?",
        (after_ms, node, PROLOG, day, after_ms),
    )
    return rows[0][0] if rows else None


def resumed(ledger: Ledger, seen: Sequence[tuple[int, int, int]]) -> None:
    """Write down that Slurm gives nodes jobs again, and reckon their drains anew.

    ``seen``: (node, time of its last drain that was known before Slurm was asked, time when Slurm had answered), in
    milliseconds since the epoch, the first by the node's clock and the second by the collector's.
    """
    rows = sorted((node, last, max(at, last + 1)) for node, last, at in seen)
    # Whoever writes a batch with reports of these nodes has their rows of `latest` locked: one after the other.
    ledger.run("UPDATE latest SET node = node WHERE node = ?", [(node,) for node, *_ in rows])
    ledger.run(
        "INSERT INTO resumed (node, drained_ms, at_ms) VALUES (?, ?, ?) ON CONFLICT (node, drained_ms) DO NOTHING", rows
    )
    for node, last, _ in rows:
        reckon(ledger, node, last)


def reckon_all(ledger: Ledger) -> None:
    """Write every node's drains anew: a store of before there were such rows."""
    for (node,) in ledger.fetch("SELECT DISTINCT node FROM actions WHERE enforced = ? AND kind = 'drain'", (1,)):
        reckon(ledger, node, 0)
