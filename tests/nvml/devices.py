"""What a scenario's GPUs have outside of NVML: device files, and the minors of MIG's capabilities."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

# nvidia-caps holds config, monitor, then 15 GPU instances a GPU, each with its own file and those of 8 compute
# instances: GPU instance 1 of GPU 0 is nvidia-cap12, its first compute instance nvidia-cap13 (NVIDIA's MIG user guide).
_FIRST, _INSTANCES, _FILES = 3, 15, 9


class Mig(NamedTuple):
    """A MIG device: the minor of its GPU and its instances' numbers."""

    minor: int
    gi: int
    ci: int

    @property
    def caps(self) -> tuple[int, int]:
        """Minors of the capability files of its GPU instance and its compute instance."""
        gi = _FIRST + (self.minor * _INSTANCES + self.gi) * _FILES
        return gi, gi + 1 + self.ci


class Devices(NamedTuple):
    """Minor numbers of the GPUs in NVML's order, and every MIG device of those on which MIG is on."""

    minors: tuple[int, ...]
    migs: tuple[Mig, ...]

    def files(self) -> list[str]:
        """Return the device files, as names below /dev."""
        caps = sorted({cap for one in self.migs for cap in one.caps})
        return [f"nvidia{minor}" for minor in self.minors] + [f"nvidia-caps/nvidia-cap{cap}" for cap in caps]


def of(scenario: str) -> Devices:
    """Return what the text of a scenario says."""
    keys = _read(scenario)
    count = int(keys.get("gpus", "0"), 0)
    minors = tuple(int(_gpu(keys, index, "minor") or str(index), 0) for index in range(count))
    migs = []
    for index, minor in enumerate(minors):
        if _gpu(keys, index, "mig.mode") != "1":
            continue
        for number in range(int(_gpu(keys, index, "mig.max") or "7", 0)):
            gi = _gpu(keys, index, f"mig.{number}.gi")
            if gi:
                migs.append(Mig(minor, int(gi, 0), int(_gpu(keys, index, f"mig.{number}.ci") or "0", 0)))
    return Devices(minors, tuple(migs))


def mig_minors(gpus: int = 16) -> str:
    """Return the text of /proc/driver/nvidia-caps/mig-minors for GPUs of minor 0 up to ``gpus`` - 1."""
    lines = ["config 1", "monitor 2"]
    for minor in range(gpus):
        for gi in range(_INSTANCES):
            lines.append(f"gpu{minor}/gi{gi}/access {Mig(minor, gi, 0).caps[0]}")
            lines += [f"gpu{minor}/gi{gi}/ci{ci}/access {Mig(minor, gi, ci).caps[1]}" for ci in range(_FILES - 1)]
    return "\n".join(lines) + "\n"


def write_root(root: Path, scenario: str) -> Path:
    """Write what the driver shows in /proc/driver and /sys/bus/pci/drivers/nvidia, below ``root``; return that.

    Slurm's AutoDetect=nvidia reads each GPU's information and local_cpulist; 24.11 dies of a local_cpulist that is
    missing. mig-minors is there where MIG is on.
    """
    keys = _read(scenario)
    found = of(scenario)
    for index, minor in enumerate(found.minors):
        bus = (_gpu(keys, index, "bus_id") or f"{index // 255:08x}:{index % 255 + 1:02x}:00.0").lower()
        bus = re.sub(r"^0000(?=....:)", "", bus)
        _write(
            root / "proc/driver/nvidia/gpus" / bus / "information",
            f"Model: \t\t {_gpu(keys, index, 'name') or 'NVIDIA GPU'}\nIRQ:   \t\t 100\n"
            f"Bus Type: \t PCIe\nBus Location: \t {bus}\nDevice Minor: \t {minor}\n",
        )
        cpus = _gpu(keys, index, "affinity.cpus") or "0"
        _write(root / "sys/bus/pci/drivers/nvidia" / bus / "local_cpulist", f"{cpus}\n")
    if found.migs:
        _write(root / "proc/driver/nvidia-caps/mig-minors", mig_minors(max(found.minors) + 1))
    return root


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _read(scenario: str) -> dict[str, str]:
    keys = {}
    for line in scenario.splitlines():
        key, equals, value = re.sub(r"(^|\s)#.*", "", line).partition("=")
        if equals:
            keys[key.strip()] = value.strip()
    return keys


def _gpu(keys: dict[str, str], index: int, name: str) -> str:
    own = keys.get(f"gpu.{index}.{name}")
    return keys.get(f"gpu.*.{name}", "") if own is None else own
