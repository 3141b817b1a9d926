"""NVIDIA's GPUs on the PCI bus, whether a driver answers for them or not; from sysfs, which touches no device.

NVML lists only what its driver has brought up: a GPU whose start failed is on the bus all the same.
"""

from __future__ import annotations

import os

from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

DEVICES = "/sys/bus/pci/devices"
LISTED = "/proc/driver/nvidia/gpus"  # what the kernel module has taken; a container sees only those it was given
CGROUP = "/proc/self/cgroup"
NVIDIA = "0x10de"
# VGA and 3D controllers. NVSwitches (0680), audio functions (0403) and USB-C controllers (0c03, 0c80) are no GPUs.
CLASSES = ("0x0300", "0x0302")
# Drivers under which a GPU is this system's own; vfio-pci, pci-stub and their like hand it to a virtual machine.
OWN = (None, "nvidia", "nouveau", "nova")


@fact(
    "pci",
    keys={
        "gpus": [
            {
                "bus_id": "text: 0000:3b:00.0",
                "class": "text: 0302",
                "device": "text?: 2330",
                "driver": "text?: bound to it",
                "listed": "flag?: by the kernel module; null where it lists none",
            }
        ],
        "confined": "text?: why NVML may not show this process each of them, null where nothing is known to keep it",
    },
)
def read(root: Root) -> Answer:
    """NVIDIA's GPUs on the PCI bus, but virtual functions.

    ``gpus``: {bus_id ("0000:3b:00.0"), class ("0302"), device ("2330"), driver (None: none is bound), listed} of each
    NVIDIA GPU but virtual functions; ``listed`` is whether the kernel module lists it, None where it lists none.
    ``confined``: why this process may not see each of them through NVML, None where nothing is known to keep it.
    """
    holder = root.holder(DEVICES)
    if holder is None and not root.live:
        return unknown(NOT_LIVE)
    found = [] if holder is None else _gpus(holder)
    return Answer({"gpus": found, "confined": _confined() if root.live and found else None})


def own_gpus(root: Root) -> int:
    """Return how many NVIDIA GPUs the PCI bus shows that are not handed to virtual machines."""
    holder = root.holder(DEVICES)
    return 0 if holder is None else sum(gpu["driver"] in OWN for gpu in _gpus(holder))


def _gpus(holder: Root) -> list[dict[str, Any]]:
    modules = {name.lower() for name in holder.names(LISTED) or []}
    found: list[dict[str, Any]] = []
    for name in holder.names(DEVICES) or []:
        here = f"{DEVICES}/{name}"
        if _word(holder, f"{here}/vendor") != NVIDIA:
            continue
        kind = _word(holder, f"{here}/class")
        if not kind.startswith(CLASSES) or holder.stat(f"{here}/physfn") is not None:
            continue
        found.append(
            {
                "bus_id": name,
                "class": kind[2:6],
                "device": _word(holder, f"{here}/device")[2:] or None,
                "driver": _driver(holder, f"{here}/driver"),
                "listed": name.lower() in modules if modules else None,
            }
        )
    return found


def _word(holder: Root, path: str) -> str:
    """Return what a file of sysfs says, "" where it is not there. On the machine itself without a Root's care."""
    if not holder.own:
        return (holder.read_text(path, 64) or "").strip()
    try:
        descriptor = os.open(path, os.O_RDONLY)  # not inheritable
    except OSError:
        return ""
    try:
        return os.read(descriptor, 64).decode("ascii", "replace").strip()
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _driver(holder: Root, path: str) -> str | None:
    """Return the name of the bound driver: where the link leads, whether or not that is in a recorded tree."""
    outside = path if holder.own else holder.path + path
    try:
        return os.readlink(outside).rstrip("/").rpartition("/")[2] or None
    except OSError:
        return None


def _confined() -> str | None:
    """Return what may keep NVML from showing each GPU: device rules of a job's cgroup bind users and root alike."""
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        return "only root is sure to see each GPU"
    groups = Root().read_text(CGROUP, 65536) or ""
    return "this process is in a job's cgroup" if "/job_" in groups else None
