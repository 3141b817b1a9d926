"""All reports of one job, or of an array's tasks, as one view. Reports come from `validate.load`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

from preflight.checks.finding import STATUSES
from preflight.report.clean import clean
from preflight.report.condense import FINDING, NO_JOB, Condenser
from preflight.report.environment import environment, software
from preflight.report.model import VERDICTS, run_of
from preflight.report.nodes import fold, natural, where
from preflight.report.view import BAD, WORST, Cell, Change, Clause, Detail, Event, Report, Row, Timing, Try, View

_NAME = 64  # letters of a user's or partition's name
_finding = itemgetter(*FINDING)


def merge(label: str, reports: Iterable[Report]) -> View:
    """Return the view of ``reports`` (at least one); ``label``: the job, or the node of one without a job."""
    condense = Condenser().condense
    return view_of(label, [condense(one) for one in reports])


def view_of(label: str, condensed: Iterable[Report]) -> View:
    """Return the view of reports that one `Condenser` has condensed, at least one; else as `merge`."""
    reports = sorted(condensed, key=itemgetter("started"))
    tries = _tries(reports)
    placed = [(one, report) for one in tries for report in one.reports]
    details = _details(placed)
    jobs = {one.job for one in tries} - {NO_JOB}
    return View(
        label=label,
        jobs=len(jobs),
        clusters=_names(report["cluster"] for report in reports),
        users=_names(report["job"]["user"] for report in reports),
        partitions=_names(report["job"]["partition"] for report in reports),
        constraints=_distinct(report["job"]["constraints"] for report in reports),
        first=reports[0]["started"],
        last=reports[-1]["started"],
        verdict=worst_verdict(one.verdict for one in tries if one.last),
        tries=tries,
        nodes=_distinct(report["node"] for report in reports),
        asked=_distinct((report["requirement"] or {}).get("text") for report in reports),
        clauses=_clauses(placed),
        checks=tuple(sorted({check for one in tries for row in one.rows for check in row.cells})),
        problems=tuple(one for one in details if one.status in BAD),
        others=tuple(one for one in details if one.status not in BAD),
        environment=environment(reports),
        changes=_changes(placed),
        events=_events(placed),
        timings=_timings(placed),
        software=software(reports),
    )


def worst_verdict(verdicts: Iterable[str]) -> str:
    """Return the worst of ``verdicts``, "ready" for none."""
    return min(verdicts, key=VERDICTS.index, default="ready")


def last_runs(runs: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Return the latest run of each job, of (job, run)."""
    latest: dict[int, int] = {}
    for job, run in runs:
        latest[job] = max(run, latest.get(job, run))
    return latest


def _tries(reports: list[Report]) -> tuple[Try, ...]:
    groups: dict[tuple[int, int], list[Report]] = {}
    for report in reports:
        groups.setdefault((report["job"]["id"], run_of(report)), []).append(report)
    latest = last_runs(groups)
    made = _Rows()
    tries = []
    for (job, run), own in sorted(groups.items(), key=lambda item: _order(item[0], item[1])):
        task = next((one["job"]["array_task_id"] for one in own if one["job"]["array_task_id"] is not None), None)
        name = _try_name(job, task, run, len(latest) > 1, run > 0 or latest[job] > 0)
        rows = made.of(own, name)
        verdict = worst_verdict(one["verdict"] for one in own)
        tries.append(Try(job, task, run, run == latest[job], name, verdict, tuple(own), rows))
    return tuple(tries)


def _order(key: tuple[int, int], own: list[Report]) -> tuple[int, int, int]:
    task = own[0]["job"]["array_task_id"]
    return (-1 if task is None else task, *key)


def _try_name(job: int, task: int | None, run: int, many_jobs: bool, many_runs: bool) -> str:
    parts = [f"task {task}" if task is not None else f"job {job}"] if many_jobs else []
    return ", ".join(parts + ([f"run {run}"] if many_runs else []))


class _Rows:
    """Makes the rows; nodes whose reports have the same findings share their cells."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, ...], tuple[dict[str, Cell], dict[str, int], tuple[tuple[str, Cell], ...]]] = {}

    def of(self, reports: Iterable[Report], name: str) -> tuple[Row, ...]:
        """Return the rows of one try called ``name``, a node each."""
        nodes: dict[str, list[Report]] = {}
        for report in reports:
            nodes.setdefault(report["node"], []).append(report)
        return tuple(self._row(node, nodes[node], name) for node in sorted(nodes, key=natural))

    def _row(self, node: str, reports: Sequence[Report], name: str) -> Row:
        key = tuple(id(report["findings"]) for report in reports)
        if key not in self._cells:
            self._cells[key] = _cells(finding for report in reports for finding in report["findings"])
        label = f"{node} ({name})" if name else node
        return Row(node, label, worst_verdict(one["verdict"] for one in reports), *self._cells[key])


def _cells(findings: Iterable[Report]) -> tuple[dict[str, Cell], dict[str, int], tuple[tuple[str, Cell], ...]]:
    """Return the cell of each check, how many have each status, and those that are bad."""
    by_check: dict[str, list[str]] = {}
    for finding in findings:
        by_check.setdefault(finding["check"], []).append(finding["status"])
    cells = {}
    for check, statuses in by_check.items():
        status = min(statuses, key=WORST.index)
        cells[check] = Cell(status, statuses.count(status))
    counts = dict.fromkeys(STATUSES, 0)
    for cell in cells.values():
        counts[cell.status] += 1
    return cells, counts, tuple((check, cells[check]) for check in sorted(cells) if cells[check].status in BAD)


def _details(placed: Sequence[tuple[Try, Report]]) -> list[Detail]:
    """Return the findings, equal ones of several nodes once, worst first."""
    # Equal findings are one object, and equal lists of them too: each list is gone through once.
    having: dict[int, list[int]] = {}
    for number, (_, report) in enumerate(placed):
        having.setdefault(id(report["findings"]), []).append(number)
    found: dict[int, Report] = {}
    lists: dict[int, dict[int, None]] = {}
    for own, numbers in having.items():
        for finding in placed[numbers[0]][1]["findings"]:
            found[id(finding)] = finding
            lists.setdefault(id(finding), {})[own] = None
    places: dict[tuple[int, ...], tuple[tuple[str, ...], str, bool]] = {}
    details = []
    for one, finding in found.items():
        key = tuple(lists[one])
        if key not in places:
            numbers = sorted(number for own in key for number in having[own])
            places[key] = _place([placed[number] for number in numbers])
        details.append(Detail._make((*_finding(finding), *places[key])))
    return sorted(details, key=lambda one: (not one.last, WORST.index(one.status), one.check, natural(one.subject)))


def _place(own: Sequence[tuple[Try, Report]]) -> tuple[tuple[str, ...], str, bool]:
    """Return the phases of reports, where they were made, and whether one is of a job's last run."""
    phases = _distinct(report["phase"] for _, report in own)
    return phases, where((one.name, report["node"]) for one, report in own), any(one.last for one, _ in own)


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
