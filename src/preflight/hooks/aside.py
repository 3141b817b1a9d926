"""A file of root's own that cannot be read, after a power cut say: kept, out of every reader's way, and named."""

from __future__ import annotations

from preflight.files import damaged, tolerate
from preflight.hooks import journal, spool

SUFFIX = ".unreadable"


TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any


def set_aside(path: str, read: Any) -> None:
    """Rename ``path`` to PATH.unreadable and say so in syslog; never raises. `preflight doctor` names it too.

    ``read``: what was read from it, of a form that is none of ours; None where that gave nothing. Then it is looked at
    again: a disk that failed for a moment costs no file.
    """
    if read is None and not damaged(path):
        return
    with tolerate(OSError):
        spool.move(path, path + SUFFIX)
        journal.say(journal.ERROR, f"{path}{SUFFIX}: it cannot be read (a power cut?) and is set aside")
