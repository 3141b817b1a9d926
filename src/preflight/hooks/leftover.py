"""A job's processes that outlive it: waited for, and ended where the policy says so; never by name.

A process is the job's where its control group says so. One that no group of Slurm's holds is taken for the job's only
if it is the user's, began while the job ran, is in no login session, and the user has no other job on the node.
"""

from __future__ import annotations

import os
import time

from preflight.digits import is_whole
from preflight.facts.gpu_jobs import job_of
from preflight.facts.rootfs import Root
from preflight.facts.stuck import start_time
from preflight.slurm.commands import Slurm, SlurmError
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable

    from preflight.slurm.environment import Job

TERM, KILL = 15, 9
KILLED_S = 0.5  # for what SIGKILL ends
MAX_PROCESSES = 1000


class Process(NamedTuple):
    """A process: its number alone may be another's by now; ``start`` is clock ticks after the boot.

    ``sure``: its control group names the job.
    """

    pid: int
    start: int
    sure: bool


def wait_for(pids: Iterable[int], until: float) -> bool:
    """Return whether any of these processes ended by ``until`` (time.monotonic seconds); all are waited for."""
    started = {pid: start_time(pid) for pid in pids}
    gone = sum(start is None for start in started.values())
    living = {pid: start for pid, start in started.items() if start is not None}
    while living and time.monotonic() < until:
        time.sleep(0.02)
        ended = [pid for pid, start in living.items() if start_time(pid) != start]
        gone += len(ended)
        for pid in ended:
            del living[pid]
    return gone > 0


def processes_of(job: Job, ran_s: float | None) -> list[Process]:
    """Return the processes on this node that are the job's or may be; ``ran_s``: seconds since its prolog."""
    if not job.uid:
        return []
    ticks = os.sysconf("SC_CLK_TCK")
    since = None if ran_s is None else (time.clock_gettime(time.CLOCK_BOOTTIME) - ran_s) * ticks
    found: list[Process] = []
    for name in os.listdir("/proc"):
        if is_whole(name) and len(found) < MAX_PROCESSES:
            one = _examined(int(name), job, since)
            if one is not None:
                found.append(one)
    return found


def _examined(pid: int, job: Job, since: float | None) -> Process | None:
    """Return the process if it is the job's, or may be; None where it is another's, or is gone."""
    try:
        if os.stat(f"/proc/{pid}").st_uid != job.uid or _uids(pid) != {job.uid}:
            return None
        start, owner = start_time(pid), job_of(Root(), pid)
        if start is None or owner not in (None, job.id):
            return None
        if owner == job.id:
            return Process(pid, start, True)
        if since is None or start < since or _in_session(pid):
            return None
    except (OSError, ValueError):
        return None
    return Process(pid, start, False)


def _uids(pid: int) -> set[int]:
    """Return the real, effective, saved and file system user ids of a process. Raises OSError."""
    with open(f"/proc/{pid}/status", "rb") as file:
        for line in file.read(8192).splitlines():
            if line.startswith(b"Uid:"):
                return {int(number) for number in line.split()[1:]}
    return set()


def _in_session(pid: int) -> bool:
    """Return whether systemd holds the process as one of a login. Raises OSError."""
    with open(f"/proc/{pid}/cgroup", "rb") as file:
        return b"/user.slice/" in file.read(65536)


def end(job: Job, found: list[Process], slurm: Slurm, node: str, grace_s: float) -> tuple[list[int], str]:
    """End the job's processes, by SIGTERM, after ``grace_s`` by SIGKILL; return (those ended, why others are not).

    Each is held by a pidfd, and examined again through it: no number is signalled that has become another process's.
    """
    why = ""
    if any(not one.sure for one in found):
        why = _others(job, slurm, node)
    chosen = [one for one in found if one.sure or not why]
    held: dict[int, Process] = {}
    import _signal as signal  # the package around it imports enum

    if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
        return [], "this Python or kernel has no pidfd"
    try:
        for one in chosen:
            descriptor = _hold(one, job)
            if descriptor is not None:
                held[descriptor] = one
        ended = _signalled(held, signal.pidfd_send_signal, grace_s)
    finally:
        for descriptor in held:
            os.close(descriptor)
    return sorted(ended), why


def _hold(one: Process, job: Job) -> int | None:
    """Return a pidfd of the process, None where it is gone or not the job's any more."""
    try:
        descriptor = os.pidfd_open(one.pid)
    except OSError:
        return None
    try:
        same = start_time(one.pid) == one.start and _uids(one.pid) == {job.uid}
        if same and job_of(Root(), one.pid) in ((job.id,) if one.sure else (None,)):
            return descriptor
    except (OSError, ValueError):
        pass
    os.close(descriptor)
    return None


def _signalled(held: dict[int, Process], send: object, grace_s: float) -> list[int]:
    """Return the processes that ended after SIGTERM within ``grace_s``, or after SIGKILL."""
    from select import POLLIN, poll

    waiter = poll()
    living = dict(held)
    for descriptor in held:
        waiter.register(descriptor, POLLIN)
    for number, patience in ((TERM, grace_s), (KILL, KILLED_S)):
        for descriptor in living:
            try:
                send(descriptor, number)  # type: ignore[operator]
            except OSError:
                continue
        limit = time.monotonic() + patience
        while living:
            ready = waiter.poll(max(0.0, (limit - time.monotonic()) * 1000))
            if not ready:
                break
            for descriptor, _ in ready:
                waiter.unregister(descriptor)
                living.pop(descriptor, None)
    return [one.pid for descriptor, one in held.items() if descriptor not in living]


def _others(job: Job, slurm: Slurm, node: str) -> str:
    """Return why a process that no control group of Slurm's holds may be another job's, "" where none can be."""
    try:
        out = slurm.run("squeue", "-h", "-r", "-w", node, "-u", str(job.uid), "-o", "%A")
    except SlurmError as error:
        return f"whether the user has another job here is not known: {error}"
    others = [one for one in out.split() if one != str(job.id)]
    return f"the user has another job on this node ({', '.join(others[:4])})" if others else ""
