"""The rows that reports become, the same for each database.

Names are kept once, under a number made from the name itself: collectors side by side agree on it without asking.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from preflight.fleet.entry import Boot, Entry, Loud
from preflight.fleet.keys import BUCKETS_MS as BUCKETS_MS
from preflight.fleet.keys import HOUR_MS, bucket
from preflight.fleet.keys import STATUSES as STATUSES
from preflight.fleet.numbers import number as number
from preflight.fleet.store.frames import Frames
from preflight.report.advice import tripped
from preflight.report.model import PHASES, VERDICTS

MOST_SHOWN = 60  # findings of a node's latest report that are kept beside it; the report has all


class Upsert(NamedTuple):
    """Rows to add to a table: where the key is there already, ``merge`` says how the rest is joined."""

    table: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    merge: str
    rows: list[tuple[Any, ...]]

    def sql(self, mark: str) -> str:
        """Return the statement; ``mark`` is the database's mark of a parameter."""
        marks = ", ".join([mark] * len(self.columns))
        end = f"UPDATE SET {self.merge}" if self.merge else "NOTHING"
        return (
            f"INSERT INTO {self.table} ({', '.join(self.columns)}) VALUES ({marks}) "
            f"ON CONFLICT ({', '.join(self.key)}) DO {end}"
        )


def node_number(entry: Entry) -> int:
    """Return the number of a report's node."""
    return number(entry.cluster, entry.node)


def report_row(entry: Entry, frames: Frames) -> tuple[Any, ...]:
    """Return the columns of a report from ``key`` to ``frame``, packed by ``frames``."""
    return (
        entry.key,
        node_number(entry),
        entry.job.id if entry.job else None,
        PHASES.index(entry.phase),
        entry.started_ms,
        VERDICTS.index(entry.verdict),
        entry.duration_ms,
        entry.profile.hash,
        frames.number,
        frames.pack(entry.raw),
    )


def finding_rows(entry: Entry) -> Iterator[tuple[Any, ...]]:
    """Yield the columns of a report's findings from ``check_id`` to ``subject``."""
    node = node_number(entry)
    for one in entry.loud:
        yield number(one.check), node, STATUSES.index(one.status), one.blame, one.subject


def derived(entries: Iterable[Entry]) -> list[Upsert]:
    """Return what reports, each of which is new to the store, add to the derived tables, in any order of them."""
    tables = _Tables()
    for entry in entries:
        tables.take(entry)
    return tables.upserts()


_COUNT = "runs = {table}.runs + excluded.runs"
_LEAST = "{one} = CASE WHEN excluded.{one} < {table}.{one} THEN excluded.{one} ELSE {table}.{one} END"
_MOST = "{one} = CASE WHEN excluded.{one} > {table}.{one} THEN excluded.{one} ELSE {table}.{one} END"
_LATEST = (
    *("started_ms", "report", "phase", "verdict", "action", "enforced", "job", "failing"),
    *("hash", "preflight", "policy"),
)
_HEALTH = ("health_ms", "health_report", "health_verdict", "health_failing")  # of the latest health check
_NO_HEALTH = (0, b"", 0, "")
HEALTH = PHASES.index("health")


