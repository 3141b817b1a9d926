"""A probe that may hang runs in a forked child, which is killed, left alone, or abandoned at a deadline.

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
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from preflight.facts.board import Board

REAP_S = 0.2
LASTING_S = 3600.0  # seconds after which a child that was left to go on ends by its own alarm
SAID = 400
SPARE_S = 1.0  # the child's own alarm rings this much after its deadline, should the parent have died


class Unfinished(Exception):
    """In an `expendable` process: a probe did not come to its end. What that means, its parent finds out."""


class _Here:
    """Whether this process is a child that may hang (`expendable`): it runs probes itself, and forks none.

    ``within``: it is running one.
    """

    on = False
    within = False


class Pace(NamedTuple):
    """How long a child took. ``took_s``: from its first announced call on. ``call``, ``call_s``: the slowest call and
    its seconds. ``stuck_s``: how long the last call had lasted when the child was looked at, 0 where it finished.
    """

    took_s: float
    call: str
    call_s: float
    stuck_s: float = 0.0


class Outcome(NamedTuple):
    """What a child gave: its messages in order, and how it ended.

    ``finished``  the function returned. ``stuck_at``  the call it had announced when it ended otherwise.
    ``abandoned_pid``  a child that SIGKILL did not end (D state). ``died``  how it ended before the deadline
    without finishing ("signal 11", "ValueError: …"), None where the deadline ended it. ``reason``  why it was not
    started at all. ``running``  a child that was left to go on, because it may only be slow; ``since`` when its
    call began (time.monotonic()), ``board`` the descriptor of its board. ``state``  its letter of
    /proc/PID/stat ("D": not to be interrupted). ``evidence``  why it is known to hang. ``aged``  the messages are an
    earlier run's. ``pace``  None where nothing was announced.
    """

    messages: list[dict[str, Any]]
    finished: bool
    stuck_at: str | None = None
    abandoned_pid: int | None = None
    died: str | None = None
    reason: str | None = None
    running: int | None = None
    since: float | None = None
    board: int | None = None
    state: str = ""
    evidence: str | None = None
    aged: bool = False
    pace: Pace | None = None

    def why(self) -> str:
        """Return one line for what was not told."""
        if self.reason:
            return self.reason
        at = f" at {self.stuck_at}" if self.stuck_at else ""
        return f"probe ended{at}: {self.died}" if self.died else f"no answer{at} before the deadline"


class Channel:
    """The child's side. Messages are JSON objects, one a line, on the board that it shares with its parent.

    An announcement is "@SECONDS CALL", by time.monotonic().
    """

    def __init__(self, board: Board | _Lines) -> None:
        self._board = board

    def tell(self, message: dict[str, Any]) -> None:
        """Leave a message for the parent; it stays whatever becomes of the child."""
        self._board.write(f"{jsonio.dumps(message)}\n".encode())

    def doing(self, what: str) -> None:
        """Announce the call that comes next: after this the child may hang. Half of all lines, so no JSON."""
        self._board.write(f"@{time.monotonic():.4f} {what}\n".encode())


class Child:
    """A started probe. ``lasting``: one that has not finished by the deadline is left to go on."""

    def __init__(self, name: str, pid: int, descriptor: int, board: Board | _Lines, lasting: bool = False) -> None:
        self.name = name
        self.pid = pid
        self.descriptor = descriptor
        self.closed = False
        self.lasting = lasting
        self.board = board

    def wait(self, until: float) -> bool:
        """Return whether the child ended by ``until`` (time.monotonic seconds); if not it goes on."""
        from select import POLLIN, poll

        waiter = poll()
        waiter.register(self.descriptor, POLLIN)
        return bool(waiter.poll(max(0.0, (until - time.monotonic()) * 1000)))

    def so_far(self) -> list[dict[str, Any]]:
        """Return the messages that have come; the child may go on."""
        return Transcript(self.board.read()).messages

    def collect(self, deadline: float) -> Outcome:
        """Return the outcome of this child alone; see `gather`."""
        return gather([self], deadline)[0]

    def read(self) -> bool:
        """Take what the pipe says: that the child ended, or is gone; return whether to go on waiting."""
        os.read(self.descriptor, 16)
        self.closed = True
        return False

    def conclude(self, reap_s: float = REAP_S) -> Outcome:
        """Close the pipe, make sure that the child is gone (``reap_s`` at most) and return what it told.

        One that is not gone by then is reaped when the next one starts, if it ends.

        A child that finished is not waited for: closing the GPUs may take the kernel seconds. A lasting one that has
        not finished is left to go on, until its own alarm: whether it comes to an end shows whether it hangs.
        """
        os.close(self.descriptor)
        told = Transcript(self.board.read())
        if _Here.on and not told.finished:
            raise Unfinished(self.name)
        shared = self.board.descriptor
        self.board.close()
        if told.finished:
            if _reap(self.pid, 0.0) is None:
                _ending_alone.append(self.pid)
            return Outcome(told.messages, True, pace=told.pace())
        if self.lasting and not self.closed:
            _ending_alone.append(self.pid)
            going = Outcome(told.messages, False, told.doing, pace=told.pace())
            return going._replace(running=self.pid, since=told.since, board=shared, state=process_state(self.pid))
        status = _reap(self.pid, min(0.02, reap_s)) if self.closed else None
        died: str | None = None
        if status is None:
            _kill(self.pid)
            status = _reap(self.pid, reap_s)
            died = (told.crash or "closed its pipe") if self.closed else None
        else:
            died = told.crash or _ending(status)
        left = self.pid if status is None else None
        if left is not None:
            _ending_alone.append(left)
        state = "" if left is None else process_state(left)
        return Outcome(told.messages, False, told.doing, left, died, state=state, pace=told.pace())


class _Lines:
    """The board of a probe that this process runs itself."""

    descriptor = None

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        self._data += data

    def read(self) -> bytes:
        """Return all that was written."""
        return bytes(self._data)

    def close(self) -> None:
        """Do nothing: it is this process's own."""


