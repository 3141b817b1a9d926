"""What was to do and was not done (observe mode, the kill switch, the breaker), counted: `actions.would` lists it.

A bad policy makes as much of it as there are reports. Whole hours are counted as they come, and what a window has
beside them is at most two parts of an hour; on which nodes it was is kept by cause and node.
"""

from __future__ import annotations

from typing import NamedTuple

from preflight.fleet.keys import TRIPPED
from preflight.fleet.query.actions import Cause
from preflight.fleet.query.names import by_number
from preflight.fleet.query.window import Window
from preflight.fleet.store.interface import Reader


class Withheld(NamedTuple):
    """What was not done in a window for one cause: ``times`` in all, on which nodes, when last."""

    kind: str
    check: str
    times: int
    nodes: tuple[str, ...]
    last_ms: int


# Rows n of withheld_nodes that have an action from ? to ? (four parameters: the same two twice). Of a node that has one
# after the window, too, the actions in it are looked at.
_WITHIN = (
    "n.last_ms >= ? AND (n.last_ms < ? OR EXISTS (SELECT 1 FROM actions a WHERE a.node = n.node AND a.at_ms >= ?"
    " AND a.at_ms < ? AND a.enforced = 0 AND a.kind = n.kind AND a.check_name = n.check_name))"
)


def by_cause(store: Reader, window: Window) -> list[Cause]:
    """Return what was not done in a window by kind and check, the most frequent first."""
    due = _due(store, window)  # before the nodes, so that what comes between the two questions has its node
    sql = f"SELECT n.kind, n.check_name, count(*) FROM withheld_nodes n WHERE {_WITHIN} GROUP BY n.kind, n.check_name"
    on = {(kind, check): nodes for kind, check, nodes in store.rows(sql, (*window, *window))}
    return [Cause(kind, check, times, on[kind, check], last) for kind, check, times, last in due]


def on_nodes(store: Reader, window: Window) -> list[Withheld]:
    """Return what `by_cause` does, with the nodes' names."""
    due = _due(store, window)
    sql = f"SELECT n.kind, n.check_name, n.node FROM withheld_nodes n WHERE {_WITHIN}"
    rows = store.rows(sql, (*window, *window)) if due else []
    names = by_number(store, {node for _, _, node in rows})
    on: dict[tuple[str, str], set[str]] = {}
    for kind, check, node in rows:
        on.setdefault((kind, check), set()).add(names[node][1])
    return [Withheld(kind, check, times, tuple(sorted(on[kind, check])), last) for kind, check, times, last in due]


def number(store: Reader, window: Window) -> int:
    """Return how many actions of a window were not done."""
    return _sum(store, window, "runs", "1")


def trips(store: Reader, window: Window) -> int:
    """Return how many drains of a window the breaker's limit held back."""
    return _sum(store, window, "trips", TRIPPED)


def by_cluster(store: Reader, window: Window) -> dict[tuple[str, str], int]:
    """Return (cluster, kind) -> how many actions of a window were not done."""
    source, args = _counted(window, "cluster, kind, runs", "n.cluster, a.kind, 1", " a JOIN nodes n ON n.node = a.node")
    sql = f"SELECT cluster, kind, sum(runs) FROM {source} GROUP BY cluster, kind"
    return {(cluster, kind): times for cluster, kind, times in store.rows(sql, args)}


def _due(store: Reader, window: Window) -> list[tuple[str, str, int, int]]:
    """Return kind, check, how often and when last, the most frequent first."""
    source, args = _counted(window, "kind, check_name, runs, last_ms", "kind, check_name, 1, at_ms")
    sql = f"SELECT kind, check_name, sum(runs), max(last_ms) FROM {source} GROUP BY kind, check_name"
    rows = [(kind, check, times, last) for kind, check, times, last in store.rows(sql, args)]
    return sorted(rows, key=lambda row: (-row[2], row[0], row[1]))


def _sum(store: Reader, window: Window, column: str, of_one: str) -> int:
    source, args = _counted(window, column, of_one)
    return int(store.rows(f"SELECT coalesce(sum({column}), 0) FROM {source}", args)[0][0])


def _counted(window: Window, columns: str, of_one: str, joined: str = "") -> tuple[str, list[int]]:
    """Return a table of ``columns``, as SQL with its parameters: hours of withheld_hours, and of actions beside them.

    ``of_one``: the same columns of one action; ``joined``: what follows the name of their table.
    """
    hours, beside = window.parts
    parts = [f"SELECT {columns} FROM withheld_hours WHERE hour >= ? AND hour < ?"]
    args = [hours.start, hours.stop]
    for one in beside:
        parts.append(f"SELECT {of_one} FROM actions{joined} WHERE enforced = 0 AND at_ms >= ? AND at_ms < ?")
        args += one
    return f"({' UNION ALL '.join(parts)}) counted", args
