"""Disks as sysfs tells of them without a program: NVMe and SCSI states, heat, arrays, and errors of file systems.

NVMe: drivers/nvme/host/core.c (state), nvme/host/hwmon.c (temp1_alarm is the drive's own critical warning). SCSI:
drivers/scsi/scsi_sysfs.c (sdev_states). Arrays: Documentation/admin-guide/md.rst (degraded). ext4:
Documentation/ABI/testing/sysfs-fs-ext4 (errors_count).
"""

from __future__ import annotations

from preflight.digits import whole
from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

NVME, BLOCK, EXT4 = "/sys/class/nvme", "/sys/block", "/sys/fs/ext4"
MOST = 512


@fact(
    "disks",
    keys={
        "nvme": [
            {
                "name": "text: nvme0",
                "state": "text: live, resetting, dead, deleting …",
                "alarm": "flag?: the drive says that it is too hot; null where it tells no temperature",
                "temperature": "number? C",
            }
        ],
        "scsi": [{"name": "text: sda", "state": "text: running, offline, blocked, transport-offline …"}],
        "arrays": [{"name": "text: md0", "degraded": "count: members that are missing"}],
        "filesystems": [{"device": "text", "errors": "count: that ext4 wrote into its superblock"}],
    },
    child="disks",  # a drive is sent a command for its heat: one that does not answer holds whoever reads it
    budget_s=2,
)
def read(root: Root) -> Answer:
    """States of NVMe and SCSI disks, heat, arrays, and errors that file systems recorded."""
    holder = root.holder("/sys/block") or root.holder(NVME)
    if holder is None:
        return unknown("no /sys/block" if root.live else NOT_LIVE)
    blocks = (holder.names(BLOCK) or [])[:MOST]
    scsi = [
        {"name": name, "state": _word(holder, f"{BLOCK}/{name}/device/state")} for name in blocks if name[:2] == "sd"
    ]
    arrays = [{"name": name, "degraded": whole(_word(holder, f"{BLOCK}/{name}/md/degraded"))} for name in blocks]
    errors = [
        {"device": name, "errors": whole(_word(holder, f"{EXT4}/{name}/errors_count"))}
        for name in (holder.names(EXT4) or [])[:MOST]
    ]
    return Answer(
        {
            "nvme": [_nvme(holder, name) for name in (holder.names(NVME) or [])[:MOST]],
            "scsi": [one for one in scsi if one["state"]],
            "arrays": [one for one in arrays if one["degraded"] is not None],
            "filesystems": [one for one in errors if one["errors"] is not None],
        }
    )


def _nvme(holder: Root, name: str) -> dict[str, Any]:
    here = f"{NVME}/{name}"
    found: dict[str, Any] = {"name": name, "state": _word(holder, f"{here}/state"), "alarm": None, "temperature": None}
    for base in (here, f"{here}/device"):
        for sensor in holder.names(base) or []:
            places = [f"{base}/{sensor}"] if sensor.startswith("hwmon") and sensor != "hwmon" else []
            if sensor == "hwmon":
                places = [f"{base}/hwmon/{one}" for one in holder.names(f"{base}/hwmon") or []]
            for place in places:
                heat = whole(_word(holder, f"{place}/temp1_input"))
                if heat is not None:
                    alarm = _word(holder, f"{place}/temp1_alarm")
                    found.update(temperature=heat / 1000, alarm=alarm == "1" if alarm else None)
    return found


def _word(holder: Root, path: str) -> str:
    try:
        return (holder.read_text(path, 256) or "").strip()
    except OSError:
        return ""  # a drive that is gone answers an error
