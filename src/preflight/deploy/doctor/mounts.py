"""On what file system a path is, without touching it: by the mount table."""

import os

from preflight.facts.mounts import decode
from preflight.facts.mounts import is_remote as needs_a_server

TABLE = "/proc/self/mountinfo"


def file_system(path: str, table: str = TABLE) -> str:
    """Return the type of the file system that holds ``path`` ("ext4", "nfs4"), "" where it cannot be told.

    The longest mount point that is above it counts; of two at one place the later, which hides the other.
    """
    best, kind = "", ""
    path = os.path.normpath(path)
    for line in _lines(table):
        before, _, after = line.partition(" - ")
        fields, types = before.split(" "), after.split(" ")
        if len(fields) < 5:
            continue
        place = decode(fields[4])
        above = path == place or path.startswith(place.rstrip("/") + "/")
        if above and len(place) >= len(best):
            best, kind = place, types[0]
    return kind


def is_remote(path: str) -> str:
    """Return the file system's type where it is a remote one, else ""."""
    kind = file_system(path)
    return kind if kind and needs_a_server(kind) else ""


def _lines(table: str) -> list[str]:
    try:
        with open(table, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().splitlines()
    except OSError:
        return []
