"""What is kept of a fault before a step may wipe it out: the report, the kernel's lines, NVIDIA's bug report.

A child writes it to a directory of its own in the spool, PLACE.partial until it is complete. It may outlive this health
check, since a bug report takes minutes; the next one looks again. Only so many records stay, and so many bytes.
"""

from __future__ import annotations

import os
import time

from preflight import jsonio
from preflight.digits import is_whole
from preflight.facts.isolate import Channel, run_child, start
from preflight.facts.stuck import start_time
from preflight.files import tolerate
from preflight.hooks.recover.record import Steps, elapsed
from preflight.hooks.run import Run
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    from preflight.checks.finding import Finding
    from preflight.report.model import Report

PARTIAL = ".partial"
REPORT, KERNEL, BUG_REPORT, NOTE = "report.json", "kernel.log", "nvidia-bug-report.log", "missing.txt"
MAX_KERNEL = 1 << 20
TAIL = 200  # records of the kernel's log beside those that tell of something
KERNEL_S = 1.0
MAX_BUG_REPORT = 64 << 20
WAIT_S = 1.0  # for the child, in this health check
LEFT_S = 1.5  # kept for what follows in this health check
TRIES = 2
SPARE_S = 30.0  # a child older than its budget and this is not waited for


class Gathered(NamedTuple):
    """``ready``: the step may be made. ``path``: the record, "" where none could be made. ``why``: what is missing."""

    ready: bool
    path: str
    why: str = ""


def place_for(run: Run, finding: Finding) -> str:
    """Return a path for a new record: its number, which tells its age whatever the clock says, node, time, check."""
    directory = f"{run.policy.report.spool}/evidence"
    numbers = [int(name[:6]) for name in _records(directory)]
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    check = "".join(one if one.isalnum() and one.isascii() else "-" for one in finding.check)[:40]
    return f"{directory}/{max(numbers, default=0) + 1:06d}.{run.node}.{stamp}.{check}"


def gather(run: Run, report: Report, steps: Steps, row: dict[str, Any]) -> Gathered:
    """Collect the evidence that ``row`` names, or see how far an earlier health check's child has come.

    Where it cannot be collected twice over, the step is made without it. No child is started while another lives, of
    whatever step: one that hangs in the driver would be followed by more.
    """
    path = str(row["evidence"])
    if os.path.isdir(path):
        return Gathered(True, path)
    going = next((one for one in steps.rows if collects(one, steps)), None)
    if going is not None:
        partial = f"{str(going['evidence']).removesuffix(PARTIAL)}{PARTIAL}"
        if elapsed(going, steps.now) - _since(going) < run.policy.recover.bug_report_s + SPARE_S:
            return Gathered(False, path, f"evidence is collected in {partial}")
        return Gathered(True, _there(partial), "the evidence is not complete: what collects it does not end")
    if row["tries"] >= TRIES:
        return Gathered(True, _there(f"{path}{PARTIAL}"), "the evidence is not complete")
    row["tries"] += 1
    steps.save()
    try:
        child = start("evidence", lambda channel: _collect(channel, run, report, path), lasting=True)
    except OSError as error:
        return Gathered(False, path, f"no process could be started for the evidence: {error.strerror}")
    row.update(pid=child.pid, start=start_time(child.pid), pid_boot=steps.now.boot, since=elapsed(row, steps.now))
    with tolerate(OSError):
        steps.save()
    wait_s = max(0.1, min(WAIT_S, run.deadline - time.monotonic() - LEFT_S))
    left = child.collect(time.monotonic() + wait_s)
    if os.path.isdir(path):
        return Gathered(True, path)
    if left.running:
        return Gathered(False, path, f"evidence is collected in {path}{PARTIAL}")
    return Gathered(
        False, path, f"the evidence could not be collected ({left.died}): the next health check tries again"
    )


def collects(row: dict[str, Any], steps: Steps) -> bool:
    """Return whether the child that collects the evidence of ``row`` lives."""
    pid, began = row.get("pid"), row.get("start")
    same_boot = row.get("pid_boot", row["boot"]) == steps.now.boot
    return isinstance(pid, int) and same_boot and began is not None and start_time(pid) == began


def _since(row: dict[str, Any]) -> float:
    """Return the seconds that had passed of the step (`elapsed`) when its child was started."""
    since = row.get("since")
    return float(since) if isinstance(since, (int, float)) else 0.0


def _there(path: str) -> str:
    return path if os.path.isdir(path) else ""


