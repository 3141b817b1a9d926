"""A table of a page: one object, shown as HTML, JSON or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, NamedTuple, overload

from preflight.hostlist import folded
from preflight.report.clean import clean

LONG = 2000  # letters of a cell
WHOLE = 1 << 20  # of a host list and of a command, which are made here and would be others if they were cut
# What a spreadsheet takes for a formula when a cell begins with it, full-width forms too (OWASP, "CSV Injection").
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class NodeRef(NamedTuple):
    """A node, as a cell of kind "node"."""

    cluster: str
    name: str


class JobRef(NamedTuple):
    """A job, as a cell of kind "job": ``label`` is 123 or 120_3."""

    cluster: str
    job: int
    label: str


class Column(NamedTuple):
    """``kind``: text, said (a sentence), date (text), code, number, share (0 to 1), ms (a duration), time or day (ms
    since the epoch), span (ms), verdict, status, node, job, check, nodes (names), lines (texts), command."""

    key: str
    title: str
    kind: str = "text"


class Rows(Sequence[tuple[Any, ...]]):
    """Rows that are made when they are read, ``make`` of each of ``of``: HTML shows few of thousands."""

    def __init__(self, of: Sequence[Any], make: Callable[[Any], tuple[Any, ...]]) -> None:
        self._of, self._make = of, make

    def __len__(self) -> int:
        return len(self._of)

    @overload
    def __getitem__(self, at: int) -> tuple[Any, ...]: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[tuple[Any, ...]]: ...
    def __getitem__(self, at: int | slice) -> Any:
        return Rows(self._of[at], self._make) if isinstance(at, slice) else self._make(self._of[at])


class Table(NamedTuple):
    """``rows``: values in the order of ``columns``; ``empty`` is shown where there is none.

    ``of``: how many there are where ``rows`` are one stretch of a longer list. ``shown``: the most that HTML shows;
    CSV and JSON have all rows.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Any, ...]]
    empty: str = "None."
    of: int | None = None
    shown: int = 100


_REFS = ("node", "job")
_MADE = (*_REFS, "time", "day", "nodes", "lines")  # kinds of which JSON has something else than the value


def iso(ms: int) -> str:
    """Return a time as RFC 3339, UTC, to the millisecond."""
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


@lru_cache(maxsize=20_000)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, timezone.utc).isoformat()[:19]


def plain(kind: str, value: Any) -> Any:
    """Return a cell's value as JSON has it: times as text, references by their names."""
    if value is None:
        return None
    if kind in ("time", "day"):
        return iso(value)
    if kind == "node":
        return value.name
    if kind == "job":
        return value.label
    if kind in ("nodes", "lines"):
        return list(value)
    return value


def to_rows(table: Table) -> list[dict[str, Any]]:
    """Return the rows as JSON has them; a node or a job brings its cluster along."""
    columns = [(column.key, column.kind if column.kind in _MADE else "") for column in table.columns]
    found = []
    for row in table.rows:
        its: dict[str, Any] = {}
        for (key, kind), value in zip(columns, row):
            its[key] = plain(kind, value) if kind else value
            if kind in _REFS and value is not None:
                its.setdefault("cluster", value.cluster)
        found.append(its)
    return found


def to_csv(table: Table) -> str:
    """Return the table as CSV (RFC 4180); what a spreadsheet would run as a formula begins with an apostrophe."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    clusters = any(isinstance(value, (NodeRef, JobRef)) for row in table.rows[:1] for value in row)
    writer.writerow([*(column.key for column in table.columns), *(["cluster"] if clusters else [])])
    for row in table.rows:
        cells = [_cell(column.kind, value) for column, value in zip(table.columns, row)]
        if clusters:
            cells.append(inert(next(value.cluster for value in row if isinstance(value, (NodeRef, JobRef)))))
        writer.writerow(cells)
    return written.getvalue()


def inert(text: str, most: int = LONG) -> str:
    """Return ``text`` so that no spreadsheet runs it, cut at ``most``; what is not visible is written as an escape."""
    text = clean(text, most)
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text


def _cell(kind: str, value: Any) -> object:
    if kind == "nodes":
        return inert(fold(value), WHOLE)
    if kind == "command":
        return inert(value, WHOLE)
    if kind == "lines":
        return inert("; ".join(value))
    shown = plain(kind, value)
    return "" if shown is None else inert(shown) if isinstance(shown, str) else shown


def fold(names: Iterable[str]) -> str:
    """Return node names as a host list; where one is of no host list, as they are."""
    return _folded(tuple(names))


@lru_cache(maxsize=256)
def _folded(its: tuple[str, ...]) -> str:
    listed = all(one.isascii() and one.replace("-", "").replace(".", "").isalnum() for one in its)
    return folded(its) if listed else ", ".join(its)
