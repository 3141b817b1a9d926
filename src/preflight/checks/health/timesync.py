"""The clock is synchronised, whichever daemon does it: munge's credentials live for five minutes."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, first_unknown, passed, skipped, untold
from preflight.checks.registry import Context, check
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

HEALTH = ("health",)
NO_NEWS_S = 16  # where the kernel stops counting (NTP_PHASE_LIMIT, kernel/time/ntp.c): nobody has told it for hours

SYNC = "chronyc tracking, timedatectl timesync-status or pmc: is there a time server, and does it answer?"


@check(
    "time.synchronised",
    reads=("timesync",),
    phases=HEALTH,
    action="warn",
    remedy=SYNC,
    subject="clock",
    source="adjtimex",
)
def synchronised(context: Context, limit: float | None) -> Iterator[Finding]:
    """The kernel's clock is synchronised with other clocks."""
    value, bound = context.node.get("timesync.synchronised"), context.node.get("timesync.error_s")
    if isinstance(value, Unknown):
        yield untold(value)
    elif value:
        yield passed("the clock is synchronised")
    elif not isinstance(bound, Unknown) and bound < NO_NEWS_S:
        yield skipped("the kernel is not told: chronyd without rtcsync?")
    else:
        yield failed("nothing synchronises the clock", observed="STA_UNSYNC")


@check(
    "time.error",
    reads=("timesync",),
    phases=HEALTH,
    action="warn",
    limit=4,  # systemd-timesyncd's grows to a second and more between its polls, up to 2048 s apart
    unit="s",
    remedy=SYNC,
    subject="clock",
    source="adjtimex",
)
def error(context: Context, limit: float | None) -> Iterator[Finding]:
    """The clock is not off by more than the limit, as the kernel estimates at most."""
    value, works = context.node.get("timesync.error_s"), context.node.get("timesync.synchronised")
    unclear = first_unknown(value, works)
    bound = f"<= {limit or 0:g} s"
    if unclear:
        yield untold(unclear)
    elif not works:
        yield skipped("the clock is not synchronised: no estimate counts")
    elif value > (limit or 0):
        yield failed(f"the clock may be off by {value:.1f} s", observed=f"{value:.3f} s", expected=bound)
    else:
        yield passed(f"the clock is off by at most {value * 1000:.1f} ms", observed=f"{value:.3f} s", expected=bound)
