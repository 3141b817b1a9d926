"""The store's schema by version, and how a store of an earlier version becomes one of this.

The steps stand in steps.py; a test walks all of them.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from preflight.fleet.store.steps import POSTGRES, SQLITE
from preflight.fleet.store.version import VERSION, check_version

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


def migrate_postgres(connection: psycopg.Connection[Any]) -> int:
    """Bring the tables to this version, within the caller's transaction, and return the version that they had.

    Raises StoreError for a later one.
    """
    connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
    row = connection.execute("SELECT version FROM schema_version").fetchone()
    version = row[0] if row else 0
    check_version(version)
    if version < VERSION:
        if (
            version
        ):  # every batch locks these first, of earlier versions too: none is under way while its rows are counted
            connection.execute("LOCK TABLE reports, findings IN ACCESS EXCLUSIVE MODE")
        for step in POSTGRES[version:]:
            for statement in step:
                connection.execute(statement)
        connection.execute("DELETE FROM schema_version")
        connection.execute("INSERT INTO schema_version VALUES (%s)", (VERSION,))
    return int(version)


def migrate_sqlite(connection: sqlite3.Connection) -> int:
    """Bring the tables to this version, within the caller's transaction, and return the version that they had.

    Raises StoreError for a later one.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    check_version(version)
    for step in SQLITE[version:]:
        for statement in step:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version={VERSION}")
    return int(version)
