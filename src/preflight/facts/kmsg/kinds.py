"""Which records of the kernel's log mean something, by kind; the rest is passed over at the price of a few searches.

Each kind has the texts by which its records are found, and a function that reads one. The texts are the kernel's own
(the source files are named), and of NVIDIA's open kernel modules. Only the record's beginning is trusted, and not
of a record which begins with what a user chose (chosen.py).
"""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.facts.gpu_jobs import job_of_group
from preflight.facts.kmsg import xid
from preflight.facts.kmsg.chosen import is_chosen
from preflight.facts.kmsg.event import (
    CORRECTED,
    FATAL,
    NONFATAL,
    SHOWN,
    Event,
    between,
    bus_id,
    find_bus,
    number,
)
from preflight.facts.kmsg.records import Record

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable

    Reader = Callable[["Reading", str], Event | None]

LOADED = "driver_loaded"
SERVER_BACK = "server_back"
DRIVE = (  # what drivers of disks say before the block layer does
    "controller is down; will reset",
    "Device not ready; aborting",
    ", aborting",
    ", reset controller",
    "failed command: ",
    "exception Emask",
    "Medium Error",
    "rejecting I/O to offline device",
    "Disk failure on ",
)
REMOVABLE = ("fd", "sr", "loop", "zram", "nbd", "ram")  # drives without a medium, and images that users have


class Reading:
    """One pass over the log: what a record means may depend on those just before it."""

    def __init__(self) -> None:
        self.announced = ""  # the GPU of "NVRM: The NVIDIA GPU …", whose story the next records tell
        self.killed: int | None = None

    def event(self, record: Record) -> Event | None:
        """Return the event that the kernel's own ``record`` tells of, None where it is none that counts."""
        chosen: bool | None = None
        for needle, read in RULES:
            if needle not in record.text:
                continue
            if chosen is None:
                chosen = is_chosen(record.text)
            event = read(self, record.text) if not chosen or read in OF_PROGRAMS else None
            if event is not None:
                return event
        return None


def _xid(reading: Reading, text: str) -> Event | None:
    return xid.parse_xid(text)


def _sxid(reading: Reading, text: str) -> Event | None:
    return xid.parse_sxid(text)


def _announced(reading: Reading, text: str) -> Event | None:
    """Three records, or one of three lines: "The NVIDIA GPU ADDRESS", "… installed in this system has", "fallen …"."""
    if text.startswith("NVRM: The NVIDIA GPU"):
        reading.announced = find_bus(text)
    return _off_the_bus(reading, text) if "fallen off the bus" in text else None


def _off_the_bus(reading: Reading, text: str) -> Event | None:
    if not text.startswith("NVRM:") or text.startswith("NVRM: Xid"):
        return None
    bus, reading.announced = find_bus(text) or reading.announced, ""
    return Event("off_the_bus", text[:SHOWN].replace("\n", " "), bus=bus, severity=FATAL)


def _loaded(reading: Reading, text: str) -> Event | None:
    return Event(LOADED, text[:SHOWN]) if text.startswith("NVRM: loading NVIDIA") else None


def _nvrm(reading: Reading, text: str) -> Event | None:
    """What the driver says beside Xids: of the GPU's own processor (GSP), of starting a GPU, of NVLink."""
    if not text.startswith(("NVRM:", "nvidia-nvlink", "nvidia-nvswitch")) or "Xid" in text[:48]:
        return None
    folded = text.casefold()
    bad = any(word in folded for word in ("error", "fail", "timeout", "timed out", "fatal"))
    if "rminitadapter failed" in folded or "failed to initialize gpu" in folded:
        return Event("gpu_init", text[:SHOWN], bus=find_bus(text))
    if ("gsp" in folded or "heartbeat" in folded) and ("timeout" in folded or "timed out" in folded):
        return Event("gsp", text[:SHOWN], bus=find_bus(text))
    if "nvlink" in folded and bad:
        return Event("nvlink", text[:SHOWN], bus=find_bus(text))
    return None


