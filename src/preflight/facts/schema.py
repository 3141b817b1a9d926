"""The shape of a facts document, and of each value in it; for files, which may be old, foreign or hostile."""

from typing import Any

MAX_NUMBER = 1 << 63
MAX_TEXT = 4096
MAX_ITEMS = 50_000

TEXT, COUNT, NUMBER, FLAG = "text", "whole number", "number", "true or false"
TEXTS, COUNTS = "list of texts", "list of whole numbers"
# (kind, may be null); a tuple of rows is a list of objects with those keys.
Rows = dict[str, tuple[Any, bool]]

_PROCESS: Rows = {"pid": (COUNT, False), **dict.fromkeys(("used_memory", "gi", "ci", "job"), (COUNT, True))}
_MIG: Rows = {
    "index": (COUNT, False),
    **dict.fromkeys(("uuid", "name", "profile"), (TEXT, True)),
    **dict.fromkeys(("gi", "ci", "memory"), (COUNT, True)),
    "caps": (COUNTS, True),
    "errors": ("object of texts", False),
}
_PORT: Rows = {"device": (TEXT, False), "port": (COUNT, False), "state": (TEXT, False), "rate": (NUMBER, True)}
_EXCLUDED: Rows = {"bus_id": (TEXT, True)}
_PCI_GPU: Rows = {
    **dict.fromkeys(("device", "driver"), (TEXT, True)),
    **dict.fromkeys(("bus_id", "class"), (TEXT, False)),
    "listed": (FLAG, True),
}
GPU: Rows = {
    **dict.fromkeys(("name", "uuid", "bus_id", "compute_capability", "error"), (TEXT, True)),
    **dict.fromkeys(("ecc", "ecc_pending", "remap_pending", "remap_failure", "mig"), (FLAG, True)),
    **dict.fromkeys(("minor", "memory", "memory_used", "recovery_action", "nvlink"), (COUNT, True)),
    **dict.fromkeys(("ecc_uncorrected_volatile", "ecc_uncorrected_aggregate"), (COUNT, True)),
    **dict.fromkeys(("remap_correctable", "remap_uncorrectable"), (COUNT, True)),
    **dict.fromkeys(("temperature", "pcie_width", "pcie_width_max", "fabric_state", "fabric_status"), (COUNT, True)),
    "index": (COUNT, False),
    "processes": (_PROCESS, True),
    "mig_devices": (_MIG, True),
    "errors": ("object of texts", False),
}
SUBJECTS: dict[str, Rows] = {
    "os": {
        **dict.fromkeys(("version", "name", "codename", "variant", "support_end", "l4t"), (TEXT, True)),
        "id": (TEXT, False),
        "like": (TEXTS, False),
    },
    "kernel": {"release": (TEXT, False)},
    "arch": {"machine": (TEXT, False)},
    "libc": {"glibc": (TEXT, True)},
    "cpu": {"count": (COUNT, False)},
    "memory": {"total": (COUNT, False), "available": (COUNT, False)},
    "tmp": {"path": (TEXT, False), "size": (COUNT, False), "free": (COUNT, False)},
    "shm": {"path": (TEXT, False), "size": (COUNT, False), "free": (COUNT, False)},
    "mounts": {
        **dict.fromkeys(("paths", "automounts", "remote", "users"), (TEXTS, False)),
        "links": ({"path": (TEXT, False), "to": (TEXT, False)}, False),
    },
    "remote": {"mounts": ({"path": (TEXT, False), "type": (TEXT, False), "error": (TEXT, True)}, False)},
    "toolkits": {
        "versions": (TEXTS, False),
        "items": ({"version": (TEXT, True), "path": (TEXT, False), "nvcc": (FLAG, False)}, False),
        "compat": ({"path": (TEXT, False), "driver": (TEXT, False)}, False),
    },
    "install": {
        "kernels": (TEXTS, False),
        "reboot": (TEXTS, False),
        "cdi": ({"path": (TEXT, False), "driver": (TEXT, True)}, False),
        "libraries": ({"path": (TEXT, False), "version": (TEXT, True), "problem": (TEXT, True)}, False),
        **dict.fromkeys(("headers", "dkms", "nvswitch"), (FLAG, False)),
        **dict.fromkeys(("fabric_manager", "lockdown", "module"), (TEXT, True)),
        "secure_boot": (FLAG, True),
    },
    "driver": {**dict.fromkeys(("version", "cuda", "module", "nvml"), (TEXT, True)), "slow": ("object", True)},
    "gpus": {
        "count": (COUNT, False),
        "devices": (GPU, False),
        "stuck_at": (TEXT, True),
        "excluded": (_EXCLUDED, False),
    },
    "pci": {"gpus": (_PCI_GPU, False), "confined": (TEXT, True)},
    "modules": {"names": (TEXTS, False), "aliases": (TEXTS, False), "unread": (FLAG, False), "system": (TEXT, True)},
    "container": {"runtimes": (TEXTS, False)},
    "ib": {"ports": (_PORT, False), "roce": (_PORT, False), "rate": (NUMBER, True)},
}


