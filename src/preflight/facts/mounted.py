"""What kind of file system a directory stands on."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable

MEMORY = ("tmpfs", "ramfs", "devtmpfs", "rootfs")
MOUNTS = "/proc/self/mountinfo"
# Of the node's own: no server answers for them. Others may hold a process that no signal ends.
OWN = frozenset(MEMORY).union(
    ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "reiserfs", "bcachefs", "overlay", "aufs"),
    ("squashfs", "erofs", "iso9660", "vfat", "proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "hugetlbfs"),
    ("debugfs", "tracefs", "securityfs", "configfs", "pstore", "efivarfs", "bpf", "binfmt_misc", "fusectl"),
)


def in_memory(path: str) -> bool:
    """Return whether ``path``, or the nearest directory above it that is there, stands in memory.

    Not told is not in memory. Nothing is opened there, so a disk that takes no writes holds nobody up.
    """
    return type_of(path) in MEMORY


def type_of(path: str) -> str:
    """Return the type of the file system of ``path``, or of the nearest directory above it; "" where it is not told.

    A device with a number of its own is a disk, and not looked up: "disk".
    """
    device = _device(path)
    if os.major(device):
        return "disk"
    wanted = f"0:{os.minor(device)}"
    try:
        with open(MOUNTS, "rb") as file:
            for line in file:
                words = line.split()
                if len(words) > 2 and words[2] == wanted.encode():
                    behind = line.partition(b" - ")[2].split()
                    return behind[0].decode("ascii", "replace") if behind else ""
    except OSError:
        return ""
    return ""


def may_hold(path: str) -> bool:
    """Return whether ``path``, as it is written, stands on a file system of a server, or on one of an unknown kind.

    Nothing is looked at there.
    """
    return bool(served((path,), follow=False))


def served(paths: Iterable[str], follow: bool = True) -> list[str]:
    """Return those of ``paths`` that `may_hold`; ``follow``: through links, and then what stands there is looked at."""
    mounts = []
    try:
        with open(MOUNTS, "rb") as file:
            for line in file:
                kind = line.partition(b" - ")[2].partition(b" ")[0]
                if kind:
                    mounts.append((line, kind.decode("ascii", "replace")))
    except OSError:
        return []
    if all(kind in OWN for _, kind in mounts):
        return []
    places = [(_place(line), kind) for line, kind in mounts]
    return [path for path in paths if _kind_at(os.path.realpath(path) if follow else path, places) not in OWN]


def _place(line: bytes) -> str:
    """Return where a line of mountinfo mounts, "" of one that cannot be read."""
    words = line.split()
    if len(words) < 5:
        return ""
    place = words[4].replace(b"\\040", b" ").replace(b"\\011", b"\t").replace(b"\\012", b"\n").replace(b"\\134", b"\\")
    return os.fsdecode(place)


def _kind_at(path: str, mounts: list[tuple[str, str]]) -> str:
    longest, found = 0, "rootfs"
    for place, kind in mounts:
        # A later mount stands over an earlier one at the same place.
        if place and len(place) >= longest and (place == "/" or path == place or path.startswith(f"{place}/")):
            longest, found = len(place), kind
    return found


def _device(path: str) -> int:
    while True:
        try:
            return os.stat(path).st_dev
        except OSError:
            above = os.path.dirname(path)
            if above == path:
                return 0
            path = above
