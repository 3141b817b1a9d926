"""The flat view of facts that evaluation and checks read.

A probe, a recorded file and (later) a decoded node Extra all yield the same shape: subjects of keys
(``facts["driver"]["version"]``) and, beside them, why something could not be told. Three answers are
kept apart: a value, ``None`` (known to be absent: no driver on this node) and ``Unknown``.
"""

from __future__ import annotations

from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    Facts = dict[str, dict[str, Any]]
else:
    Facts = dict


class Unknown(NamedTuple):
    """A fact that could not be told, and why."""

    reason: str


class View(NamedTuple):
    """Facts of one node, as one job or the whole node sees them.

    ``facts``    subject -> key -> plain JSON value; sizes in bytes, versions as text.
    ``unknown``  "subject" or "subject.key" -> reason why it could not be told.
    ``gpus``     positions in ``facts["gpus"]["devices"]`` that are judged; None means all of them.
    ``slices``   beside them MIG devices: (position in devices, position in its ``mig_devices``).
    """

    facts: Facts
    unknown: dict[str, str]
    gpus: tuple[int, ...] | None = None
    slices: tuple[tuple[int, int], ...] = ()

    def get(self, path: str) -> Any:
        """Return the value at "subject.key": a JSON value, None (known absent) or Unknown."""
        subject, _, key = path.partition(".")
        for name in (path, subject):
            if name in self.unknown:
                return Unknown(self.unknown[name])
        keys = self.facts.get(subject)
        if keys is None or key not in keys:
            return Unknown(f"{path} was not read")
        return keys[key]

    def devices(self) -> list[dict[str, Any]] | Unknown:
        """Return the GPUs and MIG devices that are judged, each a dict of attributes, or Unknown."""
        found = self.get("gpus.devices")
        if isinstance(found, Unknown):
            return found
        every: list[dict[str, Any]] = found or []
        if self.gpus is None:
            return every
        slices = [mig_device(every[at], place) for at, place in self.slices if at < len(every)]
        return [every[at] for at in self.gpus if at < len(every)] + slices


# A MIG device has them of its GPU. NVLink it has not: with MIG on, no GPU reaches another one's memory (NVIDIA's MIG
# user guide, application considerations).
_OF_PARENT = ("index", "error", "compute_capability", "ecc")


def mig_device(gpu: dict[str, Any], place: int) -> dict[str, Any]:
    """Return the MIG device at ``place`` in the GPU's ``mig_devices`` in the shape of a GPU.

    Its memory, name ("NVIDIA A100-SXM4-40GB MIG 3g.20gb") and ``profile`` (a key that no GPU has) are its own; whether
    it answers, its compute capability and ECC are the GPU's. ``index`` is the GPU's.
    """
    listed = gpu.get("mig_devices") or []
    own = listed[place] if place < len(listed) else {}
    errors = {**gpu.get("errors", {}), **own.get("errors", {})}
    found: dict[str, Any] = {key: gpu[key] for key in _OF_PARENT if key in gpu}
    found |= {"mig": True, "nvlink": None, "errors": errors}
    found["profile"] = own.get("profile")
    for key in ("memory", "uuid"):
        if own.get(key) is not None:
            found[key] = own[key]
    name, profile = gpu.get("name"), own.get("profile")
    if name and profile:  # a list: the words that all GPUs of a node share, as it published them
        name = [*name, "mig", profile] if isinstance(name, list) else f"{name} MIG {profile}"
    else:
        name = own.get("name")
    return {**found, "name": name} if name else found


LACKING = "FunctionNotFound"


def attribute(device: dict[str, Any], name: str) -> Any:
    """Return one attribute of a GPU: a value, None (the GPU does not have it: NotSupported) or Unknown."""
    if name in device:
        return device[name]
    error = device.get("errors", {}).get(name) or device.get("error")
    if error == "NotSupported":
        return None
    if error == LACKING:
        return Unknown(f"NVML: {error}: the driver, or pynvml, is older than what tells it")
    return Unknown(f"NVML: {error}" if error else f"{name} was not read")
