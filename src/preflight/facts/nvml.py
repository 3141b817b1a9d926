"""NVML through pynvml: loading it, and its errors by name. Only ever used in a probe child."""

import sys
from typing import Any

OK = "ok"
TIMEOUT = "Timeout"
NOT_SUPPORTED = "NotSupported"
# A condition of the whole GPU, whichever call reports it.
GPU_ERRORS = ("GpuIsLost", "ResetRequired")
ERRORS = {
    1: "Uninitialized",
    2: "InvalidArgument",
    3: NOT_SUPPORTED,
    4: "NoPermission",
    5: "AlreadyInitialized",
    6: "NotFound",
    7: "InsufficientSize",
    8: "InsufficientPower",
    9: "DriverNotLoaded",
    10: TIMEOUT,
    11: "IrqIssue",
    12: "LibraryNotFound",
    13: "FunctionNotFound",
    14: "CorruptedInforom",
    15: "GpuIsLost",
    16: "ResetRequired",
    17: "OperatingSystem",
    18: "LibRmVersionMismatch",
    19: "InUse",
    20: "Memory",
    21: "NoData",
    22: "VgpuEccNotSupported",
    23: "InsufficientResources",
    24: "FreqNotSupported",
    25: "ArgumentVersionMismatch",
    26: "Deprecated",
    27: "NotReady",
    28: "GpuNotFound",
    29: "InvalidState",
    30: "ResetTypeNotSupported",
    999: "Unknown",
}


class Fault(Exception):
    """A call that NVML refused; ``name`` is one of ERRORS, or says what went wrong on our side."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def load(library: str = "") -> Any:
    """Return pynvml with libnvidia-ml loaded, not yet initialized.

    ``library``: path of libnvidia-ml.so.1 where the loader does not find it by itself: loaded first, it answers
    pynvml's own dlopen by its SONAME. Raises Fault("LibraryNotFound"), before pynvml is imported where the library
    is not there at all.
    """
    import ctypes

    try:
        ctypes.CDLL(library or "libnvidia-ml.so.1")
    except OSError:
        raise Fault("LibraryNotFound") from None
    return _import_pynvml()


def call(nvml: Any, name: str, *arguments: Any) -> Any:
    """Return ``nvml.name(*arguments)``; raises Fault.

    FunctionNotFound stands for a function that this pynvml lacks, or the library. For an unversioned function whose
    newest version the library lacks, pynvml raises NVMLLibraryMismatchError, which is no NVMLError.
    """
    function = getattr(nvml, name, None)
    if function is None:
        raise Fault("FunctionNotFound")
    try:
        return function(*arguments)
    except nvml.NVMLError as error:
        raise Fault(error_name(error.value)) from None
    except Exception as error:  # also text that is not UTF-8
        what = type(error).__name__
        raise Fault("FunctionNotFound" if what == "NVMLLibraryMismatchError" else what) from None


def error_name(code: Any) -> str:
    """Return the name of an nvmlReturn_t ("GpuIsLost"); "Error77" for one that is not known."""
    return ERRORS.get(code, f"Error{code}")


def _import_pynvml() -> Any:
    """Import pynvml with a stand-in for ctypes.util: it imports find_library, never calls it, and that costs 10 ms."""
    real = sys.modules.get("ctypes.util")
    if real is None:
        stand_in = type(sys)("ctypes.util")
        stand_in.__dict__["find_library"] = lambda name: None
        sys.modules["ctypes.util"] = stand_in
    try:
        import pynvml
    except ImportError:
        raise Fault("BindingNotFound") from None
    finally:
        if real is None:
            sys.modules.pop("ctypes.util", None)
    return pynvml
