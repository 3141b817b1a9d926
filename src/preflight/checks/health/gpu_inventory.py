"""Boards that were changed since the last boot: another GPU, one more, one less, other firmware."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, passed, skipped, untold
from preflight.checks.registry import Context, check, subject_of
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

CHANGED = "update the site's inventory if it was meant; it is told until the next boot"
FIRMWARE = {"serial": "serial number", "vbios": "VBIOS", "inforom": "InfoROM", "bus_id": "PCI address"}
NO_SERIAL = ("0", "")


@check("gpu.inventory", reads=("gpus",), phases=("health",), action="warn", remedy=CHANGED, device=True, source="nvml")
def inventory(context: Context, limit: float | None) -> Iterator[Finding]:
    """The GPUs, their serial numbers, VBIOS and InfoROM are those of the last boot."""
    devices, before = context.node.devices(), context.last_boot
    if isinstance(devices, Unknown):
        yield untold(devices)
        return
    if before is None:
        yield skipped("the GPUs of an earlier boot are not known")
        return
    found = [*_counted(devices, before), *(_compared(devices, before) if devices else ())]
    yield from found or [passed(f"{len(devices)} GPUs are those of the last boot")]


def _counted(devices: list[dict[str, Any]], before: list[dict[str, Any]]) -> Iterator[Finding]:
    if len(devices) != len(before):
        text = f"{len(devices)} GPUs, {len(before)} at the last boot"
        yield failed(text, observed=len(devices), expected=str(len(before)))


def _compared(devices: list[dict[str, Any]], before: list[dict[str, Any]]) -> Iterator[Finding]:
    """Yield what changed, GPU by GPU: the same one by its UUID, else the one in its slot. Silence is no change."""
    known = {one["uuid"]: one for one in before if one.get("uuid")}
    now = {str(device["uuid"]) for device in devices if device.get("uuid")}
    replaced = set()
    for device in devices:
        uuid, slot = device.get("uuid"), device.get("bus_id")
        then = known.get(str(uuid))
        if not uuid:
            continue  # it does not tell who it is: other checks say so
        if then is None:
            other = next((one for one in before if slot and one.get("bus_id") == slot), None)
            if other is not None and other.get("uuid") and other["uuid"] not in now:
                replaced.add(other["uuid"])
                text = f"another GPU is at {slot}: {_named(device)}, was {_named(other)}"
                yield failed(text, subject=subject_of(device), observed=uuid, expected=other["uuid"])
            elif other is None or other.get("uuid"):
                text = f"a GPU that was not there at the last boot: {_named(device)}"
                yield failed(text, subject=subject_of(device), observed=uuid)
            continue
        for key, what in FIRMWARE.items():
            value, earlier = device.get(key), then.get(key)
            if value and earlier and value != earlier and not (key == "serial" and earlier in NO_SERIAL):
                text = f"{what} {value}, was {earlier}"
                yield failed(text, subject=subject_of(device), observed=value, expected=earlier)
    silent = sum(not device.get("uuid") for device in devices)
    gone = [one for uuid, one in known.items() if uuid not in now and uuid not in replaced]
    for one in gone[silent:]:
        yield failed(f"a GPU is gone: {_named(one)}, at {one.get('bus_id', '?')}", expected=one["uuid"])


def _named(gpu: dict[str, Any]) -> str:
    serial = gpu.get("serial")
    return f"{gpu.get('uuid', '?')}" + (f" (serial {serial})" if serial and serial not in NO_SERIAL else "")
