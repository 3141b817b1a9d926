"""What runs beside the NVIDIA driver: its kernel modules and daemons."""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.registry import FILES, fact
from preflight.facts.rootfs import Root

MODULES = ("nvidia", "nvidia_uvm", "nvidia_modeset", "nvidia_drm", "nvidia_peermem", "nvidia_fs", "gdrdrv")
# The kernel keeps fifteen letters of a program's name in /proc/PID/comm.
DAEMONS = {
    "nvidia-persiste": "nvidia-persistenced",
    "nv-fabricmanage": "nv-fabricmanager",
    "nvidia-imex": "nvidia-imex",
    "nv-hostengine": "nv-hostengine",
}
IMEX_NODES = "/etc/nvidia-imex/nodes_config.cfg"


@fact(
    "services",
    keys={
        "modules": "texts: NVIDIA's kernel modules that are loaded",
        "daemons": "texts: NVIDIA's daemons that run",
        "imex_nodes": "count? nodes: in IMEX's configuration, null without one",
    },
    child=FILES,
    budget_s=5.5,
)
def read(root: Root) -> Answer:
    """NVIDIA's kernel modules and daemons."""
    holder = root.holder("/sys/module")
    if holder is None and not root.live:
        return unknown(NOT_LIVE)
    modules = [name for name in MODULES if holder is not None and holder.stat(f"/sys/module/{name}") is not None]
    text = root.read_text(IMEX_NODES) if root.is_file(IMEX_NODES) else None
    lines = (text or "").splitlines()
    nodes = None if text is None else sum(1 for line in lines if line.strip() and not line.lstrip().startswith("#"))
    return Answer({"modules": modules, "daemons": _daemons(root), "imex_nodes": nodes})


def _daemons(root: Root) -> list[str]:
    found: set[str] = set()
    holder = root if root.own or root.stat("/proc/1/comm") is not None else root.holder("/proc/self")
    for name in (holder.names("/proc") or []) if holder else []:
        if not is_whole(name):
            continue
        try:
            comm = holder.read_text(f"/proc/{name}/comm", 64) if holder else None
        except OSError:
            continue  # it has ended
        daemon = DAEMONS.get((comm or "").strip())
        if daemon:
            found.add(daemon)
    return sorted(found)
