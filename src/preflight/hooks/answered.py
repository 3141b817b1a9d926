"""Reports of prologs that the node agent answered, until they are on record: its journal, in the runtime directory.

    {"n": 17, "report": {…}}   written before the answer
    {"taken": 17}              the hook has taken the answer, and ended
    {"done": 17}               on record, or the hook went its own way and has written one itself

A journal whose agent is gone is read by the next agent, or by the health check. A report whose answer nobody is known
to have taken is only written where no other of that run of the job is on record."""

from __future__ import annotations

import os
import time

from preflight import jsonio
from preflight.files import OWN, tolerate
from preflight.hooks import outbox
from preflight.hooks.keep import Delivery
from preflight.hooks.run import Run
from preflight.report import store
from preflight.report.model import Report
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

MAX_BYTES = 64 << 20
PART = 256 << 10  # that is read at once: several epilogs look into a journal of megabytes at the same time
SETTLE_S = 12.0  # a hook that did not take its answer has written its own report by then
EARLIER_S = 30.0  # by which its report may have begun before ours


def journal_path(run_dir: str, node: str) -> str:
    """Return where the agent of ``node`` keeps its journal; its lock is held by who reads or writes it."""
    return f"{run_dir}/agent/{node}.journal"


class Entry(NamedTuple):
    """A report that is not on record; ``taken``: the hook is known to have taken the answer."""

    number: int
    report: Report
    taken: bool


def read(descriptor: int, job: int | None = None) -> list[Entry]:
    """Return the entries of an open journal that are not done, oldest first; a line that is cut off is passed over.

    ``job``: only those of this job; others' reports are not parsed.
    """
    reports: dict[int, Report] = {}
    taken: set[int] = set()
    mark = b"" if job is None else b'"id":%d,' % job
    for line in _lines(descriptor):
        report = b'"report"' in line
        if (report and mark not in line) or not (report or reports):
            continue
        with tolerate((ValueError, TypeError, KeyError, AttributeError)):
            entry = jsonio.loads(line)
            if job is not None and "report" in entry and (entry["report"]["job"] or {}).get("id") != job:
                continue
            if "report" in entry and {"node", "phase", "started", "job", "action"} <= entry["report"].keys():
                number = int(entry["n"])
                reports[number] = entry["report"]
                taken.discard(number)  # that was an earlier report's, of an agent before
            elif "taken" in entry:
                taken.add(entry["taken"])
            elif "done" in entry:
                reports.pop(entry["done"], None)
    return [Entry(number, report, number in taken) for number, report in reports.items()]


def _lines(descriptor: int) -> Iterator[bytes]:
    """Yield the lines of an open journal, as long as it is now; one that is cut off too."""
    size, at, rest = min(os.fstat(descriptor).st_size, MAX_BYTES), 0, b""
    while at < size:
        part = os.pread(descriptor, min(PART, size - at), at)
        if not part:
            break
        at += len(part)
        *lines, rest = (rest + part).split(b"\n")
        yield from lines
    yield rest


def prolog_of(run: Run) -> Report | None:
    """Return the record of the prolog of the run's job: root's, or one that the agent is still to write.

    After a requeue the epilog's own restart count belongs to the next run already, hence the latest.
    """
    job = run.job
    if job is None:
        return None
    stored = store.read_spool(run.policy.report.spool, job.id, run.node)
    with tolerate(OSError):
        descriptor = os.open(journal_path(run.run_dir, run.node), os.O_RDONLY | OWN)
        try:
            waiting = [one for one in read(descriptor, job.id) if one.report["phase"] == "prolog"]
        finally:
            os.close(descriptor)
        for one in waiting[-1:]:
            if stored is None or (one.taken and one.report["started"] >= stored["started"]):
                return one.report
    return stored


def lock(descriptor: int) -> bool:
    """Return whether the journal is now ours alone; its agent holds it as long as it lives."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def on_record(spool: str, report: Report) -> bool:
    """Return whether root's spool has a report of the same run of the job that is no older."""
    other = _stored(spool, report)
    return other is not None and str(other.get("started", "")) >= _earlier(report["started"])


def _stored(spool: str, report: Report) -> dict[str, Any] | None:
    from preflight.files import read_json

    with tolerate(OSError):
        found = read_json(f"{spool}/reports/{store.job_folder(report)}/{store.file_name(report)}")
        return found if isinstance(found, dict) else None
    return None


def _earlier(started: str) -> str:
    """Return the RFC 3339 time EARLIER_S before ``started``."""
    import calendar

    from preflight.report.model import timestamp

    at = calendar.timegm(time.strptime(started[:19], "%Y-%m-%dT%H:%M:%S"))
    return timestamp(at - EARLIER_S)


def deliver(run: Run) -> None:
    """Put on record what an agent that is gone has left; called by the health check. Never raises OSError."""
    try:
        descriptor = os.open(journal_path(run.run_dir, run.node), os.O_RDWR | OWN)
    except OSError:
        return  # no agent has ever been here
    try:
        if not lock(descriptor):
            return
        left = [one for one in read(descriptor) if not _written(run, one)]
        if not left:
            os.ftruncate(descriptor, 0)
    except OSError:
        return
    finally:
        os.close(descriptor)


def _written(run: Run, one: Entry) -> bool:
    """Put one entry on record where it belongs there; return whether nothing is left to be done about it."""
    if time.monotonic() >= run.deadline:
        return False
    if not one.taken and on_record(run.policy.report.spool, one.report):
        return True
    delivery = Delivery(run, one.report, copy=False)
    delivery.end()
    if delivery.record:
        return False
    if run.policy.report.dir:
        outbox.keep_copy(run, one.report)
    with tolerate(OSError):
        mark(run, one.number)
    return True


def mark(run: Run, number: int) -> None:
    """Note that an entry is on record; raises OSError."""
    descriptor = os.open(journal_path(run.run_dir, run.node), os.O_WRONLY | os.O_APPEND | OWN)
    try:
        os.write(descriptor, line(done=number))
    finally:
        os.close(descriptor)


def line(**entry: Any) -> bytes:
    """Return an entry as it stands in the journal."""
    return f"{jsonio.dumps(entry)}\n".encode()
