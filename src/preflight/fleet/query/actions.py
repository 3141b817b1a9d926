"""What was done about reports: drains with their ends, moves, and what observe mode would have done."""

from __future__ import annotations

from operator import itemgetter
from typing import Any, NamedTuple

from preflight.fleet.keys import LASTS_MS
from preflight.fleet.query.names import by_number
from preflight.fleet.query.window import Window
from preflight.fleet.store.interface import Reader
from preflight.report.model import PHASES


class Action(NamedTuple):
    """One action: ``at_ms`` when its run started, ``check`` what it was for, ``enforced`` False where only recorded."""

    cluster: str
    node: str
    at_ms: int
    phase: str
    kind: str
    enforced: bool
    check: str
    detail: str
    job: int | None


class Drain(NamedTuple):
    """A drain of ours. ``end_ms`` None where it lasts; ``ended_by``: "preflight" resumed it, or "others"."""

    cluster: str
    node: str
    begin_ms: int
    end_ms: int | None
    ended_by: str
    check: str
    reason: str
    job: int | None


def actions(store: Reader, window: Window, node: int | None = None, enforced: bool | None = None) -> list[Action]:
    """Return the actions of a window in order of time, of one node or all, enforced or only recorded ones."""
    return [Action._make(one) for one in action_rows(store, window, node, enforced)]


def action_rows(
    store: Reader,
    window: Window,
    node: int | None = None,
    enforced: bool | None = None,
    limit: int | None = None,
) -> list[tuple[Any, ...]]:
    """Return what `actions` does as plain tuples: of ten thousand each step counts. ``limit``: the latest of them."""
    where = "at_ms >= ? AND at_ms < ? AND "
    args = [*window]
    if node is not None:
        where, args = f"{where} node = ? AND", [*args, node]
    kinds = (0, 1) if enforced is None else (int(enforced),)  # always named, for the index begins with it
    # Of thousands of actions a few nodes: their names are asked for once, not joined to every row.
    rows = store.rows(
        "SELECT at_ms, node, phase, kind, enforced, check_name, detail, job FROM actions"
        f" WHERE {where} enforced IN ({', '.join('?' * len(kinds))}){'' if limit is None else _LATEST}",
        [*args, *kinds, *([] if limit is None else [limit])],
    )
    names = by_number(store, {row[1] for row in rows})
    found = [
        (*names[number], at, PHASES[phase], kind, done == 1, check, detail, job)
        for at, number, phase, kind, done, check, detail, job in rows
    ]
    found.sort(key=itemgetter(2, 1))  # at_ms, node
    return found


_LATEST = " ORDER BY at_ms DESC, report DESC LIMIT ?"


def would(store: Reader, window: Window) -> list[Action]:
    """Return what was not enforced: observe mode, the kill switch, the breaker."""
    return actions(store, window, enforced=False)


class Cause(NamedTuple):
    """Actions of a window for one cause: ``times`` they were due on ``nodes`` different nodes, last at ``last_ms``."""

    kind: str
    check: str
    times: int
    nodes: int
    last_ms: int


def drains(store: Reader, window: Window, node: int | None = None, limit: int | None = None) -> list[Drain]:
    """Return the drains that began in a window, in order of time; ``limit``: no more than the latest of them.

    One ends where our health check resumed the node, or where Slurm gave the node a job again: then somebody else
    had resumed it. A node that is drained again while it is drained counts once.
    """
    where = "d.begin_ms >= ? AND d.begin_ms < ?"
    args = [*window]
    if node is not None:
        where, args = f"{where} AND d.node = ?", [*args, node]
    return _drains(store, where, args, limit)


def drains_number(store: Reader, window: Window) -> int:
    """Return how many drains began in a window."""
    return int(store.rows("SELECT count(*) FROM drains WHERE begin_ms >= ? AND begin_ms < ?", window)[0][0])


def lasting(store: Reader, window: Window) -> list[Drain]:
    """Return the drains that began in a window and last, in order of time; of nodes that were not forgotten."""
    here = "EXISTS (SELECT 1 FROM latest l WHERE l.node = d.node)"
    return _drains(store, f"d.end_ms = ? AND d.begin_ms >= ? AND d.begin_ms < ? AND {here}", [LASTS_MS, *window])


def drained_for(store: Reader, window: Window) -> list[Cause]:
    """Return the drains that began in a window, counted by check, in order of their names."""
    rows = store.rows(
        "SELECT 'drain', check_name, count(*), count(DISTINCT node), max(begin_ms) FROM drains"
        " WHERE begin_ms >= ? AND begin_ms < ? GROUP BY check_name ORDER BY check_name",
        window,
    )
    return [Cause(*row) for row in rows]


def _drains(store: Reader, where: str, args: list[int], limit: int | None = None) -> list[Drain]:
    sql = (
        "SELECT n.cluster, n.name, d.begin_ms, d.end_ms, d.ended_by, d.check_name, d.reason, d.job FROM drains d"
        f" JOIN nodes n ON n.node = d.node WHERE {where} ORDER BY d.begin_ms DESC, n.name DESC"
    )
    if limit is not None:
        sql, args = f"{sql} LIMIT ?", [*args, limit]
    return [
        Drain(cluster, name, begin, None if end == LASTS_MS else end, by, check, reason, job)
        for cluster, name, begin, end, by, check, reason, job in reversed(store.rows(sql, args))
    ]