class _Done(Child):
    """A probe that this process ran itself (`expendable`)."""

    def __init__(self, name: str, function: Callable[[Channel], None]) -> None:
        lines = _Lines()
        super().__init__(name, os.getpid(), -1, lines)
        self.closed = True
        channel = Channel(lines)
        _Here.within = True
        function(channel)
        _Here.within = False
        channel.tell({"end": True, "at": round(time.monotonic(), 4)})

    def wait(self, until: float) -> bool:
        """Return that it has ended."""
        return True

    def conclude(self, reap_s: float = REAP_S) -> Outcome:
        """Return what it told; raises Unfinished."""
        told = Transcript(self.board.read())
        if not told.finished:
            raise Unfinished(self.name)
        return Outcome(told.messages, True, pace=told.pace())


# Children that were not waited for, or not longer; reaped when the next one starts, in a process that lives long.
_ending_alone: list[int] = []


def gather(children: list[Child], deadline: float) -> list[Outcome]:
    """Read what the children tell until each has ended or ``deadline`` (time.monotonic seconds), all at once.

    Returns their outcomes in order, at most REAP_S a hung child later than the deadline.
    """
    wait(children, deadline)
    return [child.conclude() for child in children]


def wait(children: list[Child], deadline: float) -> None:
    """Wait until each child that is not closed yet has ended, ``deadline`` (time.monotonic seconds) at most."""
    children = [child for child in children if not child.closed]
    if not children:
        return
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


def start(name: str, function: Callable[[Channel], None], deadline_s: float = 60.0, lasting: bool = False) -> Child:
    """Fork a child that runs ``function(channel)`` and return at once. Raises OSError when it can't be forked.

    ``deadline_s``: seconds after which (and SPARE_S) the child ends by itself, in case nobody collects it; of a
    ``lasting`` one LASTING_S. In an `expendable` process the function is run at once, and what it raises is raised;
    a probe that starts children of its own does more than read, and is Unfinished before it has.
    """
    if _Here.on:
        if _Here.within:
            raise Unfinished(f"{name} needs a child of its own")
        return _Done(name, function)
    if not hasattr(os, "fork"):
        raise OSError(errno.ENOSYS, "this system cannot fork")
    _ending_alone[:] = [pid for pid in _ending_alone if _reap(pid, 0.0) is None]
    from preflight.facts.board import Board

    board = Board(shared=lasting)
    reading, writing = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        board.close()
        raise
    if pid == 0:
        _run(function, board, writing, LASTING_S if lasting else deadline_s)
    os.close(writing)
    return Child(name, pid, reading, board, lasting)


def run_child(name: str, function: Callable[[Channel], None], deadline_s: float) -> Outcome:
    """Run ``function`` in a child and return its outcome, at most ``deadline_s`` + REAP_S seconds later."""
    deadline = time.monotonic() + deadline_s
    return start(name, function, deadline_s).collect(deadline)


