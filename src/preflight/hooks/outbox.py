"""Reports that could not be written where they belong: kept on the node, and tried again by the health check.

    <spool>/outbox/<job>.<file>     the users' copies, when the shared directory is away
    <run dir>/unkept/<job>.<file>   root's records, when the spool is full, frozen or gone: in memory, so bounded

Each health check takes a bounded number, from a random one on, so that no user's refused copies hold up another's.
"""

from __future__ import annotations

import os
import time

from preflight.files import read_json, tolerate, unlink, write_json
from preflight.hooks import journal
from preflight.hooks.aside import set_aside
from preflight.hooks.keep import Delivery
from preflight.hooks.run import Run
from preflight.report import store
from preflight.report.model import Report

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_COPIES = 2000
MAX_UNKEPT = 200  # of some 20 KB each
AT_A_TIME = 100


def keep_copy(run: Run, report: Report) -> None:
    """Keep a user's copy for later; past MAX_COPIES it is given up: root's record has it."""
    _keep(f"{run.policy.report.spool}/outbox", report, MAX_COPIES)


def keep_record(run: Run, report: Report) -> None:
    """Keep root's record in memory for later; past MAX_UNKEPT it is lost, and syslog has its line."""
    _keep(f"{run.run_dir}/unkept", report, MAX_UNKEPT)


def _keep(directory: str, report: Report, limit: int) -> None:
    with tolerate(OSError):
        if os.path.isdir(directory) and len(os.listdir(directory)) >= limit:
            journal.say(
                journal.ERROR, f"{directory} is full ({limit} reports): job {store.job_folder(report)} left out"
            )
            return
        write_json(f"{directory}/{store.job_folder(report)}.{store.file_name(report)}", report)


def deliver(run: Run) -> str:
    """Try again to write what waits, records first; stops where the place itself is missing or hangs.

    A copy that is refused holds up no other, and is given up when its record is. Return why none of it could be
    written, "" where some was or nothing waits.
    """
    some, why = False, ""
    for path, report in _waiting(f"{run.run_dir}/unkept"):
        if time.monotonic() >= run.deadline:
            return ""
        delivery = Delivery(run, report, copy=False)
        delivery.end()
        if delivery.record:
            return "" if some else f"records wait: {delivery.record}"
        some = True
        if report.get("job") and run.policy.report.dir:
            keep_copy(run, report)
        unlink(path)
    oldest = run.started - run.policy.report.keep_days * 86400
    for path, report in _waiting(f"{run.policy.report.spool}/outbox"):
        if time.monotonic() >= run.deadline:
            break
        delivery = Delivery(run, report, record=False)
        delivery.end()
        if not delivery.copy:
            unlink(path)
            some = True
            continue
        why = f"copies wait: {delivery.copy}"
        if not delivery.refused:
            break
        with tolerate(OSError):
            if os.stat(path).st_mtime < oldest:
                unlink(path)
    return "" if some else why


def waiting_jobs(spool: str) -> frozenset[str]:
    """Return the job folders whose copies wait: their records stay until those are delivered."""
    with tolerate(OSError):
        return frozenset(name.partition(".")[0] for name in os.listdir(f"{spool}/outbox"))
    return frozenset()


def _waiting(directory: str) -> Iterator[tuple[str, Report]]:
    """Yield AT_A_TIME reports of a directory at most, each with its path; what is no report of ours is set aside."""
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(".json") and not name.startswith("."))
    except OSError:
        return
    begin = time.monotonic_ns() % max(len(names), 1)
    for name in (names[begin:] + names[:begin])[:AT_A_TIME]:
        path = f"{directory}/{name}"
        report = read_json(path)
        if isinstance(report, dict) and {"node", "phase", "started", "job", "action"} <= report.keys():
            yield path, report
        elif os.path.lexists(path):
            set_aside(path, report)
