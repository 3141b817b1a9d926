"""The node's clock: ages of records, leases and credentials are counted by it."""

from __future__ import annotations

from preflight.checks.finding import Finding
from preflight.checks.registry import Context, check

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

REMEDY = "look at the time service (chronyc tracking, timedatectl); old records stay until no jump was seen for a week"


@check("clock", reads=(), phases=("health",), action="warn", remedy=REMEDY)
def clock(context: Context, limit: float | None) -> Iterator[Finding]:
    """The wall clock has not jumped by an hour or more since the last health check of this boot, nor in a week."""
    jump = context.clock_jump_s
    if not jump:
        yield Finding("clock", "pass", "node", "clock", None, None, "the clock did not jump", None, None)
        return
    message = f"the clock jumped {abs(jump) / 3600:.1f} hours {'forward' if jump > 0 else 'back'}"
    yield Finding("clock", "fail", "node", "clock", "no jump", f"{jump:.0f} s", message, REMEDY, "CLOCK_BOOTTIME")
