"""Sockets, cores and threads that are online, of /sys/devices/system/cpu (the kernel's cputopology.rst)."""

from __future__ import annotations

from preflight.digits import is_whole, whole
from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.registry import FILES, fact
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

CPUS = "/sys/devices/system/cpu"


@fact(
    "topology",
    keys={
        "sockets": "count: that have a CPU online",
        "cores": "count: of the whole node that have a CPU online",
        "threads": "count: CPUs that are online",
        "offline": "count: CPUs that are there and not online",
        "smt": "text?: on, off, forceoff, notsupported, notimplemented; null where the kernel does not say",
    },
    child=FILES,
    budget_s=1,
)
def read(root: Root) -> Answer:
    """Sockets, cores and threads."""
    holder = root.holder(f"{CPUS}/cpu0")
    if holder is None:
        return unknown(f"no {CPUS}/cpu0" if root.live else NOT_LIVE)
    packages, cores, threads, offline = set(), set(), 0, 0
    for name in holder.names(CPUS) or []:
        if not (name.startswith("cpu") and is_whole(name[3:])):
            continue
        here = f"{CPUS}/{name}/topology"
        package, die, core = (_word(holder, f"{here}/{file}") for file in ("physical_package_id", "die_id", "core_id"))
        if whole(core) is None:  # a CPU that is offline has no topology
            offline += 1
            continue
        threads += 1
        packages.add(package)
        cores.add((package, die, core))
    if not threads:
        return unknown("the kernel tells no CPU's place")
    found: dict[str, Any] = {"sockets": len(packages), "cores": len(cores), "threads": threads, "offline": offline}
    return Answer({**found, "smt": _word(holder, f"{CPUS}/smt/control") or None})


def _word(holder: Root, path: str) -> str:
    return (holder.read_text(path, 64) or "").strip()
