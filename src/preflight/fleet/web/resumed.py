"""Drains that an admin ended: reports say it with the node's next job, Slurm says it at once."""

from __future__ import annotations

import time

from preflight.fleet.keys import DAY_MS, LASTS_MS
from preflight.fleet.pages.states import States, Watch
from preflight.fleet.query.search import clusters
from preflight.fleet.store.interface import Store

BACK_MS = 90 * DAY_MS  # how old a drain may be that still lasts, as `preflight fleet status` has it


def end_resumed(store: Store, watch: Watch, now_ms: int | None = None) -> int:
    """End the drains of nodes to which Slurm gives jobs again, and return how many; raises StoreError.

    Slurm is asked only while a drain lasts, and after the drains were read: so what it says is of a time after each of
    these. A node may be drained again while it is asked: only what was read before ends. ``now_ms``: the time of that,
    None for the clock's.
    """
    begin = (round(time.time() * 1000) if now_ms is None else now_ms) - BACK_MS
    lasting = store.rows(
        "SELECT d.node, n.cluster, n.name, (SELECT max(a.at_ms) FROM actions a WHERE a.node = d.node"
        " AND a.kind = 'drain' AND a.enforced = 1) FROM drains d JOIN nodes n ON n.node = d.node"
        " JOIN latest l ON l.node = d.node WHERE d.end_ms = ? AND d.begin_ms >= ?",
        (LASTS_MS, begin),
    )
    if not lasting:
        return 0
    states = watch.ask()
    at = round(time.time() * 1000) if now_ms is None else now_ms
    alone = clusters(store) == [""]
    seen = [(node, last, at) for node, cluster, name, last in lasting if _takes_jobs(states, cluster, name, alone)]
    if seen:
        store.resumed(seen)
    return len(seen)


def _takes_jobs(states: States, cluster: str, name: str, alone: bool) -> bool:
    """A report without a cluster's name is of the asked Slurm only where no other is known."""
    its = states.nodes.get(name)
    return its is not None and its.takes_jobs and (cluster == states.cluster or (cluster == "" and alone))
