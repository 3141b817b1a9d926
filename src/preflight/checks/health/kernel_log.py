"""What the kernel's log says of the rest of the node: memory, PCIe, disks, file systems, processes, the kernel itself.

Most of it is a warning by default: it is counted for a day after its last record.
"""

from __future__ import annotations

from preflight.checks.events import age, board, events, of_job, recent
from preflight.checks.finding import Finding, failed, passed, untold, warned
from preflight.checks.registry import Context, check
from preflight.checks.xids import unread
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    Row = dict[str, Any]

LOG = "kernel log"
READS = ("kernel_log",)
HEALTH, EPILOG = ("health",), ("epilog",)
OPEN = "let root read /dev/kmsg (a container needs it as a device), or have journald keep the kernel's log"


@check("kernel.log", reads=READS, phases=HEALTH, action="warn", remedy=OPEN, blame="site", source=LOG)
def readable(context: Context, limit: float | None) -> Iterator[Finding]:
    """The kernel's log can be read, and none of it was overwritten unread."""
    source = context.node.get("kernel_log.source")
    if isinstance(source, Unknown):
        yield untold(f"the kernel's log could not be read: {source.reason}", remedy=OPEN)
        return
    absent = unread(context)
    if absent is not None:
        yield absent
        return
    lost, complete = context.node.get("kernel_log.lost"), context.node.get("kernel_log.complete")
    if lost:
        text = f"{lost} records of the kernel's log were overwritten before they were read"
        yield warned(text, observed=lost, remedy="enlarge the kernel's buffer (log_buf_len=4M on its command line)")
    elif not complete:
        yield warned("the kernel's log was not read to its end in time; the next run goes on")
    else:
        yield passed(f"the kernel's log was read ({source})")


def _log_check(
    name: str,
    kinds: tuple[str, ...],
    text: str,
    *,
    remedy: str,
    phases: tuple[str, ...] = HEALTH,
    action: str = "warn",
    severities: tuple[str, ...] = (),
    limit: float = 0,
    blame: str = "node",
    find: Callable[[Context], Iterable[Row]] | None = None,
) -> None:
    """Declare a check that fails for each subject with more than ``limit`` records of these kinds and severities."""

    def run(context: Context, bound: float | None) -> Iterator[Finding]:
        absent = unread(context)
        if absent is not None:
            yield absent
            return
        view = context.node
        found = find(context) if find else (events if action == "drain" else recent)(view, *kinds)
        groups: dict[str, list[Row]] = {}
        for one in found:
            if not severities or one["severity"] in severities:
                groups.setdefault(_subject(context, one), []).append(one)
        bad = False
        for subject, rows in groups.items():
            times, last = sum(one["times"] for one in rows), rows[-1]
            if times > (bound or 0):
                bad = True
                often = f" ({times} times)" if times > 1 else ""
                line = f"{last['text'][:100]}{often}, {age(view, last)}"
                yield failed(line, subject=subject, observed=times, expected=f"<= {bound or 0:.0f}")
        if not bad:
            yield passed("nothing of the kind in the kernel's log")

    run.__doc__ = text
    check(
        name,
        reads=READS,
        phases=phases,
        action=action,
        limit=limit,
        unit="records",
        remedy=remedy,
        blame=blame,
        source=LOG,
    )(run)


def _subject(context: Context, event: Row) -> str:
    if event["bus"]:
        return board(context.node, event).subject
    return event["subject"] or "node"


def _of_job(*kinds: str) -> Callable[[Context], Iterable[Row]]:
    def find(context: Context) -> Iterable[Row]:
        return of_job(context.node, context.before, context.gpus, context.ran_s, *kinds).own

    return find


