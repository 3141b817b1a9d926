"""The names a requirement may use: found by name, and the one that a mistaken name surely means."""

from __future__ import annotations

from preflight.catalog import families
from preflight.requirements.row import Row
from preflight.requirements.rows import DISTRIBUTION_ROWS, ROWS

__all__ = ["DISTRIBUTION_ROWS", "ROWS", "find", "nearest"]

_BY_NAME = {row.name: row for row in ROWS} | {
    alias: row for row in DISTRIBUTION_ROWS for alias in families.aliases(row.name)
}


def find(name: str) -> Row | None:
    """Return the row of a name or of another name for a distribution (oracle for ol), or None."""
    return _BY_NAME.get(name)


# What people call a thing otherwise. A name that is not here gets a hint only for a slip of the keyboard.
_CALLED = {
    **dict.fromkeys(("vram", "gpumem", "gpu.mem", "gpu.ram", "gpu.vram"), "gpu.memory"),
    **dict.fromkeys(("gpus", "ngpus", "num.gpus", "gpu.num"), "gpu.count"),
    **dict.fromkeys(("mem", "ram"), "memory"),
    **dict.fromkeys(("cpu", "core", "cores", "ncpus"), "cpus"),
    **dict.fromkeys(("nvidia", "nvidia.driver", "nvidia-driver"), "driver"),
    **dict.fromkeys(("compute.capability", "cc", "sm", "gpu.cc"), "gpu.arch"),
    **dict.fromkeys(("code", "cubin", "gpu.target", "gpu.sm", "cuda.arch", "cuda.arch.list"), "gpu.code"),
    **dict.fromkeys(("gpu.name", "gpu.type", "gpu.model"), "gpu"),
    **dict.fromkeys(("nvcc", "cuda.toolkit", "cuda-toolkit"), "toolkit"),
    **dict.fromkeys(("cuda.driver", "cuda.own", "driver.cuda.version"), "driver.cuda"),
    **dict.fromkeys(("python3", "py", "cpython"), "python"),
    **dict.fromkeys(("libcudnn", "cudnn9", "cudnn8"), "cudnn"),
    **dict.fromkeys(("libnccl", "nccl2"), "nccl"),
    **dict.fromkeys(("distro", "distribution"), "os"),
    **dict.fromkeys(("modules", "lmod"), "module"),
    "infiniband": "ib",
}


def nearest(name: str) -> str | None:
    """Return the name that a mistaken one surely means, or None: no hint is better than a wrong one."""
    folded = name.casefold().replace("_", ".")[:40]
    if folded in _BY_NAME:
        return folded
    if folded in _CALLED:
        return _CALLED[folded]
    plain = folded.removesuffix("version").removesuffix(".")
    if plain != folded and plain in _BY_NAME:
        return plain
    close = [one for one in _BY_NAME if len(folded) > 3 and _slipped(folded, one)]
    return close[0] if len(close) == 1 else None


def _slipped(typed: str, meant: str) -> bool:
    """Tell whether one letter more, less or other, or two that changed places, make the one of the other."""
    if abs(len(typed) - len(meant)) > 1:
        return False
    pairs = enumerate(zip(typed, meant))
    at = next((place for place, (one, other) in pairs if one != other), min(len(typed), len(meant)))
    left, right = typed[at:], meant[at:]
    swapped = left[:2] == right[1::-1] and left[2:] == right[2:]
    return swapped or left[1:] == right[1:] or left[1:] == right or left == right[1:]
