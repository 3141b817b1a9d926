"""What comes and goes: a node that fails and recovers again and again is not well, whatever the last look said."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, passed
from preflight.checks.registry import Context, check

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

REMEDY = (
    "find out what comes and goes (the kernel's log, cables, cooling); Preflight does not resume the node meanwhile"
)


@check(
    "flapping",
    reads=(),
    phases=("health",),
    action="warn",
    limit=10,
    unit="times in a day",
    remedy=REMEDY,
    source="streaks",
)
def flapping(context: Context, limit: float | None) -> Iterator[Finding]:
    """No check has begun to fail, after it had passed, more often than the limit within a day."""
    most: dict[str, tuple[int, str]] = {}
    for key, times in context.flaps.items():
        name, _, about = key.partition("|")
        if limit is not None and times > limit:
            most[name] = max(most.get(name, (0, "")), (times, about))
    for name, (times, about) in sorted(most.items()):
        yield failed(f"{name} of {about} began to fail {times} times within a day", subject=name, observed=times)
    if not most:
        yield passed("nothing comes and goes")
