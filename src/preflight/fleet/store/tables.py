"""The rows that reports become, the same for each database.

Names are kept once, under a number made from the name itself: collectors side by side agree on it without asking.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from preflight.fleet.entry import Boot, Entry, JobOf, Loud
from preflight.fleet.keys import BUCKETS_MS as BUCKETS_MS
from preflight.fleet.keys import HOUR_MS, bucket
from preflight.fleet.keys import STATUSES as STATUSES
from preflight.fleet.numbers import number as number
from preflight.fleet.store.frames import Frames
from preflight.fleet.store.upserts import (
    CHECK_DAYS,
    SPANS,
    Upsert,
    check_nodes_of,
    counts_of,
    jobs_of,
    node_boots_of,
    spans_of,
    withheld_hours_of,
    withheld_nodes_of,
)
from preflight.report.advice import tripped
from preflight.report.model import PHASES, VERDICTS

MOST_SHOWN = 60  # findings of a node's latest report that are kept beside it; the report has all


def node_number(entry: Entry) -> int:
    """Return the number of a report's node."""
    return number(entry.cluster, entry.node)


def report_row(entry: Entry, frames: Frames) -> tuple[Any, ...]:
    """Return the columns of a report from ``key`` to ``frame``, packed by ``frames`` where it is not yet."""
    frame = entry.frame
    if frame is None or not frames.knows(frame.number):
        frame = frames.pack(entry.raw)
    return (
        entry.key,
        node_number(entry),
        entry.job.id if entry.job else None,
        _PHASE[entry.phase],
        entry.started_ms,
        _VERDICT[entry.verdict],
        entry.duration_ms,
        entry.profile.hash,
        *frame,
    )


def finding_rows(entry: Entry) -> Iterator[tuple[Any, ...]]:
    """Yield the columns of a report's findings from ``check_id`` to ``subject``."""
    node = node_number(entry)
    for one in entry.loud:
        yield number(one.check), node, _STATUS[one.status], one.blame, one.subject


def derived(entries: Iterable[Entry]) -> list[Upsert]:
    """Return what reports, each of which is new to the store, add to the derived tables, in any order of them."""
    tables = _Tables()
    for entry in entries:
        tables.take(entry)
    return tables.upserts()


_LATEST = (
    *("started_ms", "report", "phase", "verdict", "action", "enforced", "job", "failing"),
    *("hash", "preflight", "policy"),
)
_PHASE, _VERDICT, _STATUS = ({name: at for at, name in enumerate(names)} for names in (PHASES, VERDICTS, STATUSES))
_HEALTH = ("health_ms", "health_report", "health_verdict", "health_failing")  # of the latest health check
_NO_HEALTH = (0, b"", 0, "")
HEALTH = PHASES.index("health")


_Run = tuple[str, int, int, int, int]  # cluster, hour, phase, verdict, bucket
_Kind = tuple[int, int, bytes, str, str, int, int]  # node, day, profile, preflight, policy, phase, verdict
_Found = tuple[str, int, int, str, int, str]  # cluster, node, day, check, status, blame


