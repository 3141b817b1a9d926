"""A day's file of a store on SQLite as it is written to: reports, findings, and how the reports are packed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from preflight.fleet.entry import Entry
from preflight.fleet.store.insert import insert
from preflight.fleet.store.schema import SQLITE_DAY
from preflight.fleet.store.sqlite_reader import connect, dictionaries
from preflight.fleet.store.tables import finding_rows, report_row

LOG_PAGES = 4000  # 16 MiB of log before its pages go to their file: most are written again by the next batches
_BESIDE = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a file
_REPORT = (
    "INSERT OR IGNORE INTO reports (seq, key, node, job, phase, started_ms, verdict, duration_ms, hash, dictionary,"
    " frame)"
)
_FINDING = "INSERT INTO findings (seq, check_id, node, status, blame, subject)"


class Day:
    """A day's file as it is written to, and how its reports are packed; ``inode``: which file it is."""

    def __init__(self, connection: sqlite3.Connection, inode: int | None) -> None:
        self.connection, self.inode = connection, inode
        connection.executescript(SQLITE_DAY)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
        self.frames = dictionaries(connection)

    def learn(self, number: int, content: bytes) -> None:
        """Keep a dictionary in the file; what comes is packed with it."""
        self.connection.execute("INSERT OR IGNORE INTO dictionaries (number, content) VALUES (?, ?)", (number, content))
        self.frames.learn(number, content)

    def add(self, entries: Sequence[Entry], last: int) -> list[tuple[int, Entry]]:
        """Keep reports behind number ``last`` and return the new ones with theirs; they are on the disk then."""
        rows = [(last + 1 + at, *report_row(one, self.frames)) for at, one in enumerate(entries)]
        with self._transaction():
            insert(self.connection, _REPORT, rows)
            kept = self.connection.execute("SELECT seq FROM reports WHERE seq > ? ORDER BY seq", (last,)).fetchall()
            new = [(seq, entries[seq - last - 1]) for (seq,) in kept]
            insert(self.connection, _FINDING, [(seq, *row) for seq, one in new for row in finding_rows(one)])
        return new

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise


def make_day(path: str) -> None:
    """Make a day's file, which others see as soon as its tables are there; called by who has the store for writing."""
    new = f"{path}.new"
    unlink(new)
    sweep(os.path.dirname(path))  # the log of a file that is gone would be taken for this one's
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


def sweep(directory: str) -> None:
    """Remove the logs of days' files that are gone: their remover was killed, or was an admin's rm."""
    names = set(os.listdir(directory))
    for name in names:
        file, mark, end = name.rpartition("-")
        if file.endswith((".db", ".db.new")) and f"{mark}{end}" in _BESIDE and file not in names:
            unlink(f"{directory}/{name}")


def unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
