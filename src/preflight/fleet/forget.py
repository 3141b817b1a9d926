"""What goes: days of reports, and nodes that are no more. What was counted of them stays."""

from __future__ import annotations

from collections.abc import Iterable

from preflight.fleet import tokens
from preflight.fleet.keys import DAY_MS
from preflight.fleet.numbers import number
from preflight.fleet.query.status import SILENT_MS
from preflight.fleet.store.interface import Store

# A node of which reports named no cluster (the policy did not) and later ones do is one node, and was two: the earlier
# is gone as soon as it would count as silent. Not one of a cluster that has no name still, nor one that was there
# under both: another cluster's of that name. When a node without a cluster last reported is asked once for all.
_SUPERSEDED = (
    "SELECT before.node FROM nodes before"
    " JOIN latest l ON l.node = before.node JOIN nodes after ON after.name = before.name AND after.cluster <> ''"
    " JOIN latest m ON m.node = after.node WHERE before.cluster = ''"
    " AND (SELECT min(d.first_ms) FROM node_days d WHERE d.node = after.node) > l.started_ms"
    " AND m.started_ms - (SELECT max(o.started_ms) FROM nodes other JOIN latest o ON o.node = other.node"
    " WHERE other.cluster = '') > ?"
)


def forget_days(store: Store, keep_days: int, now_ms: int) -> int:
    """Forget the reports of days before the last ``keep_days`` and return how many days went; raises StoreError."""
    old = [day for day in store.days() if day <= now_ms // DAY_MS - keep_days]
    for day in old:
        store.drop_day(day)
    return len(old)


def supersede(store: Store) -> int:
    """Forget nodes without a cluster's name that report under one now, and return how many; raises StoreError."""
    # In the order of their numbers, as whoever writes a batch: two that delete and write wait for each other.
    gone = sorted({(node,) for (node,) in store.rows(_SUPERSEDED, (SILENT_MS,))})
    return store.write("DELETE FROM latest WHERE node = ?", gone) if gone else 0


def known(store: Store, name: str) -> list[tuple[str, str]]:
    """Return the nodes of that name as (cluster, name), those that count. Raises StoreError."""
    sql = "SELECT n.cluster, n.name FROM nodes n JOIN latest l ON l.node = n.node WHERE n.name = ? ORDER BY n.cluster"
    return [(cluster, node) for cluster, node in store.rows(sql, (name,))]


def forget_nodes(store: Store, nodes: Iterable[tuple[str, str]]) -> None:
    """Forget nodes, each (cluster, name): they count no more, and their tokens end. Raises StoreError.

    What became of them stays in drains, jobs and counts of the past. One that sends a report again is there again.
    """
    its = list(nodes)
    store.write("DELETE FROM latest WHERE node = ?", sorted((number(*one),) for one in its))
    for cluster, name in its:
        tokens.revoke(store, cluster, name)
        if not known(store, name):  # no cluster has a node of that name, so a token for any is of none
            tokens.revoke(store, "", name)
