"""Files that only root writes: replaced at once, and read back only when they are ours."""

from __future__ import annotations

import errno
import os

from preflight import jsonio

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

NOWHERE = "/dev/null/does-not-answer"  # in place of a path whose file system hangs: refused at once
OWN = os.O_NOFOLLOW | os.O_CLOEXEC if hasattr(os, "O_NOFOLLOW") else 0


class _Guard:
    """The directory in which nothing is changed before it is asked whether it answers; "" for none."""

    prefix = ""
    answers: Callable[[], bool] | None = None


def guard(prefix: str, answers: Callable[[], bool] | None) -> None:
    """Have ``answers`` asked before anything below ``prefix`` is changed (hooks/rundir.py); "" ends that."""
    _Guard.prefix, _Guard.answers = prefix, answers


def check(path: str) -> None:
    """Raise OSError, ETIMEDOUT, where ``path`` stands in a directory that hangs."""
    answers = _Guard.answers
    if answers is not None and path.startswith(_Guard.prefix) and not answers():
        raise OSError(errno.ETIMEDOUT, "the directory hangs", path)


def write_atomic(path: str, data: bytes, mode: int = 0o600, durable: bool = False) -> None:
    """Replace ``path`` by ``data``: a temporary file, then rename. Raises OSError and leaves nothing behind.

    ``durable``: it is on the disk when this returns, and a power cut leaves the old file or the new one.
    """
    check(path)
    directory, name = os.path.split(path)
    temporary = f"{directory}/.{name}.{os.getpid()}"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | OWN, mode)
        with open(descriptor, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(descriptor)
        os.rename(temporary, path)
    except OSError:
        unlink(temporary)
        raise


def write_json(path: str, data: Any, mode: int = 0o600, durable: bool = False, limit: int | None = None) -> None:
    """Replace ``path`` by ``data`` as JSON, making its directory (0700) where it is missing.

    Raises OSError, also for more bytes than ``limit``, which `read_json` would never take.
    """
    check(path)
    text = jsonio.dumps(data).encode()
    if limit is not None and len(text) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit} bytes", path)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    write_atomic(path, text, mode, durable)


def read_plain(path: str, limit: int) -> bytes:
    """Return the first ``limit`` bytes of a regular file; raises OSError, at once where it is a FIFO or a device."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    with open(descriptor, "rb") as file:
        if os.fstat(descriptor).st_mode & 0o170000 != 0o100000:
            raise OSError(22, "not a regular file", path)
        return file.read(limit)


def read_json(path: str, limit: int = 4 << 20) -> Any:
    """Return the JSON value in ``path``; None where it is missing, not a regular file of ours, too large, not JSON."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | OWN)
    except OSError:
        return None
    try:
        info = os.fstat(descriptor)
        if info.st_uid != os.geteuid() or info.st_size > limit or info.st_mode & 0o170000 != 0o100000:
            return None
        with open(descriptor, "rb", closefd=False) as file:
            return jsonio.loads(file.read(limit))
    except (OSError, ValueError):
        return None
    finally:
        os.close(descriptor)


def damaged(path: str, limit: int = 4 << 20) -> bool:
    """Return whether `read_json` can never read ``path``: not a regular file of ours, too large, not JSON, or null.

    False where the disk failed, or less came than the file holds: the next run may read it.
    """
    try:
        info = os.lstat(path)
        if info.st_uid != os.geteuid() or info.st_size > limit or info.st_mode & 0o170000 != 0o100000:
            return True
        data = read_plain(path, limit)
        return len(data) >= info.st_size and jsonio.loads(data) is None
    except OSError:
        return False
    except ValueError:
        return True


def lock_within(descriptor: int, seconds: float) -> bool:
    """Lock an open file, waiting ``seconds`` at most for who holds it; return whether it is locked. Raises OSError."""
    import fcntl
    import time

    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.005)


class tolerate:
    """Pass over errors of one kind, or several, in a with block."""

    def __init__(self, kind: type[Exception] | tuple[type[Exception], ...]) -> None:
        self._kind = kind

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, self._kind)


def unlink(path: str) -> None:
    """Remove ``path``; one that is not there, or cannot be removed, is no error."""
    try:
        check(path)
        os.unlink(path)
    except OSError:
        return
