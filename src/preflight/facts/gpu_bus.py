"""What NVML says beside a GPU's own sensors: its place in the NVSwitch fabric, and the GPUs that it leaves out."""

from __future__ import annotations

import sys

from preflight.facts.nvml import NOT_SUPPORTED, Fault, call

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

UUID_BYTES = 16  # NVML_GPU_FABRIC_UUID_LEN


def fabric(nvml: Any, handle: Any) -> tuple[int, int, int, int]:
    """Return (state, status, health mask, health summary) of the GPU's registration with its NVLink fabric.

    ``state``: 0 not supported, 1 not started, 2 in progress, 3 completed; ``status``, an nvmlReturn_t, holds once
    completed (nvmlGpuFabricState_t of nvml.h). The mask (driver 545 and later) and the summary (570 and later) are 0
    where the driver, or an nvidia-ml-py of release 12, has none. Drivers before 525 know no fabric, and run no GPU that
    has one.
    """
    second = "c_nvmlGpuFabricInfo_v2_t"
    for function, kind in (
        ("nvmlDeviceGetGpuFabricInfoV", "c_nvmlGpuFabricInfo_v3_t"),
        # nvidia-ml-py 12.570 and 12.575 have it by its former name alone.
        ("nvmlDeviceGetGpuFabricInfoV", second if hasattr(nvml, second) else "c_nvmlGpuFabricInfoV_t"),
        ("nvmlDeviceGetGpuFabricInfo", "c_nvmlGpuFabricInfo_t"),
    ):
        if not hasattr(nvml, function) or not hasattr(nvml, kind):
            continue
        info = getattr(nvml, kind)()  # sets its own version
        try:
            call(nvml, function, handle, _reference(nvml)(info))
        except Fault as fault:
            if fault.name in ("FunctionNotFound", "ArgumentVersionMismatch"):
                continue
            raise
        return _words(info)
    if not hasattr(nvml, "nvmlDeviceGetGpuFabricInfo"):
        raise Fault("FunctionNotFound")
    raise Fault(NOT_SUPPORTED)


def _words(info: Any) -> tuple[int, int, int, int]:
    """Return (state, status, health mask, health summary), 0 for what its version has not.

    NVML writes a cluster's UUID of 16 bytes (nvml.h). A binding may have 80 there: nvidia-ml-py's first version up to
    13.590, its second in 12.550. Each word stands so much further ahead then than the binding says.
    """
    kind = type(info)
    uuid = getattr(kind, "clusterUuid", None)  # the hooks' own binding has no such layouts, and the right ones
    ahead = 0 if uuid is None else uuid.size - UUID_BYTES
    raw = bytes(info) if ahead else b""

    def word(name: str) -> int:
        field = getattr(kind, name, None)
        if field is None or not ahead:
            return int(getattr(info, name, 0))
        return int.from_bytes(raw[field.offset - ahead :][: field.size], sys.byteorder)

    return word("state"), word("status"), word("healthMask"), word("healthSummary")


def _reference(nvml: Any) -> Callable[[Any], Any]:
    """Return what makes a function's argument of a structure: pynvml has ctypes' own."""
    own: Callable[[Any], Any] | None = getattr(nvml, "byref", None)
    if own is not None:
        return own
    from ctypes import byref

    return byref


def excluded(nvml: Any) -> list[dict[str, str | None]]:
    """Return {bus_id} of each GPU that the administrator excluded from the driver; bus_id None where NVML keeps it.

    Raises Fault where NVML does not tell how many; a platform that has no such thing (Jetson) excludes none.
    """
    try:
        count = min(int(call(nvml, "nvmlGetExcludedDeviceCount")), 64)
    except Fault as fault:
        if fault.name != NOT_SUPPORTED:
            raise
        return []
    found: list[dict[str, str | None]] = []
    for index in range(count):
        try:
            info = call(nvml, "nvmlGetExcludedDeviceInfoByIndex", index)
            bus = (info.pci if hasattr(info, "pci") else info.pciInfo).busId
            found.append({"bus_id": bus.decode("ascii", "replace") if isinstance(bus, bytes) else str(bus)})
        except (Fault, AttributeError, UnicodeError):
            found.append({"bus_id": None})
    return found
