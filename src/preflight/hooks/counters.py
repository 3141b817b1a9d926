"""The GPUs' counters from one epilog or health check to the next, so that a check sees what grew and what lasts."""

from __future__ import annotations

import time

from preflight.checks.registry import Earlier
from preflight.facts.cache import boot_id
from preflight.facts.document import FactsDocument
from preflight.files import read_json, tolerate, write_json
from preflight.policy.model import Policy

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

KEYS = (
    "pcie_replays",
    "pcie_nonfatal",
    "pcie_fatal",
    "nvlink_replay",
    "nvlink_recovery",
    "nvlink_crc",
    "nvlink_crc_data",
    "nvlink_ecc",
    "nvlink_malformed",
    "nvlink_overruns",
    "nvlink_received_bad",
    "nvlink_received_remote",
    "nvlink_received_general",
    "nvlink_integrity",
    "nvlink_discarded",
    "nvlink_recovery_failed",
    "nvlink_recoveries",
    "nvlink_effective_errors",
    "slowdown_board_ns",
    "slowdown_reliability_ns",
    "slowdown_sw_thermal_ns",
    "slowdown_thermal_ns",
    "slowdown_hw_thermal_ns",
    "slowdown_power_brake_ns",
    "utilization",
    "power_usage",
    "power_limit_default",
)
COUNTED = ("edac", "ethernet", "infiniband")  # kinds of [[host]] rows that look at counters over a window
MAX_GPUS = 256
LEAST_S = 60.0  # an epilog soon after a health check leaves its record: rates of seconds say nothing


def earlier(run_dir: str, node: str) -> Earlier:
    """Return how the GPUs were when they were last looked at in this boot; an empty one where they were not."""
    stored = read_json(_place(run_dir, node))
    if not isinstance(stored, dict) or stored.get("boot") != boot_id():
        return Earlier()
    at, gpus = stored.get("at"), stored.get("gpus")
    if not isinstance(at, (int, float)) or not isinstance(gpus, dict) or at > _now():
        return Earlier()
    return Earlier(_now() - at, {uuid: one for uuid, one in gpus.items() if isinstance(one, dict)})


def keep(run_dir: str, node: str, document: FactsDocument, before: Earlier) -> None:
    """Keep how the GPUs are now, unless ``before`` is too young; a file that can't be written is no error."""
    if before.gpus and before.ago_s < LEAST_S:
        return
    devices = (document.facts.get("gpus") or {}).get("devices") or []
    gpus: dict[str, Any] = {}
    for device in devices[:MAX_GPUS]:
        if isinstance(device.get("uuid"), str) and "error" not in device:
            gpus[device["uuid"]] = {key: device[key] for key in KEYS if isinstance(device.get(key), int)}
    if not gpus:
        return
    with tolerate(OSError):
        write_json(_place(run_dir, node), {"boot": boot_id(), "at": _now(), "gpus": gpus})


def samples(policy: Policy, node: str, phase: str) -> dict[str, list[tuple[float, int]]]:
    """Return the host's counters over time, {} where no [[host]] row of the phase looks at them."""
    if not _watched(policy, phase):
        return {}
    from preflight.hooks import samples

    return samples.samples(policy, node)


def keep_samples(policy: Policy, node: str, phase: str, document: FactsDocument) -> None:
    """Keep how the host's counters are now, where a [[host]] row of the phase looks at them."""
    if _watched(policy, phase):
        from preflight.hooks import samples

        samples.keep(policy, node, document)


def _watched(policy: Policy, phase: str) -> bool:
    return any(row.check in COUNTED for row in policy.host_rows(phase))


def _place(run_dir: str, node: str) -> str:
    return f"{run_dir}/counters-{node}.json"


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
