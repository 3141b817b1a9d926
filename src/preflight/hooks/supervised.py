"""A hook whose own files stand where a server may hold it: judged by a child, which its parent does not wait for.

A process that waits for a FUSE server, or for a disk that is gone, is not ended by its alarm, nor by SIGKILL. So where
the policy, the spool or Slurm's configuration stand on such a file system (hooks/apart.py), and where nobody has read
the policy yet, the hook forks: the child is the hook, and has nothing of slurmd's open; its parent opens nothing but
what is in memory. While a child hangs no second one is begun. A job whose hook had no time to put it on record gets a
report that says so, in the runtime directory.

This child may hang, and its own probes have children as ever, that of `hooks/passing.py` among them: what it does where
that is late, it does anew, and only where it is held itself the parent has the last word.
"""

from __future__ import annotations

import os
import struct
import time

from preflight.facts import isolate
from preflight.facts.mounted import may_hold
from preflight.facts.stuck import StuckGuard
from preflight.files import tolerate
from preflight.hooks import journal, rundir
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable

ENDED_BY_ALARM = 128 + 14  # as sh gives the status of one whom SIGALRM ended
NOT_JUDGED = 1
SPARE_S = 0.55  # past its deadline; the child's own alarm rings at half a second
REAP_S = 0.05
RECORD_S = 0.35  # for the report of one that had none
AHEAD_S = 0.5  # before the deadline: what that report needs is imported while there is nothing else to do
SIGNAL = 9
ON_RECORD = -1.0  # in place of a deadline: the report is written, or waits in memory
WHERE = "the policy, the spool or Slurm's configuration stands on a file system that does not answer"


class Asked(NamedTuple):
    """Which hook it is. ``began``, and ``until``, by which it ends unless it says otherwise: time.monotonic()."""

    phase: str
    config: str
    run_dir: str
    node: str
    began: float
    until: float


class Line:
    """How the child tells its parent something; its own children have it, and do not."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._pid = descriptor, os.getpid()

    def deadline(self, instant: float) -> None:
        """Say that this hook ends by ``instant`` (time.monotonic())."""
        if os.getpid() == self._pid:
            with tolerate(OSError):
                os.write(self._descriptor, struct.pack("d", instant))

    def on_record(self) -> None:
        """Say that this run's report is written, or waits."""
        self.deadline(ON_RECORD)


def supervised(asked: Asked, judge: Callable[[Line], int]) -> int:
    """Run ``judge`` in a child and return its exit code, ENDED_BY_ALARM where it does not end in time."""
    away = may_hold(asked.run_dir)
    if not away:
        rundir.watch(asked.run_dir, ahead=False)  # a disk that takes no writes is the child's to find out
    guard = StuckGuard(None if away else asked.run_dir, f"hook-{asked.node}")
    stuck = guard.stored()
    if stuck is not None:
        why = f"an earlier hook, pid {stuck['pid']}, still waits for a file of its own"
        _say(asked.phase, why, "not judged")
        _put_on_record(asked, why, away)
        return NOT_JUDGED
    reading, writing = os.pipe()
    try:
        pid = os.fork()
    except OSError:  # no process to be had: as well as it goes
        line = Line(writing)
        try:
            return judge(line)
        finally:
            os.close(reading)
            os.close(writing)
    if pid == 0:
        _be_the_hook(writing, asked, judge)
    os.close(writing)
    recorded = _wait(reading, asked.until)
    os.close(reading)
    code, why = _code(pid, 0.02), "it was ended by its alarm"
    if code is None:
        with tolerate(OSError):
            os.kill(pid, SIGNAL)
        state = isolate.process_state(pid)
        code, why = _code(pid, REAP_S), f"pid {pid} (state {state}) waits for a file of its own"
        if code is None:
            guard.remember(pid, "a file of its own")
        _say(asked.phase, why, "ended at its deadline")
        code = ENDED_BY_ALARM
    if code == ENDED_BY_ALARM and not recorded:
        _put_on_record(asked, why, away)
    return code


def _be_the_hook(writing: int, asked: Asked, judge: Callable[[Line], int]) -> None:
    """The child: never returns."""
    code = NOT_JUDGED
    try:
        isolate.detach(writing, asked.until - time.monotonic(), None)
        from preflight.hooks.main import backstop, report_bug

        backstop(asked.until - time.monotonic())
        try:
            code = judge(Line(3))
        except Exception as error:
            report_bug(asked.phase, error)
    finally:
        os._exit(code)


def _wait(reading: int, until: float) -> bool:
    """Wait until the child has ended, SPARE_S past its deadline at most; return whether its report is on record."""
    import _signal as signal
    from select import POLLIN, poll

    signal.setitimer(signal.ITIMER_REAL, 0)  # this process waits for nothing but the child from here on
    waiter = poll()
    waiter.register(reading, POLLIN)
    recorded = ahead = False
    while True:
        limit = until + (SPARE_S if ahead else -AHEAD_S)
        if waiter.poll(max(0.0, (limit - time.monotonic()) * 1000)):
            word = os.read(reading, 8)
            if len(word) < 8:
                break
            instant = struct.unpack("d", word)[0]
            recorded = recorded or instant == ON_RECORD
            until = until if instant == ON_RECORD else instant
        elif ahead:
            break
        else:
            from preflight.hooks import unjudged  # noqa: F401

            ahead = True
    return recorded


def _code(pid: int, patience_s: float) -> int | None:
    """Return the child's exit status as sh gives it, None where it does not end."""
    limit = time.monotonic() + patience_s
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        if time.monotonic() >= limit:
            return None
        time.sleep(0.002)


def _put_on_record(asked: Asked, why: str, away: bool) -> None:
    """Have a child keep a report in memory that says that a job was not judged; ``away``: there is no such place."""
    if away or asked.phase == "health":
        return

    def keep(channel: isolate.Channel) -> None:
        from preflight.hooks import unjudged

        unjudged.keep(asked, f"not judged: {why} ({WHERE})")

    with tolerate(OSError):  # no process to be had: nothing but this report is lost
        isolate.run_child("unjudged", keep, RECORD_S)


def _say(phase: str, what: str, so: str) -> None:
    job = os.environ.get("SLURM_JOB_ID", "-")
    journal.say(journal.ERROR, f"phase={phase} job={job} {so}: {what} ({WHERE}); the job goes on")
