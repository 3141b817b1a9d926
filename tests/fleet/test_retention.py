"""Days are dropped while reports come and questions are asked: nothing of another day is lost, and nobody fails."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from fleet import samples
from preflight.fleet.entry import Entry, EntryReader
from preflight.fleet.store.interface import Store, StoreError
from preflight.fleet.store.open import open_reader, open_store
from preflight.fleet.store.sqlite import SqliteStore
from preflight.fleet.web import app

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


@pytest.mark.parametrize("batches", [1, 40], ids=["within the log", "beyond a checkpoint"])
def test_the_log_of_a_day_that_is_gone_is_nobodys(tmp_path: Path, batches: int) -> None:
    """A kill while a day is dropped, or an admin's rm, leaves a log: SQLite would take it for the next file's."""
    path = tmp_path / "fleet.db"
    before, read = SqliteStore(str(path)), EntryReader().read
    size = 150 if batches > 1 else 30
    day = read(samples.report()).day
    for batch in range(batches):
        raws = [samples.report(f"n{at}", samples.START + at, job=batch * size + at + 1) for at in range(size)]
        assert before.add([read(raw) for raw in raws]) == size
        assert before.day_rows((day,), "SELECT count(*) FROM {reports}") == [
            ((batch + 1) * size,)
        ]  # a page has it open
    days = Path(f"{path}-days")
    (file,) = days.glob("*.db")
    log = Path(f"{file}-wal")
    assert (log.stat().st_size > 4 << 20) == (
        batches > 1
    )  # of more than the 1,000 pages after which it is written back
    file.unlink()
    other = days / "2026-01-05.db-wal"
    other.write_bytes(log.read_bytes())
    store = SqliteStore(str(path))  # of the collector that is started next
    late = read(samples.report("late", samples.START + 5000, job=999_999))
    today = read(samples.report("n1", samples.START + 2 * samples.DAY_S))
    assert store.add([late, today]) == 2
    assert store.day_rows((day,), "SELECT job FROM {reports}") == [(999_999,)]
    assert not other.exists()
    log = Path(f"{days}/2026-01-06.db-shm")
    log.touch()
    store.drop_day(day)
    assert not log.exists()
    assert list(store.frames(today.day)) == [today.raw]
    for one in (store, before):
        one.close()


def test_of_a_day_that_came_anew_what_was_left_behind_is_derived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number up to which the file that is gone was derived says nothing of this one."""
    store, read = SqliteStore(f"{tmp_path}/fleet.db"), EntryReader().read
    known = [read(samples.report("n1", samples.START + at, job=at + 1)) for at in range(6)]
    store.add(known[:4])
    for file in Path(f"{tmp_path}/fleet.db-days").iterdir():
        file.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(SqliteStore, "_derive", lambda *_: 1 // 0)  # the collector is killed there
        with pytest.raises(ZeroDivisionError):
            store.add(known[4:5])
    store.add(known[5:])
    assert store.rows("SELECT sum(runs) FROM hours") == [(6,)]
    store.close()


def test_days_are_forgotten_whatever_else_fails(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise StoreError("deadlock")

    monkeypatch.setattr(app, "supersede", fails)
    monkeypatch.setattr(app.events, "bound", fails)
    store.add([EntryReader().read(samples.report("n1", time.time() - 30 * samples.DAY_S))])
    with TestClient(app.make_app(store, keep_days=7)):
        while store.days() or caplog.text.count("deadlock") < 2:
            time.sleep(0.01)
