"""Days are dropped while reports come and questions are asked: nothing of another day is lost, and nobody fails."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from fleet import samples
from preflight.fleet.entry import Entry, EntryReader
from preflight.fleet.store.interface import Store
from preflight.fleet.store.open import open_reader, open_store

DAYS, NODES, EACH = 3, 4, 24


def entries() -> list[Entry]:
    """Reports of three days, those of each time of day side by side, as late ones come."""
    read = EntryReader().read
    return [
        read(
            samples.report(
                f"n{node}", samples.START + day * samples.DAY_S + at * 60 + node, job=1 + at, gpus=1, checks=1
            )
        )
        for at in range(EACH)
        for day in range(DAYS)
        for node in range(NODES)
    ]


class Aside:
    """Runs ``function`` again and again beside the test until the block ends; what it raises fails the test."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._error: BaseException | None = None
        self.rounds = 0

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                self._function()
                self.rounds += 1
        except BaseException as error:
            self._error = error

    def __enter__(self) -> Aside:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._error is not None:
            raise self._error


def test_a_day_is_dropped_while_reports_come_and_are_asked_for(url: str) -> None:
    store, asked = open_store(url), open_reader(url)
    known = entries()
    first = known[0].day

    def look() -> None:
        for one in (store, asked):
            for day in one.days():
                list(one.frames(day))
            one.day_rows(range(first, first + DAYS), "SELECT node, job FROM {reports} WHERE node = ?", (1,))

    sent = 0
    with Aside(lambda: store.drop_day(first)) as dropping, Aside(look) as looking:
        while sent < len(known) or dropping.rounds < 3 or looking.rounds < 3:
            batch = known[sent : sent + 6]
            assert store.add(batch) == len(batch)
            sent += len(batch)
    store.drop_day(first)
    for one in (store, asked):
        assert first not in one.days()
        assert Counter(kept(one)) == Counter(it.raw for it in known if it.day != first)
    assert store.rows("SELECT sum(runs) FROM hours") == [(len(known),)]
    assert store.rows("SELECT sum(runs) FROM node_days") == [(len(known),)]
    late = [it for it in known if it.day == first][:5]
    assert store.add(late) == 5  # a day that comes late comes again
    assert [sorted(one.frames(first)) for one in (store, asked)] == [sorted(it.raw for it in late)] * 2
    asked.close()
    store.close()


def kept(store: Store) -> list[bytes]:
    return [raw for day in store.days() for raw in store.frames(day)]
