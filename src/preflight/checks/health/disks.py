"""Disks: their state, their heat, their arrays, and the errors that file systems recorded."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, first_unknown, passed, skipped, untold
from preflight.checks.registry import Context, check
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

HEALTH = ("health",)

DRIVE = "smartctl -a, nvme smart-log; journalctl -k; replace it"
RUNNING = ("running", "live", "connecting", "resetting", "new", "created")  # the others are dead, offline or going


@check("disk.state", reads=("disks",), phases=HEALTH, action="warn", remedy=DRIVE, subject="disks")
def state(context: Context, limit: float | None) -> Iterator[Finding]:
    """No NVMe or SCSI disk is offline or dead."""
    nvme, scsi = context.node.get("disks.nvme"), context.node.get("disks.scsi")
    unclear = first_unknown(nvme, scsi)
    if unclear:
        yield untold(unclear)
        return
    every = [*nvme, *scsi]
    bad = [one for one in every if one["state"] and one["state"] not in RUNNING]
    for one in bad:
        yield failed(f"{one['name']} is {one['state']}", subject=one["name"], observed=one["state"])
    if not bad:
        yield passed(f"{len(every)} disks run") if every else skipped("no NVMe or SCSI disk")


HEAT = "fans, air and the drive's place; nvme smart-log says how often it was too hot"


@check("disk.temperature", reads=("disks",), phases=HEALTH, action="warn", remedy=HEAT, subject="disks")
def temperature(context: Context, limit: float | None) -> Iterator[Finding]:
    """No NVMe drive says that it is too hot."""
    nvme = context.node.get("disks.nvme")
    if isinstance(nvme, Unknown):
        yield untold(nvme)
        return
    told = [one for one in nvme if one.get("alarm") is not None]
    hot = [one for one in told if one["alarm"]]
    for one in hot:
        text = f"{one['name']} is too hot: {one['temperature']:g} C"
        yield failed(text, subject=one["name"], observed=f"{one['temperature']:g} C")
    if not hot:
        yield passed(f"{len(told)} NVMe drives are cool enough") if told else skipped("no NVMe drive tells its heat")


ARRAY = "cat /proc/mdstat; mdadm --manage MD --add DISK"


@check("disk.array", reads=("disks",), phases=HEALTH, action="warn", remedy=ARRAY, subject="disks")
def array(context: Context, limit: float | None) -> Iterator[Finding]:
    """No software RAID lacks a member."""
    arrays = context.node.get("disks.arrays")
    if isinstance(arrays, Unknown):
        yield untold(arrays)
        return
    bad = [one for one in arrays if one["degraded"]]
    for one in bad:
        text = f"{one['name']} lacks {one['degraded']} of its members"
        yield failed(text, subject=one["name"], observed=one["degraded"], expected="0")
    if not bad:
        yield passed(f"{len(arrays)} arrays are whole") if arrays else skipped("no software RAID")


FSCK = "tune2fs -l shows the last error; fsck at the next chance, which sets the count back"


@check(
    "disk.errors", reads=("disks",), phases=HEALTH, action="warn", limit=0, unit="errors", remedy=FSCK, subject="disks"
)
def errors(context: Context, limit: float | None) -> Iterator[Finding]:
    """No file system has recorded more errors than the limit."""
    systems = context.node.get("disks.filesystems")
    if isinstance(systems, Unknown):
        yield untold(systems)
        return
    bad = [one for one in systems if one["errors"] > (limit or 0)]
    for one in bad:
        text = f"ext4 on {one['device']} recorded {one['errors']} errors"
        yield failed(text, subject=one["device"], observed=one["errors"], expected=f"<= {limit or 0:g}")
    if not bad:
        yield passed("no file system recorded errors") if systems else skipped("no file system keeps a count")
