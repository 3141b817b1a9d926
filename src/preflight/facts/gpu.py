"""The GPUs and the driver's user space, asked through NVML. Runs in a probe child (isolate.py) and only reads.

Each call is announced before it is made and fails alone: one refusal never loses the rest.
"""

from __future__ import annotations

import time

from preflight.facts import mig
from preflight.facts.gpu_bus import excluded, fabric
from preflight.facts.gpu_fields import RECOVERY, fields
from preflight.facts.gpu_jobs import with_jobs
from preflight.facts.isolate import Channel
from preflight.facts.mig import Lookup
from preflight.facts.nvml import ABSENT, GPU_ERRORS, NOT_SUPPORTED, OK, Fault, as_fault, call, load
from preflight.facts.pci import own_gpus
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Handle = Any
    Values = tuple[Any, ...]

MAX_GPUS = 256
MAX_LINKS = 18
UNCORRECTED, VOLATILE, AGGREGATE = 1, 0, 1
MEMORY_V2 = 0x02000028
NO_INSTANCE = 0xFFFFFFFF  # of a process on a GPU without MIG
TEMPERATURE_GPU = 0  # NVML_TEMPERATURE_GPU: the sensor on the die


def probe(channel: Channel, devices: bool, root: Root, lean: bool = False) -> None:
    """Tell what NVML knows: ``nvml``, ``driver``, ``count``, then each GPU's ``set`` and ``errors``.

    In a prolog what a start needs to know; else all there is (gpu_health.py).

    ``devices`` False asks only for the driver. ``root``: where the PCI
    bus is looked at when NVML does not answer. ``lean``: a prolog's calls, without pynvml.
    """
    began = time.monotonic()
    channel.doing("loading libnvidia-ml.so.1")
    try:
        nvml = load(root.source.nvml_library, lean)
        channel.doing("nvmlInitWithFlags")
        call(nvml, "nvmlInit")
    except Fault as fault:
        if devices and fault.name in ABSENT:
            channel.doing("reading /sys/bus/pci/devices")
            channel.tell({"pci": own_gpus(root)})
        channel.tell({"nvml": fault.name})
        return
    channel.tell({"nvml": OK})
    _driver(channel, nvml, root.source.phase != "prolog")
    channel.tell({"timing": "driver", "ms": _since(began)})
    if devices:
        _devices(channel, nvml, root)
        channel.tell({"timing": "gpus", "ms": _since(began)})


def _since(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 1)


def _driver(channel: Channel, nvml: Any, everything: bool) -> None:
    for key, name, turn in (
        ("version", "nvmlSystemGetDriverVersion", _text),
        ("cuda", "nvmlSystemGetCudaDriverVersion_v2", _cuda),
    ):
        channel.doing(name)
        try:
            channel.tell({"driver": key, "value": turn(call(nvml, name))})
        except Fault as fault:
            channel.tell({"driver": key, "error": fault.name})
    if everything:
        from preflight.facts.gpu_health import confidential

        channel.doing("nvmlSystemGetConfComputeState")
        try:
            on, ready = confidential(nvml)
        except Fault as fault:
            if fault.name == NOT_SUPPORTED:
                on, ready = False, True
            else:
                channel.tell({"driver": "confidential", "error": fault.name})
                return
        channel.tell({"driver": "confidential", "value": on})
        channel.tell({"driver": "confidential_ready", "value": ready})


def _devices(channel: Channel, nvml: Any, root: Root) -> None:
    channel.doing("nvmlDeviceGetCount")
    try:
        count = min(int(call(nvml, "nvmlDeviceGetCount")), MAX_GPUS)
    except Fault as fault:
        channel.tell({"count_error": fault.name})
        return
    channel.tell({"count": count})
    channel.doing("nvmlGetExcludedDeviceCount")
    try:
        channel.tell({"excluded": excluded(nvml)})
    except Fault as fault:
        channel.tell({"excluded_error": fault.name})
    lookup = Lookup(root)
    for index in range(count):
        channel.doing(f"gpu {index} nvmlDeviceGetHandleByIndex")
        try:
            handle = call(nvml, "nvmlDeviceGetHandleByIndex", index)
        except Fault as fault:
            channel.tell({"gpu": index, "error": fault.name})
        else:
            _device(channel, nvml, index, handle, lookup, root)
        channel.tell({"gpu": index, "done": True})


