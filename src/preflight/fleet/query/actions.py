"""What was done about reports: drains with their ends, moves, and what observe mode would have done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from preflight.fleet.entry import DAY_MS
from preflight.fleet.query.window import Window
from preflight.fleet.store.interface import Store
from preflight.report.model import PHASES

PROLOG = PHASES.index("prolog")
_COLUMNS = "n.cluster, n.name, a.node, a.at_ms, a.phase, a.kind, a.enforced, a.check_name, a.detail, a.job"


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


def actions(store: Store, window: Window, node: int | None = None, enforced: bool | None = None) -> list[Action]:
    """Return the actions of a window in order of time, of one node or all, enforced or only recorded ones."""
    return [action for _, action in _numbered(store, window, node, enforced)]


def would(store: Store, window: Window) -> list[Action]:
    """Return what was not enforced: observe mode, the kill switch, the breaker."""
    return actions(store, window, enforced=False)


def drains(store: Store, window: Window, node: int | None = None) -> list[Drain]:
    """Return the drains that began in a window, in order of time.

    One ends where our health check resumed the node, or where Slurm gave the node a job again: then somebody else
    had resumed it. A node that is drained again while it is drained counts once.
    """
    rows = _numbered(store, Window(window.begin_ms, 1 << 62), node, True, ("drain", "resume"))
    begun: dict[int, list[Action]] = defaultdict(list)
    resumed: dict[int, list[int]] = defaultdict(list)
    for number, action in rows:
        if action.kind == "drain" and action.at_ms < window.end_ms:
            begun[number].append(action)
        elif action.kind == "resume":
            resumed[number].append(action.at_ms)
    prologs = _prologs(store, begun)
    found = []
    for number, its in begun.items():
        until = -1
        for action in its:
            if action.at_ms <= until:
                continue
            ends = [(at, "preflight") for at in resumed[number] if at > action.at_ms]
            ends += [(at, "others") for at in prologs.after(number, action.at_ms)]
            end, by = min(ends, default=(None, ""))
            until = 1 << 62 if end is None else end
            found.append(
                Drain(action.cluster, action.node, action.at_ms, end, by, action.check, action.detail, action.job)
            )
    return sorted(found, key=lambda drain: (drain.begin_ms, drain.node))


def _numbered(
    store: Store, window: Window, node: int | None, enforced: bool | None, kinds: tuple[str, ...] = ()
) -> list[tuple[int, Action]]:
    where = "a.at_ms >= ? AND a.at_ms < ?"
    args: list[Any] = [window.begin_ms, window.end_ms]
    if kinds:
        where, args = f"{where} AND a.kind IN ({', '.join('?' * len(kinds))})", [*args, *kinds]
    if node is not None:
        where, args = f"{where} AND a.node = ?", [*args, node]
    if enforced is not None:
        where, args = f"{where} AND a.enforced = ?", [*args, int(enforced)]
    sql = f"SELECT {_COLUMNS} FROM actions a JOIN nodes n ON n.node = a.node WHERE {where} ORDER BY a.at_ms, n.name"
    return [
        (number, Action(cluster, name, at, PHASES[phase], kind, bool(done), check, detail, job))
        for cluster, name, number, at, phase, kind, done, check, detail, job in store.rows(sql, args)
    ]


class _Prologs:
    """When jobs began on nodes: exactly within the day of each drain, by days after it."""

    def __init__(self, exact: dict[int, list[int]], later: dict[int, list[tuple[int, int]]]) -> None:
        self._exact, self._later = exact, later

    def after(self, node: int, at_ms: int) -> list[int]:
        """Return the first prolog after a drain, in a list, [] where there was none."""
        same = [one for one in self._exact.get(node, ()) if one > at_ms and one // DAY_MS == at_ms // DAY_MS]
        later = [first for day, first in self._later.get(node, ()) if day > at_ms // DAY_MS]
        return [min(same)] if same else [min(later)] if later else []


def _prologs(store: Store, begun: dict[int, list[Action]]) -> _Prologs:
    by_day: dict[int, set[int]] = defaultdict(set)
    for number, its in begun.items():
        for action in its:
            by_day[action.at_ms // DAY_MS].add(number)
    exact: dict[int, list[int]] = defaultdict(list)
    for day, nodes in by_day.items():
        for part in _parts(sorted(nodes)):
            marks = ", ".join("?" * len(part))
            sql = f"SELECT node, started_ms FROM {{reports}} WHERE node IN ({marks}) AND phase = ?"
            for number, at in store.day_rows((day,), sql, (*part, PROLOG)):
                exact[number].append(at)
    later: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for part in _parts(sorted(begun)):
        marks = ", ".join("?" * len(part))
        sql = f"SELECT node, day, min(first_ms) FROM node_days WHERE node IN ({marks}) AND phase = ? GROUP BY node, day"
        for number, day, first in store.rows(sql, (*part, PROLOG)):
            later[number].append((day, first))
    return _Prologs(exact, later)


def _parts(numbers: list[int], size: int = 500) -> Iterable[list[int]]:
    return (numbers[begin : begin + size] for begin in range(0, len(numbers), size))
