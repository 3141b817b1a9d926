"""How all nodes are at once: columns rather than rows, for pages that show every node of a large fleet."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple
from weakref import WeakKeyDictionary

from preflight.fleet.query.names import by_number
from preflight.fleet.query.status import HEALTH_FAILING, VERDICT, lines_of
from preflight.fleet.store.interface import Reader
from preflight.report.model import VERDICTS
from preflight.report.nodes import natural

KEPT = 4  # rosters kept: one for each store, and the one before
UNHEALTHY = VERDICTS.index("unhealthy")
_ALL = f"SELECT l.node, l.started_ms, {VERDICT} FROM latest l"
_UNHEALTHY = f"SELECT l.failing, {HEALTH_FAILING}, l.node FROM latest l WHERE {VERDICT} = {UNHEALTHY}"


class Roster:
    """The nodes that count, by cluster and in host-list order; a node's place is its position in ``names``.

    ``names``: (cluster, name) by place. ``numbers``: the store's, by place. ``place``: of a number. ``at``: of a name.
    """

    def __init__(self, known: dict[int, tuple[str, str]]) -> None:
        order = sorted(known.items(), key=lambda item: (item[1][0], natural(item[1][1]), item[1][1]))
        self.numbers = tuple(number for number, _ in order)
        self.names = tuple(name for _, name in order)
        self.place = {number: place for place, number in enumerate(self.numbers)}
        self.at = {name: place for place, name in enumerate(self.names)}
        self.clusters = tuple(dict.fromkeys(cluster for cluster, _ in self.names))
        self._came: tuple[tuple[int, ...], list[int]] = ((), [])

    def order(self, numbers: tuple[int, ...]) -> list[int]:
        """Return by place where a node stands in ``numbers``; raises KeyError where those are other nodes."""
        came, found = self._came
        if came != numbers:  # a store on SQLite has them in the same order each time
            where = {number: at for at, number in enumerate(numbers)}
            found = [where[number] for number in self.numbers]
            self._came = (numbers, found)
        return found


class Standing(NamedTuple):
    """By place: ``started_ms`` of a node's latest report, ``verdicts`` as positions in VERDICTS.

    ``unhealthy``: what failed first ("gpu.ecc.uncorrected gpu 1") and the places of the nodes whose verdict that is.
    """

    roster: Roster
    started_ms: Sequence[int]
    verdicts: Sequence[int]
    unhealthy: dict[str, list[int]]

    def silent(self, now_ms: int, after_ms: int) -> list[int]:
        """Return the places of nodes that have sent nothing for ``after_ms``, the longest silent first."""
        limit, started = now_ms - after_ms, self.started_ms
        return sorted((place for place, at in enumerate(started) if at < limit), key=started.__getitem__)


_rosters: list[Roster] = []


_kept: WeakKeyDictionary[Reader, tuple[object, Standing]] = WeakKeyDictionary()


def standing(store: Reader) -> Standing:
    """Return how every node is; of a store that has not changed what was read before. Raises StoreError."""
    revision = store.revision()  # before the rows: what comes in between is read, and read again
    kept = _kept.get(store)
    if kept is None or kept[0] != revision:
        kept = _kept[store] = (revision, _read(store))
    return kept[1]


def _read(store: Reader) -> Standing:
    rows = store.rows(_ALL)
    numbers, started, verdicts = zip(*rows) if rows else ((), (), ())
    roster, order = _known(numbers) or _anew(store, numbers)
    unhealthy: dict[str, list[int]] = {}
    for failing, health, node in store.rows(_UNHEALTHY) if UNHEALTHY in verdicts else ():
        if node in roster.place:
            unhealthy.setdefault(_first(failing, health), []).append(roster.place[node])
    for places in unhealthy.values():
        places.sort()
    return Standing(roster, [started[at] for at in order], [verdicts[at] for at in order], unhealthy)


def _known(numbers: tuple[int, ...]) -> tuple[Roster, list[int]] | None:
    for roster in _rosters:
        if len(roster.numbers) == len(numbers):
            with suppress(KeyError):
                return roster, roster.order(numbers)
    return None


def _anew(store: Reader, numbers: tuple[int, ...]) -> tuple[Roster, list[int]]:
    roster = Roster(by_number(store, numbers))
    _rosters[:] = [roster, *_rosters][:KEPT]  # in one step: other threads read it
    return roster, roster.order(numbers)


@lru_cache(maxsize=1024)
def _first(failing: str, health: str) -> str:
    """Return check and subject of the first line that failed, "" without one."""
    return next((line[5:] for line in lines_of(failing, health) if line.startswith("fail ")), "")