class FactsError(ValueError):
    """A facts document that can't be used; one line that names what is wrong in it."""


def check_facts(facts: dict[str, Any]) -> None:
    """Raise FactsError where a known key holds a value of another kind; unknown subjects and keys pass."""
    for subject, values in facts.items():
        _object(values, f"facts.{subject}")
        _rows(values, SUBJECTS.get(subject, {}), f"facts.{subject}")
    devices = facts.get("gpus", {}).get("devices") or []
    for position, device in enumerate(devices):
        if "index" not in device:
            raise FactsError(f"facts.gpus.devices[{position}] has no index")


def _rows(values: dict[str, Any], rows: Rows, at: str) -> None:
    for key, (kind, nullable) in rows.items():
        if key in values and not (nullable and values[key] is None):
            _value(values[key], kind, f"{at}.{key}")


def _value(value: Any, kind: Any, at: str) -> None:
    if isinstance(kind, dict):
        for position, item in enumerate(_list(value, at, "list of objects")):
            _object(item, f"{at}[{position}]")
            _rows(item, kind, f"{at}[{position}]")
    elif kind in (TEXTS, COUNTS):
        for position, item in enumerate(_list(value, at, kind)):
            _value(item, TEXT if kind == TEXTS else COUNT, f"{at}[{position}]")
    elif kind == "object":
        _object(value, at)
        _rows(value, {"took_s": (NUMBER, False), "call": (TEXT, False), "call_s": (NUMBER, False)}, at)
    elif kind == "object of texts":
        _object(value, at)
        for key, item in value.items():
            _value(item, TEXT, f"{at}.{key}"[:200])
    elif not _is(value, kind):
        raise FactsError(f"{at} must be a {kind}, not {_shown(value)}")


def _is(value: Any, kind: str) -> bool:
    if kind == TEXT:
        return isinstance(value, str) and len(value) <= MAX_TEXT
    if kind == FLAG:
        return isinstance(value, bool)
    number = isinstance(value, int) or (kind == NUMBER and isinstance(value, float))
    return number and not isinstance(value, bool) and 0 <= value <= MAX_NUMBER  # NaN compares false


def _list(value: Any, at: str, kind: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise FactsError(f"{at} must be a {kind}, not {_shown(value)}")
    return value


def _object(value: Any, at: str) -> None:
    if not isinstance(value, dict):
        raise FactsError(f"{at[:200]} must be an object, not {_shown(value)}")


def _shown(value: Any) -> str:
    """Return a value, short and printable, for an error message."""
    if isinstance(value, (dict, list)):
        return f"a{'n object' if isinstance(value, dict) else ' list'} of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_NUMBER:
        return "a number too large"
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