def _collect(channel: Channel, run: Run, report: Report, path: str) -> None:
    """The child: write all of it, then give the directory its name. What is missing is said in NOTE."""
    channel.doing("collecting evidence")
    os.umask(0o077)
    recover = run.policy.recover
    directory, partial = os.path.dirname(path), f"{path}{PARTIAL}"
    os.makedirs(directory, mode=0o700, exist_ok=True)
    _remove(partial)
    prune(directory, recover.evidence_keep - 1, recover.evidence_size)
    os.mkdir(partial, 0o700)
    missing = []
    _write(f"{partial}/{REPORT}", jsonio.dumps(report, str).encode("utf-8", "replace"))
    lines, why = _kernel_lines(run, report)
    _write(f"{partial}/{KERNEL}", lines)
    missing += [f"{KERNEL}: {why}"] if why else []
    if recover.bug_report and os.path.lexists(recover.bug_report):
        why = _bug_report(recover.bug_report, recover.bug_report_s, f"{partial}/{BUG_REPORT}", run.node)
        missing += [f"{BUG_REPORT}: {why}"] if why else []
    if missing:
        _write(f"{partial}/{NOTE}", "".join(f"{line}\n" for line in missing).encode("utf-8", "replace"))
    _sync(partial)
    os.rename(partial, path)
    _sync(directory)
    prune(directory, recover.evidence_keep, recover.evidence_size)


def _kernel_lines(run: Run, report: Report) -> tuple[bytes, str]:
    """Return the records of this boot that tell of something or name one of the GPUs, and the last of all others."""
    from collections import deque

    from preflight.facts.kmsg.kinds import NEEDLES
    from preflight.facts.kmsg.records import from_kmsg
    from preflight.facts.kmsg.source import Chunks, open_log
    from preflight.facts.rootfs import Root

    source = run.reading.source
    devices = (report["facts"].get("gpus") or {}).get("devices") or []
    buses = [str(one["pci_bus_id"])[-10:].lower().encode() for one in devices if one.get("pci_bus_id")]
    try:
        place = open_log(Root(source.root, source.reads_live))
    except OSError as error:
        return b"", f"it could not be opened: {error.strerror}"
    if place is None:
        return b"", "there is none beneath this root"
    telling: deque[bytes] = deque()
    others: deque[bytes] = deque(maxlen=TAIL)
    size = 0
    try:
        for data in Chunks(place, -1, 0, KERNEL_S):
            record = from_kmsg(data)
            text = f"[{record.usec / 1e6:.6f}] {record.text}\n".encode() if record else data + b"\n"
            lowered = data.lower()
            if any(one in data for one in NEEDLES) or any(one in lowered for one in buses):
                telling.append(text)
                size += len(text)
                while size > MAX_KERNEL:
                    size -= len(telling.popleft())
            else:
                others.append(text)
    except OSError as error:
        return b"".join(telling), f"it could not be read to its end: {error.strerror}"
    finally:
        os.close(place.descriptor)
    tail = b"".join(others)[-MAX_KERNEL:]
    return b"".join([*telling, b"-- the last of all others:\n", tail]), ""


def _bug_report(program: str, seconds: float, to: str, node: str) -> str:
    """Run NVIDIA's program, which adds .gz to the name; return why there is no report of it, "" where there is."""
    from preflight.facts.confine import confined
    from preflight.owned import refused_program

    why = refused_program(program)
    if why:
        return why

    def run(tell: object) -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_BUG_REPORT, MAX_BUG_REPORT))
        os.execve(program, [program, "--safe-mode", "--output-file", to], os.environ)

    def child(channel: Channel) -> None:
        ended = confined(run, seconds, node=node)
        failed = f"exit status {ended.status}" if ended.status else ""
        channel.tell({"why": ended.why or (f"ended by signal {ended.signal}" if ended.signal else failed)})

    # A process further down: what confines ends what it runs when its own parent ends, and this health check may.
    outcome = run_child("bug report", child, seconds + SPARE_S / 2)
    for name in (to, f"{to}.gz"):
        with tolerate(OSError):
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            os.fsync(descriptor)
            os.close(descriptor)
    return str(outcome.messages[0]["why"]) if outcome.messages else outcome.why()


def prune(directory: str, keep: int, size: str) -> None:
    """Remove the oldest records until at most ``keep`` are left, of at most ``size`` bytes together."""
    from preflight.facts.host.match import size as bytes_of

    limit = bytes_of(size)
    kept = _records(directory)
    sizes = {name: size_of(f"{directory}/{name}") for name in kept}
    while kept and (len(kept) > keep or (len(kept) > 1 and sum(sizes[name] for name in kept) > limit)):
        _remove(f"{directory}/{kept.pop(0)}")


def _records(directory: str) -> list[str]:
    """Return the names of the records, complete or not, the oldest first."""
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    return sorted(name for name in names if is_whole(name[:6]) and name[6:7] == ".")


def size_of(path: str) -> int:
    """Return the bytes of a record's files."""
    total = 0
    with tolerate(OSError):
        for name in os.listdir(path):
            total += os.lstat(f"{path}/{name}").st_size
    return total


def _remove(path: str) -> None:
    if not os.path.isdir(path) or os.path.islink(path):
        return
    for name in os.listdir(path):
        with tolerate(OSError):
            os.unlink(f"{path}/{name}")
    with tolerate(OSError):
        os.rmdir(path)


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _sync(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