def _edac(reading: Reading, text: str) -> Event | None:
    """drivers/edac/edac_mc.c: "EDAC MC0: 1 CE memory read error on CPU_SrcID#0…"."""
    head, mark, rest = text.partition(": ")
    words = rest.split(" ", 2)
    if not mark or not head.startswith("EDAC MC") or len(words) < 2 or words[1] not in ("CE", "UE"):
        return None
    severity = CORRECTED if words[1] == "CE" else FATAL
    return Event("memory", text[:SHOWN], subject=head[5:], severity=severity, times=number(words[0]) or 1)


def _hardware(reading: Reading, text: str) -> Event | None:
    """arch/x86/kernel/cpu/mce, drivers/acpi/apei/ghes.c, drivers/edac/mce_amd.c: "[Hardware Error]:" in front."""
    head, mark, rest = text.partition("[Hardware Error]:")
    front = head.strip(" ")
    if not mark or (front not in ("", "mce:") and not (front[:1] + front[-1:] == "{}" and is_whole(front[1:-1]))):
        return None
    folded = rest.casefold()
    if "machine check exception" in folded or "uncorrected" in folded or "event severity: fatal" in folded:
        return Event("machine_check", text[:SHOWN], severity=FATAL)
    if "event severity: recoverable" in folded or "deferred error" in folded:
        return Event("machine_check", text[:SHOWN], severity=NONFATAL)
    if "events logged" in folded or "corrected" in folded:
        return Event("machine_check", text[:SHOWN], severity=CORRECTED)
    return None


def _memory_failure(reading: Reading, text: str) -> Event | None:
    """mm/memory-failure.c: a page that the hardware reported as broken was taken out of use."""
    if not text.startswith("Memory failure: 0x") or "recovery action" not in text:
        return None
    return Event("memory", text[:SHOWN], severity=NONFATAL)


def _aer(reading: Reading, text: str) -> Event | None:
    """drivers/pci/pcie/aer.c: "DRIVER ADDRESS: PCIe Bus Error: severity=Corrected, type=…"."""
    head, mark, rest = text.partition(": PCIe Bus Error: severity=")
    if mark and _of_pci(head):
        return Event("pcie", text[:SHOWN], bus=_of_pci(head), severity=_aer_severity(rest))
    head, mark, rest = text.partition(": AER: ")
    received, found, device = rest.partition(" received")
    if not mark or not _of_pci(head) or not found or "orrect" not in received:
        return None
    severity = _aer_severity(received.removeprefix("Multiple "))
    if severity == CORRECTED:
        return None  # the record that follows says the same, and of which device
    return Event("pcie", text[:SHOWN], bus=find_bus(device) or find_bus(head), severity=severity)


def _of_pci(head: str) -> str:
    """Return the address of "DRIVER ADDRESS", as the kernel begins a record of a PCI device; "" where it is none."""
    driver, _, address = head.partition(": AER")[0].rpartition(" ")
    return bus_id(address) if driver.split() == [driver] and address.count(":") == 2 else ""


def _aer_severity(text: str) -> str:
    """Return the severity of "Corrected", "Correctable error", "Uncorrected (Fatal)", "Uncorrectable (Non-Fatal)"."""
    if text.startswith("Correct"):
        return CORRECTED
    return FATAL if "(Fatal)" in text[:32] else NONFATAL


def _io(reading: Reading, text: str) -> Event | None:
    """block/blk-core.c, fs/buffer.c: "I/O error, dev sda, sector …", "critical medium error, dev sda, …"."""
    plain = text.removeprefix("blk_update_request: ").removeprefix("print_req_error: ")
    if plain.startswith("Buffer I/O error on dev"):
        name = plain.partition(" on dev")[2].removeprefix("ice").strip().partition(",")[0].partition(" ")[0]
    elif plain.startswith(("I/O error, dev ", "critical ", "end_request: I/O error, dev ")) and ", dev " in plain[:64]:
        name = between(plain, ", dev ", ",") or plain.partition(", dev ")[2].partition(" ")[0]
    else:
        return None
    return None if name.startswith(REMOVABLE) else Event("disk", text[:SHOWN], subject=name[:32])


