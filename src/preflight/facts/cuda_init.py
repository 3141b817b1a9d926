"""cuInit of libcuda, in a child of its own: it makes no context and changes nothing, and may hang."""

from __future__ import annotations

import os

from preflight.facts.answer import Answer
from preflight.facts.rootfs import Root

LIBRARY = "libcuda.so.1"
# CUresult of cuda.h
RESULTS = {
    0: "ok",
    1: "InvalidValue",
    2: "OutOfMemory",
    3: "NotInitialized",
    34: "StubLibrary",
    36: "CallRequiresNewerDriver",
    46: "DeviceUnavailable",
    100: "NoDevice",
    101: "InvalidDevice",
    201: "InvalidContext",
    304: "OperatingSystem",
    800: "NotPermitted",
    801: "NotSupported",
    802: "SystemNotReady",
    803: "SystemDriverMismatch",
    804: "CompatNotSupportedOnDevice",
    999: "Unknown",
}


def start(root: Root) -> Answer:
    """Return subject ``cuda``; announces each call before it is made."""
    import ctypes

    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        os.environ.pop(name, None)  # of the child alone
    root.touch(f"loading {LIBRARY}")
    try:
        library = ctypes.CDLL(_path(root.source.nvml_library))
    except OSError:
        return Answer({"result": "LibraryNotFound", "devices": None, "version": None})
    number = ctypes.c_int(0)
    version = None
    if library.cuDriverGetVersion(ctypes.byref(number)) == 0:
        version = f"{number.value // 1000}.{number.value % 1000 // 10}"
    root.touch("cuInit")
    code = int(library.cuInit(0))
    if code:
        return Answer({"result": RESULTS.get(code, f"Error{code}"), "devices": None, "version": version})
    root.touch("cuDeviceGetCount")
    code = int(library.cuDeviceGetCount(ctypes.byref(number)))
    count = None if code else number.value
    return Answer({"result": RESULTS.get(code, f"Error{code}"), "devices": count, "version": version})


def _path(nvml_library: str) -> str:
    """Return libcuda beside libnvidia-ml where the policy names that and it is there, else the loader's."""
    beside = os.path.join(os.path.dirname(nvml_library), LIBRARY)
    return beside if nvml_library and os.path.exists(beside) else LIBRARY
