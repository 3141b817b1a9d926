"""All reports of one job, or of an array's tasks, as one view that the renderers show.

A *try* is one run of one job: a job that was moved has several. Reports come from `validate.load`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from preflight.checks.finding import STATUSES
from preflight.digits import is_whole
from preflight.hostlist import folded
from preflight.report.clean import clean, clean_trees
from preflight.report.environment import EnvRow, environment, software
from preflight.report.model import VERDICTS, job_block, run_of

Report = dict[str, Any]
# Worst first, for a cell that holds several findings.
WORST = ("fail", "unknown", "warn", "pass", "skip")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
NO_JOB = 0  # stands for the job of a report that is about the node alone
_NAMES_SHOWN = 8
_NAME = 64  # letters of a user's or partition's name


class Cell(NamedTuple):
    """What one check said on one node: its worst status and how many findings have it."""

    status: str
    times: int


class Row(NamedTuple):
    """One node in one try; ``label`` names it within the whole view."""

    node: str
    label: str
    verdict: str
    cells: dict[str, Cell]
    counts: dict[str, int]


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


def merge(label: str, reports: Sequence[Report]) -> View:
    """Return the view of ``reports`` (at least one); ``label``: the job, or the node of one without a job."""
    cleaned: list[Report] = sorted(clean_trees(reports), key=lambda one: str(one["started"]))
    for one in cleaned:
        one["job"] = one["job"] or job_block(NO_JOB)
    tries = _tries(cleaned)
    placed = [(one, report) for one in tries for report in one.reports]
    details = _details(tries)
    jobs = {one.job for one in tries} - {NO_JOB}
    return View(
        label=label,
        jobs=len(jobs),
        clusters=_names(report["cluster"] for report in cleaned),
        users=_names(report["job"]["user"] for report in cleaned),
        partitions=_names(report["job"]["partition"] for report in cleaned),
        constraints=_distinct(report["job"]["constraints"] for report in cleaned),
        first=cleaned[0]["started"],
        last=cleaned[-1]["started"],
        verdict=worst_verdict(one.verdict for one in tries if one.last),
        tries=tries,
        nodes=_distinct(report["node"] for report in cleaned),
        asked=_distinct((report["requirement"] or {}).get("text") for report in cleaned),
        clauses=_clauses(placed),
        checks=tuple(sorted({check for one in tries for row in one.rows for check in row.cells})),
        problems=tuple(one for one in details if one.status in ("fail", "unknown", "warn")),
        others=tuple(one for one in details if one.status in ("pass", "skip")),
        environment=environment(cleaned, fold),
        changes=_changes(placed),
        events=_events(placed),
        timings=_timings(placed),
        software=software(cleaned, fold),
    )


def worst_verdict(verdicts: Iterable[str]) -> str:
    """Return the worst of ``verdicts``, "ready" for none."""
    return min(verdicts, key=VERDICTS.index, default="ready")


def fold(nodes: Iterable[str]) -> str:
    """Return node names as a host list, "gpu[001-004,007]"; where one is odd, some of them as they are."""
    names = list(dict.fromkeys(nodes))
    if len(names) > 1 and all(_PLAIN.fullmatch(name) for name in names):
        return folded(names)
    shown = ", ".join(names[:_NAMES_SHOWN])
    return f"{shown} and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else shown


@lru_cache(maxsize=1 << 14)
def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key that puts n2 before n10."""
    parts = re.split(r"([0-9]{1,18})", name)
    return [(1, int(part), "") if is_whole(part) else (0, 0, part) for part in parts]


def _tries(reports: list[Report]) -> tuple[Try, ...]:
    groups: dict[tuple[int, int], list[Report]] = {}
    for report in reports:
        groups.setdefault((report["job"]["id"], run_of(report)), []).append(report)
    latest = {job: max(run for one, run in groups if one == job) for job, _ in groups}
    tries = []
    for (job, run), own in sorted(groups.items(), key=lambda item: _order(item[0], item[1])):
        task = next((one["job"]["array_task_id"] for one in own if one["job"]["array_task_id"] is not None), None)
        name = _try_name(job, task, run, len(latest) > 1, run > 0 or latest[job] > 0)
        rows = _rows(own, name)
        verdict = worst_verdict(one["verdict"] for one in own)
        tries.append(Try(job, task, run, run == latest[job], name, verdict, tuple(own), rows))
    return tuple(tries)


def _order(key: tuple[int, int], own: list[Report]) -> tuple[int, int, int]:
    task = own[0]["job"]["array_task_id"]
    return (-1 if task is None else task, *key)


def _try_name(job: int, task: int | None, run: int, many_jobs: bool, many_runs: bool) -> str:
    parts = [f"task {task}" if task is not None else f"job {job}"] if many_jobs else []
    return ", ".join(parts + ([f"run {run}"] if many_runs else []))


def _rows(reports: list[Report], name: str) -> tuple[Row, ...]:
    nodes: dict[str, list[Report]] = {}
    for report in reports:
        nodes.setdefault(report["node"], []).append(report)
    return tuple(_row(node, nodes[node], name) for node in sorted(nodes, key=natural))


