"""Running what is not ours, a site's own check or command, so that it costs its own result and nothing else.

It is called in a child of its own (isolate.py), which forks once more: the process that runs the foreign thing has a
session of its own, no descriptor but three, an environment of four lines and, where one is asked for, another user. Its
child's time and output are bounded. Whatever it forked is ended with it, also what has left its session: the caller
becomes the reaper of all that it started (PR_SET_CHILD_SUBREAPER, Linux 3.4), stops all of it, so that none forks on,
and then kills it.
"""

from __future__ import annotations

import errno
import os
import time

from preflight.digits import is_whole
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable

    Tell = Callable[[bytes], None]

PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
MAX_BYTES = 64 << 10  # of output
FLOOD = f"wrote more than {MAX_BYTES >> 10} KiB"
LATE = "did not end in time"
CLEAN_UP_S = 0.5  # for ending what was started
_SUBREAPER, _DEATH_SIGNAL, _NO_NEW_PRIVILEGES = 36, 1, 38  # of prctl(2), linux/prctl.h
_KILL, _STOP = 9, 19
_POLL_S = 0.01


class Ended(NamedTuple):
    """How it ended. ``status``: its exit status, None where it did not exit. ``signal``: what ended it, 0 for none.

    ``output``: what it wrote to descriptor 1, ``errors`` to descriptor 2, ``told``: by `Tell`, each at most MAX_BYTES.
    ``why``: why we ended it or could not start it, "" where it ended by itself. ``left``: processes of it that SIGKILL
    did not end.
    """

    status: int | None
    signal: int
    output: bytes
    errors: bytes
    told: bytes
    why: str
    left: tuple[int, ...] = ()


def confined(run: Callable[[Tell], None], seconds: float, user: str = "", node: str = "") -> Ended:
    """Run ``run(tell)`` in a process of its own for at most ``seconds``, as ``user`` where one is named.

    ``run`` replaces the process (exec), or returns, which ends it with status 0; ``tell(bytes)`` reaches us whatever
    it writes elsewhere. Call it in a child that `isolate` started: it takes over the caller's children.
    """
    _prctl(_SUBREAPER, 1)
    _clean_up_with_parent()
    deadline = time.monotonic() + seconds
    reading, writing = zip(*(os.pipe() for _ in range(4)))
    pid = os.fork()
    if pid == 0:
        _inner(run, writing, user, node)
    for one in writing:
        os.close(one)
    (output, errors, told, broken), why, status = _follow(pid, reading, deadline)
    for one in reading:
        os.close(one)
    left, last = _end_all(pid)
    status = last if status is None else status
    if broken and not (status is not None and os.WIFSIGNALED(status)):  # what a crash writes stands there, too
        why = f"cannot be started: {broken.decode('utf-8', 'replace')}"
    if why or status is None:
        return Ended(None, 0, output, errors, told, why or "did not end", left)
    if os.WIFSIGNALED(status):
        return Ended(None, os.WTERMSIG(status), output, errors, told, "", left)
    return Ended(os.WEXITSTATUS(status), 0, output, errors, told, "", left)


def end_with_parent() -> None:
    """Let the kernel end this process when its parent ends, and so at once what it has `confined`."""
    _prctl(_DEATH_SIGNAL, _KILL)


_parent_gone: list[bool] = []


def _clean_up_with_parent() -> None:
    """Let the kernel send this process SIGTERM when its parent ends: what it runs is ended at once then, not left."""
    import _signal as signal

    signal.signal(signal.SIGTERM, lambda number, frame: _parent_gone.append(True))
    _prctl(_DEATH_SIGNAL, signal.SIGTERM)


def _follow(pid: int, reading: tuple[int, ...], deadline: float) -> tuple[list[bytes], str, int | None]:
    """Return what was written until the process ended, why it is to be ended, and its wait status if it ended."""
    from select import POLLHUP, POLLIN, poll

    waiter, parts = poll(), dict.fromkeys(reading, b"")
    for one in reading:
        os.set_blocking(one, False)
        waiter.register(one, POLLIN | POLLHUP)
    status: int | None = None
    pause_s = 0.001
    while status is None:
        for one, _ in waiter.poll(1000 * pause_s):
            try:
                data = os.read(one, 1 << 16)
            except BlockingIOError:
                continue
            parts[one] += data
            if not data:
                waiter.unregister(one)
        pause_s = min(_POLL_S, 2 * pause_s)
        status = _waited(pid)
        if status is None and _flooded(parts):
            return _cut(parts), FLOOD, None
        if status is None and (_parent_gone or time.monotonic() >= deadline):
            return _cut(parts), LATE, None
    for one in reading:  # what it left in the pipes; a process that it forked may hold them open, and is not read on
        try:
            while len(parts[one]) <= MAX_BYTES and (data := os.read(one, 1 << 16)):
                parts[one] += data
        except OSError:
            continue
    return _cut(parts), FLOOD if _flooded(parts) else "", status


