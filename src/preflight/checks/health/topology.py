"""CPUs that are there and not online."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, first_unknown, passed, skipped, untold
from preflight.checks.registry import Context, check

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

HEALTH = ("health",)

ONLINE = "cat /sys/devices/system/cpu/offline; journalctl -k: the kernel takes a CPU away that fails"


@check("cpu.offline", reads=("topology",), phases=HEALTH, action="warn", remedy=ONLINE, subject="cpu")
def offline(context: Context, limit: float | None) -> Iterator[Finding]:
    """Each CPU is online, but the second threads of cores where SMT is switched off."""
    number, smt = context.node.get("topology.offline"), context.node.get("topology.smt")
    unclear = first_unknown(number, smt)
    if unclear:
        yield untold(unclear)
    elif number and smt in ("off", "forceoff"):
        yield skipped(f"SMT is {smt}: {number} CPUs are offline by intent")
    elif number:
        yield failed(f"{number} CPUs are offline", observed=number, expected="0")
    else:
        yield passed("each CPU is online")