def _row(node: str, reports: list[Report], name: str) -> Row:
    by_check: dict[str, list[str]] = {}
    for report in reports:
        for finding in report["findings"]:
            by_check.setdefault(finding["check"], []).append(finding["status"])
    cells = {}
    for check, statuses in by_check.items():
        status = min(statuses, key=WORST.index)
        cells[check] = Cell(status, statuses.count(status))
    counts = dict.fromkeys(STATUSES, 0)
    for cell in cells.values():
        counts[cell.status] += 1
    label = f"{node} ({name})" if name else node
    return Row(node, label, worst_verdict(one["verdict"] for one in reports), cells, counts)


def where(places: Iterable[tuple[str, str]]) -> str:
    """Return (try, node) pairs as text: "gpu[001-004]", or "n1 (run 0); n2 (run 1)"."""
    return _where(tuple(places))


@lru_cache(maxsize=256)  # most findings of a job stand on the same nodes
def _where(places: tuple[tuple[str, str], ...]) -> str:
    by_try: dict[str, list[str]] = {}
    for name, node in places:
        by_try.setdefault(name, []).append(node)
    folded = {name: fold(sorted(set(nodes), key=natural)) for name, nodes in by_try.items()}
    return "; ".join(f"{nodes} ({name})" if name else nodes for name, nodes in folded.items())


def _details(tries: tuple[Try, ...]) -> list[Detail]:
    """Return the findings, equal ones of several nodes once, worst first."""
    groups: dict[tuple[Any, ...], list[tuple[Try, Report]]] = {}
    own = itemgetter(*Detail._fields[:9])  # what is the finding's own
    for one in tries:
        for report in one.reports:
            for finding in report["findings"]:
                groups.setdefault(own(finding), []).append((one, report))
    details = [
        Detail._make(
            (
                *key,
                _distinct(report["phase"] for _, report in places),
                where((one.name, report["node"]) for one, report in places),
                any(one.last for one, _ in places),
            )
        )
        for key, places in groups.items()
    ]
    return sorted(details, key=lambda one: (not one.last, WORST.index(one.status), one.check, natural(one.subject)))


def _clauses(placed: list[tuple[Try, Report]]) -> tuple[Clause, ...]:
    groups: dict[tuple[str, str], dict[str, list[tuple[str, str]]]] = {}
    for one, report in placed:
        for clause in (report["requirement"] or {}).get("clauses", ()):
            statuses = groups.setdefault((clause["text"], clause["source"] or ""), {})
            statuses.setdefault(clause["status"], []).append((one.name, report["node"]))
    clauses = []
    for (text, source), statuses in groups.items():
        order = sorted(statuses, key=WORST.index)
        clauses.append(Clause(text, source, order[0], tuple((status, where(statuses[status])) for status in order)))
    return tuple(clauses)


def _events(placed: list[tuple[Try, Report]]) -> tuple[Event, ...]:
    groups: dict[tuple[Any, ...], list[tuple[Try, Report]]] = {}
    for one, report in placed:
        action = report["action"]
        key = (one.job, one.run, report["phase"], report["verdict"], *(action[name] for name in ("kind", "detail")))
        groups.setdefault((*key, action["enforced"]), []).append((one, report))
    events = []
    for (_, _, phase, verdict, kind, detail, enforced), places in groups.items():
        first = min(report["started"] for _, report in places)
        nodes = fold(sorted({report["node"] for _, report in places}, key=natural))
        events.append(Event(first, places[0][0].name, phase, nodes, verdict, kind, detail or "", enforced))
    return tuple(sorted(events, key=lambda event: event.time))


def _changes(placed: list[tuple[Try, Report]]) -> tuple[Change, ...]:
    groups: dict[tuple[str, str, str, str], list[tuple[str, str]]] = {}
    for one, report in placed:
        for change in report.get("changes") or ():
            key = (change["fact"], _value(change["before"]), _value(change["after"]), change["blame"] or "")
            groups.setdefault(key, []).append((one.name, report["node"]))
    return tuple(Change(*key, where=where(places)) for key, places in groups.items())


def _value(value: Any) -> str:
    """Return a fact's value as short text."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_value(one) for one in value[:20]) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_value(one)}" for key, one in list(value.items())[:20]) or "none"
    return str(value)


def _timings(placed: list[tuple[Try, Report]]) -> tuple[Timing, ...]:
    values: dict[str, list[tuple[float, str]]] = {}
    for _, report in placed:
        values.setdefault(f"{report['phase']}, in all", []).append((report["duration_ms"], report["node"]))
        for probe, took in report["timings_ms"].items():
            values.setdefault(probe, []).append((took, report["node"]))
    timings = []
    for name, own in values.items():
        own.sort()
        slowest, node = own[-1]
        timings.append(Timing(name, own[(len(own) - 1) // 2][0], slowest, node))
    return tuple(sorted(timings, key=lambda one: (not one.name.endswith(", in all"), -one.slowest, one.name)))


def _names(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(clean(value, _NAME) for value in _distinct(values))


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(value for value in values if value))
