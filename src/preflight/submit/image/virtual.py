"""A file system that is not on this machine, read with the methods of `preflight.facts.rootfs.Root`.

Links are resolved inside it, as `Root` does beneath a directory; so the readers of facts (libc, toolkits) read images
too.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from stat import S_IFDIR, S_IFLNK, S_IFREG
from typing import NamedTuple, Protocol

from preflight.facts.rootfs import LIMIT, MAX_LINKS, MAX_NAMES, Root

MAX_PARTS = 4096


class Entry(NamedTuple):
    """What a path is: ``kind`` "dir", "file", "link" or "other" (a device), ``size`` in bytes, a link's ``target``."""

    kind: str
    size: int = 0
    target: str = ""


class Store(Protocol):
    """Where the files come from. Paths are absolute and hold neither links nor ".." in front of the last part."""

    def entry(self, path: str) -> Entry | None:
        """Return what ``path`` is, links not followed; None where it is not there."""

    def listing(self, path: str) -> list[str]:
        """Return the names in a directory."""

    def content(self, path: str, limit: int) -> bytes:
        """Return a file's bytes; OSError where there are more than ``limit``."""


_MODES = {"dir": S_IFDIR, "file": S_IFREG, "link": S_IFLNK, "other": 0}


class Virtual(Root):
    """A store as a root directory; nothing outside the store is ever read."""

    def __init__(self, store: Store, name: str) -> None:
        super().__init__("/", live=False)
        self.path = f"image:{name}"  # never this machine's root, and shown in messages
        self._store = store

    def resolve(self, path: str) -> str | None:
        """Return the path with every link resolved, None where something on it is missing."""
        real = walk(path, self._store.entry)
        return real if real is not None and self._store.entry(real) is not None else None

    def stat(self, path: str) -> os.stat_result | None:
        """Return mode and size of ``path``, links followed; None when it is not there."""
        real = self.resolve(path)
        entry = None if real is None else self._store.entry(real)
        if entry is None:
            return None
        return os.stat_result((_MODES[entry.kind], 0, 0, 1, 0, 0, entry.size, 0, 0, 0))

    def read(self, path: str, limit: int = LIMIT) -> bytes | None:
        """Return the bytes of a regular file, None when it is not there; OSError as `Root.read`."""
        real = self.resolve(path)
        entry = None if real is None else self._store.entry(real)
        if real is None or entry is None:
            return None
        if entry.kind != "file":
            raise OSError(errno.EINVAL, "not a regular file", path)
        if entry.size > limit:
            raise OSError(errno.EFBIG, f"larger than {limit} bytes", path)
        return self._store.content(real, limit)

    def names(self, path: str) -> list[str] | None:
        """Return the sorted names in a directory, None when it is not there or no directory."""
        real = self.resolve(path)
        entry = None if real is None else self._store.entry(real)
        if real is None or entry is None or entry.kind != "dir":
            return None
        found = self._store.listing(real)
        if len(found) > MAX_NAMES:
            raise OSError(errno.EFBIG, f"more than {MAX_NAMES} names", path)
        return sorted(found)

    def entries(self, path: str) -> list[tuple[str, str]] | None:
        """Return the sorted names in a directory, with no kind told, None when it is not there or no directory."""
        found = self.names(path)
        return None if found is None else [(name, "") for name in found]


def walk(path: str, lookup: Callable[[str], Entry | None], lenient: bool = False) -> str | None:
    """Return ``path`` with links resolved inside the store, ".." stopping at its root.

    None where a part is missing (``lenient``: what is missing counts as a directory), where links go round, or where
    the path grows without end.
    """
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
        here = "/" + "/".join((*done, part))
        entry = lookup(here)
        if entry is None and not lenient:
            return None
        if entry is None or entry.kind != "link":
            done.append(part)
            continue
        links += 1
        if links > MAX_LINKS or len(todo) > MAX_PARTS:
            return None
        if entry.target.startswith("/"):
            done.clear()
        todo.extend(entry.target.split("/")[::-1])
    return "/" + "/".join(done)
