"""Control groups as Slurm takes them: its v2 plugin does not work in hybrid mode, its v1 does (cgroup_v2.html)."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, first_unknown, passed, skipped, untold
from preflight.checks.registry import Context, check

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

HEALTH = ("health",)

VERSION = "systemd.unified_cgroup_hierarchy=1 on the kernel's command line; cgroup.conf CgroupPlugin=autodetect"
NEEDED = ("cpu", "cpuset", "memory")  # of ConstrainCores, ConstrainRAMSpace
NUMBERS = {"v1": 1, "hybrid": 1, "v2": 2}


@check(
    "cgroup.version", reads=("cgroup",), phases=HEALTH, action="warn", remedy=VERSION, subject="cgroup", blame="site"
)
def version(context: Context, limit: float | None) -> Iterator[Finding]:
    """The node has control groups of one version that Slurm can use; a limit of 2 asks for v2."""
    value, controllers = context.node.get("cgroup.version"), context.node.get("cgroup.controllers")
    unclear = first_unknown(value, controllers)
    if unclear:
        yield untold(unclear)
    elif value is None:
        yield skipped("no control groups are mounted")
    elif NUMBERS[value] < (limit or 1):
        yield failed(f"control groups are {value}", observed=value, expected=f"v{limit:g}")
    elif value == "hybrid" and not set(NEEDED) <= set(controllers):
        yield failed("v1 and v2 are both mounted, and v1 lacks controllers", observed=value, expected="v1 or v2")
    else:
        yield passed(f"control groups are {value}", observed=value)


CONTROLLERS = "the kernel's command line (cgroup_disable=, cgroup_enable=memory); cat /sys/fs/cgroup/cgroup.controllers"


@check(
    "cgroup.controllers",
    reads=("cgroup",),
    phases=HEALTH,
    action="warn",
    remedy=CONTROLLERS,
    subject="cgroup",
    blame="site",
)
def controllers(context: Context, limit: float | None) -> Iterator[Finding]:
    """The controllers are there by which Slurm confines cores and memory."""
    value, kind = context.node.get("cgroup.controllers"), context.node.get("cgroup.version")
    unclear = first_unknown(value, kind)
    if unclear:
        yield untold(unclear)
    elif kind is None:
        yield skipped("no control groups are mounted")
    else:
        missing = [name for name in NEEDED if name not in value]
        if missing:
            yield failed(f"no controller {', '.join(missing)}", observed=",".join(value), expected=",".join(NEEDED))
        else:
            yield passed("cpu, cpuset and memory are there")
