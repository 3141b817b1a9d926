"""Store URLs: which store is meant."""

from __future__ import annotations

import os

from preflight.fleet.store.interface import Store, StoreError

FORMS = "sqlite:///PATH or postgresql://USER@HOST/DATABASE"


def open_store(url: str, make: bool = True) -> Store:
    """Open the store at ``url``; raises StoreError with one line.

    ``make``: a SQLite store that is missing is made; who only reads wants to hear that there is none.

    ``sqlite:///fleet.db`` is relative to the working directory, ``sqlite:////var/lib/preflight/fleet.db`` is not.
    """
    kind, separator, rest = url.partition("://")
    if kind == "sqlite" and separator and rest.startswith("/") and len(rest) > 1:
        from preflight.fleet.store.sqlite import SqliteStore

        if not make and not os.path.exists(rest[1:]):
            raise StoreError(f"{rest[1:]}: no store is there yet; `preflight serve` or `preflight ingest` makes one")
        return SqliteStore(rest[1:])
    if kind in ("postgresql", "postgres") and separator:
        try:
            from preflight.fleet.store.postgres import PostgresStore
        except ImportError:
            raise StoreError(f"{kind}: psycopg is not installed; pip install 'slurm-preflight[fleet]'") from None
        return PostgresStore(url)
    raise StoreError(f"not a store: {url[:80]!r}; write {FORMS}")
