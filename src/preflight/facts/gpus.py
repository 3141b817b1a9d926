"""Subject ``gpus``: what the NVML probe (gpu.py) told of each GPU."""

from __future__ import annotations

from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.nvml import ABSENT, OK
from preflight.facts.registry import NVML, fact
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    from preflight.facts.nvml_result import NvmlResult

IDENTITY = ("minor", "uuid", "bus_id", "name")
NOT_READ = "NotRead"


_PROCESS = {
    "pid": "count",
    "used_memory": "count? bytes",
    "gi": "count?: GPU instance",
    "ci": "count?: compute instance",
    "job": "count?: where /proc/PID/cgroup names one of Slurm's",
}
_MIG = {
    "index": "count: NVML's number on that GPU; places may be empty",
    "uuid": "text?",
    "name": "text?",
    "profile": "text?: 3g.40gb, 1g.10gb+me, 1c.3g.40gb",
    "gi": "count?: GPU instance",
    "ci": "count?: compute instance",
    "memory": "count? bytes",
    "caps": "counts?: minor numbers of the two instances' /dev/nvidia-caps/nvidia-capN",
    "errors": "text-map: attribute: NVML error",
}
_BASIC = {
    "index": "count: NVML's",
    "error": "text?: GpuIsLost, ResetRequired, Timeout …; NotRead and ProbeDied say nothing about the GPU",
    "errors": "text-map: attribute: NVML error; NotSupported means that the GPU does not have it",
    "minor": "count?: of /dev/nvidiaN",
    "uuid": "text?",
    "bus_id": "text?: 00000000:3B:00.0",
    "name": "text?",
    "memory": "count? bytes",
    "memory_used": "count? bytes",
    "compute_capability": "text?: 9.0",
    "mig": "flag?",
    "mig_pending": "flag?: after the next reset",
    "ecc": "flag?",
    "ecc_pending": "flag?: after the next reset",
    "ecc_uncorrected_volatile": "count? errors: since the driver was loaded",
    "ecc_uncorrected_aggregate": "count? errors: in the board's life",
    "remap_correctable": "count? rows",
    "remap_uncorrectable": "count? rows",
    "remap_pending": "flag?",
    "remap_failure": "flag?",
    "recovery_action": "count?: field 230",
    "nvlink": "count? links: active",
    "nvlink_links": "count? links: that the GPU has",
    "fabric_state": "count?: 0 none, 1 not started, 2 in progress, 3 completed",
    "fabric_status": "count?: nvmlReturn_t, once completed",
    "fabric_health_mask": "count?: bits of NVML_GPU_FABRIC_HEALTH_MASK, 0 where the driver has none",
    "fabric_health_summary": "count?: 0 not told, 1 healthy, 2 unhealthy, 3 limited capacity",
    "temperature": "count? °C",
    "pcie_width": "count? lanes",
    "pcie_width_max": "count? lanes",
    "processes": [_PROCESS, None],
    "mig_devices": [_MIG, None],
}
_NVLINK5 = (
    *("nvlink_malformed", "nvlink_overruns", "nvlink_received_bad", "nvlink_received_remote"),
    *("nvlink_received_general", "nvlink_integrity", "nvlink_discarded", "nvlink_recovery_failed"),
    *("nvlink_recoveries", "nvlink_effective_errors", "nvlink_symbol_errors"),
)
_SRAM = {
    "unit": "count: NVML's number of it",
    "location": "count",
    "sublocation": "count",
    "parity": "flag: a parity error; else SECDED",
    "count": "count errors",
}
# In all but a prolog (gpu_health.py).
_HEALTH = {
    "serial": "text?: the board's; 0 where it has none",
    "vbios": "text?",
    "inforom": "text?: version of its image",
    "persistence": "flag?",
    "compute_mode": "count?: 0 default, 2 prohibited, 3 exclusive process",
    "accounting": "flag?",
    "ecc_corrected_volatile": "count? errors: since the driver was loaded",
    "ecc_corrected_aggregate": "count? errors: in the board's life",
    "ecc_sram_threshold": "flag?: a bank has had more uncorrected errors than the board's threshold",
    "ecc_sram_uncorrected": "count? errors: since the driver was loaded",
    "ecc_sram_units": "count-map? errors: uncorrected in the board's life, by unit (l2, sm, pcie, mcu, other)",
    "ecc_sram_unique": [_SRAM, None],
    "ecc_locations": "count-map? errors: uncorrected since the driver was loaded, by where (dram, sram, l1, l2 …)",
    "remap_banks_low": "count? banks: with few spare rows",
    "remap_banks_none": "count? banks: with no spare row",
    "repair_pending": "flag?: a channel or TPC waits for a reset",
    "unrepairable": "flag?: memory that cannot be repaired",
    "retired_single_bit": "count? pages",
    "retired_double_bit": "count? pages",
    "retired_pending": "flag?",
    "clock_event_reasons": "count?: bits of nvmlClocksEventReasons",
    "utilization": "count? %",
    "power_usage": "count? mW",
    "power_limit": "count? mW",
    "power_limit_default": "count? mW",
    "power_limit_enforced": "count? mW: the least of all limits that are in force",
    "temperature_slowdown": "count? °C",
    "temperature_shutdown": "count? °C",
    "temperature_margin": "integer? °C: below the slowdown",
    "temperature_memory": "count? °C",
    "temperature_memory_max": "count? °C",
    "pcie_generation": "count?",
    "pcie_generation_max": "count?",
    "pcie_replays": "count?",
    "pcie_correctable": "count? errors",
    "pcie_nonfatal": "count? errors",
    "pcie_fatal": "count? errors",
    "nvlink_version": "text?: 4.0, of the first link",
    "nvlink_speed": "count? MB/s: of one link, each way, where all that are up have the same",
    "nvlink_crc": "count? errors: in flow control, over all links",
    "nvlink_crc_data": "count? errors: in data, over all links",
    "nvlink_ecc": "count? errors: over all links",
    "nvlink_replay": "count? errors: over all links",
    "nvlink_recovery": "count? errors: over all links",
    **dict.fromkeys(_NVLINK5, "count?: over all links, NVLink 5"),
    "slowdown_power_ns": "count? ns: since the driver was loaded",
    "slowdown_thermal_ns": "count? ns: since the driver was loaded",
    "slowdown_board_ns": "count? ns: since the driver was loaded",
    "slowdown_reliability_ns": "count? ns: since the driver was loaded",
    "slowdown_sw_thermal_ns": "count? ns: since the driver was loaded",
    "slowdown_hw_thermal_ns": "count? ns: since the driver was loaded",
    "slowdown_power_brake_ns": "count? ns: since the driver was loaded",
    "bar1_total": "count? bytes",
    "bar1_used": "count? bytes",
    "gsp_firmware": "text?",
    "inforom_valid": "flag?",
}
DEVICE = {**_BASIC, **_HEALTH}


