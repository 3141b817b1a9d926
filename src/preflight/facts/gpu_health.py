"""What NVML knows of a GPU's health: read by epilog, health check and commands, in the probe child (gpu.py).

A prolog reads only what gpu.py lists: forty calls a GPU more would be half of its time. Which generation has what:
NVIDIA's nvml.h; what a GPU does not have it answers with NotSupported.
"""

from __future__ import annotations

from preflight.facts import gpu_ecc, gpu_nvlink
from preflight.facts.gpu_fields import RECOVERY
from preflight.facts.nvml import Fault, call, error_name

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Handle = Any
    Values = tuple[Any, ...]

CORRECTED, VOLATILE, AGGREGATE = 0, 0, 1
SHUTDOWN, SLOWDOWN, MEMORY_MOST = 0, 1, 2  # nvmlTemperatureThresholds_t
FIELDS = {
    **RECOVERY,
    "retired_single_bit": 29,
    "retired_double_bit": 30,
    "retired_pending": 31,
    "slowdown_power_ns": 74,
    "slowdown_thermal_ns": 75,
    "slowdown_board_ns": 77,
    "slowdown_reliability_ns": 79,
    "slowdown_sw_thermal_ns": 269,
    "slowdown_hw_thermal_ns": 270,
    "slowdown_power_brake_ns": 271,
    "pcie_replays": 94,
    "pcie_correctable": 173,
    "pcie_nonfatal": 179,
    "pcie_fatal": 180,
    "temperature_memory": 82,
    "nvlink_speed": 90,
    "nvlink_crc": 38,
    "nvlink_crc_data": 45,
    "nvlink_replay": 52,
    "nvlink_recovery": 59,
    "nvlink_ecc": 160,
}


def _banks(nvml: Any, handle: Handle) -> Values:
    """(banks with few rows left, with none) for remapping."""
    told = call(nvml, "nvmlDeviceGetRowRemapperHistogram", handle)
    return int(told.low), int(told.none)


def _repair(nvml: Any, handle: Handle) -> Values:
    channel, tpc = call(nvml, "nvmlDeviceGetRepairStatus", handle)
    return (bool(channel) or bool(tpc),)


def _unrepairable(nvml: Any, handle: Handle) -> Values:
    """(memory that cannot be repaired,). The driver writes the flag first; pynvml 13.615 takes that for a version."""
    from ctypes import byref

    kind = getattr(nvml, "c_nvmlUnrepairableMemory_v1_t", None)
    get = getattr(nvml, "_nvmlGetFunctionPointer", None)
    if kind is None or get is None:
        raise Fault("FunctionNotFound")
    status = kind()
    version = int(status.version)
    try:
        code = get("nvmlDeviceGetUnrepairableMemoryFlag_v1")(handle, byref(status))
    except nvml.NVMLError as error:
        raise Fault(error_name(error.value)) from None
    if code:
        raise Fault(error_name(code))
    first = int(status.version)
    return (bool(status.unrepairableMemory) if first == version else bool(first),)


def _inforom(nvml: Any, handle: Handle) -> Values:
    try:
        call(nvml, "nvmlDeviceValidateInforom", handle)
    except Fault as fault:
        if fault.name != "CorruptedInforom":
            raise
        return (False,)
    return (True,)


def _event_reasons(nvml: Any, handle: Handle) -> Values:
    """(bits,), by its newer name (driver 535 and later), else by the older."""
    try:
        return (int(call(nvml, "nvmlDeviceGetCurrentClocksEventReasons", handle)),)
    except Fault as fault:
        if fault.name != "FunctionNotFound":
            raise
    return (int(call(nvml, "nvmlDeviceGetCurrentClocksThrottleReasons", handle)),)


def _bar1(nvml: Any, handle: Handle) -> Values:
    told = call(nvml, "nvmlDeviceGetBAR1MemoryInfo", handle)
    return int(told.bar1Total), int(told.bar1Used)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _busy(told: Any) -> int:
    return int(told.gpu)


def _one(name: str, key: str, turn: Callable[[Any], Any], *more: Any) -> Any:
    return name, (key,), lambda nvml, handle: (turn(call(nvml, name, handle, *more)),)


