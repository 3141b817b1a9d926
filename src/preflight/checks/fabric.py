"""NVSwitch fabrics and the PCI bus: GPUs that the driver shows, or should show, and that no job can use."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, passed, skipped, untold, warned
from preflight.checks.registry import Context, check, of_gpu, subject_of
from preflight.facts.nvml import error_name
from preflight.facts.pci import OWN
from preflight.facts.view import Unknown, attribute

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

READY = "look at nvidia-fabricmanager (systemctl status, its log); start it, or reboot the node"
STATES = {1: "has not started to join", 2: "is still joining"}
COMPLETED = 3


@check("gpu.fabric", reads=("gpus",), remedy=READY, device=True, source="nvml")
def fabric(context: Context, limit: float | None) -> Iterator[Finding]:
    """Each GPU of an NVSwitch system has joined its fabric; until then every CUDA program ends with error 802."""
    devices = context.node.devices()
    for device in [] if isinstance(devices, Unknown) else devices:
        if "error" not in device:
            yield of_gpu(device, _joined(device))


def _joined(device: dict[str, Any]) -> Finding:
    state, status = attribute(device, "fabric_state"), attribute(device, "fabric_status")
    name = subject_of(device)
    if "fabric_state" not in device and "fabric_state" not in device.get("errors", {}):
        return skipped(f"{name} was not asked: facts of an older release")
    if isinstance(state, Unknown):
        return untold(f"{name} does not report this: {state.reason}")
    if not state:
        return skipped(f"{name} is in no NVSwitch fabric")
    if state in STATES:
        return failed(f"{name} {STATES[state]} the NVSwitch fabric: CUDA error 802", observed=state, expected="3")
    if state != COMPLETED:
        return untold(f"{name} tells a fabric state that is not known: {state}", observed=state, expected="3")
    if isinstance(status, int) and status:
        return failed(f"{name} could not join the NVSwitch fabric: {error_name(status)}", observed=status, expected="0")
    return passed(f"{name} has joined the NVSwitch fabric", observed=state, expected="3")


MISSING = "look at dmesg (NVRM, RmInitAdapter) and lspci; reset or reboot the node, then hardware service"


@check("gpu.pci", reads=("gpus", "pci"), remedy=MISSING, device=True, source="sysfs")
def pci(context: Context, limit: float | None) -> Iterator[Finding]:
    """Each NVIDIA GPU on the PCI bus is one that the driver answers for."""
    devices, bus = context.node.devices(), context.node.get("pci.gpus")
    if isinstance(bus, Unknown) or isinstance(devices, Unknown):
        why = bus.reason if isinstance(bus, Unknown) else devices.reason if isinstance(devices, Unknown) else ""
        yield untold(f"the PCI bus and NVML could not be compared: {why}")
        return
    ours = [gpu for gpu in bus if gpu["driver"] in OWN]
    absent, number = _absent(ours, devices, context.node.facts["gpus"].get("excluded") or [])
    confined = context.node.get("pci.confined")
    if not ours:
        yield skipped("the PCI bus shows no NVIDIA GPU that is this system's own")
    elif not number:
        yield passed(f"NVML has the {len(ours)} GPUs of the PCI bus", observed=len(ours))
    elif isinstance(confined, str) or any(gpu["driver"] == "nvidia" and gpu["listed"] is False for gpu in absent):
        why = confined if isinstance(confined, str) else "a container was not given each GPU"
        text = f"NVML does not show {number} of the PCI bus's {len(ours)} GPUs: {why}"
        yield untold(text, observed=len(ours) - number)
    else:
        yield _missing(context, absent, number, ours)


def _missing(context: Context, absent: list[Any], number: int, ours: list[Any]) -> Finding:
    total = len(ours)
    names = ", ".join(gpu["bus_id"] for gpu in absent[:4]) if len(absent) == number else "which is not known"
    text = f"NVML lacks {number} of the {total} GPUs on the PCI bus ({names})"
    if _for_display(absent, ours):
        return warned(f"{text}: a display card that the driver does not support?", observed=total - number)
    job = context.gpus
    if context.phase == "prolog" and job is not None and not job.missing and not job.problem:
        return warned(f"{text}; not a GPU of this job", observed=total - number)
    return failed(text, observed=total - number)


def _absent(ours: list[Any], devices: list[Any], excluded: list[Any]) -> tuple[list[Any], int]:
    """Return (GPUs of the bus whose address NVML does not tell, how many of them are missing for certain).

    A GPU of NVML's without an address, or with one that is not on the bus, may be any of them.
    """
    told = {_address(one["bus_id"]) for one in (*devices, *excluded) if one.get("bus_id")}
    here = {_address(gpu["bus_id"]) for gpu in ours}
    absent = [gpu for gpu in ours if _address(gpu["bus_id"]) not in told]
    nameless = sum(not one.get("bus_id") for one in (*devices, *excluded))
    elsewhere = len([one for one in devices if one.get("bus_id") and _address(one["bus_id"]) not in here])
    return absent, max(0, len(absent) - nameless - elsewhere)


def _address(text: str) -> str:
    """Return "0:3b:00.0" of NVML's "00000000:3B:00.0" and of sysfs's "0000:3b:00.0"."""
    domain, _, rest = text.strip().lower().partition(":")
    return f"{domain.lstrip('0') or '0'}:{rest}"


def _for_display(absent: list[Any], ours: list[Any]) -> bool:
    """Return whether the GPUs without an answer may be there for a monitor only, beside others that compute.

    VGA controllers that no driver took, of a model that NVML shows none of: the driver passes over old boards.
    """
    models = {gpu["device"] for gpu in ours if gpu not in absent}
    return bool(models) and all(
        gpu["class"] == "0300" and gpu["driver"] != "nvidia" and gpu["device"] not in (None, *models) for gpu in absent
    )
