"""Xid errors: what one means and what to do about it."""

from __future__ import annotations

from preflight.catalog.tables import SHIPPED, Tables
from preflight.tuples import NamedTuple


class Xid(NamedTuple):
    """One Xid.

    ``category`` is application, driver, hardware, info, memory, nvlink, pcie or unused; ``application`` whether a
    program can cause it; ``action`` what to do; ``source`` the documents and what each says.
    """

    code: int
    name: str
    category: str
    application: bool
    action: str
    source: str


def xid(code: int, tables: Tables = SHIPPED) -> Xid | None:
    """Return what is known of an Xid, None where the catalog does not have it."""
    row = tables.find("xids", "code", code)
    if row is None:
        return None
    told = row.get("detail") or "; ".join(row["source"])
    return Xid(
        code,
        row.get("name", ""),
        row.get("category", "unknown"),
        bool(row.get("application", False)),
        row.get("action", ""),
        told,
    )


DRAIN, WARN, OFF = "drain", "warn", "off"
AS_48 = (171, 172)  # they only tell where an Xid 48 was
DECODED = range(144, 151)  # the state of the NVLink sub-unit in the text decides
RECOVERY_ACTION = 154  # the number in the text decides: NVML's nvmlDeviceGpuRecoveryAction_t
BY_ACTION = {0: OFF, 1: DRAIN, 2: DRAIN, 3: WARN, 4: DRAIN, 5: WARN, 6: DRAIN, 7: DRAIN}


RESET, REBOOT = "RESET", "REBOOT"
CURE_BY_LEVEL = {1: RESET, 2: REBOOT, 4: RESET, 6: RESET, 7: REBOOT}


def cure(code: int | None, level: int | None = None, tables: Tables = SHIPPED) -> str:
    """Return what the catalog asks for after an Xid: RESET (of the GPU), REBOOT (of the node), "" for neither.

    ``level`` is the recovery action of a 154. Where the row names both, the lesser one.
    """
    if code == RECOVERY_ACTION:
        return CURE_BY_LEVEL.get(level or 0, "")
    row = None if code is None else xid(code, tables)
    if row is None:
        return ""
    return RESET if "reset" in row.action else REBOOT if "reboot" in row.action else ""


class Effect(NamedTuple):
    """What an Xid is worth: ``action`` DRAIN, WARN or OFF; ``user``: a program's own doing, by itself no fault here."""

    action: str
    user: bool = False


def effect(code: int | None, severity: str = "", level: int | None = None, tables: Tables = SHIPPED) -> Effect:
    """Return what to make of an Xid. ``severity`` is an NVLink5 Xid's state, ``level`` the recovery action of a 154.

    By the catalog's row: DRAIN where its action says so, nothing where a program alone can cause it, WARN for all else
    and for a number that the catalog does not have.
    """
    if code in DECODED:
        return Effect(DRAIN if severity == "fatal" else WARN)
    if code == RECOVERY_ACTION:
        return Effect(WARN if level is None else BY_ACTION.get(level, WARN))
    row = None if code is None else xid(code, tables)
    if row is None:
        return Effect(WARN)
    if row.application and row.category in ("application", "driver", "nvlink"):
        return Effect(OFF, user=True)
    if row.category == "info":
        return Effect(OFF)
    drains = row.action.startswith(DRAIN) or row.action.startswith("older GPUs: drain") or code in AS_48
    return Effect(DRAIN if drains else WARN)
