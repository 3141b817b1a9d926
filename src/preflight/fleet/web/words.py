"""What a node may add a day that no report had before it and that is kept for ever: profiles, and names of its own.

A report's rows go with its day or count under keys that are there; these stay. A node that makes them up costs so much
a day and no more: what is beyond stays out, and what others have sent already costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from preflight.fleet.entry import Entry, RefusedError
from preflight.fleet.keys import DAY_MS
from preflight.fleet.numbers import number
from preflight.fleet.store.interface import Reader

KNOWN = 100_000  # words of which it is known that the store has them


class _Kind(NamedTuple):
    """``most``: how much of it a node may add a day. ``there``: asks the store for one."""

    name: str
    most: int
    there: str


# A node whose facts change with each boot has some profiles a day; the first node of a store brings the names of all
# checks that did not pass on it, of a hundred of ours and the site's own.
_PROFILES = _Kind("profiles", 100, "SELECT 1 FROM profiles WHERE hash = ?")
_BYTES = _Kind("bytes of profiles", 1 << 20, "")
_CHECKS = _Kind("names of checks", 300, "SELECT 1 FROM checks WHERE check_id = ?")
_CLUSTERS = _Kind("names of clusters", 4, "SELECT 1 FROM hours WHERE cluster = ? LIMIT 1")
_PARTITIONS = _Kind("partitions", 200, "SELECT 1 FROM totals WHERE name = 'prologs' AND cluster = ? AND a = ? LIMIT 1")
_Word = tuple[_Kind, tuple[object, ...]]


class Words:
    """Counts what each node adds on a day of the collector's clock. Not for several threads at once."""

    def __init__(self, store: Reader) -> None:
        self._store = store
        self._known: set[_Word] = set()
        self._day = 0
        self._added: dict[tuple[str, str], int] = {}  # (node, name of a kind) -> how much

    def admit(self, entry: Entry, now_ms: int) -> None:
        """Take note of what a report adds; raises RefusedError, and adds nothing, where that is too much.

        Raises StoreError where the store cannot be asked.
        """
        fresh = [word for word in dict.fromkeys(_words(entry)) if word not in self._known]
        if not fresh:
            return
        new = [word for word in fresh if not self._store.rows(word[0].there, _args(word))]
        more: dict[_Kind, int] = {}
        for kind, _ in new:
            more[kind] = more.get(kind, 0) + 1
        if _PROFILES in more:
            more[_BYTES] = len(entry.profile.text)
        if now_ms // DAY_MS != self._day:
            self._day = now_ms // DAY_MS
            self._added.clear()
        for kind, its in more.items():
            if self._added.get((entry.node, kind.name), 0) + its > kind.most:
                raise RefusedError(f"more than {kind.most:,} new {kind.name} a day from one node")
        for kind, its in more.items():
            self._added[entry.node, kind.name] = self._added.get((entry.node, kind.name), 0) + its
        if len(self._known) > KNOWN:
            self._known.clear()
        self._known.update(fresh)


def _words(entry: Entry) -> Iterator[_Word]:
    yield _PROFILES, (entry.profile.hash,)
    for one in entry.loud:
        yield _CHECKS, (one.check,)
    yield _CLUSTERS, (entry.cluster,)
    if entry.job is not None and entry.phase == "prolog":
        yield _PARTITIONS, (entry.cluster, entry.job.partition)


def _args(word: _Word) -> tuple[object, ...]:
    kind, args = word
    return (number(str(args[0])),) if kind is _CHECKS else args
