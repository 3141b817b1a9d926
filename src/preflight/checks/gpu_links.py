"""A GPU's links and modes in every phase: PCIe lanes, NVLink, its NVSwitch fabric, and modes that wait for a reset."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, passed, skipped, warned
from preflight.checks.registry import Context, check, gpu_check, of_gpu, subject_of, together
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

LANES = "reseat the board or its riser; a slot of fewer lanes is no fault (action = off)"


@gpu_check("gpu.pcie.width", ("pcie_width", "pcie_width_max"), action="warn", remedy=LANES)
def width(lanes: int, most: int, limit: float | None) -> Finding | None:
    """Each GPU's PCIe link has all the lanes that it and the system can have."""
    if 0 < lanes < most:
        return failed(f"the PCIe link has {lanes} of {most} lanes", observed=lanes, expected=str(most))
    return None


LINKS = "drain; reset all GPUs of the node together or reboot, then hardware service"


@check("gpu.nvlink", reads=("gpus",), remedy=LINKS, device=True, source="nvml")
def nvlink(context: Context, limit: float | None) -> Iterable[Finding]:
    """NVLink is up on all links of a GPU that is built with all of them; on others, on as many as on its equals."""
    devices = context.node.devices()
    if isinstance(devices, Unknown):
        return []
    counted = [device for device in devices if "error" not in device and "nvlink_links" in device]
    found = [of_gpu(device, _links(device, counted)) for device in counted]
    return together(found) if len(found) == len(devices) else found


def _links(device: dict[str, Any], devices: list[dict[str, Any]]) -> Finding:
    """Judge one GPU's links. A PCIe board has as many as its bridges connect: none, some, all. MIG turns them off."""
    active, links = device.get("nvlink") or 0, device["nvlink_links"]
    if not links or device.get("mig"):
        return skipped(f"{subject_of(device)} uses no NVLink")
    equals = [one for one in devices if one.get("name") == device.get("name") and not one.get("mig")]
    most = max(one.get("nvlink") or 0 for one in equals)
    if active == links or not most:
        return passed(f"{active} of {links} links are up", observed=active)
    text = f"{active} of {links} NVLink links are up"
    if device.get("fabric_state") or "SXM" in str(device.get("name")):
        return failed(text, observed=active, expected=str(links))
    if active < most:
        return warned(f"{text}, {most} on a GPU of the same model", observed=active, expected=str(most))
    return passed(text, observed=active)


UNHEALTHY, LIMITED = 2, 3
# (bits' shift, width, what it means) of NVML_GPU_FABRIC_HEALTH_MASK, where the value is 1, "true" (nvml.h).
DEGRADED = (
    (0, 3, "its bandwidth is degraded"),
    (2, 3, "a route is being recovered"),
    (6, 3, "it recovers from an access timeout"),
)
UNHEALTHY_ROUTE, MISCONFIGURED = 4, 8
FABRIC = "look at nvidia-fabricmanager (on GB200 also at the switch trays and IMEX); reset the GPUs or reboot the node"


@gpu_check("gpu.fabric.health", ("fabric_state", "fabric_health_summary", "fabric_health_mask"), remedy=FABRIC)
def fabric_health(state: int, summary: int, mask: int, limit: float | None) -> Finding | None:
    """No GPU of an NVSwitch fabric is called unhealthy by it; a degraded one is a warning."""
    if not state:
        return skipped("in no NVSwitch fabric")
    if summary == UNHEALTHY or mask >> UNHEALTHY_ROUTE & 3 == 1:
        return failed("its NVSwitch fabric calls it unhealthy", observed=f"summary {summary}, mask {mask:#x}")
    if mask >> MISCONFIGURED & 15 > 1:
        why = f"its NVSwitch fabric is configured wrongly ({mask >> MISCONFIGURED & 15})"
        return failed(why, observed=f"mask {mask:#x}")
    if summary == LIMITED:
        return warned("its NVSwitch fabric has a limited capacity", observed=f"summary {summary}")
    why = ", ".join(text for shift, bits, text in DEGRADED if mask >> shift & bits == 1)
    return warned(f"NVSwitch fabric: {why}", observed=f"mask {mask:#x}") if why else None


RESET = "reset the GPU when it is idle, or reboot the node"


@gpu_check("gpu.ecc.pending", ("ecc", "ecc_pending"), action="warn", remedy=RESET)
def ecc_pending(now: bool, then: bool, limit: float | None) -> Finding | None:
    """No change of a GPU's ECC mode waits for a reset."""
    if now == then:
        return None
    return failed(f"ECC is {_on(now)} and will be {_on(then)} after a reset", observed=_on(now), expected=_on(then))


@gpu_check("gpu.mig.pending", ("mig", "mig_pending"), action="warn", remedy=RESET)
def mig_pending(now: bool, then: bool, limit: float | None) -> Finding | None:
    """No change of a GPU's MIG mode waits for a reset."""
    if now == then:
        return None
    return failed(f"MIG is {_on(now)} and will be {_on(then)} after a reset", observed=_on(now), expected=_on(then))


def _on(mode: bool) -> str:
    return "on" if mode else "off"
