"""The job's runs, one after another: from its reports, and from AdminComment where no report can be read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from preflight.report.advice import held_back, tripped
from preflight.report.merge import merge
from preflight.report.nodes import fold, natural
from preflight.report.view import Try, View
from preflight.slurm.marks import marks
from preflight.submit.why.model import Evidence, Report, RunOutcome

# What decides, of several outcomes of one run: the worst first.
OUTCOMES = ("drained", "cancelled", "held", "moved", "unhealthy", "unfit", "unknown", "degraded", "ready")
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_BLAME = {"unhealthy": "node", "mismatch": "job"}


def view_of(evidence: Evidence) -> View | None:
    """Return the reports merged, None where there is none.

    Left out are those of a "node" that is no host's name: users own their copies, and the next step that is told is a
    command with the node in it.
    """
    told = tuple(report for report in evidence.reports if _HOST.fullmatch(report["node"]))
    return merge(evidence.label, told) if told else None


def stays(evidence: Evidence, view: View | None) -> tuple[RunOutcome, ...]:
    """Return the runs in order, nodes that fared alike together."""
    found: list[RunOutcome] = []
    told: set[tuple[int, str]] = set()
    for one in view.tries if view else ():
        told |= {(one.run, row.node) for row in one.rows}
        found += _of_try(one)
    found += _of_marks(evidence, told)
    # A stable sort: runs in order, and of one run what decided first.
    return tuple(sorted(found, key=lambda stay: (stay.run, OUTCOMES.index(stay.outcome))))


def last_run(found: Iterable[RunOutcome]) -> tuple[RunOutcome, ...]:
    """Return the stays of the latest run."""
    every = tuple(found)
    latest = max((stay.run for stay in every), default=-1)
    return tuple(stay for stay in every if stay.run == latest)


def epilogs(view: View | None, run: int) -> list[Report]:
    """Return the reports of the epilogs of one run."""
    return [
        report for one in (view.tries if view else ()) if one.run == run for report in one.reports
        if report["phase"] == "epilog"
    ]  # fmt: skip


def _of_try(one: Try) -> list[RunOutcome]:
    """Return the stays of one run; its epilog counts only where no prolog was recorded."""
    by_node: dict[str, Report] = {}
    for report in one.reports:
        if report["phase"] == "prolog" or report["node"] not in by_node:
            by_node[report["node"]] = report
    groups: dict[tuple[str, str, str], list[Report]] = {}
    for report in by_node.values():
        groups.setdefault((_outcome(report), because(report), spared(report)), []).append(report)
    return [
        RunOutcome(
            one.run,
            fold(sorted((report["node"] for report in own), key=natural)),
            min(seconds(report["started"]) for report in own),
            outcome,
            why,
            left_alone,
        )
        for (outcome, why, left_alone), own in groups.items()
    ]


def _outcome(report: Report) -> str:
    action, verdict = report["action"], report["verdict"]
    if report["phase"] != "prolog":
        return {"mismatch": "unfit"}.get(verdict, str(verdict))
    if action["enforced"] and action["kind"] in ("requeue", "hold", "cancel"):
        return {"requeue": "moved", "hold": "held", "cancel": "cancelled"}[action["kind"]]
    if verdict == "unhealthy":
        # "none": the node was drained or down before, and the job was stopped all the same.
        return "drained" if action["enforced"] and action["kind"] in ("drain", "none") else "unhealthy"
    return {"mismatch": "unfit"}.get(verdict, str(verdict))


_SPARED = (
    ("observe mode", "Preflight only observes here, in observe mode"),
    ("observed check", "this check only observes, by its mode in the policy"),
    ("kill switch", "Preflight's kill switch is on"),
    ("not done: ", "moving the job failed: "),
    ("the job cannot be updated", "the job cannot be changed (scrontab)"),
)


def spared(report: Report) -> str:
    """Return why nothing was done about what was found, "" where something was or nothing had to be."""
    action = report["action"]
    if report["phase"] != "prolog" or report["verdict"] not in ("mismatch", "unhealthy") or action["enforced"]:
        return ""
    detail = str(action["detail"] or "")
    if tripped(action["kind"], detail):
        return f"the drain breaker held: {held_back(detail)}"
    if held_back(detail):
        return f"nobody could count the drained nodes: {held_back(detail)}"
    for start, said in _SPARED:
        if detail.startswith(start):
            return said + (detail.removeprefix(start) if said.endswith(": ") else "")
    return detail or "the action was only recorded"


def because(report: Report) -> str:
    """Return why the report's verdict is what it is: the deciding finding's message, "" for ready."""
    finding = deciding(report)
    if finding is None:
        return ""
    message = str(finding["message"])
    check = finding["check"]
    return message if check in ("requirement", "expectation") else f"{finding['subject']}: {message} [{check}]"


def deciding(report: Report) -> dict[str, Any] | None:
    """Return the finding that the verdict follows from, None for ready."""
    blame = _BLAME.get(report["verdict"])
    rows: list[dict[str, Any]] = report["findings"]
    if blame:
        return next((one for one in rows if one["status"] == "fail" and one["blame"] == blame), None)
    for status in ("fail", "unknown", "warn") if report["verdict"] != "ready" else ():
        found = [one for one in rows if one["status"] == status]
        if found:  # what the job asked for before anything else
            return next((one for one in found if one["check"] == "requirement"), found[0])
    return None


def _of_marks(evidence: Evidence, told: set[tuple[int, str]]) -> list[RunOutcome]:
    """Return the stays that only AdminComment tells of; of one node and run the last entry counts."""
    if evidence.job is None:
        return []
    # Of a node that it was only excluded from it has no stay.
    own = (mark for mark in marks(evidence.job.admin_comment) if mark.kind != "excluded")
    latest = {(mark.run, mark.node): mark for mark in own}
    return [
        RunOutcome(mark.run, mark.node, None, mark.kind, mark.text) for key, mark in latest.items() if key not in told
    ]


def seconds(stamp: str) -> float:
    """Return a report's time (RFC 3339, UTC) as seconds since the epoch; 0 where it cannot be read."""
    try:
        return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0
