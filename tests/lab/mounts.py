"""Mounting and unmounting; what is mounted is read from /proc (a directory bound to itself looks like none)."""

import re
import subprocess

from lab.daemons import LabError


def at_or_below(path: str) -> list[str]:
    """Return the mount points at and below ``path``, the last mounted first."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as text:
        points = [re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), line.split()[4]) for line in text]
    return [one for one in reversed(points) if one == path or one.startswith(f"{path}/")]


def mount(*words: str) -> None:
    """Run mount; raises LabError with what it says."""
    done = subprocess.run(["mount", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"mount {' '.join(words)}: {done.stderr.strip()}")


def unmount(path: str) -> None:
    """Unmount the last mount at ``path`` and all below it, now or when the last user has gone; none there is fine."""
    if at_or_below(path):
        command = ["umount", "-R", "-l", path]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def unmount_all(path: str) -> None:
    """Unmount everything at and below ``path``; raises LabError if something stays."""
    for point in at_or_below(path):
        command = ["umount", "-l", point]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    left = at_or_below(path)
    if left:
        raise LabError(f"{left[0]} stays mounted; unmount it by hand")
