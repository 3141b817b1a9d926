"""The node's clock: ages of records, leases and credentials are counted by it."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, passed
from preflight.checks.registry import Context, check

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

REMEDY = "look at the time service (chronyc tracking, timedatectl); old records stay until no jump was seen for a week"


@check("clock", reads=(), phases=("health",), action="warn", remedy=REMEDY, subject="clock", source="CLOCK_BOOTTIME")
def clock(context: Context, limit: float | None) -> Iterator[Finding]:
    """The wall clock has not jumped by an hour or more since the last health check of this boot, nor in a week."""
    jump = context.clock_jump_s
    if not jump:
        yield passed("the clock did not jump")
        return
    message = f"the clock jumped {abs(jump) / 3600:.1f} hours {'forward' if jump > 0 else 'back'}"
    yield failed(message, expected="no jump", observed=f"{jump:.0f} s")
