"""What is kept under one node's number, given to another's: a node that was known without its cluster's name.

Reports stay as the node wrote them. ``moved`` is a table of the transaction: ``old`` and ``node`` are numbers of nodes,
``cluster`` is the new one's. Counts by cluster (hours, durations, totals) stay where they were counted, but for what
was not done: that is counted anew from the actions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from preflight.fleet.keys import HOUR_MS, TRIPPED
from preflight.fleet.store import drains
from preflight.fleet.store.upserts import by_node, jobs_of, withheld_hours_of

TABLE = "CREATE TEMPORARY TABLE moved (old BIGINT PRIMARY KEY, node BIGINT NOT NULL, cluster TEXT NOT NULL)"
FILL = "INSERT INTO moved (old, node, cluster) VALUES (?, ?, ?)"
_OLD = "(SELECT old FROM moved)"
_OWN = ("actions", "events")  # tables in which each row is a report's
# A day's tables; ``{table}``: `reports` or `findings` of that day.
DAY_ROWS = f"UPDATE {{table}} SET node = (SELECT m.node FROM moved m WHERE m.old = {{table}}.node) WHERE node IN {_OLD}"
DAY_JOBS = "SELECT DISTINCT node, job FROM {reports} WHERE job IS NOT NULL AND node IN "
# What was not done on nodes, by their clusters in ``{nodes}``, as rows of withheld_hours.
_WITHHELD = (
    f"SELECT a.at_ms / {HOUR_MS}, n.cluster, a.kind, a.check_name, count(*), sum({TRIPPED}), max(a.at_ms)"
    f" FROM {{nodes}} WHERE a.enforced = 0 GROUP BY a.at_ms / {HOUR_MS}, n.cluster, a.kind, a.check_name"
)
PART = 400  # jobs of one statement


class Move(NamedTuple):
    """Rows of node number ``old`` go to ``node``, which is of ``cluster``."""

    old: int
    node: int
    cluster: str


def move_jobs(ledger: drains.Ledger, moves: Iterable[Move], found: Iterable[tuple[int, int]]) -> None:
    """Give jobs without a cluster's name to the clusters of the nodes that they ran on.

    ``found``: (old number of a node, job).
    """
    of_node = {one.old: one.cluster for one in moves}
    clusters: dict[str, list[int]] = {}
    for cluster, job in sorted({(of_node[node], job) for node, job in found}):
        clusters.setdefault(cluster, []).append(job)
    upsert = jobs_of([])
    columns = ", ".join(upsert.columns[1:])
    for cluster, jobs in clusters.items():
        for begin in range(0, len(jobs), PART):
            part = jobs[begin : begin + PART]
            which = f"cluster = '' AND job IN ({', '.join('?' * len(part))})"
            rows = ledger.fetch(f"SELECT {columns} FROM jobs WHERE {which} ORDER BY job", part)
            ledger.run(upsert.sql("?"), [(cluster, *row) for row in rows])
            ledger.run(f"DELETE FROM jobs WHERE {which}", [part])


def move_rows(ledger: drains.Ledger) -> None:
    """Move what is derived; the days' reports are moved already. The old nodes are known no more then."""
    for upsert in by_node():
        columns = ", ".join("m.node" if one == "node" else f"t.{one}" for one in upsert.columns)
        its = f"SELECT {columns} FROM {upsert.table} t JOIN moved m ON m.old = t.node WHERE TRUE"
        ledger.run(f"{upsert.head} {its} {upsert.end}", [()])
        ledger.run(f"DELETE FROM {upsert.table} WHERE node IN {_OLD}", [()])
    counted = withheld_hours_of([])
    its = _WITHHELD.format(nodes="moved n JOIN actions a ON a.node = n.old")
    ledger.run(f"{counted.head} {its} {counted.end}", [()])
    for table in _OWN:
        ledger.run(DAY_ROWS.format(table=table), [()])
    # What stays without a cluster's name is of nodes that did not move.
    ledger.run("DELETE FROM withheld_hours WHERE cluster = ''", [()])
    its = _WITHHELD.format(nodes="nodes n JOIN actions a ON a.node = n.node AND n.cluster = ''")
    ledger.run(f"{counted.head} {its}", [()])
    drained = ledger.fetch("SELECT DISTINCT m.node FROM drains d JOIN moved m ON m.old = d.node ORDER BY 1", ())
    ledger.run(
        "INSERT INTO resumed (node, drained_ms, at_ms) SELECT m.node, t.drained_ms, t.at_ms FROM resumed t"
        " JOIN moved m ON m.old = t.node WHERE TRUE ON CONFLICT (node, drained_ms) DO NOTHING",
        [()],
    )
    for table in ("drains", "resumed", "latest", "nodes"):
        ledger.run(f"DELETE FROM {table} WHERE node IN {_OLD}", [()])
    for (node,) in drained:
        drains.reckon(ledger, node, 0)
