"""A hook whose own files stand where a server may hold it: judged by a child, which its parent does not wait for.

A process that waits for a FUSE server, or for a disk that is gone, is not ended by its alarm, nor by SIGKILL. So where
the policy, the spool or Slurm's configuration stand on such a file system (as the last reader of the policy found), and
where nobody has read it yet, the hook forks: the child is the hook, and has nothing of slurmd's open. While one hangs,
no second one is begun. What is seen not to answer, before the hook opens it, it does without.
"""

from __future__ import annotations

import os
import struct
import time

from preflight.facts.isolate import Channel, process_state, start, wait
from preflight.facts.mounted import may_hold
from preflight.facts.stuck import StuckGuard
from preflight.files import read_plain, tolerate, unlink, write_atomic
from preflight.hooks import journal

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ENDED_BY_ALARM = 128 + 14  # as sh gives the status of one whom SIGALRM ended
NOT_JUDGED = 1
SPARE_S = 0.7  # past its deadline; the child's own alarm rings at half a second
REAP_S = 0.1
TOUCH_S = 1.0  # within which what stands on a server has to answer
FILES = 64  # of a directory, that are read
PART = 512  # bytes of each
SIGNAL = 9
NAME_MAX = 100  # characters of a path in the name of the file that remembers a child at it
MARK = "apart-"


class _Child:
    """``tells``: the pipe by which the child tells its parent its deadline; -1 in a hook that is nobody's child."""

    tells = -1


def is_needed(run_dir: str, node: str) -> bool:
    """Return whether the hook has to be supervised; where all is well that costs two looks into memory."""
    if not run_dir.startswith(("/run/", "/dev/shm/")) and may_hold(run_dir, follow=False):
        return True
    return os.path.exists(f"{run_dir}/{MARK}{node}") or not os.path.exists(f"{run_dir}/policy-{node}.json")


def mark(run_dir: str, node: str, paths: Iterable[str]) -> None:
    """Note for the next hooks whether one of ``paths``, which hooks open by themselves, stands on such a file system.

    Only a supervised hook, or who may wait, calls this.
    """
    place = f"{run_dir}/{MARK}{node}"
    if not may_hold(*filter(None, paths)):
        unlink(place)
    elif not os.path.exists(place):
        with tolerate(OSError):
            write_atomic(place, b"")


def deadline(instant: float) -> None:
    """Tell the parent, where there is one, that this hook ends by ``instant`` (time.monotonic())."""
    if _Child.tells >= 0:
        with tolerate(OSError):
            os.write(_Child.tells, struct.pack("d", instant))


def silent(run_dir: str, *paths: str) -> frozenset[str]:
    """Return those of ``paths`` that do not answer within TOUCH_S; none where the hook is not supervised.

    One at which an earlier hook's child still hangs is not looked at again.
    """
    if _Child.tells < 0:
        return frozenset()
    found, children = set(), []
    for path in filter(None, paths):
        guard = StuckGuard(run_dir, f"touch-{path.replace('/', '_')[-NAME_MAX:]}")
        if guard.stuck():
            found.add(path)
            continue
        with tolerate(OSError):
            children.append((path, guard, start("touch", _Touch(path), TOUCH_S)))
    wait([child for _, _, child in children], time.monotonic() + TOUCH_S)
    for path, guard, child in children:
        outcome = child.conclude(REAP_S)
        if not outcome.finished:
            found.add(path)
            guard.record(outcome._replace(stuck_at=path))
    return frozenset(found)


class _Touch:
    """A child's work: to touch one path."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __call__(self, channel: Channel) -> None:
        touch(self._path)


def touch(path: str) -> None:
    """Look at ``path`` and read a little of it; of a directory list what is in it, and read of its files. May hang."""
    if not os.path.isdir(path):
        with tolerate(OSError):
            read_plain(path, PART)
        return
    with tolerate(OSError), os.scandir(path) as found:
        for one in list(found)[:FILES]:
            with tolerate(OSError):
                if one.is_file(follow_symlinks=False):
                    read_plain(one.path, PART)
                elif one.is_dir(follow_symlinks=False):
                    os.listdir(one.path)


def supervised(phase: str, run_dir: str, node: str, until: float, hook: Callable[[], int]) -> int:
    """Run ``hook`` in a child and return its exit code, ENDED_BY_ALARM where it does not end in time.

    ``until``: time.monotonic() by which it ends unless it tells another `deadline`.
    """
    guard = StuckGuard(None if may_hold(run_dir, follow=False) else run_dir, f"hook-{node}")
    stuck = guard.stored()
    if stuck is not None:
        _say(phase, f"an earlier hook, pid {stuck['pid']}, still waits for a file of its own", "not judged")
        return NOT_JUDGED
    reading, writing = os.pipe()
    try:
        pid = os.fork()
    except OSError:  # no process to be had: as well as it goes
        os.close(reading)
        os.close(writing)
        return hook()
    if pid == 0:
        _be_the_hook(reading, writing, until, phase, hook)
    os.close(writing)
    _wait(reading, until)
    os.close(reading)
    code = _code(pid, 0.02)
    if code is not None:
        return code
    with tolerate(OSError):
        os.kill(pid, SIGNAL)
    state = process_state(pid)
    code = _code(pid, REAP_S)
    if code is None:
        guard.remember(pid, "a file of its own")
        _say(phase, f"pid {pid} (state {state}) waits for a file of its own", "ended at its deadline")
    return ENDED_BY_ALARM


def _be_the_hook(reading: int, writing: int, until: float, phase: str, hook: Callable[[], int]) -> None:
    """The child: never returns."""
    code = NOT_JUDGED
    try:
        os.close(reading)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        _Child.tells = writing
        from preflight.hooks.main import backstop, report_bug

        backstop(until - time.monotonic())
        try:
            code = hook()
        except Exception as error:
            report_bug(phase, error)
    finally:
        os._exit(code)


def _wait(reading: int, until: float) -> None:
    """Wait until the child has ended, SPARE_S past its deadline at most."""
    import _signal as signal
    from select import POLLIN, poll

    signal.setitimer(signal.ITIMER_REAL, 0)  # this process waits for nothing but the child from here on
    waiter = poll()
    waiter.register(reading, POLLIN)
    while waiter.poll(max(0.0, (until + SPARE_S - time.monotonic()) * 1000)):
        told = os.read(reading, 8)
        if len(told) < 8:
            return
        until = struct.unpack("d", told)[0]


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


def _say(phase: str, what: str, so: str) -> None:
    where = "the policy, the spool or Slurm's configuration stands on a file system that does not answer"
    job = os.environ.get("SLURM_JOB_ID", "-")
    journal.say(journal.ERROR, f"phase={phase} job={job} {so}: {what} ({where}); the job goes on")
