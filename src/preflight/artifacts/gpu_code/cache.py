"""The user's cache of surveys, opened from its top down, so that what another user put there is never taken or changed.

A directory and a file count where they are the user's own. A link on the way counts where it is the user's, or root's,
in a directory that nobody else changes: a ``~/.cache`` that lies on a scratch file system is such a link.
"""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_OWN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OURS = 2  # the last levels, preflight/code, are made here; of those above some may be root's


def directory() -> str:
    """Return the user's cache for surveys, "" where the user has none."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "preflight", "code") if os.path.isabs(base) else ""


class Cache(NamedTuple):
    """An open directory that is the user's own."""

    descriptor: int

    def __enter__(self) -> Cache:
        """Return itself; it is closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        os.close(self.descriptor)

    def read(self, name: str, limit: int) -> bytes:
        """Return the first ``limit`` bytes of a file; raises OSError, also where others own it or may write to it."""
        descriptor = os.open(name, os.O_RDONLY | _OWN, dir_fd=self.descriptor)
        with open(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or not _is_ours(found):
                raise PermissionError(f"{name} is another's")
            return file.read(limit)

    def write(self, name: str, data: bytes, most: int) -> None:
        """Replace a file at once, then remove the oldest where there are more than ``most``; raises OSError."""
        temporary = f".{name}.{os.getpid()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _OWN
        with open(os.open(temporary, flags, 0o600, dir_fd=self.descriptor), "wb") as file:
            file.write(data)
        os.rename(temporary, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        with os.scandir(self.descriptor) as entries:
            found = [(one.stat(follow_symlinks=False).st_mtime_ns, one.name) for one in entries]
        for _, old in sorted(found)[: max(0, len(found) - most)]:
            os.unlink(old, dir_fd=self.descriptor)


def opened(path: str, make: bool = False) -> Cache:
    """Return the cache at an absolute path; raises OSError where it is not there, or not the user's own.

    ``make``: make what is missing of it, within a directory of the user's.
    """
    user = getattr(os, "geteuid", None)
    if user is None:
        raise PermissionError("whose a file is cannot be told here")
    home = os.path.expanduser("~")
    top = home if os.path.isabs(home) and path.startswith(os.path.join(home, "")) else "/"
    names = [name for name in path[len(top) :].split("/") if name]
    trusted = {user(), 0}
    at = os.open(top, _DIRECTORY)
    try:
        if top == "/":
            trusted.add(os.fstat(at).st_uid)  # nobody's, as a container without root's rights sees it
        _check(at, trusted)
        for number, name in enumerate(names):
            ours = {user()} if number >= len(names) - _OURS else trusted
            below = _below(at, name, trusted, user() if make else None)
            os.close(at)
            at = below
            _check(at, ours)
        if os.fstat(at).st_mode & _OTHERS_WRITE:
            raise PermissionError(f"others may write to {path}")
    except BaseException:
        os.close(at)
        raise
    return Cache(at)


def _below(at: int, name: str, trusted: set[int], maker: int | None) -> int:
    """Return the directory of a name within one that is open; a link is followed where nobody else may have put it."""
    above = os.fstat(at)
    try:
        found = os.stat(name, dir_fd=at, follow_symlinks=False)
    except FileNotFoundError:
        if above.st_uid != maker:
            raise
        os.mkdir(name, 0o700, dir_fd=at)
        found = os.stat(name, dir_fd=at, follow_symlinks=False)
    alone = not above.st_mode & _OTHERS_WRITE or above.st_mode & stat.S_ISVTX
    follow = stat.S_ISLNK(found.st_mode) and found.st_uid in trusted and alone
    return os.open(name, _DIRECTORY if follow else _DIRECTORY | _OWN, dir_fd=at)


def _check(at: int, owners: set[int]) -> None:
    if os.fstat(at).st_uid not in owners:
        raise PermissionError("the cache, or a directory above it, is another's")


def _is_ours(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid() and not found.st_mode & _OTHERS_WRITE
