"""NUMA nodes: their CPUs and their memory (Documentation/admin-guide/mm/numaperf.rst, /sys/devices/system/node)."""

from __future__ import annotations

from preflight.digits import is_whole, whole
from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.registry import FILES, fact
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

NODES = "/sys/devices/system/node"
MAX_NODES = 1024


@fact(
    "numa",
    keys={"nodes": [{"id": "count", "cpus": "flag: it has CPUs", "memory": "count bytes"}]},
    child=FILES,
    budget_s=1,
)
def read(root: Root) -> Answer:
    """NUMA nodes, with their memory."""
    holder = root.holder(NODES)
    if holder is None:
        return Answer({"nodes": []}) if root.live or root.is_dir("/sys/devices") else unknown(NOT_LIVE)
    found: list[dict[str, Any]] = []
    for name in holder.names(NODES) or []:
        if not (name.startswith("node") and is_whole(name[4:])) or len(found) >= MAX_NODES:
            continue
        cpus = (holder.read_text(f"{NODES}/{name}/cpulist", 4096) or "").strip()
        lines = (holder.read_text(f"{NODES}/{name}/meminfo", 1 << 16) or "").splitlines()
        words = next((line.split() for line in lines if " MemTotal:" in line), [])
        memory = whole(words[3]) if len(words) > 3 else None  # "Node 0 MemTotal: 131 kB"
        found.append({"id": int(name[4:]), "cpus": bool(cpus), "memory": (memory or 0) * 1024})
    return Answer({"nodes": sorted(found, key=lambda one: int(one["id"]))})
