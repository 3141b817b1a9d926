"""Files beneath a root directory: "/" for this node, or a chroot, an image, a recorded node.

Symbolic links, absolute ones and ".." too, are resolved inside the root, so nothing outside it is ever read. Only
regular files are opened, and never in a way that waits (a FIFO, a device). A path that is not there is None; one that
cannot be read raises OSError with the path in ``filename``.
"""

from __future__ import annotations

import errno
import os
from stat import S_ISDIR, S_ISLNK, S_ISREG

from preflight.facts.source import Source

LIMIT = 1 << 20
MAX_LINKS = 40
MAX_MATCHES = 4096
MAX_NAMES = 50_000

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

Identity = tuple[int, int, int]
ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_OPEN = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_CLOEXEC", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


class Root:
    """A root directory. Paths given to its methods are absolute inside it ("/etc/os-release").

    ``path``  the directory on this machine. ``live``  whether this machine's live sources count as the node's.
    ``source``  the parameters of the run that it is made for.
    ``seen``  once `watch` was called: each path touched -> its identity (inode, size, mtime_ns), None when absent.
    """

    def __init__(self, path: str = "/", live: bool = True, source: Source | None = None) -> None:
        self.path = "/" if path.rstrip("/") == "" else os.path.abspath(path)
        self.live = live
        self.source = source or Source(path, live)
        self.seen: dict[str, Identity | None] = {}
        self.watching = False

    @property
    def own(self) -> bool:
        """Whether this is the running machine's own root."""
        return self.path == "/"

    def watch(self) -> None:
        """Start to record the identity of every path that is touched from now on."""
        self.seen, self.watching = {}, True

    def touch(self, path: str) -> None:
        """Called with each path before it is touched; a probe child overrides it to announce the path."""

    def part(self, item: object) -> None:
        """Called with each part of an answer that is known; a probe child tells it at once: the next may hang."""

    def resolve(self, path: str) -> str | None:
        """Return the path inside the root with every link resolved, None where something on it is missing."""
        self.touch(path)
        try:
            return self._walk(path)
        except OSError as error:
            if error.errno in ABSENT:
                return None
            error.filename = path
            raise

    def stat(self, path: str) -> os.stat_result | None:
        """Return what ``path`` is, links followed inside the root; None when it is not there."""
        real = self.resolve(path) if not self.own else path
        info = None if real is None else self._stat(real, path)
        if self.watching:
            self.seen[path] = None if info is None else (info.st_ino, info.st_size, info.st_mtime_ns)
        return info

    def identity(self, path: str) -> Identity | None:
        """Return (inode, size, mtime_ns) of ``path``, None when it is not there."""
        info = self.stat(path)
        return None if info is None else (info.st_ino, info.st_size, info.st_mtime_ns)

    def is_file(self, path: str) -> bool:
        """Whether ``path`` is a regular file, at the end of links."""
        info = self.stat(path)
        return info is not None and S_ISREG(info.st_mode)

    def is_dir(self, path: str) -> bool:
        """Whether ``path`` is a directory, at the end of links."""
        info = self.stat(path)
        return info is not None and S_ISDIR(info.st_mode)

    def read(self, path: str, limit: int = LIMIT) -> bytes | None:
        """Return the bytes of a regular file, None when it is not there.

        Raises OSError where it is no regular file, cannot be read, or holds more than ``limit`` bytes.
        """
        info = self.stat(path)
        if info is None:
            return None
        if not S_ISREG(info.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        real = path if self.own else self.resolve(path)
        if real is None:
            return None
        try:
            descriptor = os.open(self._outside(real), _OPEN | (0 if self.own else _NOFOLLOW))
        except FileNotFoundError:
            return None
        except OSError as error:
            error.filename = path
            raise
        try:
            return _read(descriptor, path, limit)
        finally:
            os.close(descriptor)

    def read_text(self, path: str, limit: int = LIMIT) -> str | None:
        """Return a file's text (UTF-8, what is not UTF-8 as U+FFFD); else as `read`."""
        data = self.read(path, limit)
        return None if data is None else data.decode("utf-8", "replace")

    def names(self, path: str) -> list[str] | None:
        """Return the sorted names in a directory, None when it is not there or no directory."""
        return self._list(path, os.listdir)

    def entries(self, path: str) -> list[tuple[str, str]] | None:
        """Return the sorted (name, kind) in a directory, None when it is not there or no directory.

        A kind is "file", "dir" or, of a link and all else, "". None of them is touched or watched: that one of the
        first two goes, or becomes another, is a change of the directory.
        """
        return self._list(path, _kinds)

    def _list(self, path: str, read: Callable[[str], list[Any]]) -> list[Any] | None:
        if not self.is_dir(path):
            return None
        real = path if self.own else self.resolve(path)
        if real is None:
            return None
        try:
            found = read(self._outside(real))
        except OSError as error:
            if error.errno in ABSENT:
                return None
            error.filename = path
            raise
        if len(found) > MAX_NAMES:
            raise OSError(errno.EFBIG, f"more than {MAX_NAMES} names", path)
        return sorted(found)

    def glob(self, pattern: str) -> list[str]:
        """Return the existing paths that match ``pattern`` (``*``, ``?``, ``[…]`` within a name), sorted, unresolved.

        A name that begins with a dot matches only a pattern that does. Raises OSError for more than MAX_MATCHES paths.
        """
        found = [""]
        for part in [part for part in pattern.split("/") if part]:
            found = [path for base in found for path in self._matches(base, part)]
            if len(found) > MAX_MATCHES:
                raise OSError(errno.EFBIG, f"more than {MAX_MATCHES} paths", pattern)
        return [path for path in found if self.stat(path or "/") is not None]

    def live_read(self, path: str, limit: int = LIMIT) -> str | None:
        """Return the text of a /proc or /sys file: beneath the root where it is there, else this machine's if live."""
        text = self.read_text(path, limit)
        if text is None and self.live and not self.own:
            return Root().read_text(path, limit)
        return text

    def holder(self, path: str) -> Root | None:
        """Return the root that holds ``path`` of /proc or /sys: this one, the machine's if live, or None."""
        if self.stat(path) is not None:
            return self
        return MACHINE if self.live and (self.own or MACHINE.stat(path) is not None) else None

    def _matches(self, base: str, part: str) -> list[str]:
        if not any(letter in part for letter in "*?["):
            return [f"{base}/{part}"]
        from fnmatch import fnmatchcase

        names = self.names(base or "/") or []
        return [
            f"{base}/{name}" for name in names if fnmatchcase(name, part) and (name[0] != "." or part.startswith("."))
        ]

    def _outside(self, path: str) -> str:
        return path if self.own else self.path + path

    def _stat(self, real: str, path: str) -> os.stat_result | None:
        self.touch(path)
        try:
            return os.stat(self._outside(real))
        except OSError as error:
            if error.errno in ABSENT:
                return None
            error.filename = path
            raise

    def _walk(self, path: str) -> str:
        """Follow ``path`` component by component; a link's target starts again at this root, never outside it."""
        todo = path.split("/")[::-1]
        done: list[str] = []
        links = 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                del done[-1:]
                continue
            here = "/".join((self.path.rstrip("/"), *done, part))
            if not S_ISLNK(os.lstat(here).st_mode):
                done.append(part)
                continue
            links += 1
            if links > MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            target = os.readlink(here)
            if target.startswith("/"):
                done.clear()
            todo.extend(target.split("/")[::-1])
        return "/" + "/".join(done)


def _kinds(directory: str) -> list[tuple[str, str]]:
    found = []
    with os.scandir(directory) as entries:
        for entry in entries:
            file = entry.is_file(follow_symlinks=False)
            found.append((entry.name, "file" if file else "dir" if entry.is_dir(follow_symlinks=False) else ""))
    return found


def _read(descriptor: int, path: str, limit: int) -> bytes:
    if not S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(errno.EINVAL, "not a regular file", path)
    chunks: list[bytes] = []
    left = limit + 1
    while left > 0:
        try:
            chunk = os.read(descriptor, min(left, 1 << 20))
        except OSError as error:
            error.filename = path
            raise
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
        left -= len(chunk)
    raise OSError(errno.EFBIG, f"larger than {limit} bytes", path)


MACHINE = Root()
