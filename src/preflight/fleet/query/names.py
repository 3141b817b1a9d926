"""Which nodes have a name."""

from __future__ import annotations

from preflight.fleet.store.interface import Reader


def find(store: Reader, name: str) -> list[tuple[str, str]]:
    """Return the nodes of that name as (cluster, name): several where clusters share one."""
    return [(cluster, node) for cluster, node in store.rows("SELECT cluster, name FROM nodes WHERE name = ?", (name,))]
