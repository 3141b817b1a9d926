"""What a node has to do beside its jobs: copies that wait are delivered, records past their time removed.

The health check does it, and the node agent where one runs; one of them at a time (turn.py).
"""

from __future__ import annotations

import os

from preflight.files import tolerate, write_atomic
from preflight.hooks import outbox
from preflight.hooks.run import Run
from preflight.hooks.turn import turn
from preflight.report.store import prune_spool

DAY_S = 86400
MANY = 5000  # jobs: to list ten times as many costs half of a health check
SELDOM_S = 600.0
FEW_A_TIME, MANY_A_TIME = 1000, 20_000  # jobs that are looked at


def deliver(run: Run) -> str:
    """Deliver the copies and records that wait, and keep the queue of what is to be shipped within its bounds.

    Return why nothing that waits could be delivered, "" where something was, nothing waits or another is at it.
    """
    why = ""
    with turn(run.policy.report.spool, "deliver") as mine:
        if not mine:
            return ""
        why = outbox.deliver(run)
        if run.policy.ship.url:
            from preflight.report import queue

            with tolerate(OSError):
                queue.bound(run.policy.report.spool)
    return why


def prune(run: Run) -> None:
    """Remove records past their time, but for those whose copies still wait; of MANY jobs every SELDOM_S seconds."""
    spool, mark = run.policy.report.spool, f"{run.run_dir}/pruned-{run.node}"
    limit = FEW_A_TIME
    with tolerate(OSError):
        if 0 <= run.started - os.stat(mark).st_mtime < SELDOM_S:
            return
        limit = MANY_A_TIME
    with turn(spool, "deliver") as mine, tolerate(OSError):
        if not mine:
            return
        before = run.started - run.policy.report.keep_days * DAY_S  # as it was before a clock that jumps just now
        if prune_spool(spool, before, limit, keep=outbox.waiting_jobs(spool)).listed > MANY:
            write_atomic(mark, b"")
