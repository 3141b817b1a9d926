"""GPU memory errors: uncorrected ECC, row remapping, and what the driver wants done about them.

Limits and actions: NVIDIA's GPU memory error management, and the field's recovery actions (field 230, driver 570 and
later: 0 none, 1 reset, 2 node reboot, 3 drain P2P, 4 drain and reset, 5 recover IMEX, 6 bus reset, 7 system reboot).
"""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, warned
from preflight.checks.registry import gpu_check

RECOVERY = {
    1: "reset the GPU",
    2: "reboot the node",
    3: "drain peer-to-peer work",
    4: "drain and reset the GPU",
    5: "recover the IMEX domain",
    6: "reset the bus",
    7: "reboot the system",
}
ONLY_WARN = (3, 5)


@gpu_check(
    "gpu.ecc.uncorrected",
    "ecc_uncorrected_volatile",
    limit=0,
    unit="errors since the driver was loaded",
    remedy="drain, then reset the GPU; hardware service if it comes back",
    each=True,
)
def uncorrected(value: int, limit: float | None) -> Finding | None:
    """Uncorrected ECC errors since the driver was loaded stay at or below the limit."""
    if value > (limit or 0):
        return failed(f"{value} uncorrected ECC errors", observed=value, expected=f"<= {limit or 0:g}")
    return None


@gpu_check(
    "gpu.remap.failure",
    "remap_failure",
    remedy="drain and run the field diagnosis: the board is to be replaced",
    each=True,
)
def remap_failure(value: bool, limit: float | None) -> Finding | None:
    """No row remapping has failed."""
    return failed("a row remapping failed", observed="failed", expected="none") if value else None


@gpu_check(
    "gpu.remap.pending",
    "remap_pending",
    action="warn",
    remedy="reset the GPU when it is idle, so that the remapping takes effect",
    each=True,
)
def remap_pending(value: bool, limit: float | None) -> Finding | None:
    """No row remapping waits for a reset."""
    return failed("a row remapping waits for a GPU reset", observed="pending", expected="none") if value else None


@gpu_check("gpu.recovery", "recovery_action", remedy="do what the driver asks for: see the message", each=True)
def recovery(value: int, limit: float | None) -> Finding | None:
    """The driver asks for no recovery action (field 230, driver 570 and later)."""
    if value == 0:
        return None
    text = RECOVERY.get(value, f"recovery action {value}")
    made = warned if value in ONLY_WARN else failed
    return made(f"the driver asks to {text}", observed=value, expected="0")
