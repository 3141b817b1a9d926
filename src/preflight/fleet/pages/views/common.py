"""What several pages share: drains as rows, what a drain is for, and how many columns name a cluster."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

from preflight.checks.registry import every_check
from preflight.fleet.pages.table import Column, JobRef, NodeRef, Table, fold
from preflight.fleet.query import search
from preflight.fleet.query.actions import Action, Drain
from preflight.fleet.query.jobs import Job

JOB_COLUMNS = (
    Column("job", "Job", "job"),
    Column("user", "User"),
    Column("partition", "Partition"),
    Column("verdict", "Verdict", "verdict"),
    Column("tries", "Tries", "number"),
    Column("reports", "Reports", "number"),
    Column("first", "First report", "time"),
    Column("last", "Last report", "time"),
)


def why(drain: Drain) -> str:
    """Return check and subject of a drain's reason, preflight:CHECK:SUBJECT: MESSAGE."""
    check, _, subject = drain.reason.removeprefix("preflight:").partition(": ")[0].partition(":")
    return f"{check} {subject}".strip() or drain.check


def message(reason: str) -> str:
    """Return what a reason of ours says in words, a reason of others as it is."""
    head, _, words = reason.partition(": ")
    return words if head.startswith("preflight:") and words else reason


def looked(found: Iterable[Job]) -> tuple[tuple[str, str], ...]:
    """Return the jobs that a page shows, with their users, for the audit line."""
    return tuple((search.label(one), one.user) for one in found)


def job_rows(found: Iterable[Job]) -> list[tuple[Any, ...]]:
    """Return the rows of a table with JOB_COLUMNS."""
    return [
        (
            JobRef(one.cluster, one.job, search.label(one)),
            one.user,
            one.partition,
            one.verdict,
            one.tries,
            one.reports,
            one.first_ms,
            one.last_ms,
        )
        for one in found
    ]


def drain_table(drains: Iterable[Drain], now_ms: int, name: str = "drains", caption: str = "Drains") -> Table:
    """Return drains as a table, the latest first."""
    columns = (
        Column("node", "Node", "node"),
        Column("since", "Since", "time"),
        Column("lasted_ms", "Lasted", "span"),
        Column("ended_by", "Ended by"),
        Column("check", "Check", "check"),
        Column("reason", "Reason"),
        Column("job", "Job", "job"),
    )
    rows = [
        (
            NodeRef(one.cluster, one.node),
            one.begin_ms,
            (one.end_ms or now_ms) - one.begin_ms,
            one.ended_by or "(lasts)",
            one.check,
            one.reason,
            JobRef(one.cluster, one.job, str(one.job)) if one.job is not None else None,
        )
        for one in sorted(drains, key=lambda one: (-one.begin_ms, one.node))
    ]
    return Table(name, caption, columns, rows, "No drain.")


def action_table(actions: Iterable[Action], name: str, caption: str, empty: str) -> Table:
    """Return actions as a table, the latest first."""
    columns = (
        Column("at", "When", "time"),
        Column("node", "Node", "node"),
        Column("kind", "Action"),
        Column("enforced", "Done"),
        Column("check", "For", "check"),
        Column("detail", "Detail"),
        Column("job", "Job", "job"),
    )
    rows = [
        (
            one.at_ms,
            NodeRef(one.cluster, one.node),
            one.kind,
            "done" if one.enforced else "not done",
            one.check,
            one.detail,
            JobRef(one.cluster, one.job, str(one.job)) if one.job is not None else None,
        )
        for one in sorted(actions, key=lambda one: (-one.at_ms, one.node))
    ]
    return Table(name, caption, columns, rows, empty)


def remedy(check: str) -> str:
    """Return what a check's author says is to be done, "" for a check that this Preflight does not have."""
    known = every_check().get(check)
    return known.remedy if known else ""


def resume_command(nodes: Iterable[str]) -> str:
    """Return the command that gives nodes back, to paste."""
    return f"scontrol update nodename={shlex.quote(fold(nodes))} state=resume"


def show_command(nodes: Iterable[str]) -> str:
    """Return the command that shows what Slurm knows of nodes, to paste."""
    return f"scontrol show node {shlex.quote(fold(nodes))}"
