"""Drift: nodes that differ from most of their kind."""

from __future__ import annotations

from preflight.fleet.pages.ask import Ask, Page
from preflight.fleet.pages.table import Column, Table
from preflight.fleet.query import drift

MOST = 500


def page(ask: Ask) -> Page:
    """Return the page of drift."""
    found = drift.drift(ask.store)
    columns = (
        Column("fact", "Fact", "code"),
        Column("value", "Here"),
        Column("nodes", "Nodes", "nodes"),
        Column("number", "How many", "number"),
        Column("majority", "Most have"),
        Column("of", "Of", "number"),
        Column("since", "Since", "time"),
        Column("kind", "Kind of node"),
    )
    rows = [
        (one.fact, one.value, one.nodes, len(one.nodes), one.majority, one.of, one.since_ms, one.kind) for one in found
    ]
    table = Table("drift", "Nodes that differ from most of their kind", columns, rows, "Alike.", shown=MOST)
    nodes = {name for one in found for name in one.nodes}
    return Page("drift", "Drift", {"outliers": len(found), "nodes": len(nodes)}, (table,), {})
