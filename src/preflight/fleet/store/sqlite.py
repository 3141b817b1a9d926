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
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from preflight.fleet.entry import Entry, EntryReader
from preflight.fleet.store import drains, interface, place
from preflight.fleet.store.frames import NONE, SAMPLES, train
from preflight.fleet.store.interface import Refused, StoreError
from preflight.fleet.store.schema import SQLITE_DAY, migrate_sqlite
from preflight.fleet.store.sqlite_reader import SqliteReader, connect, dictionaries, inode_of, named, unpacked
from preflight.fleet.store.steps import DRAINS_SINCE
from preflight.fleet.store.tables import derived, finding_rows, report_row
from preflight.fleet.store.version import VERSION, check_version

WRITING_DAYS = 40  # day files kept open by the writer: a month that comes late is written without opening them anew
WRITING_KIB = 512  # what each may keep in memory
LEARN_DAYS = 7  # a dictionary is made anew so often; in between a day takes over the one of the day before
_BESIDE = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a file
_REPORT = (
    "INSERT OR IGNORE INTO reports (seq, key, node, job, phase, started_ms, verdict, duration_ms, hash, dictionary,"
    " frame) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_FINDING = "INSERT INTO findings (seq, check_id, node, status, blame, subject) VALUES (?, ?, ?, ?, ?, ?)"
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
        self._writing: dict[int, _Day] = {}
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

    def _left_behind(self, main: sqlite3.Connection, day: int, file: _Day, last: int) -> list[Entry]:
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
            main.executemany(upsert.sql("?"), upsert.rows)
        drains.settle(_Ledger(self, main), entries)

    def _day_for_writing(self, day: int) -> _Day:
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
                    _make_day(path)
                its = self._writing[day] = _Day(connect(path, WRITING_KIB), inode_of(path))
        if its.frames.number == NONE:
            self._learn(day, its)
        return its

    def _learn(self, day: int, its: _Day) -> None:
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
                _unlink(self._file(day))
                _sweep(self._days)

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


def _make_day(path: str) -> None:
    """Make a day's file, which others see as soon as its tables are there; called by who has the store for writing."""
    new = f"{path}.new"
    _unlink(new)
    _sweep(os.path.dirname(path))  # the log of a file that is gone would be taken for this one's
    connection = connect(new)
    connection.executescript(SQLITE_DAY)
    connection.close()
    os.rename(new, path)
    if os.name != "posix":
        return  # no directory can be opened there
    directory = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _sweep(directory: str) -> None:
    """Remove the logs of days' files that are gone: their remover was killed, or was an admin's rm."""
    names = set(os.listdir(directory))
    for name in names:
        file, mark, end = name.rpartition("-")
        if file.endswith((".db", ".db.new")) and f"{mark}{end}" in _BESIDE and file not in names:
            _unlink(f"{directory}/{name}")


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


class _Day:
    """A day's file as it is written to, and how its reports are packed; ``inode``: which file it is."""

    def __init__(self, connection: sqlite3.Connection, inode: int | None) -> None:
        self.connection, self.inode = connection, inode
        connection.executescript(SQLITE_DAY)
        connection.execute("PRAGMA synchronous=FULL")
        self.frames = dictionaries(connection)

    def learn(self, number: int, content: bytes) -> None:
        """Keep a dictionary in the file; what comes is packed with it."""
        self.connection.execute("INSERT OR IGNORE INTO dictionaries (number, content) VALUES (?, ?)", (number, content))
        self.frames.learn(number, content)

    def add(self, entries: Sequence[Entry], last: int) -> list[tuple[int, Entry]]:
        """Keep reports behind number ``last`` and return the new ones with theirs; they are on the disk then."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            self.connection.executemany(
                _REPORT, [(last + 1 + at, *report_row(one, self.frames)) for at, one in enumerate(entries)]
            )
            kept = self.connection.execute("SELECT seq FROM reports WHERE seq > ? ORDER BY seq", (last,)).fetchall()
            new = [(seq, entries[seq - last - 1]) for (seq,) in kept]
            self.connection.executemany(_FINDING, [(seq, *row) for seq, one in new for row in finding_rows(one)])
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise
        return new


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
