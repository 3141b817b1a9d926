"""A child that lives as long as the agent, or until it hangs: forked, with two ends of a socket pair between them."""

from __future__ import annotations

import os
import time

from preflight.facts.isolate import process_state
from preflight.files import tolerate

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from _socket import socket as Socket
    from collections.abc import Callable

SOON_S = 1.0  # until it is tried again where there were no descriptors
AGAIN_S = 10.0  # between two starts of a child that ended by itself


class Helper:
    """One kind of child: at most one process at a time, whatever becomes of it.

    ``function`` gets the child's end of the socket pair. `start` starts one where none is left; `ended` is to be asked
    from time to time. A child that was killed and does not end (D state) is waited for: no second is started beside it.
    """

    def __init__(self, name: str, function: Callable[[Socket], None], nice: int | None = None) -> None:
        """``nice``: the child's priority (nice(2)), None for the agent's own, before which nothing comes."""
        self.name, self._function, self._nice = name, function, nice
        self.pid = 0
        self.socket: Socket | None = None
        self.started = 0.0
        self.status = 0  # of the one that ended last: its exit code, negative for a signal
        self.killed = 0.0  # time.monotonic(), 0 while nobody killed it
        self._not_before = 0.0

    def start(self) -> bool:
        """Start a child where none is left and none ended just now; return whether a new one runs."""
        now = time.monotonic()
        if self.pid or now < self._not_before:
            return False
        import _socket

        try:
            ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        except OSError:  # without descriptors
            self._not_before = now + SOON_S
            return False
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            self._not_before = now + AGAIN_S
            return False
        if pid == 0:
            self._run(theirs)
        theirs.close()
        ours.setblocking(False)
        self.pid, self.socket, self.started, self.killed = pid, ours, now, 0.0
        self._not_before = now + AGAIN_S
        return True

    def ended(self) -> bool:
        """Return whether the child is gone, now or since the last look; it is taken leave of then."""
        if not self.pid:
            return False
        try:
            done, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            done, status = self.pid, 0
        if not done:
            return False
        self.pid, self.status = 0, os.waitstatus_to_exitcode(status)
        self.close()
        return True

    def close(self) -> None:
        """Close our end: a child that is well ends by that."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def kill(self) -> None:
        """End the child and what it has started; one in an uninterruptible sleep stays, and keeps its place."""
        if self.pid and not self.killed:
            self.killed = time.monotonic()
            below = _below(self.pid)  # a command of Slurm's has a session of its own
            for end, pid in ((os.killpg, self.pid), (os.kill, self.pid), *((os.kill, pid) for pid in below)):
                try:
                    end(pid, 9)
                except OSError:
                    continue

    def state(self) -> str:
        """Return the letter of its state ("D": not to be interrupted), "" where there is none."""
        return process_state(self.pid) if self.pid else ""

    def soon(self) -> None:
        """Let the next start come at once: this child was ended on purpose."""
        self._not_before = 0.0

    def _run(self, theirs: Socket) -> None:
        """The child: never returns, runs nothing of the parent's on its way out."""
        import gc

        gc.disable()  # it would look at, and so copy, all that the agent has
        status = 1
        try:
            _alone(theirs.fileno())
            if self._nice is not None:
                with tolerate(OSError):  # a unit with a Nice= above ours, and no CAP_SYS_NICE
                    os.setpriority(os.PRIO_PROCESS, 0, max(self._nice, os.getpriority(os.PRIO_PROCESS, 0)))
            self._function(theirs)
            status = 0
        except Exception as error:
            from preflight.hooks import journal

            journal.say(journal.ERROR, f"agent: its {self.name} child ended: {type(error).__name__}: {error}")
        finally:
            os._exit(status)


def _below(pid: int) -> list[int]:
    """Return the descendants of a process, none where the kernel does not list them."""
    found: list[int] = []
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            found = [int(text) for text in file.read().split()]
    except (OSError, ValueError):
        return found
    return found + [below for one in found for below in _below(one)]


def _alone(keep: int) -> None:
    """A session of its own, nothing on descriptors 0 to 2, nothing of the agent's but ``keep``."""
    import _signal as signal

    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    for text in os.listdir("/proc/self/fd"):
        if int(text) > 2 and int(text) != keep:
            try:
                os.close(int(text))
            except OSError:
                continue
