"""Main memory, and free space in /tmp and /dev/shm."""

import os

from preflight.facts.answer import NOT_LIVE, Answer, explain, unknown
from preflight.facts.rootfs import Root

MEMINFO = "/proc/meminfo"


def read(root: Root) -> Answer:
    """Return subject ``memory``: total, available (bytes), from /proc/meminfo.

    Kernels before 3.14 have no MemAvailable: then ``available`` is in the answer's unknown.
    """
    text = root.live_read(MEMINFO)
    if text is None:
        return unknown(f"no {MEMINFO}" if root.live else NOT_LIVE)
    sizes = dict(_sizes(text))
    if "MemTotal" not in sizes:
        return unknown(f"{MEMINFO} has no MemTotal")
    if "MemAvailable" not in sizes:
        return Answer({"total": sizes["MemTotal"]}, {"available": f"{MEMINFO} has no MemAvailable"})
    return Answer({"total": sizes["MemTotal"], "available": sizes["MemAvailable"]})


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


def _sizes(text: str) -> list[tuple[str, int]]:
    out: list[tuple[str, int]] = []
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        number, _, unit = rest.strip().partition(" ")
        if colon and number.isdecimal() and unit.strip() == "kB":
            out.append((name, int(number) * 1024))
    return out
