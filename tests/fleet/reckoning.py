"""The answers of `preflight fleet`, reckoned from the reports themselves: slowly, and by nothing of the store's."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from datetime import datetime
from typing import Any

DAY_MS = 86_400_000
LOUD = ("fail", "warn", "unknown")


def load(raws: list[bytes]) -> list[dict[str, Any]]:
    """Return the reports in order of time, each with its time in milliseconds."""
    found = []
    for raw in raws:
        report = json.loads(raw)
        report["at"] = milliseconds(report["started"])
        found.append(report)
    return sorted(found, key=lambda one: one["at"])


def milliseconds(stamp: str) -> int:
    """Return a report's time in milliseconds since the epoch."""
    return round(datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp() * 1000)


def latest(reports: list[dict[str, Any]]) -> dict[str, tuple[int, str]]:
    """Return node -> (time, verdict): of its latest report, or of a health check of the day before it if that is worse.

    A job's prolog looks at its own GPUs, a health check at the node's.
    """
    newest = {one["node"]: one for one in reports}
    checked = {one["node"]: one for one in reports if one["phase"] == "health"}
    found = {}
    for node, one in newest.items():
        words = [one["verdict"]]
        if node in checked and one["at"] - checked[node]["at"] <= DAY_MS:
            words.append(checked[node]["verdict"])
        found[node] = (one["at"], min(words, key=VERDICTS.index))
    return found


def drains(reports: list[dict[str, Any]], begin: int, end: int) -> list[tuple[str, int, int | None, str]]:
    """Return (node, begin, end, by) of the drains that began in a window.

    Of one millisecond a resume is taken first and a drain last; a prolog within 20 s of a drain is of a job
    that was on its way.
    """
    by_node: dict[str, list[dict[str, Any]]] = defaultdict(list)
    order = {"resume": 0, "drain": 2}
    for one in sorted(reports, key=lambda one: (one["at"], order.get(one["action"]["kind"], 1))):
        by_node[one["node"]].append(one)
    found = []
    for node, its in by_node.items():
        drained: int | None = None
        for one in its:
            kind = one["action"]["kind"] if one["action"]["enforced"] else ""
            if drained is not None and one["phase"] == "prolog" and one["at"] > drained + 20_000:
                found.append((node, drained, one["at"], "others"))
                drained = None
            if drained is not None and kind == "resume" and one["at"] > drained:
                found.append((node, drained, one["at"], "preflight"))
                drained = None
            if kind == "drain" and drained is None:
                drained = one["at"]
        if drained is not None:
            found.append((node, drained, None, ""))
    return sorted((one for one in found if begin <= one[1] < end), key=lambda one: (one[1], one[0]))


def withheld(
    reports: list[dict[str, Any]], begin: int, end: int
) -> dict[tuple[str, str], tuple[int, tuple[str, ...], int]]:
    """Return (kind, check) -> (times, nodes, time of the last) of what was not done in a window."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for one in reports:
        action = one["action"]
        if action["kind"] != "none" and not action["enforced"] and begin <= one["at"] < end:
            found[action["kind"], cause(one)].append(one)
    return {
        key: (len(its), tuple(sorted({one["node"] for one in its})), max(one["at"] for one in its))
        for key, its in found.items()
    }


def cause(report: dict[str, Any]) -> str:
    """Return the check that a report's action is for: the first that failed, else the first that did not pass."""
    loud = [row for row in report["findings"] if row["status"] in LOUD]
    return next((row["check"] for row in loud if row["status"] == "fail"), loud[0]["check"] if loud else "")


def failing(reports: list[dict[str, Any]], days: range) -> dict[tuple[str, str], tuple[int, int]]:
    """Return (check, status) -> (nodes, runs), counting each finding, on whole days."""
    nodes: dict[tuple[str, str], set[str]] = defaultdict(set)
    runs: Counter[tuple[str, str]] = Counter()
    for one in reports:
        if one["at"] // DAY_MS in days:
            for row in one["findings"]:
                if row["status"] in LOUD:
                    nodes[row["check"], row["status"]].add(one["node"])
                    runs[row["check"], row["status"]] += 1
    return {key: (len(nodes[key]), runs[key]) for key in nodes}


def boots(reports: list[dict[str, Any]], node: str) -> list[tuple[int, int, int]]:
    """Return (when, first report, last report) of each boot of a node, in order of time."""
    by_boot: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in reports:
        if one["node"] == node and "boot" in one:
            by_boot[one["boot"]["id"]].append(one)
    spans = [(milliseconds(its[-1]["boot"]["at"]), its[0]["at"], its[-1]["at"]) for its in by_boot.values()]
    return sorted(spans, key=lambda one: one[1])


def verdicts(reports: list[dict[str, Any]], hours: tuple[int, int]) -> Counter[tuple[str, str]]:
    """Return (phase, verdict) -> runs in whole hours."""
    inside = [one for one in reports if hours[0] <= one["at"] // 3_600_000 < hours[1]]
    return Counter((one["phase"], one["verdict"]) for one in inside)


def jobs(reports: list[dict[str, Any]], begin: int, end: int) -> dict[int, tuple[str, int]]:
    """Return job -> (user, reports) of those whose span of reports meets a window."""
    spans: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for one in reports:
        if one["job"]:
            spans[one["job"]["id"]].append(one)
    inside = {job: its for job, its in spans.items() if its[-1]["at"] >= begin and its[0]["at"] < end}
    return {job: (its[0]["job"]["user"], len(its)) for job, its in inside.items()}


PHASES, VERDICTS = ("prolog", "epilog", "health"), ("unhealthy", "mismatch", "unknown", "degraded", "ready")
BUCKETS = (2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048, 4096, 8192, 16384)


def totals(reports: list[dict[str, Any]]) -> Counter[tuple[str, ...]]:
    """Return what was ever counted, by name, cluster and three labels, as the store writes them."""
    found: Counter[tuple[str, ...]] = Counter()
    for one in reports:
        cluster, phase = one["cluster"], str(PHASES.index(one["phase"]))
        verdict, action = str(VERDICTS.index(one["verdict"])), one["action"]
        found["runs", cluster, phase, verdict, ""] += 1
        found["durations", cluster, phase, str(sum(one["duration_ms"] > limit for limit in BUCKETS)), ""] += 1
        if one["phase"] == "prolog" and one["job"]:
            found["prologs", cluster, one["job"]["partition"], verdict, ""] += 1
        loud = [row for row in one["findings"] if row["status"] in LOUD]
        for row in loud:
            status = ("fail", "unknown", "warn").index(row["status"])
            found["findings", cluster, row["check"], str(status), row["blame"]] += 1
        if action["kind"] != "none":
            found["actions", cluster, action["kind"], cause(one), str(int(action["enforced"]))] += 1
            if (
                action["kind"] == "drain"
                and not action["enforced"]
                and re.match("drain breaker: [0-9]", action["detail"])
            ):
                found["breaker", cluster, "", "", ""] += 1
    return found


def majority(reports: list[dict[str, Any]], path: tuple[str, str]) -> dict[str, set[str]]:
    """Return value -> nodes whose latest report has it, for one fact."""
    newest = {one["node"]: one for one in reports}
    found: dict[str, set[str]] = defaultdict(set)
    for node, one in newest.items():
        found[str(one["facts"][path[0]][path[1]])].add(node)
    return found