def expendable(function: Callable[[], str], deadline_s: float, beside: Child | None = None) -> tuple[int, int]:
    """Fork a child that may hang itself; return its pid, and a pipe that says how it ended. Raises OSError.

    It runs ``function``, and probes itself instead of forking a child for each (`start`). The pipe gives b"+" where
    that returned "", b"-REASON" where it returned one or was Unfinished, b"!ERROR" for another exception, SAID bytes at
    most, and nothing but its end where the child was ended. ``deadline_s`` as in `start`.
    ``beside``: a probe that runs already, which this child may wait for, too.
    """
    reading, writing = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        raise
    if pid == 0:
        try:
            if beside is not None and beside.descriptor == 3:
                beside.descriptor = os.dup(3)
            detach(writing, deadline_s, None if beside is None else beside.descriptor)
            if beside is not None:
                beside.board.descriptor = None  # closed with all the rest; its memory is still there
            _Here.on = True
            os.write(3, _said(function))
        finally:
            os._exit(0)
    os.close(writing)
    return pid, reading


def _said(function: Callable[[], str]) -> bytes:
    """Return what the pipe of an `expendable` child gives."""
    try:
        why = function()
    except Unfinished as error:
        why = f"unfinished: {error}"
    except Exception as error:
        trace, where = error.__traceback__, ""
        while trace is not None:
            where = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
            trace = trace.tb_next
        return f"!{type(error).__name__}: {error} at {where}".encode("utf-8", "replace")[:SAID]
    return f"-{why}".encode("utf-8", "replace")[:SAID] if why else b"+"


def end(pid: int) -> bool:
    """End a child of ours and its session; return whether it is gone within REAP_S, else it is abandoned."""
    _kill(pid)
    return _reap(pid, REAP_S) is not None


class Transcript:
    """The lines of a board, taken apart; a line that is cut off or no JSON object ends them."""

    def __init__(self, data: bytes) -> None:
        self.messages: list[dict[str, Any]] = []
        self.doing: str | None = None
        self.since: float | None = None
        self.crash: str | None = None
        self.finished = False
        self._began: float | None = None
        self._slowest = ("", 0.0)
        for line in data.split(b"\n")[:-1]:
            try:
                if line[:1] == b"@":
                    at, _, doing = line[1:].partition(b" ")
                    self._next(float(at))
                    self.doing = doing.decode()
                    continue
                message = jsonio.loads(line)
            except ValueError:
                break
            if not isinstance(message, dict):
                break
            self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        if "end" in message:
            self._next(message.get("at"))
            self.finished = True
        elif "crash" in message:
            self.crash = str(message["crash"])
        else:
            self.messages.append(message)

    def _next(self, now: Any) -> None:
        """Take the instant at which one call ended and the next began."""
        if not isinstance(now, (int, float)):
            return
        if self.since is not None and self.doing is not None and now - self.since > self._slowest[1]:
            self._slowest = (self.doing, now - self.since)
        self.since = now
        self._began = now if self._began is None else self._began

    def pace(self) -> Pace | None:
        """Return how long it took so far, None where no call was announced."""
        if self.since is None or self._began is None:
            return None
        if self.finished:
            return Pace(self.since - self._began, *self._slowest)
        now = time.monotonic()
        stuck = now - self.since
        slowest = (self.doing or "", stuck) if stuck > self._slowest[1] else self._slowest
        return Pace(now - self._began, *slowest, stuck)


def process_state(pid: int) -> str:
    """Return the letter of a process's state in /proc/PID/stat, "" where it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read(4096).rpartition(b")")[2].split()
    except OSError:
        return ""
    return fields[0].decode("ascii", "replace") if fields else ""


def _run(function: Callable[[Channel], None], board: Board, writing: int, deadline_s: float) -> None:
    """The child: never returns, runs nothing of the parent's on its way out."""
    status = 1
    try:
        detach(writing, deadline_s, board.descriptor)
        channel = Channel(board)
        try:
            function(channel)
            channel.tell({"end": True, "at": round(time.monotonic(), 4)})
            status = 0
        except Exception as error:
            channel.tell({"crash": f"{type(error).__name__}: {error}"[:300]})
        os.write(3, b".")
    finally:
        os._exit(status)


def detach(writing: int, deadline_s: float, keep: int | None) -> None:
    """Make this forked process one that nobody waits for: a session, no inherited descriptor but ``writing``, which is
    3 from then on, and ``keep``; SIGALRM ends it SPARE_S after ``deadline_s``.
    """
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
        if descriptor > 3 and descriptor != keep:
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
