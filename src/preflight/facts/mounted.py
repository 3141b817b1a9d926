"""What kind of file system a directory stands on."""

from __future__ import annotations

import os

MEMORY = ("tmpfs", "ramfs", "devtmpfs", "rootfs")
MOUNTS = "/proc/self/mountinfo"


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


def _device(path: str) -> int:
    while True:
        try:
            return os.stat(path).st_dev
        except OSError:
            above = os.path.dirname(path)
            if above == path:
                return 0
            path = above
