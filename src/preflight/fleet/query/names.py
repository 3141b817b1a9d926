"""Which nodes have a name."""

from __future__ import annotations

from preflight.fleet.store.interface import Reader


def find(store: Reader, name: str, cluster: str | None = None) -> list[tuple[str, str]]:
    """Return the nodes of that name as (cluster, name): several where clusters share one; ``cluster``: of this one.

    Those that were forgotten count only where no other has the name: else each of a cluster that got its name later
    would have two.
    """
    rows = store.rows(
        "SELECT n.cluster, n.name, l.node FROM nodes n LEFT JOIN latest l ON l.node = n.node WHERE n.name = ?"
        " ORDER BY n.cluster",
        (name,),
    )
    rows = [row for row in rows if cluster in (None, row[0])]
    there = [(cluster, node) for cluster, node, latest in rows if latest is not None]
    return there or [(cluster, node) for cluster, node, _ in rows]
