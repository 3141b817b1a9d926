"""What telling Slurm a node's facts asks of the controller: the commands run when something changed, and when not."""

from typing import NamedTuple

from lab.cluster import Cluster, Site
from nvml import sim


class Asked(NamedTuple):
    """Slurm's commands, by name, of a publish that changed something and of the next one."""

    changed: list[str]
    unchanged: list[str]


def commands() -> Asked:
    """Publish twice on a real Slurm and return what was run; raises RuntimeError where the first changed nothing."""
    with Cluster([Site("g8", "ubuntu", sim.example("h100x8"), 8)]) as cluster:
        found = []
        for _ in range(2):
            cluster.forget_calls()
            done = cluster.lab.run(["env", "SLURMD_NODENAME=g8", f"{cluster.prefix}/bin/preflight", "publish"])
            if done.returncode:
                raise RuntimeError(f"preflight publish: {done.stderr}")
            found.append([call.split()[0] for call in cluster.called()])
    if "scontrol" not in found[0]:
        raise RuntimeError(f"the first publish should have written, it ran {found[0]}")
    return Asked(*found)
