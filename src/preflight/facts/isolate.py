"""A probe that may hang runs in a forked child, which is killed, or abandoned, at a deadline.

The child has a session of its own, /dev/null as descriptors 0 to 2 and no descriptor of ours but a pipe that says when
it ended: slurmd waits for the end of the prolog's output, not for its exit. It announces each call that may hang before
making it and leaves what it has on a board (board.py), so the parent keeps what came and can name the culprit. `start`
and `gather` are apart so that the parent can work meanwhile.
"""

from __future__ import annotations

import errno
import os
import time

from preflight import jsonio
from preflight.facts.board import Board
from preflight.facts.cache import boot_id
from preflight.files import read_json, unlink, write_json
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

REAP_S = 0.2
SPARE_S = 1.0  # the child's own alarm rings this much after its deadline, should the parent have died


class Outcome(NamedTuple):
    """What a child gave: its messages in order, and how it ended.

    ``finished``  the function returned. ``stuck_at``  the call it had announced when it ended otherwise.
    ``abandoned_pid``  a child that SIGKILL did not end (D state). ``died``  how it ended before the deadline
    without finishing ("signal 11", "ValueError: …"), None where the deadline ended it. ``reason``  why it was not
    started at all.
    """

    messages: list[dict[str, Any]]
    finished: bool
    stuck_at: str | None = None
    abandoned_pid: int | None = None
    died: str | None = None
    reason: str | None = None

    def why(self) -> str:
        """Return one line for what was not told."""
        if self.reason:
            return self.reason
        at = f" at {self.stuck_at}" if self.stuck_at else ""
        return f"probe ended{at}: {self.died}" if self.died else f"no answer{at} before the deadline"


class Channel:
    """The child's side. Messages are JSON objects, one a line, on the board that it shares with its parent."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def tell(self, message: dict[str, Any]) -> None:
        """Leave a message for the parent; it stays whatever becomes of the child."""
        self._board.write(f"{jsonio.dumps(message)}\n".encode())

    def doing(self, what: str) -> None:
        """Announce the call that comes next: after this the child may hang."""
        self.tell({"doing": what})


class Child:
    """A started probe."""

    def __init__(self, name: str, pid: int, descriptor: int, board: Board) -> None:
        self.name = name
        self.pid = pid
        self.descriptor = descriptor
        self.closed = False
        self._board = board

    def wait(self, until: float) -> bool:
        """Return whether the child ended by ``until`` (time.monotonic seconds); if not it goes on."""
        from select import POLLIN, poll

        waiter = poll()
        waiter.register(self.descriptor, POLLIN)
        return bool(waiter.poll(max(0.0, (until - time.monotonic()) * 1000)))

    def so_far(self) -> list[dict[str, Any]]:
        """Return the messages that have come; the child may go on."""
        return _Told(self._board.read()).messages

    def collect(self, deadline: float) -> Outcome:
        """Return the outcome of this child alone; see `gather`."""
        return gather([self], deadline)[0]

    def read(self) -> bool:
        """Take what the pipe says: that the child ended, or is gone; return whether to go on waiting."""
        os.read(self.descriptor, 16)
        self.closed = True
        return False

    def conclude(self) -> Outcome:
        """Close the pipe, make sure that the child is gone (REAP_S at most) and return what it told.

        A child that finished is not waited for: closing the GPUs may take the kernel seconds.
        """
        os.close(self.descriptor)
        told = _Told(self._board.read())
        if told.finished:
            if _reap(self.pid, 0.0) is None:
                _ending_alone.append(self.pid)
            return Outcome(told.messages, True)
        status = _reap(self.pid, 0.02) if self.closed else None
        died: str | None = None
        if status is None:
            _kill(self.pid)
            status = _reap(self.pid, REAP_S)
            died = "closed its pipe" if self.closed else None
        else:
            died = told.crash or _ending(status)
        return Outcome(told.messages, False, told.doing, self.pid if status is None else None, died)


# Children that finished and were not waited for; reaped when the next one starts, in a process that lives long.
_ending_alone: list[int] = []


def gather(children: list[Child], deadline: float) -> list[Outcome]:
    """Read what the children tell until each has ended or ``deadline`` (time.monotonic seconds), all at once.

    Returns their outcomes in order, at most REAP_S a hung child later than the deadline.
    """
    if not children:
        return []
    from select import POLLIN, poll

    waiter = poll()
    waiting = {child.descriptor: child for child in children}
    for descriptor in waiting:
        waiter.register(descriptor, POLLIN)
    while waiting:
        ready = waiter.poll(max(0.0, (deadline - time.monotonic()) * 1000))
        if not ready:
            break
        for descriptor, _ in ready:
            if not waiting[descriptor].read():
                waiter.unregister(descriptor)
                del waiting[descriptor]
    return [child.conclude() for child in children]


def start(name: str, function: Callable[[Channel], None], deadline_s: float = 60.0) -> Child:
    """Fork a child that runs ``function(channel)`` and return at once. Raises OSError when it can't be forked.

    ``deadline_s``: seconds after which (and SPARE_S) the child ends by itself, in case nobody collects it.
    """
    if not hasattr(os, "fork"):
        raise OSError(errno.ENOSYS, "this system cannot fork")
    _ending_alone[:] = [pid for pid in _ending_alone if _reap(pid, 0.0) is None]
    board = Board()
    reading, writing = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        raise
    if pid == 0:
        _run(function, board, writing, deadline_s)
    os.close(writing)
    return Child(name, pid, reading, board)


def run_child(name: str, function: Callable[[Channel], None], deadline_s: float) -> Outcome:
    """Run ``function`` in a child and return its outcome, at most ``deadline_s`` + REAP_S seconds later."""
    deadline = time.monotonic() + deadline_s
    return start(name, function, deadline_s).collect(deadline)


class StuckGuard:
    """Remembers an abandoned child in root's runtime directory, so that a second is not started while it hangs."""

    def __init__(self, directory: str | None, name: str) -> None:
        self._path = None if directory is None else f"{directory}/stuck-{name}.json"

    def stuck(self) -> str | None:
        """Return what an earlier child still hangs in ("pid 4711 in gpu 3 nvml…"), None when it is gone or none was."""
        stored = read_json(self._path) if self._path else None
        if not isinstance(stored, dict):
            return None
        pid = stored.get("pid")
        if not isinstance(pid, int) or stored.get("boot") != boot_id() or start_time(pid) != stored.get("start"):
            self.clear()
            return None
        return f"pid {pid} in {stored.get('doing') or 'a probe'}"

    def record(self, outcome: Outcome) -> None:
        """Remember ``outcome``'s abandoned child, if it left one; a file that can't be written is no error."""
        pid = outcome.abandoned_pid
        began = start_time(pid) if pid and self._path else None
        if self._path is None or began is None:
            return
        try:
            write_json(self._path, {"pid": pid, "start": began, "boot": boot_id(), "doing": outcome.stuck_at})
        except OSError:
            return

    def clear(self) -> None:
        """Forget it."""
        if self._path:
            unlink(self._path)


