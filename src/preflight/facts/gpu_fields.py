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
    """Return ({attribute: value}, {attribute: error}) of ``wanted``, {attribute: field id}, by one call."""
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, one in zip(wanted, numbers(nvml, handle, list(wanted.values()))):
        if isinstance(one, str):
            errors[name] = one
        else:
            values[name] = bool(one) if name in FLAGS else one
    return values, errors


def numbers(nvml: Any, handle: Handle, wanted: list[Any]) -> list[int | str]:
    """Return of each field in ``wanted`` its number, or the name of NVML's error; a field is an id, or (id, scope).

    A driver that does not know a field calls it an invalid argument: the GPU does not have it then.
    """
    found: list[int | str] = []
    for field in call(nvml, "nvmlDeviceGetFieldValues", handle, wanted):
        if field.nvmlReturn:
            refused = error_name(field.nvmlReturn)
            found.append(NOT_SUPPORTED if refused == "InvalidArgument" else refused)
        elif field.valueType not in _VALUES:
            found.append("InvalidState")
        else:
            found.append(int(getattr(field.value, _VALUES[field.valueType])))
    return found
