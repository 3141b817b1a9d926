"""What the renderers show of one job, or of an array's tasks: all its reports as one.

A *try* is one run of one job: a job that was moved has several. Texts are cleaned, not escaped.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from preflight.report.environment import EnvRow

Report = dict[str, Any]
# Worst first, for a cell that holds several findings.
WORST = ("fail", "unknown", "warn", "pass", "skip")
BAD = ("fail", "warn", "unknown")


class Cell(NamedTuple):
    """What one check said on one node: its worst status and how many findings have it."""

    status: str
    times: int


class Row(NamedTuple):
    """One node in one try; ``label`` names it within the whole view.

    ``cells`` by check; ``bad``: those of them that fail, warn or are unknown, in order of the check. Rows alike share
    them.
    """

    node: str
    label: str
    verdict: str
    cells: dict[str, Cell]
    counts: dict[str, int]
    bad: tuple[tuple[str, Cell], ...]

    @property
    def is_plain(self) -> bool:
        """Return whether there is nothing to say of the node."""
        return self.verdict == "ready" and not self.bad


class Try(NamedTuple):
    """One run of one job, all its nodes and phases; ``name`` is "" where there is only one try."""

    job: int
    task: int | None
    run: int
    last: bool
    name: str
    verdict: str
    reports: tuple[Report, ...]
    rows: tuple[Row, ...]


class Detail(NamedTuple):
    """A finding as it stands on one or more nodes."""

    check: str
    status: str
    blame: str
    subject: str
    expected: str | None
    observed: str | None
    message: str
    remedy: str | None
    source: str | None
    phases: tuple[str, ...]
    where: str
    last: bool


class Clause(NamedTuple):
    """A clause of the requirement; ``results`` are (status, where), the worst first."""

    text: str
    source: str
    status: str
    results: tuple[tuple[str, str], ...]


class Event(NamedTuple):
    """What one phase came to on some nodes, and what was done; ``time`` is that of the first of them."""

    time: str
    name: str
    phase: str
    where: str
    verdict: str
    action: str
    detail: str
    enforced: bool


class Change(NamedTuple):
    """A fact that the epilog found changed."""

    fact: str
    before: str
    after: str
    blame: str
    where: str


class Timing(NamedTuple):
    """Milliseconds of one probe (or of a whole phase) over all reports; ``where`` is the slowest node."""

    name: str
    median: float
    slowest: float
    where: str


class View(NamedTuple):
    """The whole of it; texts are cleaned, not escaped."""

    label: str
    jobs: int
    clusters: tuple[str, ...]
    users: tuple[str, ...]
    partitions: tuple[str, ...]
    constraints: tuple[str, ...]
    first: str
    last: str
    verdict: str
    tries: tuple[Try, ...]
    nodes: tuple[str, ...]
    asked: tuple[str, ...]
    clauses: tuple[Clause, ...]
    checks: tuple[str, ...]
    problems: tuple[Detail, ...]
    others: tuple[Detail, ...]
    environment: tuple[EnvRow, ...]
    changes: tuple[Change, ...]
    events: tuple[Event, ...]
    timings: tuple[Timing, ...]
    software: tuple[EnvRow, ...]
    name: str = ""  # of the job, and how it stands, where Slurm was asked: reports do not hold it
    ended: str = ""
    ran: str = ""

    @property
    def rows(self) -> tuple[Row, ...]:
        """Return the nodes of all tries."""
        return tuple(row for one in self.tries for row in one.rows)

    @property
    def has_several(self) -> bool:
        """Return whether a cell stands for several findings that are bad."""
        return any(cell.times > 1 for row in self.rows for _, cell in row.bad)