def start_time(pid: int) -> int | None:
    """Return when a process began (field 22 of /proc/PID/stat, clock ticks after boot); None when gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read(4096).rpartition(b")")[2].split()  # a command's name may hold blanks and brackets
    except OSError:
        return None
    return int(fields[19]) if len(fields) > 19 and fields[0] not in (b"Z", b"X") else None


class _Told:
    """The lines of a board, taken apart; a line that is cut off or no JSON object ends them."""

    def __init__(self, data: bytes) -> None:
        self.messages: list[dict[str, Any]] = []
        self.doing: str | None = None
        self.crash: str | None = None
        self.finished = False
        for line in data.split(b"\n")[:-1]:
            try:
                message = jsonio.loads(line)
            except ValueError:
                break
            if not isinstance(message, dict):
                break
            self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        if "doing" in message:
            self.doing = str(message["doing"])
        elif "end" in message:
            self.finished = True
        elif "crash" in message:
            self.crash = str(message["crash"])
        else:
            self.messages.append(message)


def _run(function: Callable[[Channel], None], board: Board, writing: int, deadline_s: float) -> None:
    """The child: never returns, runs nothing of the parent's on its way out."""
    status = 1
    try:
        _detach(writing, deadline_s)
        channel = Channel(board)
        try:
            function(channel)
            channel.tell({"end": True})
            status = 0
        except Exception as error:
            channel.tell({"crash": f"{type(error).__name__}: {error}"[:300]})
        os.write(3, b".")
    finally:
        os._exit(status)


def _detach(writing: int, deadline_s: float) -> None:
    import _signal as signal  # the package around it imports enum
    import gc

    gc.disable()  # a short life: collecting while pynvml is imported costs a millisecond
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.setitimer(signal.ITIMER_REAL, max(0.1, deadline_s + SPARE_S))
    os.dup2(writing, 3, inheritable=False) if writing != 3 else None
    for descriptor in _open_descriptors():
        if descriptor > 3:
            _close(descriptor)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        if null != descriptor:
            os.dup2(null, descriptor)
    if null > 2:
        os.close(null)


def _open_descriptors() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]
    except (OSError, ValueError):
        return list(range(4, 4096))


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        return


def _reap(pid: int, patience_s: float) -> int | None:
    """Return the child's wait status, None when it does not end within ``patience_s``."""
    limit = time.monotonic() + patience_s
    while True:
        try:
            done, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return 0
        if done:
            return status
        if time.monotonic() >= limit:
            return None
        time.sleep(0.001)


def _kill(pid: int) -> None:
    """End the child's session's first group; a child that had no time to make one is ended alone."""
    for end in (os.killpg, os.kill):
        try:
            end(pid, 9)
        except OSError:
            continue


def _ending(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}"
    return f"exit status {os.waitstatus_to_exitcode(status)}"