@fact(
    "gpus",
    keys={
        "count": "count",
        "devices": [DEVICE],
        "stuck_at": "text?: the call that hung (gpu 3 nvmlDeviceGetTemperature)",
        "excluded": [{"bus_id": "text?"}],
    },
    child=NVML,
)
def merge(root: Root, told: NvmlResult | None) -> Answer:
    """NVIDIA's GPUs as NVML tells them, each with what was read of it."""
    return unknown("was not asked for" if root.live else NOT_LIVE) if told is None else merged(told)


def merged(told: NvmlResult) -> Answer:
    """Return subject ``gpus`` of what the probe told.

    The GPU that hung has error "Timeout" ("Late" where that is not proven, "ProbeDied" where the probe crashed), those
    after it "NotRead"; both keep what was read. Zero GPUs only where NVML, or an empty PCI bus without a
    driver, says so.
    """
    if told.nvml in ABSENT and not told.pci and told.outcome.finished:
        return Answer({"count": 0, "devices": [], "stuck_at": None})
    if told.nvml in ABSENT and told.outcome.finished:
        return unknown(f"NVML: {told.nvml}, but the PCI bus shows {told.pci} NVIDIA GPUs")
    if told.nvml not in (None, OK):
        return unknown(f"NVML: {told.nvml}")
    if told.count is None:
        return unknown(f"NVML: {told.count_error}" if told.count_error else told.why())
    devices = [told.gpus.get(index, {"index": index}) for index in range(told.count)]
    if told.outcome.finished:
        return Answer({"count": told.count, "devices": devices, "stuck_at": None, **_excluded(told)}, _refused(told))
    why: dict[str, str] = _refused(told)
    for device in devices:
        index = device["index"]
        if index == told.culprit and index not in told.done:
            device["error"], why[str(index)] = told.ending, told.why()
        elif index not in told.done or (told.outcome.aged and "error" not in device):
            device["error"], why[str(index)] = NOT_READ, f"not read: the probe is at {told.outcome.stuck_at}"
    if told.outcome.aged:  # who it is stays true, how it is does not
        devices = [{key: device[key] for key in ("index", "error", *IDENTITY) if key in device} for device in devices]
    return Answer({"count": told.count, "devices": devices, "stuck_at": told.outcome.stuck_at, **_excluded(told)}, why)


def _excluded(told: NvmlResult) -> dict[str, Any]:
    return {"excluded": told.excluded} if told.excluded else {}


def _refused(told: NvmlResult) -> dict[str, str]:
    return {"excluded": f"NVML: {told.excluded_error}"} if told.excluded_error else {}
