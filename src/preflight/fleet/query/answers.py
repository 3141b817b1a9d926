"""The answers of `preflight fleet … --json` and of the API, each as JSON values: one makes what both say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from preflight.fleet.keys import DAY_MS
from preflight.fleet.query.window import Window

if TYPE_CHECKING:
    from preflight.fleet.store.interface import Reader

# A command imports the questions that it asks, so they are imported where they are asked.


def status(store: Reader, now_ms: int, silent_ms: int) -> dict[str, Any]:
    """Return how the nodes are, and what the last 24 hours brought."""
    from preflight.fleet.query import actions, withheld
    from preflight.fleet.query import status as its

    nodes, day = its.latest(store), Window(now_ms - DAY_MS, now_ms + 1)
    return {
        "nodes": row(nodes),
        "silent": [one.node for one in its.silent(nodes, now_ms, silent_ms)],
        "drained": row(actions.lasting(store, Window(now_ms - 90 * DAY_MS, now_ms + 1))),
        "failing": row(its.failing(store, day)),
        "last_24h": row(its.summary(store, day)),
        "would": withheld.number(store, day),
    }


def since(store: Reader, window: Window, limit: int | None = None) -> dict[str, Any]:
    """Return what a window brought; ``limit``: at most so many drains and actions, the latest."""
    from preflight.fleet.query import actions, status, withheld

    return {
        "summary": row(status.summary(store, window)),
        "drains": drains(store, window, limit),
        "drain_count": actions.drains_number(store, window),
        "failing": row(status.failing(store, window)),
        "would": would(store, window, limit),
        "would_count": withheld.number(store, window),
    }


def node(store: Reader, cluster: str, name: str, window: Window) -> dict[str, Any]:
    """Return a node's history; raises LookupError for a node that the store does not know."""
    from preflight.fleet.query import node as its

    found: dict[str, Any] = row(its.history(store, cluster, name, window))
    return found


def jobs(
    store: Reader,
    window: Window,
    user: str = "",
    partition: str = "",
    verdict: str = "",
    node: tuple[str, str] | None = None,
    limit: int = 50,
) -> list[Any]:
    """Return jobs, the latest first; ``node`` is (cluster, name)."""
    from preflight.fleet.query import jobs as its

    return [row(one) for one in its.jobs(store, window, user, partition, verdict, node, limit)]


def drains(store: Reader, window: Window, limit: int | None = None) -> list[Any]:
    """Return the drains that began in a window, in order of time, at most the latest ``limit``."""
    from preflight.fleet.query import actions

    return [row(one) for one in actions.drains(store, window, limit=limit)]


def would(store: Reader, window: Window, limit: int | None = None) -> list[Any]:
    """Return what was not enforced in a window, in order of time, at most the latest ``limit``."""
    from preflight.fleet.query import actions

    names = actions.Action._fields
    return [dict(zip(names, one)) for one in actions.action_rows(store, window, enforced=False, limit=limit)]


def drift(store: Reader) -> list[Any]:
    """Return the nodes of one kind that are not alike."""
    from preflight.fleet.query import drift as its

    return [row(one) for one in its.drift(store)]


_SCALARS = frozenset((str, int, float, bool, type(None)))


def row(value: Any) -> Any:
    """Return a tuple of ours as JSON values, by its fields' names."""
    if type(value) in _SCALARS:
        return value
    if hasattr(value, "_fields"):
        return {name: one if type(one) in _SCALARS else row(one) for name, one in zip(value._fields, value)}
    if isinstance(value, dict):
        return {name: row(one) for name, one in value.items()}
    return [row(one) for one in value]
