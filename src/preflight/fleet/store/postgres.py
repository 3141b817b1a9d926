"""The store on PostgreSQL: for several collectors side by side, and for failover.

The tables are those of SQLite; reports and findings are partitioned by day, so that forgetting a day drops a table. A
batch is one transaction: the reports that are new (their key decides) and all that is derived from them, or nothing.
Rows are written in the order of their keys, so two collectors wait for each other and never deadlock.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import errors

from preflight.fleet.entry import Entry
from preflight.fleet.store.frames import LEAST_SAMPLES, SAMPLES, Frames, train
from preflight.fleet.store.interface import Refused, StoreError
from preflight.fleet.store.schema import POSTGRES_DAY, migrate_postgres
from preflight.fleet.store.tables import derived, finding_rows, report_row

QUARANTINE = 10_000  # lines kept
HEAD_BYTES = 2048
TRIES = 3  # of a batch that met another collector or a server that was restarted
_COLUMNS = "key, node, job, phase, started_ms, verdict, duration_ms, hash, dictionary, frame"
_LOCK = 0x70666C74  # advisory lock of this program: making tables


class PostgresStore:
    """A store on PostgreSQL; for several threads at once, each with a connection of its own."""

    def __init__(self, url: str) -> None:
        """Open the store at ``url`` (as libpq takes it) and make what is missing; raises StoreError."""
        self._url = url
        self._local = threading.local()
        self._open: list[psycopg.Connection[Any]] = []
        self._frames = Frames()
        self._learning = threading.Lock()
        self._made: set[int] = set()
        with self._connection() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            migrate_postgres(connection)
        self._learn()

    def add(self, entries: Sequence[Entry]) -> int:
        """Keep reports and return how many were new; they are on the disk when this returns. Raises StoreError."""
        if not entries:
            return 0
        once = {entry.key: entry for entry in reversed(entries)}  # of one key the first
        batch = sorted(once.values(), key=lambda entry: entry.key)
        for day in sorted({entry.day for entry in batch}):
            self._make_day(day)
        if not self._frames.number:
            self._train(batch)
        for left in range(TRIES - 1, -1, -1):
            try:
                with self._connection() as connection, connection.transaction():
                    return self._add(connection, batch)
            except _Again as error:
                if not left:
                    raise StoreError(str(error)) from error
        raise AssertionError("unreachable")

    def _add(self, connection: psycopg.Connection[Any], batch: list[Entry]) -> int:
        fresh: list[Entry] = []
        for day in sorted({entry.day for entry in batch}):
            its = [entry for entry in batch if entry.day == day]
            connection.execute(f"CREATE TEMP TABLE incoming AS SELECT day, {_COLUMNS} FROM reports_{day} WITH NO DATA")
            with connection.cursor().copy(f"COPY incoming (day, {_COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(
                    ["int4", "bytea", "int8", "int8", "int4", "int8", "int4", "float8", "bytea", "int8", "bytea"]
                )
                for entry in its:
                    copy.write_row((day, *report_row(entry, self._frames)))
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
        return len(fresh)

    def _make_day(self, day: int) -> None:
        if day in self._made:
            return
        with self._connection() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            for statement in POSTGRES_DAY:
                connection.execute(statement.format(day=day, next=day + 1))
        self._made.add(day)

    def _learn(self) -> None:
        """Take the dictionaries that are kept; the newest packs."""
        with self._connection() as connection:
            for number_, content in connection.execute("SELECT number, content FROM dictionaries ORDER BY made"):
                if not self._frames.knows(number_):
                    self._frames.learn(number_, bytes(content))

    def _train(self, batch: list[Entry]) -> None:
        """Make the store's dictionary as soon as there are reports to make it from."""
        with self._learning:
            samples = [entry.raw for entry in batch[:SAMPLES]]
            if len(samples) < LEAST_SAMPLES:
                for day in reversed(self.days()[-2:]):
                    samples += self.frames(day, limit=SAMPLES)
            made = train(samples[:SAMPLES])
            if made is None:
                return
            with self._connection() as connection:
                connection.execute(
                    "INSERT INTO dictionaries (number, content) VALUES (%s, %s) ON CONFLICT DO NOTHING", made
                )
            self._learn()

    def refuse(self, refused: Sequence[Refused]) -> None:
        """Keep a line for each text that was not taken; the oldest past QUARANTINE go."""
        rows = [(one.at_ms, one.sender, one.reason, one.size, one.head[:HEAD_BYTES]) for one in refused]
        with self._connection() as connection, connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO quarantine (at_ms, sender, reason, size, head) VALUES (%s, %s, %s, %s, %s)", rows
            )
            cursor.execute("DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - %s", (QUARANTINE,))

    def rows(self, sql: str, args: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a statement on the derived tables. Raises StoreError."""
        with self._connection() as connection:
            return [_plain(row) for row in connection.execute(_marks(sql), args)]

    def write(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run a statement for each of ``rows``, all or none; returns the rows changed. Raises StoreError."""
        with self._connection() as connection, connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(_marks(sql), list(rows))
            return cursor.rowcount

    def day_rows(self, days: Iterable[int], sql: str, args: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a statement on ``reports`` or ``findings`` of each of ``days`` that is kept."""
        found: list[tuple[Any, ...]] = []
        kept = set(self.days())
        with self._connection() as connection:
            for day in days:
                if day in kept:
                    text = _marks(sql).format(reports=f"reports_{day}", findings=f"findings_{day}")
                    found += [_plain(row) for row in connection.execute(text, args)]
        return found

    def days(self) -> list[int]:
        """Return the days (since the epoch) that are kept, ascending."""
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
                " WHERE i.inhparent = 'reports'::regclass"
            ).fetchall()
        return sorted(int(name.rpartition("_")[2]) for (name,) in rows)

    def raw(self, day: int, key: bytes) -> bytes | None:
        """Return the report of ``day`` under ``key`` byte for byte, None where it is not kept."""
        return next(iter(self.frames(day, "WHERE key = ?", (key,))), None)

    def frames(self, day: int, where: str = "", args: Sequence[Any] = (), limit: int | None = None) -> Iterable[bytes]:
        """Yield the reports of ``day`` byte for byte, in the order in which they came."""
        end = f" LIMIT {limit}" if limit else ""
        rows = self.day_rows((day,), f"SELECT dictionary, frame FROM {{reports}} {where} ORDER BY seq{end}", args)
        if any(not self._frames.knows(number_) for number_, _ in rows):
            self._learn()
        return [self._frames.unpack(number_, frame) for number_, frame in rows]

    def drop_day(self, day: int) -> None:
        """Forget the reports of ``day``; what was derived from them stays."""
        with self._connection() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            connection.execute(f"DROP TABLE IF EXISTS reports_{day}, findings_{day}")
        self._made.discard(day)

    def close(self) -> None:
        """Close every connection."""
        for connection in self._open:
            connection.close()
        self._open.clear()
        self._local = threading.local()

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Any]]:
        """This thread's connection; made anew where the server has ended it."""
        connection = getattr(self._local, "connection", None)
        try:
            if connection is None or connection.closed:
                connection = self._local.connection = psycopg.connect(self._url, autocommit=True)
                self._open.append(connection)
            yield connection
        except (
            errors.DeadlockDetected,
            errors.SerializationFailure,
            errors.UndefinedTable,
            errors.UniqueViolation,
        ) as error:
            self._made.clear()  # another collector may have dropped a day
            raise _Again(_line(error)) from error
        except psycopg.OperationalError as error:
            self._forget(connection)
            raise _Again(_line(error)) from error
        except psycopg.Error as error:
            raise StoreError(_line(error)) from error

    def _forget(self, connection: psycopg.Connection[Any] | None) -> None:
        if connection is not None:
            connection.close()
            if connection in self._open:
                self._open.remove(connection)
        self._local.connection = None


class _Again(StoreError):
    """A failure that another try may not meet."""


def _marks(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    # A sum of BIGINT is NUMERIC.
    return tuple(int(one) if isinstance(one, Decimal) else one for one in row)


def _line(error: Exception) -> str:
    return f"PostgreSQL: {' '.join(str(error).split())[:300]}"
