"""The runtime directory belongs in memory (/run). On a disk nothing is changed before it is seen to answer.

A child touches it while the hook reads its facts; only before the hook's own first change is it waited for.
Where it hangs the directory counts as gone for this run: no caches, no note for the task prolog. A lock, which needs
no writing, keeps the next runs from leaving a second child in it.
"""

from __future__ import annotations

import os
import time

from preflight import files
from preflight.facts.isolate import Channel, Child, start
from preflight.facts.mounted import in_memory

ALIVE = ".alive"  # in the directory: root's, which no user can lock
# What stands in the directory between runs: files NAME-*, and directories of files. Uninstalling removes them.
KEPT = (
    *("policy", "gres", "facts", "kept", "stuck", "drain", "clock", "counters", "kernel-log", "site"),
    *("cluster", "expected", "pruned", "slow", "apart"),
)
FOLDERS = ("task", "pending", "released", "unkept", "agent")
BUDGET_S = 1.0  # for the child, in all
LOCK_S = 0.3  # of it for the lock: other hooks of this node hold it for a millisecond each
TRUST_S = 1.0  # how long what was seen is believed


class _Watch:
    """Whether the directory answers; asked before each change in it."""

    def __init__(self, run_dir: str, ahead: bool = True) -> None:
        self._run_dir, self._pid = run_dir, os.getpid()
        self._seen, self._gone, self._unlocked = 0.0, False, False
        self._child: Child | None = None
        self._missing = not os.path.isdir(f"{run_dir}/task")
        if ahead or self._missing:
            self._start()
        if self._missing:
            self.answers()  # nothing is made behind the back of a hook that is over

    def _start(self) -> None:
        try:
            self._child = start("runtime directory", self._write, BUDGET_S)
        except OSError:
            self._child = None  # no process to be had: trusted, as it is everywhere else

    def _write(self, channel: Channel) -> None:
        if self._missing:
            os.makedirs(self._run_dir, mode=0o755, exist_ok=True)
        descriptor = self._lock_file()
        if self._locked(descriptor):
            if self._missing:
                os.makedirs(f"{self._run_dir}/task", mode=0o755, exist_ok=True)
            os.utime(descriptor)
            if self._unlocked:
                os.close(os.open(f"{self._run_dir}/{ALIVE}", os.O_RDONLY | os.O_CREAT | files.OWN, 0o600))
            channel.tell({"alive": True})
        os.close(descriptor)  # a child that lives on, and may hang elsewhere (isolate.expendable), keeps no lock

    def _locked(self, descriptor: int) -> bool:
        import fcntl

        until = time.monotonic() + LOCK_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() >= until:
                    return False
                time.sleep(0.005)

    def _lock_file(self) -> int:
        """Open what is locked: a file that only root may open; the directory where there is none yet.

        Making it may hang, so that is done under the lock.
        """
        try:
            return os.open(f"{self._run_dir}/{ALIVE}", os.O_RDONLY | files.OWN)  # for writing it would hang
        except FileNotFoundError:
            self._unlocked = True
            return os.open(self._run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def look_here(self) -> bool:
        """Return whether it answers, looked at by this process itself: one that may hang (isolate.expendable).

        It looks once: no more than itself is lost where the directory hangs later.
        """
        self._pid, self._seen, self._child = os.getpid(), 0.0, None
        well = self.answers()
        self._seen = float("inf")
        return well

    def answers(self) -> bool:
        """Return whether the directory may be changed now."""
        if self._gone or os.getpid() != self._pid:  # a child of ours is left alone where it hangs
            return not self._gone
        if self._child is None:
            if time.monotonic() - self._seen < TRUST_S:
                return True
            self._start()
        if self._child is not None:
            outcome = self._child.collect(time.monotonic() + BUDGET_S)
            self._child = None
            # What failed at once, a full disk or one that is read-only, fails the next writer at once as well.
            self._gone = not outcome.messages and outcome.died is None
        self._seen = time.monotonic()
        return not self._gone


class _Last:
    """The watch of this run's directory, None where that is in memory."""

    watch: _Watch | None = None


def watch(run_dir: str, ahead: bool = True) -> None:
    """Make root's runtime directory and guard it; users may pass through it (task prolog), and write nowhere in it.

    ``ahead``: a child looks at once whether it answers, else before the first change in it.
    """
    if in_memory(run_dir):
        _Last.watch = None
        files.guard("", None)
        make_run_dir(run_dir)
    else:
        _Last.watch = _Watch(run_dir, ahead)
        files.guard(f"{run_dir}/", _Last.watch.answers)


def answers_here() -> bool:
    """Return whether the directory answers, looked at by this process itself: a child that may hang."""
    return _Last.watch is None or _Last.watch.look_here()


def make_run_dir(run_dir: str) -> None:
    """Make root's runtime directory; where it cannot be made the hook is slower and the task prolog silent, no more."""
    try:
        os.makedirs(f"{run_dir}/task", mode=0o755, exist_ok=True)
    except OSError:
        return
