"""The MIG devices of a GPU, asked through NVML in the probe child; only for a GPU whose MIG mode is on."""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.facts.nvml import GPU_ERRORS, Fault, call

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from preflight.facts.isolate import Channel
    from preflight.facts.rootfs import Root

    Caps = dict[tuple[int, int, int | None], int]

MAX_DEVICES = 64  # of one GPU; no product has more than 7
# The driver lists the capability of every GPU, GPU instance and compute instance that could be: 100 KB and more.
MINORS, MINORS_LIMIT = "/proc/driver/nvidia-caps/mig-minors", 4 << 20
MARK = " MIG "  # between the GPU's name and the profile, in NVML's name of a MIG device
_GIB = 1 << 30
_EIGHTHS = 8  # of a GPU's memory, in which profiles count


class Lookup:
    """What the MIG devices of all GPUs of a node share: the capabilities' minor numbers, read when first asked for."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._caps: Caps | None = None

    def caps(self, minor: Any, gi: Any, ci: Any) -> list[int] | None:
        """Return the minor numbers of a GPU instance's and of its compute instance's capability, or None."""
        if self._caps is None:
            try:
                self._caps = parse_minors(self._root.live_read(MINORS, MINORS_LIMIT) or "")
            except OSError:
                self._caps = {}
        found = [self._caps.get((minor, gi, None)), self._caps.get((minor, gi, ci))]
        return [one for one in found if one is not None] if None not in found else None


def parse_minors(text: str) -> Caps:
    """Return the minor number of each (GPU's minor, GPU instance, compute instance or None) in mig-minors' ``text``.

    Its lines: "gpu0/gi1/access 12" and "gpu0/gi1/ci0/access 13"; others (config, monitor) are passed over.
    """
    found: Caps = {}
    for line in text.splitlines():
        path, _, number = line.strip().partition(" ")
        parts = path.split("/")
        if parts[-1] != "access" or len(parts) not in (3, 4):
            continue
        gpu, gi = _after(parts[0], "gpu"), _after(parts[1], "gi")
        ci = _after(parts[2], "ci") if len(parts) == 4 else None
        minor = _after(number.strip(), "")
        if minor is not None and gpu is not None and gi is not None and (ci is not None or len(parts) == 3):
            found[gpu, gi, ci] = minor
    return found


def _after(text: str, prefix: str) -> int | None:
    """Return the number after ``prefix``, None where the text is anything else."""
    digits = text[len(prefix) :]
    whole = text.startswith(prefix) and is_whole(digits, 9)
    return int(digits) if whole else None


def read(channel: Channel, nvml: Any, handle: Any, gpu: dict[str, Any], lookup: Lookup) -> list[dict[str, Any]]:
    """Return the MIG devices of a GPU in NVML's order. Raises Fault where they cannot be listed.

    ``gpu``: what was read of the GPU (index, minor, name, memory). Each MIG device has index, uuid, name, profile, gi,
    ci, memory (bytes), caps; what NVML refused of it is None and stands in its ``errors``. There is no half of a list:
    it would give the places of some devices to others.
    """
    at = f"gpu {gpu['index']}"
    channel.doing(f"{at} nvmlDeviceGetMaxMigDeviceCount")
    most = min(int(call(nvml, "nvmlDeviceGetMaxMigDeviceCount", handle)), MAX_DEVICES)
    found = []
    for index in range(most):
        channel.doing(f"{at} mig {index} nvmlDeviceGetMigDeviceHandleByIndex")
        try:
            device = call(nvml, "nvmlDeviceGetMigDeviceHandleByIndex", handle, index)
        except Fault as fault:
            if fault.name != "NotFound":  # a place without a device
                raise
        else:
            found.append(_device(channel, nvml, device, gpu, index, lookup))
    return found


def _device(
    channel: Channel, nvml: Any, device: Any, gpu: dict[str, Any], index: int, lookup: Lookup
) -> dict[str, Any]:
    at = f"gpu {gpu['index']} mig {index}"
    found: dict[str, Any] = {"index": index}
    errors: dict[str, str] = {}
    for key, name, turn in CALLS:
        channel.doing(f"{at} {name}")
        try:
            found[key] = turn(call(nvml, name, device))
        except Fault as fault:
            if fault.name in GPU_ERRORS:
                raise
            found[key], errors[key] = None, fault.name
    found["profile"] = profile_of(found["name"] or "")
    if found["profile"] is None:
        channel.doing(f"{at} nvmlDeviceGetAttributes_v2")
        try:
            found["profile"] = _by_attributes(call(nvml, "nvmlDeviceGetAttributes_v2", device), gpu.get("memory"))
        except Fault as fault:
            if fault.name in GPU_ERRORS:
                raise
            errors["profile"] = fault.name
    found["caps"] = lookup.caps(gpu.get("minor"), found["gi"], found["ci"])
    return {**found, "errors": errors} if errors else found


def profile_of(name: str) -> str | None:
    """Return "3g.20gb" of "NVIDIA A100-SXM4-40GB MIG 3g.20gb", None where the name states none."""
    profile = name.rpartition(MARK)[2].strip() if MARK in name else ""
    return profile or None


def _by_attributes(told: Any, memory: Any) -> str | None:
    """Return the profile as NVIDIA's tools name it: slices, and the share of the memory in eighths, in whole GiB."""
    gi, ci = int(told.gpuInstanceSliceCount), int(told.computeInstanceSliceCount)
    if not gi or not isinstance(memory, int) or memory <= 0:
        return None
    eighths = -(-int(told.memorySizeMB) * (1 << 20) * _EIGHTHS // memory)
    gib = (2 * eighths * -(-memory // _GIB) + _EIGHTHS) // (2 * _EIGHTHS)  # halves up: 3g.71gb of an H200's 141
    return f"{'' if ci == gi else f'{ci}c.'}{gi}g.{gib}gb"


def _text(value: Any) -> str:
    """Return text; older bindings return bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


CALLS: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("uuid", "nvmlDeviceGetUUID", _text),
    ("name", "nvmlDeviceGetName", _text),
    ("gi", "nvmlDeviceGetGpuInstanceId", int),
    ("ci", "nvmlDeviceGetComputeInstanceId", int),
    ("memory", "nvmlDeviceGetMemoryInfo", lambda told: int(told.total)),
)
