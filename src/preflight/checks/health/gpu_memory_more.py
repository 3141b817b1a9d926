"""GPU memory that wears out: corrected errors, SRAM, retired pages, spare rows, repairs.

Limits: NVIDIA's guides to memory errors and page retirement, and DCGM's own (63 retired pages, 512 remapped rows). A
bank of SRAM is past its threshold with more than 4 parity or 2 SECDED errors at different addresses.
"""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, skipped
from preflight.checks.registry import gpu_check

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

LATER = ("epilog", "health")
DIAGNOSE = "drain and run the field diagnosis: the board is to be replaced"
WATCH = "watch it: have the board looked at when the number grows"
RESET = "reset the GPU when it is idle, or reboot the node"


@gpu_check(
    "gpu.ecc.corrected",
    "ecc_corrected_volatile",
    phases=LATER,
    action="warn",
    limit=10_000,
    unit="errors since the driver was loaded",
    remedy=WATCH,
)
def corrected(value: int, limit: float | None) -> Finding | None:
    """Corrected ECC errors since the driver was loaded stay at or below the limit."""
    return _above(value, limit, "corrected ECC errors")


@gpu_check("gpu.ecc.sram", "ecc_sram_threshold", phases=LATER, remedy=DIAGNOSE)
def sram(exceeded: bool, limit: float | None) -> Finding | None:
    """No SRAM bank has had more uncorrected errors than the board's threshold."""
    return failed("a bank of SRAM is past its error threshold", observed="exceeded") if exceeded else None


PARITY, SECDED = 4, 2  # errors at different addresses of one bank that the board bears


@gpu_check(
    "gpu.ecc.sram.bank",
    ("ecc_sram_uncorrected", "ecc_sram_unique?", "ecc_sram_units?"),
    phases=LATER,
    action="warn",
    remedy=WATCH,
)
def sram_bank(now: int, single: list[Any] | None, units: dict[str, int] | None, limit: float | None) -> Finding | None:
    """No SRAM bank is one uncorrected error away from the board's threshold."""
    if single is not None:
        banks: dict[tuple[Any, ...], int] = {}
        for one in single:
            bank = (one["unit"], one["location"], one["sublocation"], one["parity"])
            banks[bank] = banks.get(bank, 0) + 1
        for (unit, location, _, parity), count in banks.items():
            if count >= (PARITY if parity else SECDED):
                kind = "parity" if parity else "SECDED"
                text = f"{count} uncorrected {kind} errors in one bank of SRAM (unit {unit}, location {location})"
                return failed(text, observed=count, expected=f"< {PARITY if parity else SECDED}")
        return None
    name, most = max((units or {"": 0}).items(), key=lambda row: row[1])
    if most < PARITY:
        return None  # the least that a bank bears of the harmless kind: below it nothing is near
    return failed(
        f"{most} uncorrected errors in SRAM of {name} since the board was made", observed=most, expected="< 4"
    )


WHERE = "drain and reset the GPU; hardware service if it comes back (SRAM and caches: field diagnosis)"


@gpu_check("gpu.ecc.location", "ecc_locations", phases=LATER, action="warn", limit=0, unit="errors", remedy=WHERE)
def location(found: dict[str, int], limit: float | None) -> Finding | None:
    """No part of a GPU (DRAM, SRAM; before Turing each cache) had an uncorrected ECC error since the driver's load."""
    bad = {name: count for name, count in found.items() if count > (limit or 0)}
    if not bad:
        return skipped("tells no location") if not found else None
    text = ", ".join(f"{count} in {NAMES.get(name, name)}" for name, count in bad.items())
    return failed(f"uncorrected ECC errors: {text}", observed=text, expected=f"<= {limit or 0:g}")


NAMES = {"dram": "DRAM", "sram": "SRAM", "l1": "L1", "l2": "L2", "register_file": "the register file"}
NAMES |= {"texture": "texture memory", "texture_shm": "shared memory", "cbu": "the control unit"}


@gpu_check(
    "gpu.retired.pages",
    ("retired_single_bit", "retired_double_bit"),
    phases=LATER,
    limit=62,
    unit="pages",
    remedy=DIAGNOSE,
)
def retired(single: int, double: int, limit: float | None) -> Finding | None:
    """No more memory pages are retired than the limit (Turing and earlier; 64 is all that the board can)."""
    return _above(single + double, limit, "retired pages")


@gpu_check(
    "gpu.retired.double_bit",
    "retired_double_bit",
    phases=LATER,
    action="warn",
    limit=15,
    unit="pages",
    remedy=WATCH,
)
def double_bit(value: int, limit: float | None) -> Finding | None:
    """No more pages are retired for double-bit errors than the limit."""
    return _above(value, limit, "pages retired for double-bit errors")


@gpu_check("gpu.retired.pending", "retired_pending", phases=LATER, action="warn", remedy=RESET)
def retired_pending(value: bool, limit: float | None) -> Finding | None:
    """No page waits to be retired."""
    return failed("a page waits to be retired", observed="pending", expected="none") if value else None


@gpu_check(
    "gpu.remap.rows",
    "remap_uncorrectable",
    phases=LATER,
    action="warn",
    limit=511,
    unit="rows",
    remedy=DIAGNOSE,
)
def rows(value: int, limit: float | None) -> Finding | None:
    """No more rows are remapped for uncorrectable errors than the limit."""
    return _above(value, limit, "rows remapped for uncorrectable errors")


@gpu_check("gpu.remap.banks", ("remap_banks_none", "remap_banks_low"), phases=LATER, action="warn", remedy=WATCH)
def banks(none: int, low: int, limit: float | None) -> Finding | None:
    """Each bank has spare rows for remapping."""
    if not none and not low:
        return None
    return failed(f"{none} banks have no spare row, {low} few", observed=f"{none} none, {low} low", expected="0")


@gpu_check("gpu.repair.pending", "repair_pending", phases=LATER, action="warn", remedy=RESET)
def repair(pending: bool, limit: float | None) -> Finding | None:
    """No repair of a memory channel or a TPC waits for a reset."""
    return failed("a repair waits for a GPU reset", observed="pending", expected="none") if pending else None


@gpu_check("gpu.memory.unrepairable", "unrepairable", phases=LATER, remedy=DIAGNOSE)
def unrepairable(flag: bool, limit: float | None) -> Finding | None:
    """No memory is beyond repair."""
    return failed("memory cannot be repaired", observed="unrepairable") if flag else None


def _above(value: int, limit: float | None, what: str) -> Finding | None:
    if value <= (limit or 0):
        return None
    return failed(f"{value} {what}", observed=value, expected=f"<= {limit or 0:g}")
