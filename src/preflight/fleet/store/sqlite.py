"""The store on SQLite: one file for what is derived, and beside it a file a day for the reports themselves.

    PATH                      nodes, checks, profiles, rollups, latest, jobs, actions, drains, tokens, quarantine
    PATH-days/2026-11-29.db   reports and findings of that day, and the dictionary they are packed with

A day's file is written first and flushed to the disk; only then are the derived tables written, with the number of the
day's last report that they hold. Whatever happens in between, the next writer finds reports past that number and
derives them: nothing is counted twice or lost. SQLite's write lock keeps writers, also of other processes, apart.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from preflight.fleet.entry import Entry, EntryReader
from preflight.fleet.store import drains, interface, place
from preflight.fleet.store.frames import NONE, SAMPLES, train
from preflight.fleet.store.insert import insert
from preflight.fleet.store.interface import Refused, StoreError
from preflight.fleet.store.schema import migrate_sqlite
from preflight.fleet.store.sqlite_day import LOG_PAGES, Day, make_day, sweep, unlink
from preflight.fleet.store.sqlite_reader import SqliteReader, connect, dictionaries, inode_of, named, unpacked
from preflight.fleet.store.steps import DRAINS_SINCE
from preflight.fleet.store.tables import derived
from preflight.fleet.store.version import VERSION, check_version

WRITING_DAYS = 40  # day files kept open by the writer: a month that comes late is written without opening them anew
WRITING_KIB = 512  # what each may keep in memory
LEARN_DAYS = 7  # a dictionary is made anew so often; in between a day takes over the one of the day before
_MARK = "INSERT INTO days (day, seq) VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET seq = excluded.seq"


class SqliteStore(SqliteReader):
    """A store on SQLite; for several threads at once. One thread writes at a time, readers do not wait for it."""

    def __init__(self, path: str, alone: bool = False) -> None:
        """Open the store at ``path``, made where it is missing and brought to this version; raises StoreError.

        ``alone``: this process has claimed it (`place.claim`). Else a collector of an earlier version that has it, and
        would go on writing as it knows, keeps it from being brought forward.
        """
        super().__init__(path)
        self._lock = threading.RLock()
        self._reader = EntryReader()
        self._writing: dict[int, Day] = {}
        with named(path):
            os.makedirs(self._days, mode=0o700, exist_ok=True)
            self._main = connect(path)
        with self._writer(opening=True) as main:
            (version,) = main.execute("PRAGMA user_version").fetchone()
            with _claimed(path) if 0 < version < VERSION and not alone else nullcontext():
                if 0 < migrate_sqlite(main) < DRAINS_SINCE:
                    drains.reckon_all(_Ledger(self, main))
        with named(path):
            self._main.execute("PRAGMA synchronous=NORMAL")
            self._main.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")

    def pack(self, entry: Entry) -> Entry:
        """Return a report packed, so that `add` has less to do; from any thread, it waits for nothing."""
        its = self._writing.get(entry.day)
        if its is None or its.frames.number == NONE:
            return entry  # the writer opens the day, and finds a dictionary for it
        return entry._replace(frame=its.frames.pack(entry.raw))

    def add(self, entries: Sequence[Entry]) -> int:
        """Keep reports and return how many were new; they are on the disk when this returns. Raises StoreError."""
        by_day: dict[int, list[Entry]] = {}
        for entry in entries:
            by_day.setdefault(entry.day, []).append(entry)
        new: list[Entry] = []
        found: list[Entry] = []
        marks: list[tuple[int, int]] = []
        with self._writer() as main:
            for day, its in sorted(by_day.items()):
                file = self._day_for_writing(day)
                (last,) = file.connection.execute("SELECT coalesce(max(seq), 0) FROM reports").fetchone()
                found += self._left_behind(main, day, file, last)
                with named(self._file(day)):
                    fresh = file.add(its, last)
                new += [entry for _, entry in fresh]
                marks.append((day, fresh[-1][0] if fresh else last))
            self._derive(main, found + new)
            main.executemany(_MARK, marks)
        return len(new)

    def _left_behind(self, main: sqlite3.Connection, day: int, file: Day, last: int) -> list[Entry]:
        """Return the reports up to number ``last`` that a writer has kept and not derived before it was ended."""
        (done,) = main.execute("SELECT coalesce(max(seq), 0) FROM days WHERE day = ?", (day,)).fetchone()
        if done == last:
            return []
        if done > last:  # of a file that is gone
            done = 0
        raws = unpacked(file.connection, dictionaries(file.connection), "WHERE seq > ? ORDER BY seq", (done,))
        return [self._reader.read(raw) for raw in raws]

    def _derive(self, main: sqlite3.Connection, entries: list[Entry]) -> None:
        for upsert in derived(entries):
            insert(main, upsert.head, upsert.rows, upsert.end)
        drains.settle(_Ledger(self, main), entries)

    def _day_for_writing(self, day: int) -> Day:
        """Return the day's file, made where it is missing, with a dictionary where there are reports for one."""
        path, its = self._file(day), self._writing.get(day)
        if its is not None and its.inode != inode_of(path):  # another process dropped it
            self._writing.pop(day).connection.close()
            its = None
        if its is None:
            while len(self._writing) >= WRITING_DAYS:
                self._writing.pop(next(iter(self._writing))).connection.close()
            with named(path):
                if inode_of(path) is None:
                    make_day(path)
                its = self._writing[day] = Day(connect(path, WRITING_KIB), inode_of(path))
        if its.frames.number == NONE:
            self._learn(day, its)
        return its

    def _learn(self, day: int, its: Day) -> None:
        """Give a day's file a dictionary: the week's, else one made from reports nearby, else an older one."""
        older: tuple[int, bytes] | None = None
        for near in (day, day - 1, day + 1, day - 2):
            source = self._reading(near)
            if source is None:
                continue
            known = dictionaries(source)
            made: tuple[int, bytes] | None = (known.number, known.content)
            if known.number == NONE or day // LEARN_DAYS != near // LEARN_DAYS:
                made = train(list(unpacked(source, known, "ORDER BY seq DESC LIMIT ?", (SAMPLES,))))
            if made is not None:
                its.learn(*made)
                return
            if known.number != NONE and older is None:
                older = (known.number, known.content)
        if older is not None:
            its.learn(*older)

    def refuse(self, refused: Sequence[Refused]) -> None:
        """Keep a line for each text that was not taken; the oldest past QUARANTINE go."""
        with self._writer() as main:
            main.executemany(
                "INSERT INTO quarantine (at_ms, sender, reason, size, head) VALUES (?, ?, ?, ?, ?)",
                [one.row() for one in refused],
            )
            main.execute(
                "DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?", (interface.QUARANTINE,)
            )

    def write(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run a statement for each of ``rows``, all or none; returns the rows changed. Raises StoreError."""
        with self._writer() as main:
            return main.executemany(sql, rows).rowcount

    def resumed(self, seen: Sequence[tuple[int, int, int]]) -> None:
        """End drains of nodes that Slurm gives jobs again, as `drains.resumed` has them. Raises StoreError."""
        with self._writer() as main:
            drains.resumed(_Ledger(self, main), seen)

    def drop_day(self, day: int) -> None:
        """Forget the reports of ``day``; what was derived from them stays."""
        with self._writer() as main:
            if (writing := self._writing.pop(day, None)) is not None:
                writing.connection.close()
            main.execute("DELETE FROM days WHERE day = ?", (day,))
            with named(self._days):
                unlink(self._file(day))
                sweep(self._days)

    def close(self) -> None:
        """Close what this thread and the writer hold open."""
        with self._lock:
            for its in self._writing.values():
                its.connection.close()
            self._writing.clear()
            super().close()
            self._main.close()

    @contextmanager
    def _writer(self, opening: bool = False) -> Iterator[sqlite3.Connection]:
        """The derived tables, locked for writing: committed where the block ends, rolled back where it fails.

        Raises StoreError where the store has become one of a later version since its ``opening``.
        """
        with self._lock, named(self._path):
            self._main.execute("BEGIN IMMEDIATE")
            try:
                if not opening:
                    check_version(self._main.execute("PRAGMA user_version").fetchone()[0])
                yield self._main
                self._main.execute("COMMIT")
            except BaseException:
                if self._main.in_transaction:
                    self._main.execute("ROLLBACK")
                raise


@contextmanager
def _claimed(path: str) -> Iterator[None]:
    """The store is this process's for the block; raises StoreError where a collector has it."""
    try:
        lock = place.claim(f"sqlite:///{path}")
    except StoreError as error:
        raise StoreError(f"the store is of an earlier schema, start the collector anew first: {error}") from None
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


class _Ledger:
    """The derived tables within the transaction that writes a batch; the days' files hold it already."""

    def __init__(self, store: SqliteStore, main: sqlite3.Connection) -> None:
        self._store, self._main = store, main

    def fetch(self, sql: str, args: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self._main.execute(sql, args).fetchall()

    def run(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._main.executemany(sql, rows)

    def prolog(self, day: int, node: int, after_ms: int) -> int | None:
        sql = "SELECT min(started_ms) FROM {reports} WHERE node = ? AND started_ms > ? AND phase = ?"
        rows = self._store.day_rows((day,), sql, (node, after_ms, drains.PROLOG))
        return rows[0][0] if rows else None
