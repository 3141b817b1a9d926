"""One node: what it is, what became of it, and how it stands among the others."""

from __future__ import annotations

from typing import NamedTuple

from preflight.fleet.keys import DAY_MS
from preflight.fleet.numbers import number
from preflight.fleet.query.actions import Action, Drain, actions, drains
from preflight.fleet.query.names import find as find
from preflight.fleet.query.profiles import Change, Flat, changes, flats
from preflight.fleet.query.status import Latest, latest
from preflight.fleet.query.window import Window
from preflight.fleet.store.interface import Reader
from preflight.report.model import VERDICTS


class Day(NamedTuple):
    """A node's runs of a day by verdict; ``day`` since the epoch."""

    day: int
    runs: dict[str, int]


class Boot(NamedTuple):
    """A boot of a node: when it was, and between which reports it is known to have lasted."""

    up_ms: int
    first_ms: int
    last_ms: int


class History(NamedTuple):
    """A node within a window.

    ``lost``: jobs that a drain stopped here. ``mtbf_ms``: seen time by drains, None without one. ``availability``:
    the share of the seen time in which none of our drains lasted. ``boots``: those with a report in the window.
    """

    now: Latest
    facts: Flat
    days: list[Day]
    drains: list[Drain]
    others: list[Action]
    changes: list[Change]
    lost: int
    mtbf_ms: int | None
    availability: float
    boots: list[Boot]


def history(store: Reader, cluster: str, name: str, window: Window) -> History:
    """Return what the store knows of a node within a window; raises LookupError for one that it does not know."""
    node = number(cluster, name)
    now = next(iter(latest(store, node)), None)
    if now is None:
        raise LookupError(name)
    (hash_,) = store.rows("SELECT hash FROM latest WHERE node = ?", (node,))[0]
    its = drains(store, window, node)
    first = max(window.begin_ms, store.rows("SELECT min(first_ms) FROM node_days WHERE node = ?", (node,))[0][0])
    seen = max(window.end_ms - first, 1)
    down = sum((drain.end_ms or window.end_ms) - drain.begin_ms for drain in its)
    return History(
        now=now,
        facts=flats(store, {bytes(hash_)}).get(bytes(hash_), {}),
        days=_days(store, node, window),
        drains=its,
        others=[one for one in actions(store, window, node) if one.kind not in ("drain", "resume")],
        changes=changes(store, node, window.begin_ms // DAY_MS),
        lost=sum(1 for drain in its if drain.job is not None),
        mtbf_ms=seen // len(its) if its else None,
        availability=max(0.0, 1 - down / seen),
        boots=boots(store, node, window),
    )


def boots(store: Reader, node: int, window: Window) -> list[Boot]:
    """Return the boots of a node that have a report in a window, in order of time."""
    sql = "SELECT up_ms, first_ms, last_ms FROM node_boots WHERE node = ? AND last_ms >= ? AND first_ms < ? ORDER BY 2"
    return [Boot(*row) for row in store.rows(sql, (node, *window))]


def _days(store: Reader, node: int, window: Window) -> list[Day]:
    sql = "SELECT day, verdict, sum(runs) FROM node_days WHERE node = ? AND day >= ? AND day <= ? GROUP BY day, verdict"
    days: dict[int, dict[str, int]] = {}
    for day, verdict, runs in store.rows(sql, (node, window.days[0], window.days[-1])):
        days.setdefault(day, dict.fromkeys(VERDICTS, 0))[VERDICTS[verdict]] += runs
    return [Day(day, runs) for day, runs in sorted(days.items())]
