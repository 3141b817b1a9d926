"""NVML: loading it, by pynvml or, in a prolog, without; and its errors by name. Only ever used in a probe child."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

OK = "ok"
TIMEOUT = "Timeout"
NOT_SUPPORTED = "NotSupported"
ABSENT = ("LibraryNotFound", "DriverNotLoaded")  # no driver here
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


def load(library: str = "", lean: bool = False) -> Any:
    """Return pynvml with libnvidia-ml loaded, not yet initialized.

    ``lean``: for a process that makes a prolog's calls and ends, what makes them without pynvml.
    ``library``: path of libnvidia-ml.so.1 where the loader does not find it by itself: loaded first, it answers
    pynvml's own dlopen by its SONAME. Raises Fault("LibraryNotFound"), before pynvml is imported where the library
    is not there at all.
    """
    if lean:
        try:
            from preflight.facts.nvml_direct.calls import Direct
        except (ImportError, AttributeError, TypeError):  # a Python whose _ctypes is another: pynvml knows it
            pass
        else:
            return Direct(library)
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


def as_fault(error: Fault | UnicodeError) -> Fault:
    """Return a call's fault; text that is not UTF-8 is one, wherever it is turned."""
    return error if isinstance(error, Fault) else Fault(type(error).__name__)


def error_name(code: Any) -> str:
    """Return the name of an nvmlReturn_t ("GpuIsLost"); "Error77" for one that is not known."""
    return ERRORS.get(code, f"Error{code}")


def _import_pynvml() -> Any:
    """Import pynvml with stand-ins for two modules that it hardly uses: together they cost 15 ms.

    ctypes.util: find_library is imported and never called. string: one call of capwords, and the module brings re. A
    pynvml that uses more of them is imported again with the real ones.
    """
    stand_ins: dict[str, dict[str, Any]] = {
        "ctypes.util": {"find_library": lambda name: None},
        "string": {"capwords": lambda text, sep=None: (sep or " ").join(map(str.capitalize, text.split(sep)))},
    }
    try:
        return _imported_with(stand_ins)
    except AttributeError:
        sys.modules.pop("pynvml", None)
        return _imported_with({})


def _imported_with(stand_ins: dict[str, dict[str, Any]]) -> Any:
    absent = [name for name in stand_ins if name not in sys.modules]
    for name in absent:
        module = type(sys)(name)
        module.__dict__.update(stand_ins[name])
        sys.modules[name] = module
    try:
        import pynvml
    except ImportError:
        raise Fault("BindingNotFound") from None
    finally:
        for name in absent:
            del sys.modules[name]
    return pynvml
