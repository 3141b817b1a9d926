"""The working directory: where cd leads, and what relative paths are beneath it."""

from __future__ import annotations

import posixpath

from preflight.submit.infer.model import Command
from preflight.submit.infer.words import HOLE, WIDE


def led(command: Command, cwd: str | None, home: str | None) -> str | None:
    """Return the directory that cd, pushd or popd leads to from ``cwd``, None where it is not known."""
    name = command.words[0].text
    targets = [word for word in command.words[1:] if word.text not in ("-P", "-L", "-e", "--")]
    if name == "popd" or len(targets) > 1:
        return None
    if not targets:
        return home if name == "cd" else None
    text = targets[0].text
    if HOLE in text or WIDE in text or text.startswith(("-", "+")):
        return None
    path = joined(cwd, text)
    return None if path is None else posixpath.normpath(path)  # cd takes ".." off the text, not off the disk


def joined(cwd: str | None, path: str) -> str | None:
    """Return a path as an absolute one, None where that would take a directory that is not known."""
    if path.startswith("/"):
        return path
    return None if cwd is None else f"{cwd.rstrip('/')}/{path}"