def _flooded(parts: dict[int, bytes]) -> bool:
    return any(len(one) > MAX_BYTES for one in parts.values())


def _cut(parts: dict[int, bytes]) -> list[bytes]:
    return [one[:MAX_BYTES] for one in parts.values()]


def _waited(pid: int) -> int | None:
    try:
        done, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 0
    return status if done else None


def _end_all(pid: int) -> tuple[tuple[int, ...], int | None]:
    """End the process and all that came from it; return what SIGKILL did not end, and the wait status of ``pid``."""
    limit, status = time.monotonic() + CLEAN_UP_S, None
    _signal(-pid, _KILL)
    while True:
        try:
            done, ended = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return (), status
        if done:
            status = ended if done == pid else status
            continue
        found = _descendants()
        _freeze(found)
        for one in found:
            _signal(one, _KILL)
        if time.monotonic() >= limit:
            return tuple(sorted(found)), status
        time.sleep(0.002)


def _freeze(found: set[int]) -> None:
    """Stop all in ``found`` and what they started meanwhile, which is added: a stopped process forks no more."""
    new = set(found)
    for _ in range(100):
        for one in new:
            _signal(one, _STOP)
        new = _descendants() - found
        if not new:
            return
        found |= new


def _descendants() -> set[int]:
    """Return all processes that descend from this one."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if is_whole(name):
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read(4096).rpartition(b")")[2].split()
            except OSError:
                continue
            if len(fields) > 1:
                children.setdefault(int(fields[1]), []).append(int(name))
    found: set[int] = set()
    todo = [os.getpid()]
    while todo:
        for one in children.get(todo.pop(), ()):
            if one not in found:
                found.add(one)
                todo.append(one)
    return found


def _signal(pid: int, number: int) -> None:
    try:
        if pid < 0:
            os.killpg(-pid, number)
        else:
            os.kill(pid, number)
    except OSError:
        return


def _inner(run: Callable[[Tell], None], writing: tuple[int, ...], user: str, node: str) -> None:
    """The process that runs what is not ours: never returns."""
    status, (out, err, telling, breaking) = 126, writing
    try:
        os.setsid()
        _prctl(_DEATH_SIGNAL, _KILL)
        os.environ.clear()
        os.environ.update({"PATH": PATH, "LC_ALL": "C", "HOME": "/", "SLURMD_NODENAME": node})
        os.chdir("/")
        os.umask(0o077)
        _become(user)
        null = os.open(os.devnull, os.O_RDONLY)
        for number, one in enumerate((null, out, err)):
            os.dup2(one, number)
        for one in _descriptors():
            if one > 2 and one not in (telling, breaking):
                _close(one)
        run(lambda data: _write(telling, data))
        status = 0
    except BaseException as error:
        _write(breaking, _explain(error).encode("utf-8", "replace"))
    finally:
        os._exit(status)


def _become(user: str) -> None:
    """Take the identity of ``user`` for good, and let no program give another one back; raises OSError or KeyError."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not user:
        return
    import pwd

    entry = pwd.getpwnam(user)
    if os.geteuid() != 0:
        if entry.pw_uid == os.geteuid():
            return
        raise PermissionError(errno.EPERM, f"only root runs it as {user}")
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    _prctl(_NO_NEW_PRIVILEGES, 1)
    _prctl(_DEATH_SIGNAL, _KILL)  # another identity forgets it


def _explain(error: BaseException) -> str:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error, OSError) and error.filename else ""
    kind = "" if isinstance(error, OSError) else f"{type(error).__name__}: "
    return f"{kind}{where}{why}"[:300]


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _descriptors() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]
    except (OSError, ValueError):
        return list(range(3, 4096))


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        return


def _prctl(option: int, value: int) -> None:
    """Call prctl(2); a kernel that does not know the option only cleans up less."""
    import ctypes

    try:
        ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0)
    except (OSError, AttributeError):
        return
