"""Lifecycle: what runs out of support when, and on how many nodes."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timezone
from typing import NamedTuple, Union

from preflight.catalog import VERSION, lifecycle
from preflight.fleet.pages.ask import Ask, Page
from preflight.fleet.pages.table import Column, Table
from preflight.fleet.query.profiles import Flat, flats

SOON_DAYS = 180
RANK = {"eol": 0, "extended": 1, "soon": 2, "unknown": 3, "supported": 4}
WORDS = {
    "eol": "ended",
    "extended": "extended support only",
    "soon": "ends soon",
    "unknown": "not known",
    "supported": "supported",
}


Life = Union[lifecycle.OsLife, lifecycle.DriverLife]


class Row(NamedTuple):
    """What runs on ``nodes`` and how long it is supported."""

    rank: int
    kind: str
    name: str
    eol: str | None
    nodes: tuple[str, ...]
    why: str
    needs: str | None


def page(ask: Ask) -> Page:
    """Return the page of what ends when."""
    today = datetime.fromtimestamp(ask.now_ms / 1000, timezone.utc).date().isoformat()
    sql = "SELECT n.name, l.hash FROM latest l JOIN nodes n ON n.node = l.node"
    by_hash: dict[bytes, list[str]] = defaultdict(list)
    for name, hash_ in ask.store.rows(sql):
        by_hash[bytes(hash_)].append(name)
    systems: dict[tuple[str, str], list[str]] = defaultdict(list)
    drivers: dict[str, list[str]] = defaultdict(list)
    for hash_, facts in flats(ask.store, set(by_hash)).items():
        its = by_hash[hash_]
        if system := _system(facts):
            systems[system] += its
        if (version := facts.get("driver.version", "-")) != "-":
            drivers[version] += its
    rows: list[Row] = []
    for (name, version), nodes in systems.items():
        life = lifecycle.operating_system(name, version or None, today)
        rows.append(_row("distribution", f"{name} {version}".strip(), life, nodes, today))
    for version, nodes in drivers.items():
        rows.append(_row("driver", version, lifecycle.driver(version, today), nodes, today))
    rows.sort(key=lambda row: (row.rank, row.eol or "9999", -len(row.nodes)))
    columns = (
        Column("state", "State"),
        Column("kind", "What"),
        Column("name", "Name", "date"),
        Column("eol", "Ends", "date"),
        Column("nodes", "Nodes", "nodes"),
        Column("number", "How many", "number"),
        Column("why", "Why", "said"),
        Column("needs", "What to do", "said"),
    )
    shown = [
        (_word(row.rank), row.kind, row.name, row.eol, row.nodes, len(row.nodes), row.why, row.needs) for row in rows
    ]
    table = Table("lifecycle", "What runs out of support when", columns, shown, "No node has sent a report.")
    figures = {
        "ended_nodes": len({name for row in rows if row.rank == RANK["eol"] for name in row.nodes}),
        "soon_nodes": len({name for row in rows if row.rank == RANK["soon"] for name in row.nodes}),
        "catalog": VERSION,
    }
    return Page("lifecycle", "Lifecycle", figures, (table,), {"soon_days": SOON_DAYS, "today": today})


def _system(facts: Flat) -> tuple[str, str] | None:
    name, version = facts.get("os.id", "-"), facts.get("os.version", "-")
    return None if name == "-" else (name, "" if version == "-" else version)


def _row(kind: str, name: str, life: Life, nodes: list[str], today: str) -> Row:
    answer = life.answer
    if answer == "supported" and life.eol and _days(life.eol, today) <= SOON_DAYS:
        answer = "soon"
    return Row(RANK[answer], kind, name, life.eol, tuple(sorted(nodes)), life.why, life.needs)


def _word(rank: int) -> str:
    return WORDS[next(name for name, its in RANK.items() if its == rank)]


def _days(end: str, today: str) -> int:
    """Return the days until a date, or until the last days of a month."""
    last = end if len(end) == 10 else f"{end}-28"
    return (datetime.fromisoformat(last) - datetime.fromisoformat(today)).days
