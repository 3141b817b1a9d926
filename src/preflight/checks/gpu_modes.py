"""Modes of a GPU that wait for a reset."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed
from preflight.checks.registry import gpu_check

RESET = "reset the GPU when it is idle, or reboot the node"


@gpu_check("gpu.ecc.pending", ("ecc", "ecc_pending"), action="warn", remedy=RESET)
def ecc_pending(now: bool, then: bool, limit: float | None) -> Finding | None:
    """No change of a GPU's ECC mode waits for a reset."""
    if now == then:
        return None
    return failed(f"ECC is {_on(now)} and will be {_on(then)} after a reset", observed=_on(now), expected=_on(then))


@gpu_check("gpu.mig.pending", ("mig", "mig_pending"), action="warn", remedy=RESET)
def mig_pending(now: bool, then: bool, limit: float | None) -> Finding | None:
    """No change of a GPU's MIG mode waits for a reset."""
    if now == then:
        return None
    return failed(f"MIG is {_on(now)} and will be {_on(then)} after a reset", observed=_on(now), expected=_on(then))


def _on(mode: bool) -> str:
    return "on" if mode else "off"