class _Tables:
    """Sums up the rows of one batch, so that each key is touched once.

    A report adds to one sum of each kind; what several tables have of it is told apart for the sums alone.
    """

    def __init__(self) -> None:
        self.nodes: dict[int, tuple[Any, ...]] = {}
        self.profiles: dict[bytes, tuple[Any, ...]] = {}
        self.latest: dict[int, tuple[Any, ...]] = {}
        self.health: dict[int, tuple[Any, ...]] = {}
        self.runs: Counter[_Run] = Counter()
        self.spans: dict[_Kind, list[int]] = {}
        self.found: Counter[_Found] = Counter()
        self.boots: dict[tuple[int, str], list[int]] = {}
        self.totals: Counter[tuple[str, ...]] = Counter()
        self.actions: list[tuple[Any, ...]] = []
        self.withheld: dict[tuple[int, str, str, str], list[int]] = {}
        self.withheld_on: dict[tuple[str, str, int], int] = {}
        self.events: list[tuple[Any, ...]] = []
        self.trips: dict[bytes, tuple[Any, ...]] = {}
        self.jobs: dict[tuple[str, int], list[Any]] = {}
        self._numbers: dict[tuple[str, ...], int] = {}

    def take(self, entry: Entry) -> None:
        cluster, at, day = entry.cluster, entry.started_ms, entry.day
        node = self._number(cluster, entry.node)
        phase, verdict = _PHASE[entry.phase], _VERDICT[entry.verdict]
        self.nodes[node] = (node, cluster, entry.node)
        self.profiles[entry.profile.hash] = entry.profile
        self._latest(node, phase, verdict, entry)
        self.runs[cluster, at // HOUR_MS, phase, verdict, bucket(entry.duration_ms)] += 1
        _widen(self.spans, (node, day, entry.profile.hash, entry.preflight, entry.policy, phase, verdict), at, at, 1)
        for one in entry.loud:
            self.found[cluster, node, day, one.check, _STATUS[one.status], one.blame] += 1
        if entry.boot is not None:
            self._boot(node, entry.boot, at)
        if entry.action != "none":
            self._action(entry, node, phase)
        if entry.job:
            self._job(entry.job, cluster, at, verdict)
            if entry.phase == "prolog":
                self.totals["prologs", cluster, entry.job.partition, str(verdict), ""] += 1

    def _action(self, entry: Entry, node: int, phase: int) -> None:
        its = (*(_cause(entry), entry.detail), entry.job.id if entry.job else None)
        start = (entry.key, node, entry.started_ms, phase, entry.action)
        self.actions.append((*start, int(entry.enforced), *its))
        self.totals["actions", entry.cluster, entry.action, its[0], str(int(entry.enforced))] += 1
        if not entry.enforced:
            self._withheld(entry, node, its[0])
        if kind := event(entry):
            self._event(kind, entry, (*start[1:-1], kind, *its))

    def _withheld(self, entry: Entry, node: int, check: str) -> None:
        at, kind = entry.started_ms, entry.action
        row = self.withheld.setdefault((at // HOUR_MS, entry.cluster, kind, check), [0, 0, at])
        row[0], row[1], row[2] = row[0] + 1, row[1] + tripped(kind, entry.detail), max(row[2], at)
        self.withheld_on[kind, check, node] = max(at, self.withheld_on.get((kind, check, node), at))

    def _event(self, kind: str, entry: Entry, row: tuple[Any, ...]) -> None:
        """Keep an event to be told; of a cluster's trips within an hour one: each node that is held back makes more."""
        if kind == "breaker":
            self.totals["breaker", entry.cluster, "", "", ""] += 1
            key = hour_key(entry.cluster, entry.started_ms // HOUR_MS)
            self.trips[key] = min(self.trips.get(key, (key, *row)), (key, *row), key=lambda one: one[2])
        else:
            self.events.append((entry.key, *row))

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

    def _boot(self, node: int, boot: Boot, at_ms: int) -> None:
        row = self.boots.setdefault((node, boot.id), [boot.up_ms, at_ms, at_ms, 0])
        if at_ms >= row[2]:  # the later a run, the better its clock
            row[0], row[2] = boot.up_ms, at_ms
        row[1], row[3] = min(row[1], at_ms), row[3] + 1

    def _job(self, job: JobOf, cluster: str, at: int, verdict: int) -> None:
        row = self.jobs.get((cluster, job.id))
        if row is None:
            its = (job.array, job.task, job.user, job.partition)
            self.jobs[cluster, job.id] = [*its, at, at, verdict, job.restart, 1]
            return
        row[4], row[5] = min(row[4], at), max(row[5], at)
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
            Upsert("profiles", ("hash", "text"), ("hash",), "", _sorted(self.profiles)),
            Upsert("latest", ("node", *_LATEST, *_HEALTH), ("node",), keep, _sorted(latest)),
            *self._by_node(),
            *self._findings(),
            *self._by_hour(),
            node_boots_of([(*key, *row) for key, row in sorted(self.boots.items())]),
            Upsert(
                "actions",
                ("report", "node", "at_ms", "phase", "kind", "enforced", "check_name", "detail", "job"),
                ("report",),
                "",
                sorted(self.actions, key=lambda row: row[0]),
            ),
            withheld_hours_of([(*key, *row) for key, row in sorted(self.withheld.items())]),
            withheld_nodes_of([(*key, at) for key, at in sorted(self.withheld_on.items())]),
            Upsert(
                "events",
                ("report", "node", "at_ms", "phase", "kind", "check_name", "detail", "job"),
                ("report",),
                "",
                # Trips in the order of their keys: another collector may be writing the same ones.
                sorted(self.events, key=lambda row: (row[2], row[0])) + _sorted(self.trips),
            ),
            jobs_of([(*key, *row) for key, row in sorted(self.jobs.items())]),
            counts_of("totals", ("name", "cluster", "a", "b", "c"), self.totals),
        ]
        return [one for one in found if one.rows]

    def _by_node(self) -> list[Upsert]:
        profiles: dict[tuple[Any, ...], list[int]] = {}
        software: dict[tuple[Any, ...], list[int]] = {}
        days: dict[tuple[Any, ...], list[int]] = {}
        for (node, day, hash_, preflight, policy, phase, verdict), span in self.spans.items():
            _widen(profiles, (node, day, hash_), *span)
            _widen(software, (node, day, preflight, policy), *span)
            _widen(days, (node, day, phase, verdict), *span)
        return [spans_of(table, key, its) for (table, key), its in zip(SPANS.items(), (profiles, software, days))]

    def _by_hour(self) -> list[Upsert]:
        hours: Counter[tuple[Any, ...]] = Counter()
        durations: Counter[tuple[Any, ...]] = Counter()
        for (cluster, hour, phase, verdict, place), runs in self.runs.items():
            hours[cluster, hour, phase, verdict] += runs
            durations[cluster, hour, phase, place] += runs
            self.totals["runs", cluster, str(phase), str(verdict), ""] += runs
            self.totals["durations", cluster, str(phase), str(place), ""] += runs
        return [
            counts_of("hours", ("cluster", "hour", "phase", "verdict"), hours),
            counts_of("durations", ("cluster", "hour", "phase", "bucket"), durations),
        ]

    def _findings(self) -> list[Upsert]:
        checks: dict[int, tuple[Any, ...]] = {}
        days: Counter[tuple[Any, ...]] = Counter()
        totals: Counter[tuple[Any, ...]] = Counter()
        nodes: dict[tuple[Any, ...], int] = {}
        for (cluster, node, day, name, status, blame), runs in self.found.items():
            check = self._number(name)
            checks[check] = (check, name)
            days[day, check, node, status, blame] += runs
            totals[day, check, status, blame] += runs
            key = (check, status, node, blame)
            nodes[key] = max(day, nodes.get(key, 0))
            self.totals["findings", cluster, name, str(status), blame] += runs
        return [
            Upsert("checks", ("check_id", "name"), ("check_id",), "", _sorted(checks)),
            counts_of("check_days", CHECK_DAYS, days),
            counts_of("check_totals", ("day", "check_id", "status", "blame"), totals),
            check_nodes_of([(*key, day) for key, day in sorted(nodes.items())]),
        ]


def _widen(spans: dict[Any, list[int]], key: tuple[Any, ...], first: int, last: int, runs: int) -> None:
    """Add ``runs`` from ``first`` to ``last`` (milliseconds since the epoch) to what is known under ``key``."""
    span = spans.get(key)
    if span is None:
        spans[key] = [first, last, runs]
    else:
        span[0], span[1], span[2] = min(span[0], first), max(span[1], last), span[2] + runs


def _sorted(rows: dict[Any, tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple(rows[key]) for key in sorted(rows)]


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
