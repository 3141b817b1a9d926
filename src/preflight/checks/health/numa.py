"""NUMA nodes: each with CPUs has memory, and they have the same: a module that failed shows here."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, passed, skipped, untold
from preflight.checks.registry import Context, check
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

HEALTH = ("health",)

MODULE = "compare with the machine's order: ipmitool sel list, dmidecode -t memory; a module or a channel is missing"


@check("numa.memory", reads=("numa",), phases=HEALTH, action="warn", remedy=MODULE, subject="numa")
def memory(context: Context, limit: float | None) -> Iterator[Finding]:
    """Each NUMA node that has CPUs has memory."""
    nodes = context.node.get("numa.nodes")
    if isinstance(nodes, Unknown):
        yield untold(nodes)
    elif not nodes:
        yield skipped("the kernel tells of no NUMA nodes")
    else:
        bare = [f"numa{one['id']}" for one in nodes if one["cpus"] and not one["memory"]]
        for name in bare:
            yield failed(f"{name} has CPUs and no memory", subject=name, observed="0 bytes")
        if not bare:
            yield passed("each NUMA node with CPUs has memory", observed=len(nodes))


@check("numa.balance", reads=("numa",), phases=HEALTH, action="warn", limit=15, unit="%", remedy=MODULE, subject="numa")
def balance(context: Context, limit: float | None) -> Iterator[Finding]:
    """NUMA nodes with CPUs have about the same memory: firmware and kernel take a few percent of the first."""
    nodes = context.node.get("numa.nodes")
    if isinstance(nodes, Unknown):
        yield untold(nodes)
        return
    sizes = {f"numa{one['id']}": one["memory"] for one in nodes if one["cpus"] and one["memory"]}
    if len(sizes) < 2:
        yield skipped("there is one NUMA node at most")
        return
    least = min(sizes, key=lambda name: sizes[name])
    lacks = 100 * (1 - sizes[least] / max(sizes.values()))
    text = f"{least} has {lacks:.0f}% less memory than the largest"
    expected = f"<= {limit or 0:g}%"
    yield (failed if lacks > (limit or 0) else passed)(text, observed=f"{lacks:.1f}%", expected=expected)
