"""Kind "space": room and inodes on a file system."""

from __future__ import annotations

import os

from preflight.facts.answer import NOT_LIVE
from preflight.facts.host.kind import WAITING, Args, CannotTell, Shared, kind
from preflight.facts.mounts import table
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

# Where every user may write (FHS 3.0: /tmp, /var/tmp; /dev/shm by glibc's shm_open): a file system that holds one of
# them can be filled by anybody.
PUBLIC = ("/tmp", "/var/tmp", "/dev/shm", "/var/crash")
# Directories in which only root writes, but for the public ones (FHS 3.0, chapters 3 and 5).
ROOTS = ("/var", "/usr", "/boot", "/etc", "/opt", "/srv")


def users(args: Args) -> str:
    """Return why users can fill what a row looks at, "" where only root writes: by ``writers``, else by the path."""
    writers, path = args.get("writers"), args.get("path") or ""
    if writers == "root":
        return ""
    below = any(f"{path}/".startswith(f"{one}/") for one in ROOTS)
    if writers is None and below and not any(f"{path}/".startswith(f"{one}/") for one in PUBLIC):
        return ""
    return 'users can fill it; where only root writes, writers = "root" lets it drain'


@kind(
    "space",
    keys={
        "path": "path: a path on it, such as its mount point",
        "device": "text: or what is mounted, such as /dev/sda1 or server:/export",
        "free_min": "amount: free for users at least, a size or a share of all",
        "free_max": "amount: free at most: more shows that something is not there",
        "used_max": "amount: used at most",
        "size_min": "size: the whole of it at least",
        "size_max": "size: the whole of it at most",
        "inodes_min": "count: inodes in all, at least",
        "inodes_max": "count: at most",
        "inodes_free_min": "amount: inodes free at least, a number or a share",
        "inodes_used_max": "amount: inodes used at most, a number or a share",
        "mounted": "flag: true: judged only where something is mounted at the path itself, skipped elsewhere",
        "writers": "choice root|users: who can fill it; left out: root below /var, /usr, /boot, /etc, /opt and /srv",
    },
    needs=(
        ("path", "device"),
        (
            "free_min",
            "free_max",
            "used_max",
            "size_min",
            "size_max",
            "inodes_free_min",
            "inodes_used_max",
            "inodes_min",
            "inodes_max",
        ),
    ),
    names=("path", "device"),
    fact=WAITING,
    users=users,
)
def read(root: Root, args: Args, shared: Shared) -> dict[str, Any]:
    """A file system has room and inodes left, in units or as a share."""
    if not root.live:
        raise CannotTell(NOT_LIVE)
    path = args.get("path") or _mounted_at(root, args["device"])
    if args.get("mounted") and path not in {row.path for row in table(root) or []}:
        return {"path": path, "unmounted": True}
    if path is None:
        return {"path": None}
    try:
        told = os.statvfs(path)
        device = os.stat(path).st_dev
    except FileNotFoundError:
        return {"path": None}
    unit = told.f_frsize
    return {
        "path": path,
        "size": unit * told.f_blocks,
        "free": unit * told.f_bavail,
        "used": unit * (told.f_blocks - told.f_bfree),
        "inodes": told.f_files,
        "inodes_free": told.f_favail,
        "inodes_used": told.f_files - told.f_ffree,
        "public": _public(device) if not args.get("writers") else None,
    }


def _mounted_at(root: Root, device: str) -> str | None:
    return next((row.path for row in table(root) or [] if row.source == device), None)


def _public(device: int) -> str | None:
    """Return a directory on the file system in which every user may write, None where none is known."""
    for path in PUBLIC:
        try:
            info = os.stat(path)
        except OSError:
            continue
        if info.st_dev == device and info.st_mode & 0o002:
            return path
    return None