# (call that is announced, attributes it gives, how). What needs the GPU's firmware to answer stands last.
CALLS: tuple[tuple[str, tuple[str, ...], Callable[[Any, Handle], Values]], ...] = (
    _one("nvmlDeviceGetSerial", "serial", _text),
    _one("nvmlDeviceGetVbiosVersion", "vbios", _text),
    _one("nvmlDeviceGetInforomImageVersion", "inforom", _text),
    _one("nvmlDeviceGetPersistenceMode", "persistence", bool),
    _one("nvmlDeviceGetComputeMode", "compute_mode", int),
    _one("nvmlDeviceGetAccountingMode", "accounting", bool),
    _one("nvmlDeviceGetTotalEccErrors", "ecc_corrected_volatile", int, CORRECTED, VOLATILE),
    _one("nvmlDeviceGetTotalEccErrors", "ecc_corrected_aggregate", int, CORRECTED, AGGREGATE),
    ("nvmlDeviceGetMemoryErrorCounter", ("ecc_locations",), gpu_ecc.locations),
    (
        "nvmlDeviceGetSramEccErrorStatus",
        ("ecc_sram_threshold", "ecc_sram_uncorrected", "ecc_sram_units"),
        gpu_ecc.sram,
    ),
    ("nvmlDeviceGetSramUniqueUncorrectedEccErrorCounts", ("ecc_sram_unique",), gpu_ecc.unique),
    ("nvmlDeviceGetRowRemapperHistogram", ("remap_banks_low", "remap_banks_none"), _banks),
    ("nvmlDeviceGetRepairStatus", ("repair_pending",), _repair),
    ("nvmlDeviceGetUnrepairableMemoryFlag_v1", ("unrepairable",), _unrepairable),
    ("nvmlDeviceGetCurrentClocksEventReasons", ("clock_event_reasons",), _event_reasons),
    _one("nvmlDeviceGetUtilizationRates", "utilization", _busy),
    _one("nvmlDeviceGetPowerUsage", "power_usage", int),
    _one("nvmlDeviceGetPowerManagementLimit", "power_limit", int),
    _one("nvmlDeviceGetPowerManagementDefaultLimit", "power_limit_default", int),
    _one("nvmlDeviceGetEnforcedPowerLimit", "power_limit_enforced", int),
    _one("nvmlDeviceGetTemperatureThreshold", "temperature_slowdown", int, SLOWDOWN),
    _one("nvmlDeviceGetTemperatureThreshold", "temperature_shutdown", int, SHUTDOWN),
    _one("nvmlDeviceGetTemperatureThreshold", "temperature_memory_max", int, MEMORY_MOST),
    _one("nvmlDeviceGetMarginTemperature", "temperature_margin", int),
    _one("nvmlDeviceGetCurrPcieLinkGeneration", "pcie_generation", int),
    _one("nvmlDeviceGetMaxPcieLinkGeneration", "pcie_generation_max", int),
    ("nvmlDeviceGetNvLinkVersion", ("nvlink_version",), gpu_nvlink.version),
    ("nvmlDeviceGetBAR1MemoryInfo", ("bar1_total", "bar1_used"), _bar1),
    _one("nvmlDeviceGetGspFirmwareVersion", "gsp_firmware", _text),
    ("nvmlDeviceValidateInforom", ("inforom_valid",), _inforom),
)

# The least compute capability of a GPU that has what a call tells. Of an older GPU a driver that lacks the call has
# nothing to tell; of others it is unknown.
LEAST = {
    "nvmlDeviceGetGspFirmwareVersion": 7.5,
    "nvmlDeviceGetSramEccErrorStatus": 8.0,
    "nvmlDeviceGetSramUniqueUncorrectedEccErrorCounts": 8.0,
    "nvmlDeviceGetRowRemapperHistogram": 8.0,
    "nvmlDeviceGetRepairStatus": 8.0,
    "nvmlDeviceGetUnrepairableMemoryFlag_v1": 9.0,
}


def is_older(gpu: dict[str, Any], name: str) -> bool:
    """Return whether the GPU, by the compute capability that it told, is older than what the call ``name`` tells of."""
    try:
        return float(gpu["compute_capability"]) < LEAST.get(name, 0.0)
    except (KeyError, ValueError):
        return False


def confidential(nvml: Any) -> tuple[bool, bool]:
    """Return (confidential computing is on, its GPUs take work)."""
    state = call(nvml, "nvmlSystemGetConfComputeState")
    if not int(state.ccFeature):
        return False, True
    return True, bool(call(nvml, "nvmlSystemGetConfComputeGpusReadyState"))
