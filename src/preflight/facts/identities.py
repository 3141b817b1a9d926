"""Whether files beneath a root are what they were: thousands, so by directory, each path with one system call.

A prolog asks this of every modulefile's directory. What hangs is announced by its directory, as often as that changes.
"""

from __future__ import annotations

import os
from stat import S_ISDIR, S_ISLNK

from preflight.facts.rootfs import ABSENT, Identity, Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def by_directory(seen: Mapping[str, Identity | None]) -> dict[str, dict[str, Identity | None]]:
    """Return the identities of paths by directory and name; "" is the directory of those at the root."""
    found: dict[str, dict[str, Identity | None]] = {}
    for path, identity in seen.items():
        directory, _, name = path.rpartition("/")
        found.setdefault(directory, {})[name] = identity
    return found


def unchanged(root: Root, seen: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return whether each of ``seen`` (`by_directory`, also as JSON has it) is what it was.

    Raises OSError where one cannot be told, TypeError or AttributeError where ``seen`` is of another form.
    """
    known: dict[str, str | None] = {"": root.path.rstrip("/")}
    for directory, names in seen.items():
        root.touch(directory or "/")
        real = directory if root.own else _real(root, directory, known)
        for name, identity in names.items():
            if real is None or name in ("", "..", "."):
                now = root.identity(f"{directory}/{name}")
            else:
                now = _identity(root, f"{real}/{name}", f"{directory}/{name}")
            if now != (None if identity is None else tuple(identity)):
                return False
    return True


def _real(root: Root, directory: str, known: dict[str, str | None]) -> str | None:
    """Return where a directory beneath ``root`` is on this machine, None where it is not there; ``known``: others."""
    if directory not in known:
        above, _, name = directory.rpartition("/")
        place = None if name in ("", "..", ".") else known.get(above)
        if place is not None and _is_directory(f"{place}/{name}"):
            known[directory] = f"{place}/{name}"
        else:
            inside = root.resolve(directory)
            known[directory] = None if inside is None else f"{root.path.rstrip('/')}{inside.rstrip('/')}"
    return known[directory]


def _is_directory(place: str) -> bool:
    """Return whether a directory is there, and no link to one."""
    try:
        return S_ISDIR(os.lstat(place).st_mode)
    except OSError:
        return False


def _identity(root: Root, place: str, path: str) -> Identity | None:
    """Return what Root.identity says of ``path``, which is at ``place`` where it is no link."""
    try:
        info = os.stat(place) if root.own else os.lstat(place)
    except OSError as error:
        if error.errno in ABSENT:
            return None
        error.filename = path
        raise
    if not root.own and S_ISLNK(info.st_mode):
        return root.identity(path)
    return info.st_ino, info.st_size, info.st_mtime_ns
