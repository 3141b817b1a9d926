"""Which processes of this machine belong to a lab; read from /proc, by pid, never by name alone."""

from __future__ import annotations

import os
import signal
import time
from typing import NamedTuple

_DAEMONS = ("munged", "slurmctld", "slurmd", "slurmdbd", "mariadbd")
_GONE_S = 5.0
_POLL_S = 0.02


class Process(NamedTuple):
    """A pid with its start time (clock ticks since boot), which tells a reused pid apart."""

    pid: int
    started: int


def identify(pid: int) -> Process | None:
    """Return the process behind ``pid`` now, None if there is none or it is a zombie."""
    stat = _stat(pid)
    return Process(pid, int(stat[19])) if stat and stat[0] != "Z" else None


def is_alive(process: Process) -> bool:
    """Whether it is still that process."""
    return identify(process.pid) == process


def kill(process: Process) -> None:
    """SIGKILL it if it is still that process, and wait until it is gone."""
    if not is_alive(process):
        return
    try:
        os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    until = time.monotonic() + _GONE_S
    while is_alive(process) and time.monotonic() < until:
        time.sleep(_POLL_S)


def descendants(root: int) -> list[Process]:
    """Return every process below ``root``."""
    children: dict[int, list[int]] = {}
    for pid in _pids():
        stat = _stat(pid)
        if stat:
            children.setdefault(int(stat[1]), []).append(pid)
    below, queue = [], [root]
    while queue:
        found = children.get(queue.pop(), [])
        below += found
        queue += found
    return [process for process in map(identify, below) if process]


def is_daemon_of(pid: int, directory: str) -> bool:
    """Whether ``pid`` is a daemon of a lab's whose command line names a file below ``directory``."""
    words = _cmdline(pid)
    if not words or os.path.basename(words[0]) not in _DAEMONS:
        return False
    return any(directory + "/" in word for word in words)


def steps(directory: str) -> list[Process]:
    """Return the job steps of the lab: a slurmstepd is ours if it holds a file open below ``directory``.

    Nothing else tells: its command line is rewritten and it is no child of its slurmd.
    """
    return [
        process
        for process in map(identify, _pids())
        if process and _comm(process.pid) == "slurmstepd" and _holds_open(process.pid, directory)
    ]


def of_lab(directory: str) -> list[str]:
    """Return "pid command line" of every daemon and step of the lab that runs now."""
    pids = [pid for pid in _pids() if is_daemon_of(pid, directory)] + [step.pid for step in steps(directory)]
    return [f"{pid} {' '.join(_cmdline(pid))}" for pid in sorted(pids)]


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat from the state on: [0] state, [1] parent, [19] start time; [] if gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as text:
            # The command in parentheses may hold spaces and parentheses.
            return text.read().rpartition(")")[2].split()
    except OSError:
        return []


def _comm(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as text:
            return text.read().strip()
    except OSError:
        return ""


def _cmdline(pid: int) -> list[str]:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as raw:
            return [word.decode(errors="replace") for word in raw.read().split(b"\0") if word]
    except OSError:
        return []


def _holds_open(pid: int, directory: str) -> bool:
    try:
        for link in os.listdir(f"/proc/{pid}/fd"):
            # A step in a chroot has the chroot's path before it.
            if directory + "/" in os.readlink(f"/proc/{pid}/fd/{link}"):
                return True
    except OSError:
        return False
    return False
