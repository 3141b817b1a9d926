"""Names of GPUs and files as Slurm compares them."""

from __future__ import annotations

DIGITS = "0123456789"


def type_name(name: str) -> str:
    """Return NVML's name as Slurm's type: "NVIDIA H100 80GB HBM3" is nvidia_h100_80gb_hbm3 (gpu_common.c)."""
    return name.replace(" ", "_").lower()


def is_part(kind: str, detected: str | None) -> bool:
    """Return whether a configured type names a detected one: any part of it, in any case."""
    return detected is not None and kind.lower() in detected.lower()


def natural(text: str) -> tuple[tuple[int, int], ...]:
    """Return a sort key that takes runs of digits as numbers: nvidia2 comes before nvidia10 (strnatcmp.c)."""
    key, at = list[tuple[int, int]](), 0
    while at < len(text):
        if text[at] not in DIGITS:
            key.append((ord(text[at]), 0))
            at += 1
            continue
        start = at
        while at < len(text) and text[at] in DIGITS:
            at += 1
        key.append((ord("0"), int(text[start:at][:18]) + 1))
    return tuple(key)
