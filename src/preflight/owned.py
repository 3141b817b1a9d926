"""Whether only root can have written what root is about to run; a person who runs it takes his own files, too."""

from __future__ import annotations

import os
import stat

MAX_LINKS = 40  # as the kernel follows (path_resolution(7))


def refused(path: str) -> str:
    """Return why a file is not run, "" where only root can have written it. A link is none."""
    try:
        info = os.lstat(path)
    except OSError as error:
        return error.strerror or "cannot be read"
    if not stat.S_ISREG(info.st_mode):
        return "is no regular file"
    return refused_directory(os.path.dirname(path)) or others(path, info)


def refused_program(path: str) -> str:
    """Return why a program is not run, as `refused`; links to it are followed where only root can change them."""
    path = os.path.abspath(path)
    for _ in range(MAX_LINKS):
        if not os.path.islink(path):
            break
        why = refused_directory(os.path.dirname(path))
        if why:
            return why
        path = os.path.join(os.path.dirname(path), os.readlink(path))
    return refused(path)


def refused_directory(directory: str) -> str:
    """Return why nothing in ``directory`` is run: somebody else may write there, or replace a directory above it."""
    last = os.path.realpath(directory)
    path = last
    while True:
        try:
            info = os.lstat(path)
        except OSError as error:
            return f"{path}: {error.strerror}"
        why = others(path, info, sticky=path != last)
        if why or path == "/":
            return why
        path = os.path.dirname(path)


def others(path: str, info: os.stat_result, sticky: bool = False) -> str:
    """Return who else may change the file or directory; with ``sticky`` a sticky directory keeps what is root's."""
    if info.st_uid not in (0, os.geteuid()):
        return f"{path} belongs to uid {info.st_uid}; it must be root's"
    if info.st_mode & 0o022 and not (sticky and info.st_mode & stat.S_ISVTX):
        return f"{path} can be written by others (mode {info.st_mode & 0o7777:04o})"
    return ""
