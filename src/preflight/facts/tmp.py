"""Free space in /tmp, and in any local file system."""

import os

from preflight.facts.answer import NOT_LIVE, Answer, explain, unknown
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root

PATH = "/tmp"
KEYS = {"path": "text", "size": "count bytes", "free": "count bytes: what an unprivileged user may take"}


@fact("tmp", keys=KEYS)
def read(root: Root) -> Answer:
    """Free space in /tmp."""
    return read_space(root, PATH)


def read_space(root: Root, path: str) -> Answer:
    """Return subject ``tmp`` or ``shm``: path, size, free (bytes; free is what an unprivileged user may take)."""
    if not root.live:
        return unknown(NOT_LIVE)
    if not hasattr(os, "statvfs"):
        return unknown("free space is not told on this system")
    try:
        told = os.statvfs(path)
    except OSError as error:
        return unknown(explain(error))
    return Answer({"path": path, "size": told.f_frsize * told.f_blocks, "free": told.f_frsize * told.f_bavail})
