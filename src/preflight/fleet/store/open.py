"""Store URLs: which store is meant, and whether it is asked or written to."""

from __future__ import annotations

import os

from preflight.fleet.store.interface import Reader, Store, StoreError

TYPE_CHECKING = False  # as typing's
if TYPE_CHECKING:
    from preflight.fleet.store.sqlite_reader import SqliteReader

FORMS = "sqlite:///PATH or postgresql://USER@HOST/DATABASE"


def open_store(url: str, make: bool = True, alone: bool = False) -> Store:
    """Open the store at ``url`` for writing; an earlier version is brought to this one. Raises StoreError: one line.

    ``make``: a SQLite store that is missing is made. ``alone``: this process has claimed it (`place.claim`).
    ``sqlite:///fleet.db`` is relative to the working directory, ``sqlite:////var/lib/preflight/fleet.db`` is not.
    """
    path = sqlite_path(url, make)
    if path is None:
        from preflight.fleet.store.postgres import PostgresStore

        return PostgresStore(url)
    from preflight.fleet.store.sqlite import SqliteStore

    return SqliteStore(path, alone)


def open_reader(url: str) -> Reader:
    """Open the store at ``url`` for questions; raises StoreError, also for one of another version, which stays so."""
    path = sqlite_path(url, make=False)
    if path is None:
        from preflight.fleet.store.postgres_reader import PostgresReader

        reader: PostgresReader | SqliteReader = PostgresReader(url)
    else:
        from preflight.fleet.store.sqlite_reader import SqliteReader

        reader = SqliteReader(path)
    reader.check()
    return reader


def sqlite_path(url: str, make: bool = True) -> str | None:
    """Return the path of a store on SQLite, None for one on PostgreSQL; raises StoreError for what is neither.

    Without ``make`` one that is missing is an error, too.
    """
    kind, separator, rest = url.partition("://")
    if kind == "sqlite" and separator and rest.startswith("/") and len(rest) > 1:
        if not make and not os.path.exists(rest[1:]):
            raise StoreError(f"{rest[1:]}: no store is there yet; `preflight serve` or `preflight ingest` makes one")
        return rest[1:]
    if kind in ("postgresql", "postgres") and separator:
        try:
            import psycopg  # noqa: F401
        except ImportError:
            raise StoreError(f"{kind}: psycopg is not installed; pip install 'slurm-preflight[fleet]'") from None
        return None
    raise StoreError(f"not a store: {url[:80]!r}; write {FORMS}")
