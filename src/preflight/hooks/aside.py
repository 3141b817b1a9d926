"""A file of root's own that cannot be read, after a power cut say: kept, out of every reader's way, and named."""

from __future__ import annotations

import os

from preflight.files import tolerate
from preflight.hooks import journal

SUFFIX = ".unreadable"


def set_aside(path: str) -> None:
    """Rename ``path`` to PATH.unreadable and say so in syslog; never raises. `preflight doctor` names it too."""
    with tolerate(OSError):
        os.replace(path, path + SUFFIX)
        journal.say(journal.ERROR, f"{path}{SUFFIX}: it cannot be read (a power cut?) and is set aside")
