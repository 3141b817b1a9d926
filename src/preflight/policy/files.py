"""Which files a policy is: preflight.toml and, in order of name, preflight.d/*.toml beside it. On the hook's path."""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

MAX_BYTES = 1 << 20
MAX_DROP_INS = 256
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


def drop_in_directory(path: str) -> str:
    """Return where the drop-ins of the policy ``path`` stand: /etc/preflight/preflight.d for preflight.toml there."""
    return f"{path[: -len('.toml')] if path.endswith('.toml') else path}.d"


def drop_ins(path: str) -> list[str]:
    """Return the drop-ins of the policy ``path`` in order of name, [] where there are none; never raises.

    Hidden files are none: editors and copying tools make those.
    """
    directory = drop_in_directory(path)
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    mine = sorted(name for name in names if name.endswith(".toml") and not name.startswith("."))
    return [f"{directory}/{name}" for name in mine[:MAX_DROP_INS]]


def identity(path: str) -> list[Any]:
    """Return what changes when the file is replaced or written, [] without it: path, device, inode, size, mtime_ns."""
    try:
        info = os.stat(path)
    except OSError:
        return []
    return [path, info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns]


def read_bytes(path: str) -> bytes:
    """Return the file, cut one byte past MAX_BYTES; raises OSError. A FIFO or a device is refused, never waited for."""
    descriptor = os.open(path, _READ)
    with open(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        return file.read(MAX_BYTES + 1)
