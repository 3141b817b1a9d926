"""What slurm.conf says of one node's processors and memory, as slurmd and slurmctld read it (slurm.conf(5), NODES)."""

from __future__ import annotations

from preflight.checks.registry import Configured
from preflight.digits import whole
from preflight.slurm.gres.reading import names
from preflight.slurm.gres.syntax import ConfError, Files, pairs

KEYS = ("boards", "sockets", "socketsperboard", "corespersocket", "threadspercore", "cpus", "procs", "realmemory")

# slurm.conf(5): the node is taken for what slurm.conf says, and one that has less is not set INVAL.
PARAMETERS, OVERRIDES = "slurmdparameters", "config_overrides"


def configured(directory: str, node: str) -> Configured:
    """Return what ``directory``/slurm.conf gives ``node``; never raises. A later line adds to an earlier one."""
    default: dict[str, int] = {}
    found: dict[str, int] = {}
    known = False
    parameters = ""
    try:
        for line in Files().lines(directory, "slurm.conf"):
            if PARAMETERS in line.lower():
                parameters = pairs(line).get(PARAMETERS, parameters)
            if line[:8].lower() != "nodename":
                continue
            keys = pairs(line)
            hosts = keys.get("nodename", "")
            numbers = {key: number for key in KEYS if (number := whole(keys.get(key, ""))) is not None}
            if hosts.upper() == "DEFAULT":
                default.update(numbers)
            elif names(hosts, node):
                known = True
                found.update({**default, **numbers})
    except ConfError as error:
        return Configured(problem=str(error))
    if OVERRIDES in parameters.lower():
        return Configured(problem=f"SlurmdParameters={OVERRIDES}: what slurm.conf gives counts, whatever the node has")
    if not known:
        return Configured(problem=f"slurm.conf does not name {node}")
    boards = found.get("boards", 1)
    sockets = found.get("sockets") or boards * found.get("socketsperboard", 0)
    return Configured(
        memory_mib=found.get("realmemory", 0),
        sockets=sockets,
        cores=found.get("corespersocket", 0),
        threads=found.get("threadspercore", 0),
        cpus=found.get("cpus") or found.get("procs", 0),
    )
