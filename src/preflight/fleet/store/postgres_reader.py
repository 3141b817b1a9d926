"""Asking a store on PostgreSQL. What writes stands in postgres.py."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import errors

from preflight.fleet.store.interface import StoreError
from preflight.fleet.store.version import check_version

TYPE_CHECKING = False  # as typing's
if TYPE_CHECKING:
    from preflight.fleet.store.frames import Frames


# A server that is gone without a word is noticed within half a minute (by default never), so that the next try
# may reach the one that took its place. Milliseconds for the last, seconds for the others.
PATIENCE: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
# A question with EXISTS is estimated a hundred times dearer than it is, and past 100,000 (jit_above_cost) the server
# compiles it: 60 to 90 ms for an answer of 2 (https://www.postgresql.org/docs/current/jit-decision.html).
JIT_SINCE = 110_000


class PostgresReader:
    """A store on PostgreSQL that is asked; for several threads at once, each with a connection of its own."""

    def __init__(self, url: str) -> None:
        """Take the store at ``url`` (as libpq takes it)."""
        self._url = url
        self._local = threading.local()
        self._open: list[psycopg.Connection[Any]] = []
        self._known: Frames | None = None

    def check(self) -> None:
        """Raise StoreError where the store is not of this version."""
        if not self.rows("SELECT to_regclass('schema_version') IS NOT NULL")[0][0]:
            raise StoreError("PostgreSQL: no store is there yet; `preflight serve` or `preflight ingest` makes one")
        rows = self.rows("SELECT version FROM schema_version")
        check_version(rows[0][0] if rows else 0, upgrade=False)

    def rows(self, sql: str, args: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a statement on the derived tables. Raises StoreError."""
        with self._connection() as connection:
            return [plain(row) for row in connection.execute(marks(sql), args)]

    def day_rows(self, days: Iterable[int], sql: str, args: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a statement on ``reports`` or ``findings`` of each of ``days`` that is kept."""
        found: list[tuple[Any, ...]] = []
        kept = set(self.days())
        for day in days:
            if day in kept:
                text = marks(sql).format(reports=f"reports_{day}", findings=f"findings_{day}")
                try:
                    with self._connection() as connection:
                        found += [plain(row) for row in connection.execute(text, args)]
                except AgainError as error:
                    if not isinstance(error.__cause__, errors.UndefinedTable):  # it was dropped since
                        raise
        return found

    def revision(self) -> object:
        """Return a value that is another one after each change to the derived tables, by whomever. Raises StoreError.

        The snapshot says which transactions are seen: whoever has an equal one sees the same rows. Other databases of
        the server count too (https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT).
        """
        return self.rows("SELECT CAST(txid_current_snapshot() AS TEXT)")[0][0]

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
        """Yield the reports of ``day`` byte for byte, in the order in which they came, at most ``limit``."""
        end = "" if limit is None else f" LIMIT {limit}"
        rows = self.day_rows((day,), f"SELECT dictionary, frame FROM {{reports}} {where} ORDER BY seq{end}", args)
        if any(not self._frames.knows(number) for number, _ in rows):
            self._learn()
        for number in {number for number, _ in rows if not self._frames.knows(number)}:
            raise StoreError(f"PostgreSQL: dictionary {number} of reports is not in the table dictionaries: restore it")
        return [self._frames.unpack(number, frame) for number, frame in rows]

    @property
    def _frames(self) -> Frames:
        """How reports are packed, by the dictionaries that were kept when it was first asked."""
        if self._known is None:
            from preflight.fleet.store.frames import Frames

            self._known = Frames()
            self._learn()
        return self._known

    def _learn(self) -> None:
        """Take the dictionaries that are kept; the newest packs."""
        frames = self._frames
        with self._connection() as connection:
            for number, content in connection.execute("SELECT number, content FROM dictionaries ORDER BY made"):
                if not frames.knows(number):
                    frames.learn(number, bytes(content))

    def _changed(self) -> None:
        """Another collector has made or dropped a table."""

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
                connection = self._local.connection = psycopg.connect(self._url, autocommit=True, **PATIENCE)
                self._open.append(connection)
                if connection.info.server_version >= JIT_SINCE:
                    connection.execute("SET jit = off")
            yield connection
        except (
            errors.DeadlockDetected,
            errors.SerializationFailure,
            errors.UndefinedTable,
            errors.UniqueViolation,
        ) as error:
            self._changed()  # another collector may have dropped a day
            raise AgainError(line(error)) from error
        except psycopg.OperationalError as error:
            self._forget(connection)
            raise AgainError(line(error)) from error
        except psycopg.Error as error:
            raise StoreError(line(error)) from error

    def _forget(self, connection: psycopg.Connection[Any] | None) -> None:
        if connection is not None:
            connection.close()
            if connection in self._open:
                self._open.remove(connection)
        self._local.connection = None


class AgainError(StoreError):
    """A failure that another try may not meet."""


def marks(sql: str) -> str:
    """Return a statement with this database's marks of parameters."""
    return sql.replace("%", "%%").replace("?", "%s")


def plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row with whole numbers as such: a sum of BIGINT is NUMERIC."""
    return tuple(int(one) if isinstance(one, Decimal) else one for one in row)


def line(error: Exception) -> str:
    """Return what the server says as one line."""
    return f"PostgreSQL: {' '.join(str(error).split())[:300]}"