def _device(channel: Channel, nvml: Any, index: int, handle: Handle, lookup: Lookup, root: Root) -> None:
    """Tell one GPU's attributes, call by call; what the GPU as a whole suffers from becomes its ``error``."""
    known: dict[str, Any] = {"index": index}
    rows = CALLS
    older: Callable[[dict[str, Any], str], bool] | None = None
    if root.source.phase != "prolog":
        from preflight.facts.gpu_health import CALLS as MORE
        from preflight.facts.gpu_health import is_older as older

        rows = CALLS + MORE
    for name, keys, read in rows:
        channel.doing(f"gpu {index} {name}")
        try:
            values = read(nvml, handle)
        except (Fault, UnicodeError) as error:
            fault = as_fault(error)
            if fault.name == "FunctionNotFound" and older is not None and older(known, name):
                fault = Fault(NOT_SUPPORTED)
            _refused(channel, index, keys, fault)
            if fault.name == "GpuIsLost":
                return  # every other call would only say so again, or hang
            continue
        told = dict(zip(keys, values))
        if told.get("processes"):
            told["processes"] = with_jobs(root, told["processes"])
        channel.tell({"gpu": index, "set": told})
        known.update(told)
        if told.get("mig") and not _mig_devices(channel, nvml, handle, known, lookup):
            return
    _fields(channel, nvml, handle, known, root.source.phase != "prolog")


def _fields(channel: Channel, nvml: Any, handle: Handle, known: dict[str, Any], everything: bool) -> None:
    """Tell what one GetFieldValues call answers, and in all phases but the prolog NVLink's counters."""
    wanted = RECOVERY
    if everything:
        from preflight.facts.gpu_health import FIELDS
        from preflight.facts.gpu_nvlink import is_nvlink5, link_counters, link_errors

        wanted = FIELDS
    index = known["index"]
    channel.doing(f"gpu {index} nvmlDeviceGetFieldValues")
    try:
        told, errors = fields(nvml, handle, wanted)
        links = known.get("nvlink_links") if everything else None
        if links:
            channel.doing(f"gpu {index} nvmlDeviceGetNvLinkErrorCounter")
            counted = link_errors(nvml, handle, links, errors)
            told.update(counted)
            errors = {name: error for name, error in errors.items() if name not in counted}
            if is_nvlink5(known):
                channel.doing(f"gpu {index} nvmlDeviceGetFieldValues of each link")
                counters, refused = link_counters(nvml, handle, links)
                told.update(counters)
                errors.update(refused)
    except Fault as fault:
        _refused(channel, index, tuple(wanted), fault)
        return
    channel.tell({"gpu": index, "set": told})
    if errors:
        channel.tell({"gpu": index, "errors": errors})


def _refused(channel: Channel, index: int, keys: tuple[str, ...], fault: Fault) -> None:
    channel.tell({"gpu": index, "errors": dict.fromkeys(keys, fault.name)})
    if fault.name in GPU_ERRORS:
        channel.tell({"gpu": index, "error": fault.name})


def _mig_devices(channel: Channel, nvml: Any, handle: Handle, known: dict[str, Any], lookup: Lookup) -> bool:
    """Tell the GPU's MIG devices; False where the GPU is lost."""
    try:
        found = mig.read(channel, nvml, handle, known, lookup)
    except Fault as fault:
        _refused(channel, known["index"], ("mig_devices",), fault)
        return fault.name != "GpuIsLost"
    channel.tell({"gpu": known["index"], "set": {"mig_devices": found}})
    return True


def _text(value: Any) -> str:
    """Return text; older bindings return bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _cuda(number: int) -> str:
    """Return "12.4" of 12040."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _memory(nvml: Any, handle: Handle) -> Values:
    """(total, used) bytes. Version 2 (driver 510 and later) leaves what the driver reserves out of ``used``."""
    try:
        told = call(nvml, "nvmlDeviceGetMemoryInfo", handle, getattr(nvml, "nvmlMemory_v2", MEMORY_V2))
    except Fault as fault:
        if fault.name in GPU_ERRORS:
            raise
        told = call(nvml, "nvmlDeviceGetMemoryInfo", handle)
    return int(told.total), int(told.used)


def _nvlinks(nvml: Any, handle: Handle) -> Values:
    """(number of active links, of all). Past the GPU's last link NVML says InvalidArgument or NotSupported."""
    active = 0
    for link in range(MAX_LINKS):
        try:
            active += call(nvml, "nvmlDeviceGetNvLinkState", handle, link) == 1
        except Fault as fault:
            if link == 0 or fault.name not in ("InvalidArgument", NOT_SUPPORTED):
                raise
            return active, link
    return active, MAX_LINKS


