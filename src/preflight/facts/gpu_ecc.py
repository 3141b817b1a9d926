"""Where a GPU's uncorrected ECC errors were: DRAM, SRAM, and before Turing each cache. Runs in the probe child.

Turing and later tell DRAM and SRAM, earlier GPUs L1, L2, register file and texture memory (NVIDIA's nvml.h). What SRAM
had since the board was made, by unit and by address, is Ampere's and later, and root's.
"""

from __future__ import annotations

from preflight.facts.nvml import NOT_SUPPORTED, Fault, call

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    Handle = Any
    Values = tuple[Any, ...]

UNCORRECTED, VOLATILE = 1, 0
NEWER = {"dram": 2, "sram": 7}  # nvmlMemoryLocation_t
OLDER = {"l1": 0, "l2": 1, "register_file": 3, "texture": 4, "texture_shm": 5, "cbu": 6}
UNITS = {
    "l2": "aggregateUncBucketL2",
    "sm": "aggregateUncBucketSm",
    "pcie": "aggregateUncBucketPcie",
    "mcu": "aggregateUncBucketMcu",
    "other": "aggregateUncBucketOther",
}
MOST = 1024  # of SRAM's single errors that are asked for


def locations(nvml: Any, handle: Handle) -> Values:
    """({location: uncorrected errors since the driver was loaded},): of those locations that the GPU tells.

    Raises Fault(NOT_SUPPORTED) where it tells none.
    """
    found = _counts(nvml, handle, NEWER)
    if "sram" not in found:
        found |= _counts(nvml, handle, OLDER)
    if not found:
        raise Fault(NOT_SUPPORTED)
    return (found,)


def _counts(nvml: Any, handle: Handle, wanted: dict[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, location in wanted.items():
        try:
            found[name] = int(call(nvml, "nvmlDeviceGetMemoryErrorCounter", handle, UNCORRECTED, VOLATILE, location))
        except Fault as fault:
            if fault.name not in (NOT_SUPPORTED, "InvalidArgument"):  # a driver before the location calls it invalid
                raise
    return found


def sram(nvml: Any, handle: Handle) -> Values:
    """(a bank is past its threshold, uncorrected errors since the driver was loaded, {unit: those of the board})."""
    from ctypes import byref

    if not hasattr(nvml, "c_nvmlEccSramErrorStatus_v1_t"):
        raise Fault("FunctionNotFound")
    status = nvml.c_nvmlEccSramErrorStatus_v1_t()
    call(nvml, "nvmlDeviceGetSramEccErrorStatus", handle, byref(status))
    units = {name: int(getattr(status, field)) for name, field in UNITS.items() if hasattr(status, field)}
    return bool(status.bThresholdExceeded), int(status.volatileUncParity) + int(status.volatileUncSecDed), units


def unique(nvml: Any, handle: Handle) -> Values:
    """([{unit, location, sublocation, parity, count}],): each address of SRAM that had an uncorrected error.

    The first call asks how many there are, the second for them. Drivers before it have `sram` alone.
    """
    from ctypes import byref

    kind = getattr(nvml, "c_nvmlEccSramUniqueUncorrectedErrorCounts_v1_t", None)
    entry = getattr(nvml, "c_nvmlEccSramUniqueUncorrectedErrorEntry_v1_t", None)
    if kind is None or entry is None:
        raise Fault("FunctionNotFound")
    counts = kind()
    try:
        call(nvml, "nvmlDeviceGetSramUniqueUncorrectedEccErrorCounts", handle, byref(counts))
    except Fault as fault:
        if fault.name != "InsufficientSize":
            raise
    number = min(int(counts.entryCount), MOST)
    if not number:
        return ([],)
    room = (entry * number)()
    counts.entryCount, counts.entries = number, room
    call(nvml, "nvmlDeviceGetSramUniqueUncorrectedEccErrorCounts", handle, byref(counts))
    return ([_entry(one) for one in room[: min(int(counts.entryCount), number)]],)


def _entry(one: Any) -> dict[str, Any]:
    numbers = {name: int(getattr(one, name)) for name in ("unit", "location", "sublocation", "count")}
    return {**numbers, "parity": bool(one.isParity)}
