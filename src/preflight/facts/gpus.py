"""Subject ``gpus``: what the NVML probe (gpu.py) told of each GPU."""

from __future__ import annotations

from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.gpu_keys import DEVICE
from preflight.facts.nvml import ABSENT, OK
from preflight.facts.registry import NVML, fact
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    from preflight.facts.nvml_result import NvmlResult

IDENTITY = ("minor", "uuid", "bus_id", "name")
NOT_READ = "NotRead"


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
        return Answer({"count": told.count, "devices": devices, "stuck_at": None, **_excluded(told)})
    why: dict[str, str] = {}
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
