"""The report, format preflight.report/1, as plain JSON values; on the hook's path, so it imports nothing heavy."""

from __future__ import annotations

import sys
import time

from preflight import __version__
from preflight.checks.finding import STATUSES, Finding

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    Report = dict[str, Any]
else:
    Report = dict

FORMAT = "preflight.report/1"
PHASES = ("prolog", "epilog", "health")
# Worst first: the order in which design.md says a verdict holds.
VERDICTS = ("unhealthy", "mismatch", "unknown", "degraded", "ready")
SOURCES = ("one-shot", "agent")
ACTIONS = ("none", "requeue", "hold", "cancel", "drain", "resume", "reboot", "command")


def build(
    *,
    cluster: str,
    node: str,
    phase: str,
    started: float,
    duration_ms: float,
    verdict: str,
    findings: Iterable[Finding],
    facts: Mapping[str, Mapping[str, Any]],
    job: Mapping[str, Any] | None = None,
    requirement: Mapping[str, Any] | None = None,
    action: Mapping[str, Any] | None = None,
    unknown: Mapping[str, str] | None = None,
    changes: Iterable[Mapping[str, Any]] | None = None,
    timings_ms: Mapping[str, float] | None = None,
    software: Mapping[str, Any] | None = None,
    boot: Mapping[str, Any] | None = None,
    source: str = "one-shot",
    ages_s: Mapping[str, float] | None = None,
) -> Report:
    """Return the report of one run on one node.

    ``started`` is seconds since the epoch; ``job``, ``requirement``, ``action``, ``software`` and ``boot`` are what
    the functions of those names below return, ``boot`` None where the system has no boot id; ``facts`` and ``unknown``
    are those of the facts document; ``changes`` is written for the epilog only: dicts of fact, before, after, blame.
    ``source``: "one-shot", or "agent" where the node agent answered; then ``ages_s`` has the seconds since each
    subject of the facts was read.
    """
    rows = [finding.as_dict() for finding in findings]
    report: Report = {
        "format": FORMAT,
        "id": _identity(node, job, phase, started),
        "cluster": cluster,
        "node": node,
        "phase": phase,
        "started": timestamp(started),
        "duration_ms": _ms(duration_ms),
        "job": None if job is None else dict(job),
        "requirement": None if requirement is None else dict(requirement),
        "verdict": verdict,
        "action": dict(action or action_block()),
        "findings": rows,
        "counts": count(row["status"] for row in rows),
        "facts": {subject: dict(keys) for subject, keys in facts.items()},
        "unknown": dict(unknown or {}),
        "timings_ms": {probe: _ms(value) for probe, value in (timings_ms or {}).items()},
        "software": dict(software or software_block()),
        "source": source,
        "ages_s": dict(ages_s or {}),
    }
    if boot is not None:
        report["boot"] = dict(boot)
    if phase == "epilog":
        report["changes"] = [dict(change) for change in changes or ()]
    return report


def job_block(
    id: int,
    *,
    array_job_id: int | None = None,
    array_task_id: int | None = None,
    restart: int | None = None,
    user: str | None = None,
    uid: int | None = None,
    partition: str | None = None,
    nodes: str | None = None,
    gpus: Iterable[int] | None = None,
    constraints: str | None = None,
    mig: Iterable[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return the report's job; None where Slurm gave no value (nothing is fetched for the report's sake).

    ``nodes`` is Slurm's hostlist text; ``gpus`` are NVML indexes on this node; ``restart`` is SLURM_RESTART_COUNT;
    ``mig``: {gpu, index, profile, uuid} of the MIG devices, whose GPUs are among ``gpus``.
    """
    return {
        "id": id,
        "array_job_id": array_job_id,
        "array_task_id": array_task_id,
        "restart": restart,
        "user": user,
        "uid": uid,
        "partition": partition,
        "nodes": nodes,
        "gpus": None if gpus is None else list(gpus),
        "constraints": constraints,
        "mig": None if mig is None else list(mig),
    }


def requirement_block(text: str, clauses: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
    """Return the report's requirement; ``clauses`` are (text, source, status)."""
    return {
        "text": text,
        "clauses": [{"text": clause, "source": source, "status": status} for clause, source, status in clauses],
    }


def action_block(kind: str = "none", detail: str = "", enforced: bool = True) -> dict[str, Any]:
    """Return the report's action; ``kind`` is one of ACTIONS, ``enforced`` False where it was only recorded."""
    return {"kind": kind, "detail": detail, "enforced": enforced}


def software_block(policy_sha256: str | None = None, catalog: str | None = None) -> dict[str, Any]:
    """Return what made the report; ``catalog`` is the version of the catalog's data."""
    python = ".".join(str(part) for part in sys.version_info[:3])
    return {"preflight": __version__, "python": python, "policy_sha256": policy_sha256, "catalog": catalog}


def boot_block(id: str, at: float) -> dict[str, Any] | None:
    """Return the boot of the node by the kernel's id, ``at`` seconds since the epoch; None where it has no id."""
    return {"id": id, "at": timestamp(at)} if id else None


def count(statuses: Iterable[str]) -> dict[str, int]:
    """Return how many findings have each status, in the report's order."""
    counts = dict.fromkeys(STATUSES, 0)
    for status in statuses:
        counts[status] += 1
    return counts


def run_of(report: Mapping[str, Any]) -> int:
    """Return the run of the job that a report is about: its restart count, 0 where Slurm gave none."""
    job = report.get("job") or {}
    return int(job.get("restart") or 0)


def timestamp(seconds: float) -> str:
    """Return seconds since the epoch as RFC 3339 in UTC, to the millisecond."""
    # Round first: 59.9996 s must not become 59.1000.
    whole, milli = divmod(round(seconds * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{milli:03d}Z"


def _identity(node: str, job: Mapping[str, Any] | None, phase: str, started: float) -> str:
    number = "node" if job is None else str(job["id"])
    compact = timestamp(started).replace("-", "").replace(":", "")
    return f"{node}/{number}/{run_of({'job': job})}/{phase}/{compact}"


def _ms(value: float) -> float:
    return round(float(value), 3)