def _drive(reading: Reading, text: str) -> Event | None:
    """drivers/nvme/host/pci.c, drivers/ata/libata-eh.c, drivers/scsi/sd.c, drivers/md."""
    head, mark, _ = text.partition(": ")
    device = head.rpartition(" ")[2] if head.startswith(("nvme ", "sd ")) else head
    if not mark or len(head) > 32:
        return None
    known = head.startswith(("nvme ", "sd ", "ata", "md/raid"))
    return Event("disk", text[:SHOWN], subject=device[:32]) if known else None


def _file_system(reading: Reading, text: str) -> Event | None:
    """fs/ext4/super.c, fs/xfs, fs/btrfs: errors of a file system on a disk of the node's."""
    for start in (
        "EXT4-fs error (device ",
        "EXT3-fs error (device ",
        "BTRFS error (device ",
        "BTRFS critical (device ",
    ):
        if text.startswith(start):
            return _of_fs(text, between(text, "(device ", ")").partition(" ")[0])
    if text.startswith("XFS ("):
        words = ("orruption", "Internal error", "shut down", "Shutting down", "log I/O error", "metadata I/O error")
        bad = any(word in text for word in words)
        return _of_fs(text, between(text, "(", ")")) if bad else None
    if text.startswith(("EXT4-fs (", "EXT3-fs (")) and "Remounting filesystem read-only" in text:
        return _of_fs(text, between(text, "(", ")"))
    return None


def _of_fs(text: str, device: str) -> Event | None:
    return None if device.startswith(REMOVABLE) else Event("file_system", text[:SHOWN], subject=device[:32])


def _server(reading: Reading, text: str) -> Event | None:
    """Lustre's and net/sunrpc's words on a server that does not answer, or refused something."""
    if text.startswith("LustreError:"):
        return Event("remote_file_system", text[:SHOWN], subject="lustre")
    if text.startswith("nfs: server "):
        name, mark, rest = text[len("nfs: server ") :].partition(" ")
        if mark and rest.startswith("not responding"):
            return Event("remote_file_system", text[:SHOWN], subject=f"nfs server {name}"[:64])
        return Event(SERVER_BACK, text[:SHOWN], subject=f"nfs server {name}"[:64]) if rest[:2] == "OK" else None
    return None


def _oom(reading: Reading, text: str) -> Event | None:
    """mm/oom_kill.c: one record that names the control group (kernel 5.0 and later), then one that names the victim."""
    if text.startswith("oom-kill:"):
        group = between(text, "oom_memcg=", ",") or between(text, "task_memcg=", ",")
        own = "CONSTRAINT_MEMCG" in text.partition(",")[0] or "oom_memcg=" in text
        reading.killed = number(text.rpartition(",pid=")[2])
        task = text.rpartition(",task=")[2].rpartition(",pid=")[0]
        job = job_of_group(group)
        return _kill(text, own, reading.killed, task, job)
    head, mark, rest = text.partition("Killed process ")
    if not mark or head.strip(" ") not in (
        "",
        "Memory cgroup out of memory:",
        "Out of memory:",
        "Out of memory (oom_kill_allocating_task):",
    ):
        return None
    pid = number(rest)
    if pid is not None and pid == reading.killed:
        return None  # told by the record before
    return _kill(text, head.startswith("Memory cgroup"), pid, rest.partition(" (")[2].rpartition(")")[0], None)


def _kill(text: str, own: bool, pid: int | None, name: str, job: int | None) -> Event:
    kind = "oom_job" if own else "oom_system"
    return Event(kind, text[:SHOWN], pid=pid, name=name[:16], job=job)


def _hung(reading: Reading, text: str) -> Event | None:
    """kernel/hung_task.c: "INFO: task python:4242 blocked for more than 120 seconds."."""
    head, mark, _ = text.partition(" blocked for more than ")
    if not mark or not head.startswith("INFO: task "):
        return None
    name, _, pid = head[len("INFO: task ") :].rpartition(":")
    return Event("hung_task", text[:SHOWN], pid=number(pid), name=name[:16])


