"""A job that starts as it should is judged by one child, which may hang itself: one fork in place of one a probe.

It looks at the runtime directory, reads what may lie on a dead file system, judges, and writes record and copy. It does
so only where nothing is to be done but to write that down. Whatever else there is, a finding to act on, a probe that
did not end, an error, a child that is late: its parent ends it and does all anew, with each probe in a child of its own
(prolog.py). So what is decided there is decided there alone. The report of both has one identity, and one place.

Not where an earlier child hangs, or a check failed within a day: that takes the other way in any case. Where the child
was late, none is started for a while.
"""

from __future__ import annotations

import os
import time

from preflight.facts import isolate
from preflight.facts.stuck import StuckGuard
from preflight.files import read_json, tolerate, write_json
from preflight.hooks import rundir
from preflight.policy.site_files import any_files

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from preflight.facts.isolate import Child
    from preflight.hooks.run import Run

LATE_S = 1.0  # what waits so long for something is late; what the machine has no time for is not, up to
MOST = 1 / 3  # of the deadline
STEP_S = 0.05
AGAIN_S = 600.0  # after a late one


def passes(run: Run) -> bool:
    """Return whether the job starts as it should, which is on record then; False says nothing, and nothing was done."""
    nvml = run.reading.nvml
    if not _may(run) or (nvml is not None and nvml.child is None):
        return False
    most = run.began + run.policy.hook.deadline_s * MOST
    beside = None if nvml is None else nvml.child
    try:
        pid, pipe = isolate.expendable(lambda: _judge(run, most), run.deadline - time.monotonic(), beside)
    except OSError:
        return False
    ended = _wait(pid, pipe, beside, most)
    passed = ended and os.read(pipe, 1) == b"+"
    os.close(pipe)
    if not passed:
        gone = isolate.end(pid)  # one that said nothing, but is about to end, too
        if not ended:
            _late(run, pid, gone)
    return passed


def _may(run: Run) -> bool:
    """Return whether nothing of this node is known that takes the other way."""
    if (
        run.job is None
        or any_files(run.policy)
        or os.path.lexists(f"{run.policy.report.spool}/streaks-{run.node}.json")
    ):
        return False
    with tolerate(OSError):
        slow = f"slow-{run.node}.json"
        for name in os.listdir(run.run_dir):
            if name == slow and _recent(f"{run.run_dir}/{name}"):
                return False
            if name.startswith("stuck-") and not (name == f"stuck-{_guard(run)}.json" and _gone(run)):
                return False
        return True
    return False


def _guard(run: Run) -> str:
    return f"passing-{run.node}"


def _gone(run: Run) -> bool:
    return StuckGuard(run.run_dir, _guard(run)).stored() is None


def _recent(path: str) -> bool:
    stored = read_json(path)
    until = stored.get("until") if isinstance(stored, dict) else None
    return isinstance(until, (int, float)) and 0 < until - _up() <= AGAIN_S


def _up() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _late(run: Run, pid: int, gone: bool) -> None:
    """Remember that a child was late, and the child where SIGKILL did not end it."""
    if not gone:
        StuckGuard(run.run_dir, _guard(run)).remember(pid, "judging the job")
    with tolerate(OSError):
        write_json(f"{run.run_dir}/slow-{run.node}.json", {"until": _up() + AGAIN_S})


def _wait(pid: int, pipe: int, beside: Child | None, most: float) -> bool:
    """Return whether the child said how it ended, waiting while it comes on: what is ready to run is not late."""
    from select import POLLIN, poll

    waiter = poll()
    waiter.register(pipe, POLLIN)
    until = min(time.monotonic() + LATE_S, most)
    pids = (pid,) if beside is None else (pid, beside.pid)
    while not waiter.poll(max(0.0, (until - time.monotonic()) * 1000)):
        if time.monotonic() >= most or not any(isolate.process_state(one) == "R" for one in pids):
            return False
        until = time.monotonic() + STEP_S
    return True


def _judge(run: Run, deadline: float) -> bool:
    """Return whether the job passes: asked in the child, whose silence and whose end mean that all is done anew."""
    if not rundir.answers_here():
        return False
    from preflight.hooks.prolog import passing

    return passing(run._replace(reading=run.reading._replace(longer_s=0.0)), deadline)
