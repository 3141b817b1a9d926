"""Checks: how often each does not pass, whose fault it is, what it costs, on which nodes and over time."""

from __future__ import annotations

from preflight.checks.registry import every_check
from preflight.fleet.entry import DAY_MS
from preflight.fleet.pages import charts
from preflight.fleet.pages.ask import Ask, AskedError, NotFoundError, Page
from preflight.fleet.pages.table import Column, NodeRef, Table
from preflight.fleet.query import series
from preflight.fleet.store.tables import STATUSES

STYLES = {"fail": "c-fail", "unknown": "c-unknown", "warn": "c-warn"}


def listing(ask: Ask) -> Page:
    """Return the page of checks."""
    window = ask.window("7d")
    costs = series.costs(ask.store)
    found = series.blamed(ask.store, window)
    columns = (
        Column("check", "Check", "check"),
        Column("status", "Result", "status"),
        Column("blame", "Blame"),
        Column("nodes", "Nodes", "number"),
        Column("runs", "Findings", "number"),
        Column("first", "First day", "day"),
        Column("last", "Last day", "day"),
    )
    rows = [
        (one.check, one.status, one.blame, one.nodes, one.runs, one.first_day * DAY_MS, one.last_day * DAY_MS)
        for one in found
    ]
    cost_rows = sorted(
        ((check, its.median_ms, its.most_ms, its.of) for check, its in costs.items()), key=lambda row: -row[1]
    )
    tables = (
        Table("checks", "Checks that did not pass", columns, rows, "All passed."),
        Table(
            "costs",
            "What checks took in the latest reports",
            (
                Column("check", "Check", "check"),
                Column("median_ms", "Median", "ms"),
                Column("most_ms", "Most", "ms"),
                Column("of", "Reports", "number"),
            ),
            cost_rows,
            "No report says what its checks took.",
        ),
    )
    values = {"since": ask.since("7d"), "chart": _chart(ask, "")}
    return Page("checks", "Checks", {"checks": len({one.check for one in found})}, tables, values)


def page(ask: Ask) -> Page:
    """Return a check's page; raises NotFoundError for one that neither the store nor this Preflight knows."""
    name = ask.text("name")
    if not name:
        raise AskedError("name: which check?")
    window = ask.window("30d")
    known = every_check().get(name)
    nodes = series.affected(ask.store, window, name)
    cost = series.costs(ask.store).get(name)
    if not (known or nodes or cost) and not ask.store.rows("SELECT 1 FROM checks WHERE name = ?", (name,)):
        raise NotFoundError(f"no check {name} is known")
    columns = (
        Column("node", "Node", "node"),
        Column("status", "Result", "status"),
        Column("blame", "Blame"),
        Column("runs", "Findings", "number"),
        Column("first", "First day", "day"),
        Column("last", "Last day", "day"),
    )
    rows = [
        (NodeRef(one.cluster, one.node), one.status, one.blame, one.runs, one.first_day * DAY_MS, one.last_day * DAY_MS)
        for one in nodes
    ]
    tables = (Table("nodes", "Nodes on which it did not pass", columns, rows, "It passed everywhere."),)
    figures = {
        "check": name,
        "nodes": len({(one.cluster, one.node) for one in nodes}),
        "findings": sum(one.runs for one in nodes),
        "median_ms": cost.median_ms if cost else None,
    }
    by_status = {
        status: sorted({one.node for one in nodes if one.status == status})
        for status in STATUSES
        if any(one.status == status for one in nodes)
    }
    values = {"since": ask.since("30d"), "known": known, "by_status": by_status, "chart": _chart(ask, name)}
    return Page("check", name, figures, tables, values)


def _chart(ask: Ask, check: str) -> object:
    window = ask.window("30d" if check else "7d")
    days = series.failing_days(ask.store, window, check)
    return charts.bars(
        f"Findings of {check or 'all checks'} that did not pass, by day",
        [day.day * DAY_MS for day in days],
        [charts.Line(name, STYLES[name], [day.runs[name] for day in days]) for name in STATUSES],
    )
