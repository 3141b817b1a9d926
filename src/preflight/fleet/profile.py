"""A node's profile: the facts that stay from run to run, kept once for all reports of all nodes that have them.

Facts that are measured anew each run (free memory, temperatures), and what only names the piece of hardware (UUIDs),
stay in the report alone: so nodes of a kind share a profile, and what differs is drift.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import msgspec

# Subjects that a run measures, as opposed to what the node is; of these only the keys named are kept.
STATIC_KEYS: dict[str, tuple[str, ...]] = {
    "memory": ("total",),
    "tmp": ("path", "size"),
    "shm": ("path", "size"),
    "gpus": ("count", "devices"),
    "ib": ("rate",),
}
GPU_KEYS = (
    *("index", "name", "memory", "compute_capability", "ecc", "mig", "nvlink", "vbios", "power_limit"),
    *("pcie_width", "pcie_width_max", "pcie_gen", "pcie_gen_max", "clock_max"),
)
VOLATILE = frozenset({"remote", "clock"})


class Profile(NamedTuple):
    """``hash``: 16 bytes of ``text``; ``text``: JSON object, subject -> key -> value, keys in order."""

    hash: bytes
    text: bytes


class ProfileReader:
    """Reads profiles; most reports of a node repeat the last one's, which costs one look at a dictionary."""

    KEPT = 20_000

    def __init__(self) -> None:
        device = msgspec.defstruct("Device", [(key, Any, msgspec.UNSET) for key in GPU_KEYS])
        gpus = msgspec.defstruct("Gpus", [("count", Any), ("devices", list[device])])  # type: ignore[valid-type]
        self._gpus = msgspec.json.Decoder(gpus)
        self._encoder = msgspec.json.Encoder(order="sorted")
        self._known: dict[bytes, Profile] = {}

    def read(self, facts: dict[str, msgspec.Raw]) -> Profile:
        """Return the profile of a report's facts; values that are no facts of ours are kept as they are."""
        parts = []
        for subject in sorted(facts):
            if subject not in VOLATILE:
                parts.append(subject.encode("utf-8", "surrogatepass"))
                parts.append(self._part(subject, facts[subject]))
        identity = hashlib.blake2b(b"\0".join(parts), digest_size=16).digest()
        known = self._known.get(identity)
        if known is None:
            if len(self._known) >= self.KEPT:
                self._known.clear()
            known = self._known[identity] = self._whole(parts)
        return known

    def _part(self, subject: str, raw: msgspec.Raw) -> bytes:
        keys = STATIC_KEYS.get(subject)
        if keys is None:
            return bytes(raw)
        try:
            if subject == "gpus":
                return self._encoder.encode(self._gpus.decode(raw))
            values = msgspec.json.decode(raw)
            return self._encoder.encode({key: values[key] for key in keys if key in values})
        except (msgspec.DecodeError, TypeError, KeyError):
            return b"{}"

    def _whole(self, parts: list[bytes]) -> Profile:
        pairs = zip(parts[::2], parts[1::2], strict=True)
        subjects = {name.decode("utf-8", "replace"): msgspec.json.decode(raw) for name, raw in pairs}
        text = self._encoder.encode(subjects)
        return Profile(hashlib.blake2b(text, digest_size=16).digest(), text)