class _Tables:
    """Sums up the rows of one batch, so that each key is touched once."""

    def __init__(self) -> None:
        self.nodes: dict[int, tuple[Any, ...]] = {}
        self.checks: dict[int, tuple[Any, ...]] = {}
        self.profiles: dict[bytes, tuple[Any, ...]] = {}
        self.latest: dict[int, tuple[Any, ...]] = {}
        self.health: dict[int, tuple[Any, ...]] = {}
        self.spans: dict[str, dict[tuple[Any, ...], list[int]]] = {}
        self.hours: Counter[tuple[Any, ...]] = Counter()
        self.durations: Counter[tuple[Any, ...]] = Counter()
        self.check_days: Counter[tuple[Any, ...]] = Counter()
        self.check_totals: Counter[tuple[Any, ...]] = Counter()
        self.check_nodes: dict[tuple[Any, ...], int] = {}
        self.boots: dict[tuple[int, str], list[int]] = {}
        self.totals: Counter[tuple[str, ...]] = Counter()
        self.actions: list[tuple[Any, ...]] = []
        self.events: list[tuple[Any, ...]] = []
        self.trips: dict[bytes, tuple[Any, ...]] = {}
        self.jobs: dict[tuple[str, int], list[Any]] = {}
        self._numbers: dict[tuple[str, ...], int] = {}

    def take(self, entry: Entry) -> None:
        node = self._number(entry.cluster, entry.node)
        phase, verdict = PHASES.index(entry.phase), VERDICTS.index(entry.verdict)
        hour = entry.started_ms // HOUR_MS
        self.nodes[node] = (node, entry.cluster, entry.node)
        self.profiles[entry.profile.hash] = entry.profile
        self._latest(node, phase, verdict, entry)
        self._span("node_profiles", (node, entry.day, entry.profile.hash), entry.started_ms)
        self._span("node_software", (node, entry.day, entry.preflight, entry.policy), entry.started_ms)
        self._span("node_days", (node, entry.day, phase, verdict), entry.started_ms)
        self.hours[entry.cluster, hour, phase, verdict] += 1
        self.durations[entry.cluster, hour, phase, bucket(entry.duration_ms)] += 1
        for one in entry.loud:
            check = self._number(one.check)
            self.checks[check] = (check, one.check)
            status = STATUSES.index(one.status)
            self.check_days[entry.day, check, node, status, one.blame] += 1
            self.check_totals[entry.day, check, status, one.blame] += 1
            key = (check, status, node, one.blame)
            self.check_nodes[key] = max(entry.day, self.check_nodes.get(key, 0))
        if entry.boot is not None:
            self._boot(node, entry.boot, entry.started_ms)
        if entry.action != "none":
            its = (*(_cause(entry), entry.detail), entry.job.id if entry.job else None)
            start = (entry.key, node, entry.started_ms, phase, entry.action)
            self.actions.append((*start, int(entry.enforced), *its))
            if kind := event(entry):
                self._event(kind, entry, (*start[1:-1], kind, *its))
        self._totals(entry, str(phase), str(verdict))
        if entry.job:
            self._job(entry, verdict)

    def _event(self, kind: str, entry: Entry, row: tuple[Any, ...]) -> None:
        """Keep an event to be told; of a cluster's trips within an hour one: each node that is held back makes more."""
        if kind == "breaker":
            key = hour_key(entry.cluster, entry.started_ms // HOUR_MS)
            self.trips[key] = min(self.trips.get(key, (key, *row)), (key, *row), key=lambda one: one[2])
        else:
            self.events.append((entry.key, *row))

    def _totals(self, entry: Entry, phase: str, verdict: str) -> None:
        totals, cluster = self.totals, entry.cluster
        totals["runs", cluster, phase, verdict, ""] += 1
        totals["durations", cluster, phase, str(bucket(entry.duration_ms)), ""] += 1
        if entry.phase == "prolog" and entry.job:
            totals["prologs", cluster, entry.job.partition, verdict, ""] += 1
        for one in entry.loud:
            totals["findings", cluster, one.check, str(STATUSES.index(one.status)), one.blame] += 1
        if entry.action != "none":
            totals["actions", cluster, entry.action, _cause(entry), str(int(entry.enforced))] += 1
        if event(entry) == "breaker":
            totals["breaker", cluster, "", "", ""] += 1

    def _number(self, *names: str) -> int:
        known = self._numbers.get(names)
        if known is None:
            known = self._numbers[names] = number(*names)
        return known

    def _latest(self, node: int, phase: int, verdict: int, entry: Entry) -> None:
        at = (entry.started_ms, entry.key)
        newer = at > self.latest[node][1:3] if node in self.latest else True
        healthier = phase == HEALTH and at > self.health.get(node, _NO_HEALTH)[:2]
        if not newer and not healthier:
            return
        failing = "\n".join(f"{one.status} {one.check} {one.subject}" for one in _shown(entry.loud))
        if healthier:
            self.health[node] = (*at, verdict, failing)
        if not newer:
            return
        job = entry.job.id if entry.job else None
        self.latest[node] = (
            *(node, entry.started_ms, entry.key, phase, verdict, entry.action, int(entry.enforced), job, failing),
            *(entry.profile.hash, entry.preflight, entry.policy),
        )

    def _span(self, table: str, key: tuple[Any, ...], at_ms: int) -> None:
        spans = self.spans.setdefault(table, {})
        span = spans.get(key)
        if span is None:
            spans[key] = [at_ms, at_ms, 1]
        else:
            span[0], span[1], span[2] = min(span[0], at_ms), max(span[1], at_ms), span[2] + 1

    def _boot(self, node: int, boot: Boot, at_ms: int) -> None:
        row = self.boots.setdefault((node, boot.id), [boot.up_ms, at_ms, at_ms, 0])
        if at_ms >= row[2]:  # the later a run, the better its clock
            row[0], row[2] = boot.up_ms, at_ms
        row[1], row[3] = min(row[1], at_ms), row[3] + 1

    def _job(self, entry: Entry, verdict: int) -> None:
        job = entry.job
        assert job is not None
        row = self.jobs.get((entry.cluster, job.id))
        if row is None:
            at = entry.started_ms
            row = [job.array, job.task, job.user, job.partition, at, at, verdict, job.restart, 0]
            self.jobs[entry.cluster, job.id] = row
        row[4], row[5] = min(row[4], entry.started_ms), max(row[5], entry.started_ms)
        row[6], row[7], row[8] = min(row[6], verdict), max(row[7], job.restart), row[8] + 1

    def upserts(self) -> list[Upsert]:
        """Return the rows, each table's in order of its key: collectors side by side do not lock each other."""
        newer = "(excluded.started_ms, excluded.report) > (latest.started_ms, latest.report)"
        healthier = "(excluded.health_ms, excluded.health_report) > (latest.health_ms, latest.health_report)"
        keep = ", ".join(
            f"{one} = CASE WHEN {later} THEN excluded.{one} ELSE latest.{one} END"
            for columns, later in ((_LATEST, newer), (_HEALTH, healthier))
            for one in columns
        )
        latest = {node: (*row, *self.health.get(node, _NO_HEALTH)) for node, row in self.latest.items()}
        found = [
            Upsert("nodes", ("node", "cluster", "name"), ("node",), "", _sorted(self.nodes)),
            Upsert("checks", ("check_id", "name"), ("check_id",), "", _sorted(self.checks)),
            Upsert("profiles", ("hash", "text"), ("hash",), "", _sorted(self.profiles)),
            Upsert("latest", ("node", *_LATEST, *_HEALTH), ("node",), keep, _sorted(latest)),
            self._spans("node_profiles", ("node", "day", "hash")),
            self._spans("node_software", ("node", "day", "preflight", "policy")),
            self._spans("node_days", ("node", "day", "phase", "verdict")),
            _counts("hours", ("cluster", "hour", "phase", "verdict"), self.hours),
            _counts("durations", ("cluster", "hour", "phase", "bucket"), self.durations),
            _counts("check_days", ("day", "check_id", "node", "status", "blame"), self.check_days),
            _counts("check_totals", ("day", "check_id", "status", "blame"), self.check_totals),
            Upsert(
                "check_nodes",
                ("check_id", "status", "node", "blame", "last_day"),
                ("check_id", "status", "node", "blame"),
                _MOST.format(one="last_day", table="check_nodes"),
                [(*key, day) for key, day in sorted(self.check_nodes.items())],
            ),
            self._node_boots(),
            Upsert(
                "actions",
                ("report", "node", "at_ms", "phase", "kind", "enforced", "check_name", "detail", "job"),
                ("report",),
                "",
                sorted(self.actions, key=lambda row: row[0]),
            ),
            Upsert(
                "events",
                ("report", "node", "at_ms", "phase", "kind", "check_name", "detail", "job"),
                ("report",),
                "",
                # Trips in the order of their keys: another collector may be writing the same ones.
                sorted(self.events, key=lambda row: (row[2], row[0])) + _sorted(self.trips),
            ),
            self._jobs(),
            _counts("totals", ("name", "cluster", "a", "b", "c"), self.totals),
        ]
        return [one for one in found if one.rows]

    def _spans(self, table: str, key: tuple[str, ...]) -> Upsert:
        rows = [(*one, *span) for one, span in sorted(self.spans.get(table, {}).items())]
        parts = (_LEAST.format(one="first_ms", table=table), _MOST.format(one="last_ms", table=table))
        merge = ", ".join((*parts, _COUNT.format(table=table)))
        return Upsert(table, (*key, "first_ms", "last_ms", "runs"), key, merge, rows)

    def _node_boots(self) -> Upsert:
        newer = "CASE WHEN excluded.last_ms > node_boots.last_ms THEN excluded.up_ms ELSE node_boots.up_ms END"
        parts = [f"up_ms = {newer}", _LEAST.format(one="first_ms", table="node_boots")]
        parts += [_MOST.format(one="last_ms", table="node_boots"), _COUNT.format(table="node_boots")]
        columns = ("node", "boot", "up_ms", "first_ms", "last_ms", "runs")
        rows = [(*key, *row) for key, row in sorted(self.boots.items())]
        return Upsert("node_boots", columns, ("node", "boot"), ", ".join(parts), rows)

    def _jobs(self) -> Upsert:
        parts = [_LEAST.format(one=one, table="jobs") for one in ("first_ms", "verdict")]
        parts += [_MOST.format(one=one, table="jobs") for one in ("last_ms", "restarts")]
        merge = ", ".join((*parts, "reports = jobs.reports + excluded.reports"))
        columns = "cluster job array_job array_task user_name partition_name first_ms last_ms verdict restarts reports"
        rows = [(*key, *row) for key, row in sorted(self.jobs.items())]
        return Upsert("jobs", tuple(columns.split()), ("cluster", "job"), merge, rows)


def _sorted(rows: dict[Any, tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple(rows[key]) for key in sorted(rows)]


def _counts(table: str, key: tuple[str, ...], counts: Counter[tuple[Any, ...]]) -> Upsert:
    rows = [(*one, runs) for one, runs in sorted(counts.items())]
    return Upsert(table, (*key, "runs"), key, _COUNT.format(table=table), rows)


def event(entry: Entry) -> str:
    """Return what others are told of a report: "drain", "resume", "breaker", "" where there is nothing."""
    if entry.action in ("drain", "resume") and entry.enforced:
        return entry.action
    return "breaker" if tripped(entry.action, entry.detail) else ""


def hour_key(cluster: str, hour: int) -> bytes:
    """Return the 16 bytes under which a cluster's trips of the breaker in an hour (since the epoch) are one event."""
    text = f"{cluster}\0breaker\0{hour}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).digest()


def _shown(loud: Sequence[Loud]) -> list[Loud]:
    """Return the findings that a node's latest state keeps, fails first: one of each check and status before others."""
    ranked = sorted(loud, key=lambda one: STATUSES.index(one.status))
    firsts = {(one.status, one.check): one for one in reversed(ranked)}
    others = [one for one in ranked if firsts[one.status, one.check] is not one]
    kept = sorted(firsts.values(), key=lambda one: STATUSES.index(one.status)) + others
    return sorted(kept[:MOST_SHOWN], key=lambda one: STATUSES.index(one.status))


def _cause(entry: Entry) -> str:
    """Return the check that an action is for: the first that failed, as the drain's own reason names it."""
    for one in entry.loud:
        if one.status == "fail":
            return one.check
    return entry.loud[0].check if entry.loud else ""
