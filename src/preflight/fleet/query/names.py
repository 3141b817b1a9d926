"""Which nodes have a name, and what the nodes are called that a store keeps by number."""

from __future__ import annotations

from preflight.fleet.store.interface import Reader

TYPE_CHECKING = False  # as typing's
if TYPE_CHECKING:
    from collections.abc import Collection

MARKS = 500  # parameters of one statement
MOST = 100_000  # nodes whose names are kept in memory
# A number is made from the name, in every store alike: it never comes to stand for another node.
_known: dict[int, tuple[str, str]] = {}


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


def by_number(store: Reader, numbers: Collection[int]) -> dict[int, tuple[str, str]]:
    """Return (cluster, name) of each of the nodes ``numbers``, asked of the store once in a process. Raises StoreError.

    A number of which no report came is left out.
    """
    found = {one: its for one in numbers if (its := _known.get(one)) is not None}
    missing = sorted({one for one in numbers if one not in found})
    for begin in range(0, len(missing), MARKS):
        part = missing[begin : begin + MARKS]
        sql = f"SELECT node, cluster, name FROM nodes WHERE node IN ({', '.join('?' * len(part))})"
        found.update((node, (cluster, name)) for node, cluster, name in store.rows(sql, part))
    if len(_known) + len(missing) > MOST:
        _known.clear()
    _known.update((one, found[one]) for one in missing if one in found)
    return found