def _lockup(reading: Reading, text: str) -> Event | None:
    """kernel/watchdog.c, kernel/rcu/tree_stall.h."""
    plain = text.removeprefix("NMI ").removeprefix("watchdog: ")
    stalled = plain.startswith("rcu: INFO: ") and ("stall" in plain[:80])
    if not stalled and not plain.startswith(("BUG: soft lockup", "Watchdog detected hard LOCKUP", "CPU")):
        return None
    if plain.startswith("CPU") and "Watchdog detected hard LOCKUP" not in plain.partition(": ")[2][:32]:
        return None  # "CPU: 3 PID: 4242 Comm: …" names a process
    cpu = number(plain.partition("CPU#")[2]) if "CPU#" in plain else None
    return Event("lockup", text[:SHOWN], subject="" if cpu is None else f"CPU{cpu}")


def _throttled(reading: Reading, text: str) -> Event | None:
    """arch/x86, drivers/thermal/intel/therm_throt.c: "CPU3: Core temperature above threshold, cpu clock throttled"."""
    head, mark, _ = text.partition(" temperature above threshold")
    plain = head.removeprefix("mce: ")
    if not mark or not plain.startswith("CPU") or len(plain) > 24:
        return None
    return Event("thermal", text[:SHOWN], subject=plain.partition(":")[0])


def _segfault(reading: Reading, text: str) -> Event | None:
    """arch/x86/mm/fault.c: "python[4242]: segfault at 0 ip … sp … error 4 in libnccl.so.2.18.5[…]"."""
    head, mark, rest = text.partition("]: segfault at ")
    if not mark or "libnccl" not in rest.rpartition(" in ")[2]:
        return None
    name, _, pid = head.rpartition("[")
    return Event("nccl_segfault", text[:SHOWN], pid=number(pid), name=name[:16])


def _oops(reading: Reading, text: str) -> Event | None:
    starts = (
        "BUG: unable to handle",
        "BUG: kernel NULL pointer",
        "Oops: ",
        "kernel BUG at ",
        "Kernel panic",
        "Internal error: Oops",
    )
    if text.startswith("Oops: ") and "[#" not in text:
        return None
    return Event("oops", text[:SHOWN]) if text.startswith(starts) else None


RULES: tuple[tuple[str, Reader], ...] = (
    ("NVRM: Xid", _xid),
    (": SXid", _sxid),
    ("NVRM: The NVIDIA GPU", _announced),
    ("fallen off the bus", _off_the_bus),
    ("NVRM: loading NVIDIA", _loaded),
    ("NVRM:", _nvrm),
    ("nvidia-nv", _nvrm),
    ("EDAC MC", _edac),
    ("[Hardware Error]:", _hardware),
    ("Memory failure: 0x", _memory_failure),
    ("PCIe Bus Error", _aer),
    (": AER: ", _aer),
    ("I/O error", _io),
    ("error, dev ", _io),
    *((needle, _drive) for needle in DRIVE),
    ("-fs error (device ", _file_system),
    ("Remounting filesystem read-only", _file_system),
    ("XFS (", _file_system),
    ("BTRFS ", _file_system),
    ("LustreError:", _server),
    ("nfs: server ", _server),
    ("oom-kill:", _oom),
    ("Killed process ", _oom),
    (" blocked for more than ", _hung),
    ("lockup", _lockup),
    ("LOCKUP", _lockup),
    ("rcu: INFO: ", _lockup),
    (" temperature above threshold", _throttled),
    ("]: segfault at ", _segfault),
    ("BUG: ", _oops),
    ("Oops", _oops),
    ("kernel BUG at ", _oops),
    ("Kernel panic", _oops),
)
OF_PROGRAMS = (_segfault,)  # what begins with a program's name, and is held against its own user alone
NEEDLES = tuple(dict.fromkeys(needle.encode() for needle, _ in RULES))
