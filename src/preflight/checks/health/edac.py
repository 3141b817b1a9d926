"""Memory errors that were not corrected."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, passed, skipped, untold
from preflight.checks.registry import Context, check
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

HEALTH = ("health",)

MODULE = "ras-mc-ctl --errors names the module; replace it. The processes that had the memory were killed"


@check(
    "memory.uncorrected",
    reads=("edac",),
    phases=HEALTH,
    action="warn",
    limit=0,
    unit="errors",
    remedy=MODULE,
    subject="memory",
    source="EDAC",
)
def uncorrected(context: Context, limit: float | None) -> Iterator[Finding]:
    """No memory controller has counted errors that were not corrected, since its driver was loaded."""
    controllers = context.node.get("edac.controllers")
    if isinstance(controllers, Unknown):
        yield untold(controllers)
        return
    bad = [one for one in controllers if one["uncorrected"] > (limit or 0)]
    for one in bad:
        text = f"{one['uncorrected']} memory errors on {one['name']} were not corrected"
        yield failed(text, subject=one["name"], observed=one["uncorrected"], expected=f"<= {limit or 0:g}")
    if not bad:
        yield passed("no uncorrected memory errors") if controllers else skipped("no EDAC driver counts them")
