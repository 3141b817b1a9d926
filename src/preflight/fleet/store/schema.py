"""The store's schema by version, and how a store of an earlier version becomes one of this.

A version is never edited once released: a change is a further step, and a test walks all of them.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from preflight.fleet.store.interface import StoreError
from preflight.fleet.store.tables import DERIVED, INDEXES, NAMED

if TYPE_CHECKING:
    import psycopg

SQLITE_DAY = """
CREATE TABLE IF NOT EXISTS reports (seq INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, node INTEGER NOT NULL,
 job INTEGER, phase INTEGER NOT NULL, started_ms INTEGER NOT NULL, verdict INTEGER NOT NULL, duration_ms REAL NOT NULL,
 hash BLOB NOT NULL, dictionary INTEGER NOT NULL, frame BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS reports_node ON reports (node, started_ms, phase);
CREATE INDEX IF NOT EXISTS reports_job ON reports (job) WHERE job IS NOT NULL;
CREATE TABLE IF NOT EXISTS findings (seq INTEGER NOT NULL, check_id INTEGER NOT NULL, node INTEGER NOT NULL,
 status INTEGER NOT NULL, blame TEXT NOT NULL, subject TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS findings_check ON findings (check_id, node);
CREATE TABLE IF NOT EXISTS dictionaries (number INTEGER PRIMARY KEY, content BLOB NOT NULL);
"""
_TOKENS = (
    "tokens (hash {bytes} PRIMARY KEY, cluster TEXT NOT NULL, node TEXT NOT NULL, made_ms BIGINT NOT NULL,"
    " until_ms BIGINT)"
)
_DAYS = "days (day INTEGER PRIMARY KEY, seq BIGINT NOT NULL)"
_QUARANTINE = (
    "quarantine (id {serial}, at_ms BIGINT NOT NULL, sender TEXT NOT NULL, reason TEXT NOT NULL, size BIGINT NOT NULL,"
    " head {bytes} NOT NULL)"
)


def _first(bytes_: str, serial: str) -> list[str]:
    tables = (*NAMED, *DERIVED, _TOKENS, _DAYS, _QUARANTINE)
    made = [f"CREATE TABLE {table.format(bytes=bytes_, serial=serial)}" for table in tables]
    return made + [f"CREATE INDEX {index}" for index in INDEXES]


def _readers(bytes_: str) -> list[str]:
    """Return the step for the pages: who may see them, and an array's tasks by its number."""
    return [
        f"CREATE TABLE readers (hash {bytes_} PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL,"
        " made_ms BIGINT NOT NULL)",
        "CREATE INDEX jobs_array ON jobs (array_job) WHERE array_job IS NOT NULL",
    ]


SQLITE_STEPS: tuple[list[str], ...] = (_first("BLOB", "INTEGER PRIMARY KEY"), _readers("BLOB"))


POSTGRES_STEPS: tuple[list[str], ...] = (
    [
        *_first("BYTEA", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
        "CREATE TABLE dictionaries (number BIGINT PRIMARY KEY, content BYTEA NOT NULL,"
        " made BIGINT GENERATED ALWAYS AS IDENTITY)",
        "CREATE SEQUENCE reports_seq",  # partitions inherit a default, and before PostgreSQL 17 no identity
        "CREATE TABLE reports (day INTEGER NOT NULL, seq BIGINT NOT NULL DEFAULT nextval('reports_seq'),"
        " key BYTEA NOT NULL,"
        " node BIGINT NOT NULL, job BIGINT, phase INTEGER NOT NULL, started_ms BIGINT NOT NULL,"
        " verdict INTEGER NOT NULL, duration_ms DOUBLE PRECISION NOT NULL, hash BYTEA NOT NULL,"
        " dictionary BIGINT NOT NULL, frame BYTEA NOT NULL) PARTITION BY RANGE (day)",
        "CREATE TABLE findings (day INTEGER NOT NULL, seq BIGINT NOT NULL, check_id BIGINT NOT NULL,"
        " node BIGINT NOT NULL, status INTEGER NOT NULL, blame TEXT NOT NULL, subject TEXT NOT NULL)"
        " PARTITION BY RANGE (day)",
    ],
    _readers("BYTEA"),
)
# A day's own tables. Frames are compressed already: PostgreSQL need not try.
POSTGRES_DAY = (
    "CREATE TABLE IF NOT EXISTS reports_{day} PARTITION OF reports FOR VALUES FROM ({day}) TO ({next})",
    "CREATE UNIQUE INDEX IF NOT EXISTS reports_{day}_key ON reports_{day} (key)",
    "CREATE INDEX IF NOT EXISTS reports_{day}_node ON reports_{day} (node, started_ms, phase)",
    "CREATE INDEX IF NOT EXISTS reports_{day}_job ON reports_{day} (job) WHERE job IS NOT NULL",
    "ALTER TABLE reports_{day} ALTER COLUMN frame SET STORAGE EXTERNAL",
    "CREATE TABLE IF NOT EXISTS findings_{day} PARTITION OF findings FOR VALUES FROM ({day}) TO ({next})",
    "CREATE INDEX IF NOT EXISTS findings_{day}_check ON findings_{day} (check_id, node)",
)


def migrate_postgres(connection: psycopg.Connection[Any]) -> None:
    """Bring the tables to this version, within the caller's transaction; raises StoreError for a later one."""
    connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
    row = connection.execute("SELECT version FROM schema_version").fetchone()
    version = row[0] if row else 0
    if version > len(POSTGRES_STEPS):
        raise StoreError(f"the store is of schema {version}, this Preflight knows {len(POSTGRES_STEPS)}: upgrade it")
    for step in POSTGRES_STEPS[version:]:
        for statement in step:
            connection.execute(statement)
    connection.execute("DELETE FROM schema_version")
    connection.execute("INSERT INTO schema_version VALUES (%s)", (len(POSTGRES_STEPS),))


def migrate_sqlite(connection: sqlite3.Connection) -> None:
    """Bring the tables to this version; raises StoreError for a store of a later one."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(SQLITE_STEPS):
            raise StoreError(f"the store is of schema {version}, this Preflight knows {len(SQLITE_STEPS)}: upgrade it")
        for step in SQLITE_STEPS[version:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={len(SQLITE_STEPS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
