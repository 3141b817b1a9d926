"""Failing nodes for the checks that read the kernel's log: the record that each is about."""

from typing import Any

from preflight.facts.kmsg.history import History
from preflight.facts.kmsg.kinds import Reading
from preflight.facts.kmsg.records import Record
from preflight.facts.rootfs import Root

GPU1 = "0000:3c:00"
AER = f"nvidia {GPU1}.0: PCIe Bus Error: severity={{}}, type=x"
# check: (record, how often)
RECORDS: dict[str, tuple[str, int]] = {
    "gpu.xid": (f"NVRM: Xid (PCI:{GPU1}): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.", 1),
    "gpu.xid.application": (f"NVRM: Xid (PCI:{GPU1}): 31, pid=4242, name=train.py, Ch 00000012", 1),
    "gpu.xid.repeated": (f"NVRM: Xid (PCI:{GPU1}): 31, pid={{}}, name=train.py, Ch 00000012", 3),
    "nvswitch.sxid": ("nvidia-nvswitch2: SXid (PCI:0000:06:00.0): 20034, Fatal, Link 48", 1),
    "gpu.bus": (f"NVRM: GPU {GPU1}.0: GPU has fallen off the bus.", 1),
    "gpu.gsp.timeout": ("NVRM: _kgspRpcRecvPoll: GSP RPC timeout", 1),
    "gpu.init": (f"NVRM: GPU {GPU1}.0: RmInitAdapter failed! (0x1)", 1),
    "gpu.nvlink.log": ("NVRM: knvlinkTrainLinks: link 3 failed to train", 1),
    "memory.uncorrected": ("EDAC MC0: 1 UE memory read error on x", 1),
    "memory.corrected": ("EDAC MC0: 101 CE memory read error on x", 1),
    "cpu.machine_check": ("mce: [Hardware Error]: CPU 1: Machine Check Exception: 5", 1),
    "cpu.machine_check.corrected": ("mce: [Hardware Error]: Machine check events logged", 101),
    "cpu.thermal": ("CPU3: Core temperature above threshold, cpu clock throttled", 11),
    "pcie.corrected": (AER.format("Corrected"), 101),
    "pcie.uncorrected": (AER.format("Uncorrected (Non-Fatal)"), 1),
    "pcie.fatal": (AER.format("Uncorrected (Fatal)"), 1),
    "disk.errors": ("I/O error, dev sda, sector 1", 1),
    "file_system.errors": ("XFS (dm-0): Internal error x", 1),
    "file_system.remote": ("LustreError: 11-0: x", 21),
    "kernel.hung_task": ("INFO: task python:4242 blocked for more than 120 seconds.", 1),
    "kernel.lockup": ("watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [x:1]", 1),
    "kernel.oops": ("BUG: unable to handle page fault for address: 1", 1),
    "oom.system": ("Out of memory: Killed process 812 (python) x", 1),
    "oom.job": (
        "oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/system.slice/slurmstepd.scope/job_7,"
        "task_memcg=/system.slice/slurmstepd.scope/job_7/step_0,task=python,pid=812,uid=1000",
        1,
    ),
    "nccl.segfault": ("python[4242]: segfault at 0 ip 1 sp 2 error 4 in libnccl.so.2.18.5[1+1]", 1),
}


def log(check: str = "") -> dict[str, Any]:
    """Return the fact of a log with the records that ``check`` is about, 100 s ago; without one, of nothing."""
    text, often = RECORDS.get(check, ("usb 1-1: new device", 1))
    history, reading = History(None, "n1", Root("/nowhere", live=False)), Reading()
    for at in range(often):
        history.take(Record(0, 11 + at, 900_000_000, text.format(at)), reading)
    events = history.shown()
    if check == "gpu.xid.repeated":
        for at, one in enumerate(events):
            one["job"] = 50 + at
    values = {"source": "kmsg", "seq": history.seq, "now_s": 1000, "lost": 0, "complete": True}
    return {**values, "events": events}
