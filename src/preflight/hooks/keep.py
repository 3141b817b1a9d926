"""A report on its way to the disk: root's record and the user's copy, by a child that may hang.

A frozen file system holds whoever writes in a sleep that no signal ends, and a shared directory may hang: neither may
hold the hook past its deadline. A child that hangs is left, and no second one is started beside it.
"""

from __future__ import annotations

import os
import time

from preflight.facts.isolate import Channel, Child, start
from preflight.facts.stuck import StuckGuard
from preflight.files import read_json
from preflight.hooks.run import Run
from preflight.report import store
from preflight.report.model import Report

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

NO_GID = -1
LEAST_S = 0.3  # for the record of truth, however late it is
RECORD, COPY = "writing the record", "writing the copy"


class Delivery:
    """One report being written; `end` waits. ``record`` and ``copy`` then say what went wrong, "" where nothing did.

    ``refused``: this copy alone could not be written, its job's directory is not ours, say; others may be.
    """

    def __init__(self, run: Run, report: Report, record: bool = True, copy: bool = True) -> None:
        now = time.monotonic()
        self._where = run.policy.report.dir
        self._copy_until = min(now + run.policy.report.write_s, run.deadline - 0.3)
        self._until = max(run.deadline - 0.2, now + LEAST_S) if record else self._copy_until
        self._guards = {RECORD: StuckGuard(run.run_dir, f"spool-{run.node}")}
        self._guards[COPY] = StuckGuard(run.run_dir, f"copy-{run.node}")
        self.record = self._hangs(RECORD) if record else ""
        self.copy = self._hangs(COPY) if copy else ""
        self.refused = False
        if copy and not self.copy and self._copy_until <= now:
            self.copy = "no time is left"
        self._wants = (record and not self.record, copy and not self.copy)
        self._child: Child | None = None
        if any(self._wants):
            self._start(run, report)

    def _hangs(self, what: str) -> str:
        stuck = self._guards[what].stuck()
        return f"an earlier write still hangs ({stuck})" if stuck else ""

    def _start(self, run: Run, report: Report) -> None:
        record, copy = self._wants

        def write(channel: Channel) -> None:
            if record:
                channel.doing(RECORD)
                channel.tell({RECORD: write_record(run, report)})
            if copy:
                channel.doing(COPY)
                channel.tell(write_copy(run, report))

        try:
            self._child = start("report", write, max(self._until, self._copy_until) - time.monotonic())
        except OSError as error:  # no process to be had: it is written here, as far as it may be
            if record:
                self.record = write_record(run, report)
            self.copy = f"no process to write it: {error.strerror}" if copy else ""

    def end(self) -> None:
        """Wait for the copy as long as the policy lets it, and for the record as long as the hook may run."""
        if self._child is None:
            return
        record, copy = self._wants
        if copy:
            self._child.wait(self._copy_until)
        if record and not self._child.so_far():
            self._child.wait(self._until)
        outcome = self._child.collect(time.monotonic())
        if outcome.stuck_at in self._guards:
            self._guards[outcome.stuck_at].record(outcome)
        answers: dict[str, Any] = {}
        for message in outcome.messages:
            answers.update(message)
        if record:
            self.record = str(answers.get(RECORD, outcome.why()))
        if copy:
            self.copy = str(answers.get(COPY, f"{self._where}: {outcome.why()}"))
            self.refused = bool(answers.get("refused"))


def write_record(run: Run, report: Report) -> str:
    """Write root's record; return "" or what went wrong. One that names an action is on the disk then."""
    try:
        if run.policy.ship.url:
            _withdraw(run, report)
        path = store.write_spool(run.policy.report.spool, report, durable=report["action"]["kind"] != "none")
        if run.policy.ship.url:
            from preflight.report import queue

            queue.enqueue(run.policy.report.spool, path)
    except OSError as error:
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    return ""


def _withdraw(run: Run, report: Report) -> None:
    """Take an earlier record of this very run out of the queue: a child wrote it, and was ended before it said so.

    The fleet keeps the first that it gets of one id.
    """
    path = store.spool_path(run.policy.report.spool, report)
    if not os.path.exists(path) or os.stat(path).st_nlink < 2:
        return
    earlier = read_json(path)
    if isinstance(earlier, dict) and earlier.get("id") == report["id"]:
        from preflight.report import queue

        queue.withdraw(run.policy.report.spool, path)


def write_copy(run: Run, report: Report) -> dict[str, Any]:
    """Write the user's copy; return {COPY: "" or what went wrong, "refused": whether it is this copy's own fault}."""
    where = run.policy.report.dir
    uid = (report["job"] or {}).get("uid")
    try:
        store.write_copy(where, report, NO_GID if uid is None else uid, _admin_gid(run))
    except OSError as error:
        return {COPY: f"{error.strerror}: {error.filename}", "refused": error.filename != where}
    return {COPY: ""}


def _admin_gid(run: Run) -> int:
    if not run.policy.report.admin_group:
        return NO_GID
    import grp

    try:
        return grp.getgrnam(run.policy.report.admin_group).gr_gid
    except KeyError:
        return NO_GID
