"""Drains, resumes and the breaker's trips that are still to be told: rows that the store writes with the reports.

What was told is deleted; of the breaker's trips, one an hour and cluster, a row stays so that the hour's others are not
told. Of several collectors on one store one tells, as long as it holds the lease.
"""

from __future__ import annotations

from typing import NamedTuple

from preflight.fleet.keys import DAY_MS
from preflight.fleet.store.interface import Store
from preflight.report.model import PHASES

MOST = 10_000  # events that wait; past them the oldest go
OLD_MS = 7 * DAY_MS  # what is older is no news any more
BATCH = 50
_SINK = "INSERT INTO sinks (name, since_ms, until_ms) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING"
_TOLD = "told "  # begins the name of a trip's row; until_ms is when it was


class Event(NamedTuple):
    """``number``: its place in the queue. ``id``: its key, as text. ``kind``: drain, resume or breaker."""

    number: int
    id: str
    cluster: str
    node: str
    at_ms: int
    phase: str
    kind: str
    check: str
    detail: str
    job: int | None


def begin(store: Store, sink: str, now_ms: int) -> None:
    """Know ``sink`` from now on; the first time, what happened before is not told. Raises StoreError."""
    if store.rows("SELECT 1 FROM sinks WHERE name = ?", (sink,)):
        return
    store.write("DELETE FROM events WHERE at_ms < ?", [(now_ms,)])  # first: ended in between, it is done again
    store.write(_SINK, [(sink, now_ms, 0)])


def lease(store: Store, sink: str, now_ms: int, until_ms: int, held_ms: int) -> bool:
    """Take, or keep, the lease of ``sink`` until ``until_ms``; ``held_ms``: as ours ended so far. Raises StoreError."""
    sql = "UPDATE sinks SET until_ms = ? WHERE name = ? AND (until_ms < ? OR until_ms = ?)"
    return store.write(sql, [(until_ms, sink, now_ms, held_ms)]) == 1


def waiting(store: Store, limit: int = BATCH) -> list[Event]:
    """Return the events that wait, the oldest first. Raises StoreError."""
    rows = store.rows(
        "SELECT e.id, e.report, n.cluster, n.name, e.at_ms, e.phase, e.kind, e.check_name, e.detail, e.job"
        " FROM events e JOIN nodes n ON n.node = e.node ORDER BY e.at_ms, e.id LIMIT ?",
        (limit,),
    )
    return [
        Event(number, bytes(report).hex(), cluster, node, at, PHASES[phase], *rest)
        for number, report, cluster, node, at, phase, *rest in rows
    ]


def number(store: Store) -> int:
    """Return how many wait. Raises StoreError."""
    return int(store.rows("SELECT count(*) FROM events")[0][0])


def told(store: Store, event: Event) -> None:
    """Take an event out of the queue. Raises StoreError."""
    if event.kind == "breaker":
        store.write(_SINK, [(_TOLD + event.id, event.at_ms, event.at_ms)])
        # Events of before that are dropped before they are told.
        store.write("DELETE FROM sinks WHERE name LIKE ? AND until_ms < ?", [(_TOLD + "%", event.at_ms - 2 * OLD_MS)])
    # SQLite gives the number of a row that is gone to another one.
    store.write("DELETE FROM events WHERE id = ? AND report = ?", [(event.number, bytes.fromhex(event.id))])


def known(store: Store, event: Event) -> bool:
    """Return whether an event was told already: another trip of the breaker within the hour. Raises StoreError."""
    return event.kind == "breaker" and bool(store.rows("SELECT 1 FROM sinks WHERE name = ?", (_TOLD + event.id,)))


def bound(store: Store, now_ms: int, most: int = MOST) -> int:
    """Take out what is too old or too much, the oldest first, and return how many went. Raises StoreError."""
    gone = store.write("DELETE FROM events WHERE at_ms < ?", [(now_ms - OLD_MS,)])
    sql = "DELETE FROM events WHERE id <= (SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET ?)"
    return gone + store.write(sql, [(most,)])
