"""Many numbers of a GPU in one call: nvmlDeviceGetFieldValues."""

from __future__ import annotations

from preflight.facts.nvml import NOT_SUPPORTED, call, error_name

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    Handle = Any

# Fields of nvmlDeviceGetFieldValues (NVML_FI_DEV_…): one call for all of them. NS are counters in nanoseconds.
RECOVERY = {"recovery_action": 230}  # driver 570 and later
FLAGS = ("retired_pending",)
_VALUES = {1: "uiVal", 2: "ulVal", 3: "ullVal", 4: "sllVal", 5: "siVal", 6: "usVal"}


def fields(nvml: Any, handle: Handle, wanted: dict[str, int]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return ({attribute: value}, {attribute: error}) of ``wanted``, {attribute: field id}, by one call.

    A driver that does not know a field calls it an invalid argument: the GPU does not have it then.
    """
    told = call(nvml, "nvmlDeviceGetFieldValues", handle, list(wanted.values()))
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, field in zip(wanted, told):
        if field.nvmlReturn:
            refused = error_name(field.nvmlReturn)
            errors[name] = NOT_SUPPORTED if refused == "InvalidArgument" else refused
        elif field.valueType not in _VALUES:
            errors[name] = "InvalidState"
        else:
            number = int(getattr(field.value, _VALUES[field.valueType]))
            values[name] = bool(number) if name in FLAGS else number
    return values, errors