def _processes(nvml: Any, handle: Handle) -> Values:
    """([{pid, used_memory}] of compute processes, MPS clients too,); used_memory None where NVML does not say.

    With MIG on also ``gi`` and ``ci``, the instances that the process runs on: the GPU's list is of all its devices.
    """
    told = list(_newest(nvml, "nvmlDeviceGetComputeRunningProcesses", handle))
    try:
        told += _newest(nvml, "nvmlDeviceGetMPSComputeRunningProcesses", handle)
    except Fault as fault:
        if fault.name not in (NOT_SUPPORTED, "FunctionNotFound"):
            raise
    found: dict[Any, dict[str, Any]] = {}
    for one in told:
        instances = {"gi": getattr(one, "gpuInstanceId", None), "ci": getattr(one, "computeInstanceId", None)}
        within = {key: int(number) for key, number in instances.items() if number not in (None, NO_INSTANCE)}
        key = (int(one.pid), *within.values())
        found[key] = {"pid": int(one.pid), "used_memory": _bytes(one.usedGpuMemory), **within}
    return (list(found.values()),)


def _newest(nvml: Any, name: str, handle: Handle) -> Any:
    """Call a function by its newest version, else by the one that drivers before 510 have."""
    try:
        return call(nvml, name, handle)
    except Fault as fault:
        if fault.name != "FunctionNotFound":
            raise
    return call(nvml, f"{name}_v2", handle)


def _bytes(value: Any) -> int | None:
    return None if value is None else int(value)


def _ecc_total(counter: int) -> Callable[[Any, Handle], Values]:
    def read(nvml: Any, handle: Handle) -> Values:
        return (int(call(nvml, "nvmlDeviceGetTotalEccErrors", handle, UNCORRECTED, counter)),)

    return read


def _one(name: str, turn: Callable[[Any], Any], *more: Any) -> tuple[str, Callable[[Any, Handle], Values]]:
    return name, lambda nvml, handle: (turn(call(nvml, name, handle, *more)),)


def _remapped(nvml: Any, handle: Handle) -> Values:
    correctable, uncorrectable, pending, failure = call(nvml, "nvmlDeviceGetRemappedRows", handle)
    return int(correctable), int(uncorrectable), bool(pending), bool(failure)


def _both(name: str) -> Callable[[Any, Handle], Values]:
    """Return the reader of a mode that is (current, after the next reset)."""

    def read(nvml: Any, handle: Handle) -> Values:
        current, pending = call(nvml, name, handle)
        return bool(current), bool(pending)

    return read


def _row(keys: tuple[str, ...], named: tuple[str, Callable[[Any, Handle], Values]]) -> Any:
    return named[0], keys, named[1]


# (call that is announced, attributes it gives, how). Identity first: a GPU that hangs later is known by then.
CALLS: tuple[tuple[str, tuple[str, ...], Callable[[Any, Handle], Values]], ...] = (
    _row(("minor",), _one("nvmlDeviceGetMinorNumber", int)),
    _row(("uuid",), _one("nvmlDeviceGetUUID", _text)),
    _row(("bus_id",), _one("nvmlDeviceGetPciInfo", lambda told: _text(told.busId))),
    _row(("name",), _one("nvmlDeviceGetName", _text)),
    ("nvmlDeviceGetMemoryInfo", ("memory", "memory_used"), _memory),
    _row(("compute_capability",), _one("nvmlDeviceGetCudaComputeCapability", lambda told: f"{told[0]}.{told[1]}")),
    ("nvmlDeviceGetMigMode", ("mig", "mig_pending"), _both("nvmlDeviceGetMigMode")),
    ("nvmlDeviceGetEccMode", ("ecc", "ecc_pending"), _both("nvmlDeviceGetEccMode")),
    ("nvmlDeviceGetTotalEccErrors", ("ecc_uncorrected_volatile",), _ecc_total(VOLATILE)),
    ("nvmlDeviceGetTotalEccErrors", ("ecc_uncorrected_aggregate",), _ecc_total(AGGREGATE)),
    (
        "nvmlDeviceGetRemappedRows",
        ("remap_correctable", "remap_uncorrectable", "remap_pending", "remap_failure"),
        _remapped,
    ),
    ("nvmlDeviceGetNvLinkState", ("nvlink", "nvlink_links"), _nvlinks),
    (
        "nvmlDeviceGetGpuFabricInfoV",
        ("fabric_state", "fabric_status", "fabric_health_mask", "fabric_health_summary"),
        fabric,
    ),
    _row(("temperature",), _one("nvmlDeviceGetTemperature", int, TEMPERATURE_GPU)),
    _row(("pcie_width",), _one("nvmlDeviceGetCurrPcieLinkWidth", int)),
    _row(("pcie_width_max",), _one("nvmlDeviceGetMaxPcieLinkWidth", int)),
    ("nvmlDeviceGetComputeRunningProcesses", ("processes",), _processes),
)
ATTRIBUTES = tuple(key for _, keys, _ in CALLS for key in keys)
