"""Processes, of /proc: for rows and checks that look for daemons, zombies and what users left."""

from __future__ import annotations

import os

from preflight.digits import is_whole, whole
from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.registry import FILES, fact
from preflight.facts.rootfs import Root
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

MOST = 1 << 16
SHOWN = 256


class Process(NamedTuple):
    """One process. ``state``: its letter (R S D Z T I); ``rss``, ``vsz``: bytes; ``cpu_s``, ``age_s``: seconds."""

    pid: int
    parent: int
    name: str
    state: str
    rss: int
    vsz: int
    cpu_s: float
    age_s: float


@fact(
    "processes",
    keys={
        "count": "count",
        "threads": "count: of all processes and of the kernel",
        "threads_max": "count: that the kernel has numbers for, the lower of pid_max and threads-max",
        "zombies": "count: ended, and not waited for by their parents",
        "waiting": [{"pid": "count", "name": "text", "age_s": "number seconds: since it began"}],
    },
    child=FILES,
    budget_s=1.5,
)
def read(root: Root) -> Answer:
    """How many processes there are, zombies, and those that wait for a disk or a file server (state D)."""
    every = processes(root)
    if every is None:
        return unknown(why_none(root))
    holder = proc_of(root)
    running = ""
    limits: list[int | None] = []
    if holder is not None:
        running = (holder.read_text("/proc/loadavg", 256) or "").partition("/")[2].partition(" ")[0]
        names = ("pid_max", "threads-max")
        limits = [whole((holder.read_text(f"/proc/sys/kernel/{name}", 64) or "").strip()) for name in names]
    waiting = [{"pid": one.pid, "name": one.name, "age_s": round(one.age_s)} for one in every if one.state == "D"]
    found: dict[str, Any] = {
        "count": len(every),
        "zombies": sum(one.state == "Z" for one in every),
        "waiting": waiting[:SHOWN],
    }
    missing = {}
    for key, value in (("threads", whole(running)), ("threads_max", min((one for one in limits if one), default=None))):
        if value is None:
            missing[key] = "/proc does not tell"
        else:
            found[key] = value
    return Answer(found, missing)


def processes(root: Root) -> list[Process] | None:
    """Return the processes, None where the root has none and live sources are off.

    Only /proc/PID/stat is read: it takes no lock of the process's memory, as reading its command line does, which may
    hang (access_remote_vm takes mmap_lock, mm/memory.c).
    """
    holder = proc_of(root)
    if holder is None:
        return None
    up = float((holder.read_text("/proc/uptime", 256) or "0").split()[0])
    tick, page = _settings()
    return list(_each(holder, up, tick, page))


def why_none(root: Root) -> str:
    """Return why `processes` returned None."""
    return "no /proc" if root.live else NOT_LIVE


def proc_of(root: Root) -> Root | None:
    """Return the root whose /proc has the node's processes."""
    return root if root.own or root.stat("/proc/1/stat") is not None else root.holder("/proc/self")


def command_line(root: Root, pid: int) -> str:
    """Return a process's command line, blanks between its words; "" where it is gone or has none."""
    holder = proc_of(root)
    try:
        data = holder.read(f"/proc/{pid}/cmdline", 1 << 16) if holder else None
    except OSError:
        return ""
    return (data or b"").replace(b"\0", b" ").decode("utf-8", "replace").strip()


def owner(root: Root, pid: int) -> int | None:
    """Return a process's real uid, None where it is gone.

    Not the effective one, which is root's in a setuid program (su, sudo, passwd) that a user runs by a name and with
    arguments of his choice: the real one stays his until the program has let him become another (credentials(7)).
    Not the owner of its files in /proc: those are root's where the process asked not to be dumped (proc(5)), which any
    user's process may.
    """
    holder = proc_of(root)
    try:
        text = (holder.read_text(f"/proc/{pid}/status", 1 << 14) if holder else None) or ""
    except OSError:
        return None
    words = next((line.split() for line in text.splitlines() if line.startswith("Uid:")), [])
    return whole(words[1]) if len(words) > 1 else None


def control_group(root: Root, pid: int) -> str:
    """Return the text of /proc/PID/cgroup, "" where it is gone."""
    holder = proc_of(root)
    try:
        return (holder.read_text(f"/proc/{pid}/cgroup", 1 << 14) if holder else None) or ""
    except OSError:
        return ""


def _settings() -> tuple[int, int]:
    if not hasattr(os, "sysconf"):
        return 100, 4096
    return os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


def _each(holder: Root, up: float, tick: int, page: int) -> Iterator[Process]:
    for name in (holder.names("/proc") or [])[: MOST * 2]:
        if not is_whole(name, 9):
            continue
        try:
            text = holder.read_text(f"/proc/{name}/stat", 8192)
        except OSError:
            continue  # it has ended
        head, _, rest = (text or "").rpartition(")")
        fields = rest.split()
        if len(fields) < 22:
            continue
        spent = (whole(fields[11]) or 0) + (whole(fields[12]) or 0)  # utime, stime: proc(5), fields 14 and 15
        began = (whole(fields[19]) or 0) / tick
        yield Process(
            int(name),
            whole(fields[1]) or 0,
            head.partition("(")[2],
            fields[0],
            (whole(fields[21]) or 0) * page,
            whole(fields[20]) or 0,
            spent / tick,
            max(0.0, up - began),
        )
