"""Rows on their way into a table: where the key is there already, how the rest is joined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

SPANS = {
    "node_profiles": ("node", "day", "hash"),
    "node_software": ("node", "day", "preflight", "policy"),
    "node_days": ("node", "day", "phase", "verdict"),
}
CHECK_DAYS = ("day", "check_id", "node", "status", "blame")
_COUNT = "runs = {table}.runs + excluded.runs"
_LEAST = "{one} = CASE WHEN excluded.{one} < {table}.{one} THEN excluded.{one} ELSE {table}.{one} END"
_MOST = "{one} = CASE WHEN excluded.{one} > {table}.{one} THEN excluded.{one} ELSE {table}.{one} END"


class Upsert(NamedTuple):
    """Rows to add to a table: where the key is there already, ``merge`` says how the rest is joined."""

    table: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    merge: str
    rows: list[tuple[Any, ...]]

    @property
    def head(self) -> str:
        """The statement up to the rows."""
        return f"INSERT INTO {self.table} ({', '.join(self.columns)})"

    @property
    def end(self) -> str:
        """The statement from what follows the rows."""
        return f"ON CONFLICT ({', '.join(self.key)}) DO {f'UPDATE SET {self.merge}' if self.merge else 'NOTHING'}"

    def sql(self, mark: str) -> str:
        """Return the statement for one row; ``mark`` is the database's mark of a parameter."""
        return f"{self.head} VALUES ({', '.join([mark] * len(self.columns))}) {self.end}"


def spans_of(table: str, key: Sequence[str], spans: dict[tuple[Any, ...], list[int]]) -> Upsert:
    """Return rows of a table that keeps the first and last time (milliseconds since the epoch) and how many."""
    rows = [(*one, *span) for one, span in sorted(spans.items())]
    parts = (_LEAST.format(one="first_ms", table=table), _MOST.format(one="last_ms", table=table))
    merge = ", ".join((*parts, _COUNT.format(table=table)))
    return Upsert(table, (*key, "first_ms", "last_ms", "runs"), tuple(key), merge, rows)


def check_nodes_of(rows: list[tuple[Any, ...]]) -> Upsert:
    """Return rows of check_nodes: its key, and the last day."""
    key = ("check_id", "status", "node", "blame")
    return Upsert("check_nodes", (*key, "last_day"), key, _MOST.format(one="last_day", table="check_nodes"), rows)


def node_boots_of(rows: list[tuple[Any, ...]]) -> Upsert:
    """Return rows of node_boots, as the table has them."""
    newer = "CASE WHEN excluded.last_ms > node_boots.last_ms THEN excluded.up_ms ELSE node_boots.up_ms END"
    parts = [f"up_ms = {newer}", _LEAST.format(one="first_ms", table="node_boots")]
    parts += [_MOST.format(one="last_ms", table="node_boots"), _COUNT.format(table="node_boots")]
    columns = ("node", "boot", "up_ms", "first_ms", "last_ms", "runs")
    return Upsert("node_boots", columns, ("node", "boot"), ", ".join(parts), rows)


def withheld_hours_of(rows: list[tuple[Any, ...]]) -> Upsert:
    """Return rows of withheld_hours, as the table has them."""
    table, key = "withheld_hours", ("hour", "cluster", "kind", "check_name")
    parts = (_COUNT.format(table=table), f"trips = {table}.trips + excluded.trips")
    merge = ", ".join((*parts, _MOST.format(one="last_ms", table=table)))
    return Upsert(table, (*key, "runs", "trips", "last_ms"), key, merge, rows)


def withheld_nodes_of(rows: list[tuple[Any, ...]]) -> Upsert:
    """Return rows of withheld_nodes: its key, and when it was last (milliseconds since the epoch)."""
    key = ("kind", "check_name", "node")
    return Upsert("withheld_nodes", (*key, "last_ms"), key, _MOST.format(one="last_ms", table="withheld_nodes"), rows)


def jobs_of(rows: list[tuple[Any, ...]]) -> Upsert:
    """Return rows of jobs: cluster, job, and the rest as the table has it."""
    parts = [_LEAST.format(one=one, table="jobs") for one in ("first_ms", "verdict")]
    parts += [_MOST.format(one=one, table="jobs") for one in ("last_ms", "restarts")]
    merge = ", ".join((*parts, "reports = jobs.reports + excluded.reports"))
    columns = "cluster job array_job array_task user_name partition_name first_ms last_ms verdict restarts reports"
    return Upsert("jobs", tuple(columns.split()), ("cluster", "job"), merge, rows)


def counts_of(table: str, key: tuple[str, ...], counts: Counter[tuple[Any, ...]]) -> Upsert:
    """Return rows of a table that counts runs under ``key``."""
    rows = [(*one, runs) for one, runs in sorted(counts.items())]
    return Upsert(table, (*key, "runs"), key, _COUNT.format(table=table), rows)
