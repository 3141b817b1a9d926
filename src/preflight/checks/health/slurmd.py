"""slurmd's limits: what a job inherits (Slurm FAQ: memlock for InfiniBand; PropagateResourceLimits)."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, first_unknown, passed, skipped, untold
from preflight.checks.registry import Context, check
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

HEALTH = ("health",)

UNIT = "LimitMEMLOCK=infinity and LimitNOFILE= in slurmd.service; PropagateResourceLimitsExcept=MEMLOCK in slurm.conf"


@check(
    "slurmd.memlock", reads=("slurmd", "ib"), phases=HEALTH, action="warn", remedy=UNIT, subject="slurmd", blame="site"
)
def memlock(context: Context, limit: float | None) -> Iterator[Finding]:
    """Where InfiniBand is, processes of jobs may lock as much memory as they like: RDMA registers it."""
    runs, ports = context.node.get("slurmd.running"), context.node.get("ib.ports")
    unclear = first_unknown(runs, ports)
    value = None if unclear or not runs else context.node.get("slurmd.memlock")
    if unclear:
        yield untold(unclear)
    elif not runs or not ports:
        yield skipped("no InfiniBand, or slurmd does not run here")
    elif isinstance(value, Unknown):
        yield untold(value)
    elif value is None:
        yield passed("slurmd may lock all memory", observed="unlimited")
    else:
        yield failed(f"slurmd may lock {value >> 10} KiB of memory only", observed=value, expected="unlimited")


@check(
    "slurmd.open_files",
    reads=("slurmd",),
    phases=HEALTH,
    action="warn",
    limit=4096,
    unit="files",
    remedy=UNIT,
    subject="slurmd",
    blame="site",
)
def open_files(context: Context, limit: float | None) -> Iterator[Finding]:
    """slurmd, and with it a job, may have as many files open as the limit (slurmd.service has LimitNOFILE=131072)."""
    runs = context.node.get("slurmd.running")
    value = context.node.get("slurmd.open_files") if runs is True else None
    unclear = first_unknown(runs, value)
    bound = f">= {limit or 0:g}"
    if unclear:
        yield untold(unclear)
    elif not runs:
        yield skipped("slurmd does not run here")
    elif value is not None and value < (limit or 0):
        yield failed(f"slurmd may open {value} files only", observed=value, expected=bound)
    else:
        yield passed("slurmd may open enough files", observed="unlimited" if value is None else value, expected=bound)
