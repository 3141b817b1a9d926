"""Kind "cpu": sockets, cores and threads that are online, and the frequency governor, of /sys/devices/system/cpu."""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.facts.host.kind import Args, CannotTell, Shared, kind
from preflight.facts.rootfs import Root
from preflight.facts.topology import CPUS
from preflight.facts.topology import read as read_topology

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any


def topology(root: Root) -> dict[str, Any]:
    """Return sockets, cores and threads that are online, and how many CPUs are offline."""
    answer = read_topology(root)
    if answer.unknown:
        raise CannotTell(answer.unknown[""])
    return answer.values


def governors(root: Root) -> dict[str, int]:
    """Return governor -> how many CPUs have it; {} where the kernel scales no frequency."""
    holder = root.holder(CPUS)
    found: dict[str, int] = {}
    for name in (holder.names(CPUS) or []) if holder else []:
        if holder and name.startswith("cpu") and is_whole(name[3:]):
            word = (holder.read_text(f"{CPUS}/{name}/cpufreq/scaling_governor", 64) or "").strip()
            if word:
                found[word] = found.get(word, 0) + 1
    return found


@kind(
    "cpu",
    keys={
        "sockets": "count: that have a CPU online",
        "cores": "count: of the whole node that have a CPU online",
        "threads": "count: CPUs that are online",
        "governor": "pattern: the frequency governor of each CPU, such as performance",
    },
    needs=(("sockets", "cores", "threads", "governor"),),
)
def read(root: Root, args: Args, shared: Shared) -> dict[str, Any]:
    """Sockets, cores and threads are online, and the governor is set."""
    told = shared.of(topology) if set(args) - {"governor"} else {}
    return {**told, "governors": shared.of(governors)} if "governor" in args else dict(told)