DIMM = "find the DIMM (ipmitool sel list, ras-mc-ctl --error-count); replace it"
_log_check(
    "memory.uncorrected",
    ("memory",),
    "The memory controllers reported no error that could not be corrected (EDAC, UE).",
    remedy=DIMM,
    action="drain",
    severities=("fatal",),
)
_log_check(
    "memory.corrected",
    ("memory",),
    "The memory controllers reported few corrected errors within a day (EDAC, CE; pages taken out of use).",
    remedy=DIMM,
    severities=("corrected", "nonfatal"),
    limit=100,
)
_log_check(
    "cpu.machine_check",
    ("machine_check",),
    "No processor reported an uncorrected machine check.",
    remedy="look at the decoded error (ras-mc-ctl --errors, mcelog); hardware service",
    severities=("fatal", "nonfatal"),
)
_log_check(
    "cpu.machine_check.corrected",
    ("machine_check",),
    "Processors reported few corrected machine checks within a day.",
    remedy="look at the decoded errors (ras-mc-ctl --errors, mcelog)",
    severities=("corrected",),
    limit=100,
)
_log_check(
    "cpu.thermal",
    ("thermal",),
    "No processor was slowed down for its temperature within a day, but for a few times.",
    remedy="look at fans, air filters and the inlet temperature",
    limit=10,
)
PCIE = "find the device (lspci -s ADDRESS -vvv); reseat the card or its cable, look for firmware"
_log_check(
    "pcie.corrected",
    ("pcie",),
    "Few corrected PCIe errors (AER) came within a day.",
    remedy=PCIE,
    severities=("corrected",),
    limit=100,
)
_log_check(
    "pcie.uncorrected",
    ("pcie",),
    "No uncorrected PCIe error (AER) came within a day that the device could go on after.",
    remedy=PCIE,
    severities=("nonfatal",),
)
_log_check(
    "pcie.fatal",
    ("pcie",),
    "No fatal PCIe error (AER) came within a day.",
    remedy=PCIE,
    severities=("fatal",),
)
_log_check(
    "disk.errors",
    ("disk",),
    "No disk failed to read or write, or had to be reset, within a day.",
    remedy="look at the disk (smartctl -a, nvme smart-log); replace it",
)
_log_check(
    "file_system.errors",
    ("file_system",),
    "No local file system reported an error or was made read-only within a day.",
    remedy="drain the node when it is idle, check the file system (fsck, xfs_repair), look at its disk",
)
_log_check(
    "file_system.remote",
    ("remote_file_system",),
    "The client of a remote file system logged few errors within a day (Lustre; an NFS server that does not answer).",
    remedy="look at the file server and the network to it",
    limit=20,
)
_log_check(
    "kernel.hung_task",
    ("hung_task",),
    "No process hung in the kernel for minutes within a day.",
    remedy="look at what it waits for (dmesg, /proc/PID/stack): mostly a file server, a disk or the GPU driver",
)
_log_check(
    "kernel.lockup",
    ("lockup",),
    "No processor was locked up or stalled within a day.",
    remedy="look at the trace in dmesg; reboot the node where it repeats",
)
_log_check(
    "kernel.oops",
    ("oops",),
    "The kernel itself did not fail (oops) since the boot.",
    remedy="keep the trace (dmesg), reboot the node when it is idle",
)
_log_check(
    "oom.system",
    ("oom_system",),
    "The node itself did not run out of memory within a day.",
    remedy="hold jobs to their memory (ConstrainRAMSpace=yes in cgroup.conf); look for processes outside jobs",
    blame="user",
)
_log_check(
    "oom.job",
    ("oom_job",),
    "No process of the job was ended for its memory limit.",
    remedy="ask for more memory (--mem), or let the program use less",
    phases=EPILOG,
    blame="user",
    find=_of_job("oom_job"),
)
_log_check(
    "nccl.segfault",
    ("nccl_segfault",),
    "No program of the job crashed in NCCL's library.",
    remedy="try another NCCL release, or NCCL_DEBUG=INFO to see what it did before",
    phases=EPILOG,
    blame="user",
    find=_of_job("nccl_segfault"),
)
