"""How the last jobs ended on this node, as their epilogs were told: a node on which job after job fails shows here.

The record stands in root's spool. It begins with a job that failed, so that a node on which all is well has none.
"""

from __future__ import annotations

import os
import time

from preflight.checks.registry import JobEnd
from preflight.files import OWN, lock_within, read_json, tolerate
from preflight.hooks import spool as disk
from preflight.hooks.aside import set_aside

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    from preflight.hooks.run import Run

MOST = 256
KEEP_S = 7 * 86400.0
LONGEST_S = 0.3  # that an epilog waits for another's note
# Ended by a hand, by its time limit or by its memory limit, not by the node: SIGINT, SIGTERM, and a shell's exit status
# after them; slurmctld's own 1 of a job past its time (job_mgr.c: _job_timed_out); SIG_OOM, 125 (slurm.h).
STOPPED = {(0, 1), (0, 2), (0, 15), (130, 0), (143, 0), (0, 125)}


def note(run: Run, before: dict[str, Any] | None) -> None:
    """Note how the epilog's job ended; ``before``: its prolog's report. A full disk costs only the record.

    A job that Preflight itself sent away, or that a hand or its time limit ended, says nothing of the node.
    """
    job = run.job
    if job is None or job.uid is None or job.ended is None or job.ended in STOPPED:
        return
    if before is not None and (before.get("action") or {}).get("kind") not in (None, "none"):
        return
    failed = job.ended != (0, 0)
    place = _place(run)
    if not failed and not os.path.exists(place):
        return
    turn = _turn(f"{run.policy.report.spool}/.ends-{run.node}.lock")
    try:
        _add(place, [time.time(), job.id, job.uid, failed])
    finally:
        if turn is not None:
            os.close(turn)


def _add(place: str, end: list[Any]) -> None:
    rows = [row for row in _stored(place) if row[1] != end[1] and 0 <= end[0] - row[0] < KEEP_S]
    rows = [*rows, end][-MOST:]
    with tolerate(OSError):
        if any(row[3] for row in rows):
            disk.write_json(place, {"ends": rows})
        else:
            disk.unlink(place)


def _turn(lock: str) -> int | None:
    """Wait to be the only epilog that notes, and return what is to be closed then; None where it could not be had.

    Jobs that end together would undo each other's notes. One that is stopped while it notes holds the others up for
    LONGEST_S, and no longer. The lock is a file that only root may open.
    """
    descriptor = None
    with tolerate(OSError):
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | OWN, 0o600)
        lock_within(descriptor, LONGEST_S)
    return descriptor


def ends(run: Run) -> tuple[JobEnd, ...]:
    """Return how the last jobs ended here, oldest first; () where none has failed."""
    now = time.time()
    return tuple(JobEnd(now - at, job, uid, failed) for at, job, uid, failed in _stored(_place(run)) if at <= now)


def _stored(place: str) -> list[list[Any]]:
    stored = read_json(place)
    if stored is None and not os.path.lexists(place):
        return []
    rows = stored.get("ends") if isinstance(stored, dict) else None
    if not isinstance(rows, list) or not all(_is_row(row) for row in rows):
        set_aside(place, stored)
        return []
    return rows


def _is_row(row: Any) -> bool:
    if not isinstance(row, list) or len(row) != 4 or not isinstance(row[3], bool):
        return False
    numbers = (isinstance(one, (int, float)) and not isinstance(one, bool) for one in row[:3])
    return all(numbers) and isinstance(row[1], int) and isinstance(row[2], int)


def _place(run: Run) -> str:
    return f"{run.policy.report.spool}/ends-{run.node}.json"
