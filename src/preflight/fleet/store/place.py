"""Where a store on SQLite lies: who has it for itself, and whether the file system can bear it."""

from __future__ import annotations

import os

from preflight.fleet.store.interface import StoreError
from preflight.fleet.store.open import sqlite_path
from preflight.fleet.store.sqlite_reader import named

# SQLite's write-ahead log is shared memory, which does not reach other hosts (sqlite.org/wal.html), and its locks are
# only as good as the file system's.
NETWORK = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "lustre",
    "gpfs",
    "beegfs",
    "ceph",
    "glusterfs",
    "afs",
    "9p",
    "panfs",
    "wekafs",
)


def claim(url: str) -> int | None:
    """Take the store at ``url`` for this collector until the process ends, and return the lock's descriptor.

    None for PostgreSQL, which several share. Raises StoreError where another collector has it.
    """
    path = sqlite_path(url)
    if path is None:
        return None
    place = f"{path}-days/serve.lock"
    with named(place):
        os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
        lock = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            import fcntl  # a collector has it; what only asks who has the store works without

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(lock, 20).decode("ascii", "replace").strip()
            os.close(lock)
            raise StoreError(
                f"{path}: another `preflight serve` (process {pid or 'unknown'}) has it: a store on SQLite has one"
                " collector, PostgreSQL takes several"
            ) from None
        os.ftruncate(lock, 0)
        os.write(lock, b"%d\n" % os.getpid())
    return lock


def network(url: str, mounts: str = "/proc/self/mounts") -> str:
    """Return the type of the network file system that a store on SQLite lies on, "" where it lies on a local disk."""
    path = sqlite_path(url)
    if path is None:
        return ""
    place = os.path.realpath(path)
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
            rows = [line.split() for line in file]
    except OSError:
        return ""
    best, kind = "", ""
    for row in rows:
        if len(row) < 3:
            continue
        at = row[1].encode("utf-8", "surrogateescape").decode("unicode_escape", "replace").rstrip("/")
        if len(at) >= len(best) and (place == at or place.startswith(f"{at}/")):  # of several at one place the last
            best, kind = at, row[2]
    return kind if kind in NETWORK or kind.startswith("fuse.") else ""
