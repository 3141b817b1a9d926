"""A node's profile: the facts that stay from run to run, kept once for all reports of all nodes that have them.

Facts that are measured anew each run (free memory, temperatures), and what only names the piece of hardware (UUIDs),
stay in the report alone: so nodes of a kind share a profile, and what differs is drift.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import msgspec

from preflight.facts.registry import every_fact

# Of subjects that are read anew each run, the keys that stay; a subject declared static is kept whole.
KEPT_KEYS: dict[str, tuple[str, ...]] = {
    "cpu": ("count",),
    "driver": ("version", "cuda", "module"),
    "gpus": ("count", "devices"),
    "ib": ("rate",),
    "install": ("kernels", "dkms", "nvswitch", "fabric_manager", "secure_boot", "lockdown", "module"),
    "kernel": ("release",),
    "memory": ("total",),
    "mounts": ("paths",),
    "shm": ("path", "size"),
    "tmp": ("path", "size"),
}
GPU_KEYS = (
    *("index", "name", "memory", "compute_capability", "ecc", "mig", "nvlink", "vbios", "power_limit"),
    *("pcie_width", "pcie_width_max", "pcie_gen", "pcie_gen_max", "clock_max"),
)


class Profile(NamedTuple):
    """``hash``: 16 bytes of ``text``; ``text``: JSON object, subject -> key -> value, keys in order."""

    hash: bytes
    text: bytes


class ProfileReader:
    """Reads profiles; most reports of a node repeat the last one's, which costs one look at a dictionary."""

    KNOWN = 20_000
    MEASURED = ("gpus", "memory", "shm", "tmp")  # subjects whose text is another in every report

    def __init__(self) -> None:
        device = msgspec.defstruct("Device", [(key, Any, msgspec.UNSET) for key in GPU_KEYS], gc=False)
        shapes: dict[str, list[Any]] = {
            key: [(one, Any, msgspec.UNSET) for one in keys] for key, keys in KEPT_KEYS.items()
        }
        shapes["gpus"] = [("count", Any), ("devices", list[device])]  # type: ignore[valid-type]
        # Read by what is kept of a subject: the rest is passed over, not made.
        self._kept_of = {
            subject: msgspec.json.Decoder(msgspec.defstruct(subject.title(), fields, gc=False))
            for subject, fields in shapes.items()
        }
        self._encoder = msgspec.json.Encoder(order="sorted")
        self._whole = frozenset(subject for subject, its in every_fact().items() if its.static)
        self._known: dict[bytes, Profile] = {}
        self._same: dict[tuple[str, bytes], bytes] = {}

    def read(self, facts: dict[str, msgspec.Raw]) -> Profile:
        """Return the profile of a report's facts; a subject that is none of ours is left out."""
        parts: list[bytes] = []
        for subject, raw in facts.items():
            if subject in self._whole:
                parts += (subject.encode(), bytes(raw))
            elif subject in self.MEASURED:
                parts += (subject.encode(), self._kept(subject, raw))
            elif subject in KEPT_KEYS:
                parts += (subject.encode(), self._as_before(subject, bytes(raw)))
        identity = hashlib.blake2b(b"\0".join(parts), digest_size=16).digest()
        known = self._known.get(identity)
        if known is None:
            if len(self._known) >= self.KNOWN:
                self._known.clear()
            known = self._known[identity] = self._made(parts)
        return known

    def _as_before(self, subject: str, raw: bytes) -> bytes:
        kept = self._same.get((subject, raw))
        if kept is None:
            if len(self._same) >= self.KNOWN:
                self._same.clear()
            kept = self._same[subject, raw] = self._kept(subject, raw)
        return kept

    def _kept(self, subject: str, raw: bytes | msgspec.Raw) -> bytes:
        try:
            return self._encoder.encode(self._kept_of[subject].decode(raw))
        except (msgspec.DecodeError, TypeError, UnicodeDecodeError):
            return b"{}"

    def _made(self, parts: list[bytes]) -> Profile:
        """The order of keys as the node wrote them does not make another profile."""
        pairs = zip(parts[::2], parts[1::2])
        text = self._encoder.encode({name.decode(): msgspec.json.decode(raw) for name, raw in pairs})
        return Profile(hashlib.blake2b(text, digest_size=16).digest(), text)
