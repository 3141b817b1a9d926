"""The store on PostgreSQL: for several collectors side by side, and for failover.

The tables are those of SQLite; reports and findings are partitioned by day, so that forgetting a day drops a table. A
batch is one transaction: the reports that are new (their key decides) and all that is derived from them, or nothing.
Rows are written in the order of their keys, so two collectors wait for each other and never deadlock.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

import psycopg

from preflight.fleet.entry import Entry
from preflight.fleet.store import drains, interface
from preflight.fleet.store.frames import LEAST_SAMPLES, NONE, SAMPLES, train
from preflight.fleet.store.interface import Refused, StoreError
from preflight.fleet.store.postgres_reader import AgainError, PostgresReader, marks, plain
from preflight.fleet.store.schema import POSTGRES_DAY, migrate_postgres
from preflight.fleet.store.steps import DRAINS_SINCE
from preflight.fleet.store.tables import derived, finding_rows, report_row
from preflight.fleet.store.version import check_version

TRIES = 3  # of a batch that met another collector or a server that was restarted
_COLUMNS = "key, node, job, phase, started_ms, verdict, duration_ms, hash, dictionary, frame"
_DICTIONARY = _COLUMNS.split(", ").index("dictionary")
_DICTIONARY_ROW = "INSERT INTO dictionaries (number, content) VALUES (%s, %s) ON CONFLICT DO NOTHING"
_LOCK = 0x70666C74  # advisory lock of this program: making tables


class PostgresStore(PostgresReader):
    """A store on PostgreSQL; for several threads at once, each with a connection of its own."""

    def __init__(self, url: str) -> None:
        """Open the store at ``url``, made where it is missing and brought to this version; raises StoreError."""
        super().__init__(url)
        self._learning = threading.Lock()
        self._made: set[int] = set()
        with self._connection() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            if 0 < migrate_postgres(connection) < DRAINS_SINCE:
                drains.reckon_all(_Ledger(connection))

    def pack(self, entry: Entry) -> Entry:
        """Return a report packed, so that `add` has less to do; from any thread, it waits for nothing."""
        if self._known is None or not self._known.number:
            return entry  # the writer finds a dictionary
        return entry._replace(frame=self._known.pack(entry.raw))

    def add(self, entries: Sequence[Entry]) -> int:
        """Keep reports and return how many were new; they are on the disk when this returns. Raises StoreError."""
        if not entries:
            return 0
        once = {entry.key: entry for entry in reversed(entries)}  # of one key the first
        batch = sorted(once.values(), key=lambda entry: entry.key)
        days = sorted({entry.day for entry in batch})
        for left in range(TRIES - 1, -1, -1):
            try:
                for day in days:
                    self._make_day(day)
                if not self._frames.number:
                    self._train(batch)
                with self._connection() as connection, connection.transaction():
                    if left < TRIES - 1:  # a day may have been dropped since: now it stays until the batch is there
                        for day in days:
                            _make(connection, day)
                    # Those who make or drop a day lock these two first, and so do we: nobody waits in a circle.
                    connection.execute("LOCK TABLE reports, findings IN ACCESS SHARE MODE")
                    for (version,) in connection.execute("SELECT version FROM schema_version"):
                        check_version(version)
                    return self._add(connection, batch)
            except AgainError as error:
                if not left:
                    raise StoreError(str(error)) from error
                time.sleep(random.uniform(0, 0.1))  # so that two that met do not meet again
        raise AssertionError("unreachable")

    def _add(self, connection: psycopg.Connection[Any], batch: list[Entry]) -> int:
        rows = {entry.key: report_row(entry, self._frames) for entry in batch}
        self._keep_dictionaries(connection, {row[_DICTIONARY] for row in rows.values()} - {NONE})
        fresh: list[Entry] = []
        for day in sorted({entry.day for entry in batch}):
            its = [entry for entry in batch if entry.day == day]
            connection.execute(f"CREATE TEMP TABLE incoming AS SELECT day, {_COLUMNS} FROM reports_{day} WITH NO DATA")
            with connection.cursor().copy(f"COPY incoming (day, {_COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(
                    ["int4", "bytea", "int8", "int8", "int4", "int8", "int4", "float8", "bytea", "int8", "bytea"]
                )
                for entry in its:
                    copy.write_row((day, *rows[entry.key]))
            taken = connection.execute(
                f"INSERT INTO reports_{day} (day, {_COLUMNS}) SELECT day, {_COLUMNS} FROM incoming ORDER BY key"
                " ON CONFLICT (key) DO NOTHING RETURNING key, seq"
            ).fetchall()
            connection.execute("DROP TABLE incoming")
            seqs = {bytes(key): seq for key, seq in taken}
            new = [entry for entry in its if entry.key in seqs]
            with connection.cursor().copy(
                f"COPY findings_{day} (day, seq, check_id, node, status, blame, subject) FROM STDIN"
            ) as copy:
                for entry in new:
                    for row in finding_rows(entry):
                        copy.write_row((day, seqs[entry.key], *row))
            fresh += new
        with connection.cursor() as cursor:
            for upsert in derived(fresh):
                cursor.executemany(upsert.sql("%s"), upsert.rows)
        drains.settle(_Ledger(connection), fresh)
        return len(fresh)

    def _keep_dictionaries(self, connection: psycopg.Connection[Any], used: set[int]) -> None:
        """Keep the dictionaries that reports are packed with, within the transaction that keeps the reports.

        The database may be a copy from before one was made, restored or failed over to.
        """
        sql = "SELECT number FROM dictionaries WHERE number = ANY(%s)"
        there = {number for (number,) in connection.execute(sql, (list(used),))}
        for number in sorted(used - there):
            connection.execute(_DICTIONARY_ROW, (number, self._frames.content_of(number)))

    def _make_day(self, day: int) -> None:
        if day in self._made:
            return
        with self._connection() as connection, connection.transaction():
            _make(connection, day)
        self._made.add(day)

    def _train(self, batch: list[Entry]) -> None:
        """Make the store's dictionary as soon as there are reports to make it from."""
        with self._learning:
            samples = [bytes(entry.raw) for entry in batch[:SAMPLES]]
            if len(samples) < LEAST_SAMPLES:
                for day in reversed(self.days()[-2:]):
                    samples += self.frames(day, limit=SAMPLES)
            made = train(samples[:SAMPLES])
            if made is None:
                return
            with self._connection() as connection:
                connection.execute(_DICTIONARY_ROW, made)
            self._learn()

    def refuse(self, refused: Sequence[Refused]) -> None:
        """Keep a line for each text that was not taken; the oldest past QUARANTINE go."""
        with self._connection() as connection, connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO quarantine (at_ms, sender, reason, size, head) VALUES (%s, %s, %s, %s, %s)",
                [one.row() for one in refused],
            )
            cursor.execute(
                "DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - %s", (interface.QUARANTINE,)
            )

    def write(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run a statement for each of ``rows``, all or none; returns the rows changed. Raises StoreError."""
        with self._connection() as connection, connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(marks(sql), list(rows))
            return cursor.rowcount

    def resumed(self, seen: Sequence[tuple[int, int, int]]) -> None:
        """End drains of nodes that Slurm gives jobs again, as `drains.resumed` has them. Raises StoreError."""
        with self._connection() as connection, connection.transaction():
            drains.resumed(_Ledger(connection), seen)

    def drop_day(self, day: int) -> None:
        """Forget the reports of ``day``; what was derived from them stays."""
        with self._connection() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            connection.execute("LOCK TABLE reports, findings IN ACCESS EXCLUSIVE MODE")
            connection.execute(f"DROP TABLE IF EXISTS reports_{day}, findings_{day}")
        self._made.discard(day)

    def _changed(self) -> None:
        self._made.clear()


def _make(connection: psycopg.Connection[Any], day: int) -> None:
    """Make a day's tables where they are missing; until the transaction ends nobody drops them."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    # Making what is there already would lock the day's tables all the same, against those that write to them.
    if connection.execute("SELECT to_regclass(%s)", (f"findings_{day}_check",)).fetchone() == (None,):
        connection.execute("LOCK TABLE reports, findings IN ACCESS EXCLUSIVE MODE")
        for statement in POSTGRES_DAY:
            connection.execute(statement.format(day=day, next=day + 1))


class _Ledger:
    """The tables within the transaction that writes a batch.

    The rows of `latest` of a batch's nodes are locked when its drains are reckoned: of two collectors that have reports
    of one node the second sees what the first wrote.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def fetch(self, sql: str, args: Sequence[Any]) -> list[tuple[Any, ...]]:
        return [plain(row) for row in self._connection.execute(marks(sql), args)]

    def run(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(marks(sql), list(rows))

    def prolog(self, day: int, node: int, after_ms: int) -> int | None:
        sql = "SELECT min(started_ms) FROM reports WHERE day = ? AND node = ? AND started_ms > ? AND phase = ?"
        (first,) = self.fetch(sql, (day, node, after_ms, drains.PROLOG))[0]
        return None if first is None else int(first)
