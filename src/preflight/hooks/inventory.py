"""The node's GPUs as the last boot left them, so that a health check sees which board was changed behind the same name.

Kept in root's spool, which outlives a boot: {boot, now, before}. `now` is what this boot's health checks read last,
`before` what the boot before it did.
"""

from __future__ import annotations

from preflight.facts.cache import boot_id
from preflight.facts.document import FactsDocument
from preflight.files import read_json, tolerate
from preflight.hooks import spool as disk

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

KEYS = ("uuid", "serial", "bus_id", "name", "vbios", "inforom")
MAX_GPUS = 256


def last_boot(spool: str, node: str) -> list[dict[str, Any]] | None:
    """Return the GPUs as the last boot left them, each {uuid, serial, bus_id, …}; None where that is not known."""
    stored = _read(spool, node)
    gpus = stored.get("before") if stored.get("boot") == boot_id() else stored.get("now")
    return _gpus(gpus)


def keep(spool: str, node: str, document: FactsDocument) -> None:
    """Keep the GPUs as they are now; what one does not tell now stays as it told it before. A full disk is no error.

    Where NVML could not be asked, or has no GPU, what is kept stays.
    """
    told = document.facts.get("gpus") or {}
    devices = told.get("devices") or []
    if not devices or told.get("stuck_at"):
        return
    stored, boot = _read(spool, node), boot_id()
    same = stored.get("boot") == boot
    now = _together(devices[:MAX_GPUS], (_gpus(stored.get("now")) or []) if same else [])
    made = {"boot": boot, "now": now, "before": _gpus(stored.get("before" if same else "now"))}
    if made != stored:
        with tolerate(OSError):
            disk.write_json(_place(spool, node), made)


def _together(devices: list[dict[str, Any]], then: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the GPUs that this boot has shown: those there are, and those that have fallen off the bus since.

    Else one that is back after the next boot was "not there at the last". One that does not say who it is is the one
    that was in its slot, or if it does not tell that either, one of those that are missing.
    """
    left, found, nameless = list(then), [], []
    for device in devices:
        own = {key: device[key] for key in KEYS if isinstance(device.get(key), str)}
        known = next((one for one in left if own.get("uuid") and one.get("uuid") == own["uuid"]), None)
        if known is None and own.get("bus_id"):
            known = next((one for one in left if one.get("bus_id") == own["bus_id"]), None)
        if known is not None:
            left.remove(known)
        if known is None and not own.get("uuid") and not own.get("bus_id"):
            nameless.append(own)
            continue
        another = known is not None and own.get("uuid") and known.get("uuid") not in (None, own["uuid"])
        found.append({**(known or {}), **own} if not another else own)
    return [*found, *left, *nameless[len(left) :]][:MAX_GPUS]


def _read(spool: str, node: str) -> dict[str, Any]:
    stored = read_json(_place(spool, node))
    return stored if isinstance(stored, dict) else {}


def _gpus(stored: Any) -> list[dict[str, Any]] | None:
    if not isinstance(stored, list):
        return None
    well = [one for one in stored if isinstance(one, dict) and all(isinstance(text, str) for text in one.values())]
    return well if len(well) == len(stored) else None


def _place(spool: str, node: str) -> str:
    return f"{spool}/inventory-{node}.json"
