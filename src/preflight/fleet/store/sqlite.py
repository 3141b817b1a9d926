"""The store on SQLite: one file for what is derived, and beside it a file a day for the reports themselves.

    PATH                      nodes, checks, profiles, rollups, latest, jobs, actions, tokens, quarantine
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
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from preflight.fleet.entry import Entry, EntryReader
from preflight.fleet.store.frames import NONE, SAMPLES, Frames, train
from preflight.fleet.store.interface import Refused, StoreError
from preflight.fleet.store.schema import SQLITE_DAY, migrate_sqlite
from preflight.fleet.store.tables import derived, finding_rows, report_row

BUSY_S = 30.0
WRITING_DAYS = 8  # day files kept open by the writer
OPEN_DAYS = 40  # day files kept open by a reader
QUARANTINE = 10_000  # lines kept
HEAD_BYTES = 2048
DAY_TABLES = {"reports": "reports", "findings": "findings"}
_REPORT = (
    "INSERT OR IGNORE INTO reports (seq, key, node, job, phase, started_ms, verdict, duration_ms, hash, dictionary,"
    " frame) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_FINDING = "INSERT INTO findings (seq, check_id, node, status, blame, subject) VALUES (?, ?, ?, ?, ?, ?)"


class SqliteStore:
    """A store on SQLite; for several threads at once. One thread writes at a time, readers do not wait for it."""

    def __init__(self, path: str) -> None:
        """Open the store at ``path``, made where it is missing; raises StoreError."""
        self._path = path
        self._days = Path(f"{path}-days")
        self._lock = threading.RLock()
        self._reader = EntryReader()
        self._writing: dict[int, _Day] = {}
        self._local = threading.local()
        with _named(path):
            self._days.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._main = _connect(path)
            migrate_sqlite(self._main)
            self._main.execute("PRAGMA synchronous=NORMAL")

    def add(self, entries: Sequence[Entry]) -> int:
        """Keep reports and return how many were new; they are on the disk when this returns. Raises StoreError."""
        by_day: dict[int, list[Entry]] = {}
        for entry in entries:
            by_day.setdefault(entry.day, []).append(entry)
        new: list[Entry] = []
        with self._writer() as main:
            for day, its in sorted(by_day.items()):
                new += self._add_day(main, day, its)
            _derive(main, new)
        return len(new)

    def _add_day(self, main: sqlite3.Connection, day: int, entries: list[Entry]) -> list[Entry]:
        its = self._day_for_writing(day)
        last = self._catch_up(main, day, its)
        its.connection.execute("BEGIN IMMEDIATE")
        try:
            its.connection.executemany(
                _REPORT, [(last + 1 + at, *report_row(one, its.frames)) for at, one in enumerate(entries)]
            )
            kept = its.connection.execute("SELECT seq FROM reports WHERE seq > ? ORDER BY seq", (last,))
            new = [(seq, entries[seq - last - 1]) for (seq,) in kept.fetchall()]
            its.connection.executemany(_FINDING, [(seq, *row) for seq, one in new for row in finding_rows(one)])
            its.connection.execute("COMMIT")
        except BaseException:
            if its.connection.in_transaction:
                its.connection.execute("ROLLBACK")
            raise
        if new:
            _mark(main, day, new[-1][0])
        return [entry for _, entry in new]

    def _catch_up(self, main: sqlite3.Connection, day: int, its: _Day) -> int:
        """Derive what a writer that was ended in between has kept and not derived; return the last report's number."""
        (last,) = its.connection.execute("SELECT coalesce(max(seq), 0) FROM reports").fetchone()
        (done,) = main.execute("SELECT coalesce(max(seq), 0) FROM days WHERE day = ?", (day,)).fetchone()
        if done < last:
            raws = its.unpacked("WHERE seq > ? ORDER BY seq", (done,))
            _derive(main, [self._reader.read(raw) for raw in raws])
            _mark(main, day, int(last))
        return int(last)

    def _day_for_writing(self, day: int) -> _Day:
        """Return the day's file, made where it is missing, with a dictionary where there are reports for one."""
        its = self._writing.get(day)
        if its is None:
            while len(self._writing) >= WRITING_DAYS:
                self._writing.pop(next(iter(self._writing))).connection.close()
            connection = _connect(str(self._file(day)))
            connection.executescript(SQLITE_DAY)
            connection.execute("PRAGMA synchronous=FULL")
            its = self._writing[day] = _Day(connection)
        if its.frames.number == NONE:
            for earlier in (day, day - 1, day - 2):
                source = self._reading(earlier)
                if source is None:
                    continue
                if its.learn(list(_Day(source).unpacked("ORDER BY seq DESC LIMIT ?", (SAMPLES,)))):
                    break
        return its

    def refuse(self, refused: Sequence[Refused]) -> None:
        """Keep a line for each text that was not taken; the oldest past QUARANTINE go."""
        rows = [(one.at_ms, one.sender, one.reason, one.size, one.head[:HEAD_BYTES]) for one in refused]
        with self._writer() as main:
            main.executemany("INSERT INTO quarantine (at_ms, sender, reason, size, head) VALUES (?, ?, ?, ?, ?)", rows)
            main.execute("DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?", (QUARANTINE,))

    def rows(self, sql: str, args: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a statement on the derived tables. Raises StoreError."""
        with _named(self._path):
            return self._reading_main().execute(sql, args).fetchall()

    def write(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run a statement for each of ``rows``, all or none; returns the rows changed. Raises StoreError."""
        with self._writer() as main:
            return main.executemany(sql, rows).rowcount

    def day_rows(self, days: Iterable[int], sql: str, args: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a statement on ``reports`` or ``findings`` of each of ``days`` that is kept."""
        found: list[tuple[Any, ...]] = []
        for day in days:
            connection = self._reading(day)
            if connection is not None:
                with _named(str(self._file(day))):
                    found += connection.execute(sql.format(**DAY_TABLES), args).fetchall()
        return found

    def days(self) -> list[int]:
        """Return the days (since the epoch) that are kept, ascending."""
        with _named(str(self._days)):
            return sorted(_day_of(name.stem) for name in self._days.glob("????-??-??.db"))

    def raw(self, day: int, key: bytes) -> bytes | None:
        """Return the report of ``day`` under ``key`` byte for byte, None where it is not kept."""
        return next(iter(self.frames(day, "WHERE key = ?", (key,))), None)

    def frames(self, day: int, where: str = "", args: Sequence[Any] = ()) -> Iterable[bytes]:
        """Yield the reports of ``day`` byte for byte, in the order in which they came."""
        connection = self._reading(day)
        if connection is None:
            return []
        with _named(str(self._file(day))):
            return list(_Day(connection).unpacked(f"{where} ORDER BY seq", args))

    def drop_day(self, day: int) -> None:
        """Forget the reports of ``day``; what was derived from them stays."""
        with self._writer() as main:
            if (writing := self._writing.pop(day, None)) is not None:
                writing.connection.close()
            main.execute("DELETE FROM days WHERE day = ?", (day,))
            with _named(str(self._days)):
                for end in ("", "-wal", "-shm"):
                    Path(f"{self._file(day)}{end}").unlink(missing_ok=True)

    def close(self) -> None:
        """Close what this thread and the writer hold open."""
        with self._lock:
            for its in self._writing.values():
                its.connection.close()
            for connection in getattr(self._local, "days", {}).values():
                connection.close()
            self._writing.clear()
            self._local = threading.local()
            self._main.close()

    @contextmanager
    def _writer(self) -> Iterator[sqlite3.Connection]:
        """The derived tables, locked for writing: committed where the block ends, rolled back where it fails."""
        with self._lock, _named(self._path):
            self._main.execute("BEGIN IMMEDIATE")
            try:
                yield self._main
                self._main.execute("COMMIT")
            except BaseException:
                if self._main.in_transaction:
                    self._main.execute("ROLLBACK")
                raise

    def _reading_main(self) -> sqlite3.Connection:
        connection = getattr(self._local, "main", None)
        if connection is None:
            connection = self._local.main = _connect(self._path)
            connection.execute("PRAGMA query_only=ON")
        return connection

    def _reading(self, day: int) -> sqlite3.Connection | None:
        """Return this thread's connection to a day's file, None where that day is not kept."""
        known: dict[int, sqlite3.Connection] = self._local.__dict__.setdefault("days", {})
        path = self._file(day)
        if not path.exists():
            if day in known:
                known.pop(day).close()
            return None
        if day not in known:
            while len(known) >= OPEN_DAYS:
                known.pop(next(iter(known))).close()
            with _named(str(path)):
                known[day] = _connect(str(path))
        return known[day]

    def _file(self, day: int) -> Path:
        return self._days / f"{datetime.fromtimestamp(day * 86400, timezone.utc).date().isoformat()}.db"


class _Day:
    """A day's file, and how its reports are packed."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.frames = Frames()
        for number_, content in connection.execute("SELECT number, content FROM dictionaries ORDER BY rowid"):
            self.frames.learn(number_, content)

    def learn(self, samples: list[bytes]) -> bool:
        """Make a dictionary from ``samples`` and keep it in the file; return whether there are enough of them."""
        made = train(samples)
        if made is not None:
            self.connection.execute("INSERT INTO dictionaries (number, content) VALUES (?, ?)", made)
            self.frames.learn(*made)
        return made is not None

    def unpacked(self, end: str, args: Sequence[Any]) -> Iterator[bytes]:
        for number_, frame in self.connection.execute(f"SELECT dictionary, frame FROM reports {end}", args):
            yield self.frames.unpack(number_, frame)


def _derive(main: sqlite3.Connection, entries: list[Entry]) -> None:
    for upsert in derived(entries):
        main.executemany(upsert.sql("?"), upsert.rows)


def _mark(main: sqlite3.Connection, day: int, seq: int) -> None:
    main.execute(
        "INSERT INTO days (day, seq) VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET seq = excluded.seq", (day, seq)
    )


def _connect(path: str) -> sqlite3.Connection:
    old = os.umask(0o077)  # reports name users and jobs
    try:
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        os.umask(old)
    connection.execute("PRAGMA cache_size=-2048")  # KiB, for each of a thread's connections
    return connection


@contextmanager
def _named(path: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error
    except OSError as error:
        raise StoreError(f"{error.filename or path}: {error.strerror}") from error


def _day_of(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()) // 86400
