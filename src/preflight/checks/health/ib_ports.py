"""InfiniBand adapter by adapter: one of eight that has no link is found. RoCE and EFA are none."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, passed, skipped, untold
from preflight.checks.registry import Context, check
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

HEALTH = ("health",)

CABLE = "ibstat; cable, switch port, subnet manager. Empty by intent: action = off, and a [[host]] row"


@check(
    "ib.ports", reads=("ib",), phases=HEALTH, action="warn", remedy=CABLE, subject="ib", source="/sys/class/infiniband"
)
def ports(context: Context, limit: float | None) -> Iterator[Finding]:
    """Where one InfiniBand adapter has an active port, each of them has one."""
    every = context.node.get("ib.ports")
    if isinstance(every, Unknown):
        yield untold(every)
        return
    devices: dict[str, list[str]] = {}
    for one in every:
        devices.setdefault(one["device"], []).append(one["state"])
    down = {name: states for name, states in devices.items() if "ACTIVE" not in states}
    if not every or len(down) == len(devices):
        yield skipped("no InfiniBand port is active" if every else "no InfiniBand")
        return
    for name, states in down.items():
        yield failed(f"{name} has no active port", subject=name, observed=",".join(states), expected="ACTIVE")
    if not down:
        yield passed(f"{len(devices)} InfiniBand adapters have an active port")
