"""Kind "cpu": sockets, cores and threads that are online, and the frequency governor, of /sys/devices/system/cpu."""

from __future__ import annotations

from preflight.digits import is_whole, whole
from preflight.facts.answer import NOT_LIVE
from preflight.facts.host.kind import Args, CannotTell, Shared, kind
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

CPUS = "/sys/devices/system/cpu"


def topology(root: Root) -> dict[str, Any]:
    """Return sockets, cores and threads that are online, and how many CPUs are offline.

    A CPU that is offline has no topology directory (Documentation/admin-guide/cputopology.rst).
    """
    holder = root.holder(f"{CPUS}/cpu0")
    if holder is None:
        raise CannotTell(f"no {CPUS}/cpu0" if root.live else NOT_LIVE)
    packages, cores, threads, offline = set(), set(), 0, 0
    for name in holder.names(CPUS) or []:
        if not (name.startswith("cpu") and is_whole(name[3:])):
            continue
        package = whole((holder.read_text(f"{CPUS}/{name}/topology/physical_package_id", 64) or "").strip())
        core = whole((holder.read_text(f"{CPUS}/{name}/topology/core_id", 64) or "").strip())
        if core is None:
            offline += 1
            continue
        threads += 1
        die = (holder.read_text(f"{CPUS}/{name}/topology/die_id", 64) or "").strip()
        packages.add(package)
        cores.add((package, die, core))
    if not threads:
        raise CannotTell("the kernel tells no CPU's place (virtual machine, or an old kernel)")
    return {"sockets": len(packages), "cores": len(cores), "threads": threads, "offline": offline}


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
