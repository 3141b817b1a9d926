"""The version of the store's schema; who only asks needs no more of it than this."""

from __future__ import annotations

from preflight.fleet.store.interface import StoreError

VERSION = 6  # the number of steps in steps.py


def check_version(version: int, upgrade: bool = True) -> None:
    """Raise StoreError for a store of a later version, and where no ``upgrade`` may be done for one of an earlier."""
    if version > VERSION:
        raise StoreError(f"the store is of schema {version}, this Preflight knows {VERSION}: upgrade Preflight here")
    if version < VERSION and not upgrade:
        raise StoreError(
            f"the store is of schema {version}, this Preflight asks {VERSION}: start `preflight serve` or run"
            " `preflight ingest` of this version once, which brings it forward"
        )
