"""Asking a store on SQLite: its files, and what is read of them. What writes stands in sqlite.py."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone

from preflight.fleet.store.interface import StoreError
from preflight.fleet.store.version import check_version

TYPE_CHECKING = False  # as typing's
if TYPE_CHECKING:
    from typing import Any

    from preflight.fleet.store.frames import Frames

BUSY_S = 30.0
OPEN_DAYS = 40  # day files kept open by a reader
CACHE_KIB = 2048  # for each of a thread's connections
DAY_TABLES = {"reports": "reports", "findings": "findings"}


class SqliteReader:
    """A store on SQLite that is asked; for several threads at once. Readers wait for nobody."""

    def __init__(self, path: str) -> None:
        """Open the store at ``path``; raises StoreError, also for one of another version."""
        self._path = path
        self._days = f"{path}-days"
        self._local = threading.local()
        self._watching: sqlite3.Connection | None = None
        self._watch_lock = threading.Lock()

    def check(self) -> None:
        """Raise StoreError where the store is not of this version."""
        (version,) = self.rows("PRAGMA user_version")[0]
        check_version(version, upgrade=False)

    def rows(self, sql: str, args: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a statement on the derived tables. Raises StoreError."""
        with named(self._path):
            return self._reading_main().execute(sql, args).fetchall()

    def day_rows(self, days: Iterable[int], sql: str, args: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a statement on ``reports`` or ``findings`` of each of ``days`` that is kept."""
        found: list[tuple[Any, ...]] = []
        for day in days:
            connection = self._reading(day)
            if connection is not None:
                with named(self._file(day)):
                    found += connection.execute(sql.format(**DAY_TABLES), args).fetchall()
        return found

    def revision(self) -> object:
        """Return a value that is another one after each change to the derived tables, by whomever. Raises StoreError.

        SQLite's data_version counts what other connections than the asking one commit: so one that never writes is
        kept for this alone (https://www.sqlite.org/pragma.html#pragma_data_version).
        """
        with self._watch_lock, named(self._path):
            if self._watching is None:
                self._watching = _existing(self._path)
            return self._watching.execute("PRAGMA data_version").fetchone()[0]

    def days(self) -> list[int]:
        """Return the days (since the epoch) that are kept, ascending."""
        with named(self._days):
            names = [name for name in os.listdir(self._days) if name.endswith(".db") and not name.startswith(".")]
        return sorted(_day_of(name.removesuffix(".db")) for name in names)

    def raw(self, day: int, key: bytes) -> bytes | None:
        """Return the report of ``day`` under ``key`` byte for byte, None where it is not kept."""
        return next(iter(self.frames(day, "WHERE key = ?", (key,))), None)

    def frames(self, day: int, where: str = "", args: Sequence[Any] = (), limit: int | None = None) -> Iterable[bytes]:
        """Yield the reports of ``day`` byte for byte, in the order in which they came, at most ``limit``."""
        connection = self._reading(day)
        if connection is None:
            return []
        with named(self._file(day)):
            end = "" if limit is None else f" LIMIT {limit}"
            return list(unpacked(connection, dictionaries(connection), f"{where} ORDER BY seq{end}", args))

    def close(self) -> None:
        """Close what this thread holds open, and what all share."""
        with self._watch_lock:
            if self._watching is not None:
                self._watching.close()
                self._watching = None
        for _, connection in getattr(self._local, "days", {}).values():
            connection.close()
        if (main := getattr(self._local, "main", None)) is not None:
            main.close()
        self._local = threading.local()

    def _reading_main(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "main", None)
        if connection is None:
            connection = self._local.main = _existing(self._path)
            connection.execute("PRAGMA query_only=ON")
        return connection

    def _reading(self, day: int) -> sqlite3.Connection | None:
        """Return this thread's connection to a day's file, None where that day is not kept."""
        known: dict[int, tuple[int, sqlite3.Connection]] = self._local.__dict__.setdefault("days", {})
        path = self._file(day)
        inode = inode_of(path)
        if day in known and known[day][0] != inode:  # it was dropped, and may have come again
            known.pop(day)[1].close()
        if inode is None:
            return None
        if day not in known:
            while len(known) >= OPEN_DAYS:
                known.pop(next(iter(known)))[1].close()
            with named(path):
                try:
                    known[day] = (inode, _existing(path))
                except sqlite3.OperationalError:
                    if inode_of(path) is None:  # dropped since
                        return None
                    raise
        return known[day][1]

    def _file(self, day: int) -> str:
        return f"{self._days}/{datetime.fromtimestamp(day * 86400, timezone.utc).date().isoformat()}.db"


def connect(path: str, cache_kib: int = CACHE_KIB) -> sqlite3.Connection:
    """Return a connection to a file of the store, made where it is missing and read by root alone."""
    # Reports name users and jobs. SQLite gives its log the mode of its file. One that is there is not opened here:
    # closing it would end the locks that other threads hold on it.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    return _existing(path, cache_kib)


def _existing(path: str, cache_kib: int = CACHE_KIB) -> sqlite3.Connection:
    """Return a connection to a file of the store that is there: one that was dropped meanwhile is not made anew."""
    quoted = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    authority = "//" if path.startswith("/") else ""
    url = f"file:{authority}{quoted}?mode=rw"
    connection = sqlite3.connect(url, timeout=BUSY_S, isolation_level=None, check_same_thread=False, uri=True)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA cache_size=-{cache_kib}")
    return connection


def inode_of(path: str) -> int | None:
    """Return which file is at ``path``, None where none is. As long as one is open its number is not given again."""
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return None


@contextmanager
def named(path: str) -> Iterator[None]:
    """Turn what a database or file system says into one line that names the file."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error
    except OSError as error:
        raise StoreError(f"{error.filename or path}: {error.strerror}") from error


def dictionaries(connection: sqlite3.Connection) -> Frames:
    """Return how the reports of a day's file are packed."""
    from preflight.fleet.store.frames import Frames

    frames = Frames()
    for number, content in connection.execute("SELECT number, content FROM dictionaries ORDER BY rowid"):
        frames.learn(number, content)
    return frames


def unpacked(connection: sqlite3.Connection, frames: Frames, end: str, args: Sequence[Any]) -> Iterator[bytes]:
    """Yield the reports of a day's file byte for byte; ``end``: the statement's end."""
    for number, frame in connection.execute(f"SELECT dictionary, frame FROM reports {end}", args):
        yield frames.unpack(number, frame)


def _day_of(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()) // 86400
