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
    """

    facts: Facts
    unknown: dict[str, str]
    gpus: tuple[int, ...] | None = None

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
        """Return the GPUs that are judged, each a dict of attributes, or Unknown."""
        found = self.get("gpus.devices")
        if isinstance(found, Unknown):
            return found
        every: list[dict[str, Any]] = found or []
        return every if self.gpus is None else [every[i] for i in self.gpus if i < len(every)]


def attribute(device: dict[str, Any], name: str) -> Any:
    """Return one attribute of a GPU: a value, None (the GPU does not have it: NotSupported) or Unknown."""
    if name in device:
        return device[name]
    error = device.get("errors", {}).get(name) or device.get("error")
    if error == "NotSupported":
        return None
    return Unknown(f"NVML: {error}" if error else f"{name} was not read")
