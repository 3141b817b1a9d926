"""Xid errors: what one means and what to do about it."""

from __future__ import annotations

from preflight.catalog.tables import SHIPPED, Tables
from preflight.tuples import NamedTuple


class Xid(NamedTuple):
    """One Xid.

    ``category`` is application, driver, hardware, info, memory, nvlink, pcie or unused; ``application`` whether a
    program can cause it; ``action`` what to do; ``source`` the documents and what each says.
    """

    code: int
    name: str
    category: str
    application: bool
    action: str
    source: str


def xid(code: int, tables: Tables = SHIPPED) -> Xid | None:
    """Return what is known of an Xid, None where the catalog does not have it."""
    row = tables.find("xids", "code", code)
    if row is None:
        return None
    told = row.get("detail") or "; ".join(row["source"])
    return Xid(
        code,
        row.get("name", ""),
        row.get("category", "unknown"),
        bool(row.get("application", False)),
        row.get("action", ""),
        told,
    )
