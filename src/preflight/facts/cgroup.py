"""Which control groups the node has: v1, v2, or both at once (cgroups(7), Documentation/admin-guide/cgroup-v2.rst)."""

from __future__ import annotations

from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.mounts import table
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root

MOUNT = "/sys/fs/cgroup"


@fact(
    "cgroup",
    keys={
        "version": "text?: v1, v2, hybrid (v1 with v2 beside it); null where none is mounted",
        "controllers": "texts: those of the unified hierarchy's root, or the v1 hierarchies that are mounted",
    },
)
def read(root: Root) -> Answer:
    """Control groups: their version and controllers."""
    rows = table(root)
    if rows is None:
        return unknown("no mount table" if root.live else NOT_LIVE)
    unified = [row for row in rows if row.kind == "cgroup2"]
    legacy = [row for row in rows if row.kind == "cgroup"]
    options = {option for row in legacy for option in row.options.split(",")}
    if any(row.path == MOUNT for row in unified):
        text = root.live_read(f"{MOUNT}/cgroup.controllers", 4096)
        return Answer({"version": "v2", "controllers": (text or "").split()})
    version = "hybrid" if unified and legacy else "v2" if unified else "v1" if legacy else None
    known = ("cpu", "cpuset", "memory", "devices", "freezer", "pids", "cpuacct", "blkio", "io")
    return Answer({"version": version, "controllers": [name for name in known if name in options]})
