"""How many shares ("shard", "mps") one GPU of a node has: a job gets those of one GPU, unless the site allows more.

Source: SelectTypeParameters in slurm.conf(5), MULTIPLE_SHARING_GRES_PJ (since 23.11). Without it Slurm 22.05, 24.11
and 26.05 take a job that asks more than one GPU has, up to what all have, and never start it.
"""

from __future__ import annotations

import re

from preflight.slurm.commands import Slurm, lines
from preflight.slurm.fields import ask, hosts

SEVERAL = "MULTIPLE_SHARING_GRES_PJ"
_USED = re.compile(r"(shard|mps):(?:([^:,()]+):)?[0-9]+\(([0-9/,]+)\)")


def of_one_gpu(slurm: Slurm) -> dict[str, dict[str, int]] | None:
    """Return the most shares that one GPU of each node has, by "shard" and "mps"; None where jobs may have several
    GPUs', {} where sinfo does not tell (22.05).

    Nodes without any are left out. Without -N, with which sinfo compares each node with every other. Raises SlurmError.
    """
    for line in lines(slurm.run("scontrol", "show", "config")):
        key, _, value = line.partition("=")
        if key.strip() == "SelectTypeParameters" and SEVERAL in value.upper():
            return None
    found: dict[str, dict[str, int]] = {}
    for nodes, used in ask(slurm, "sinfo", ("-a",), ("NodeList", "GresUsed")):
        most = most_of(used)
        if most:
            found.update(dict.fromkeys(hosts(nodes), most))
    return found


def most_of(used: str) -> dict[str, int]:
    """Return the most shares of one GPU that a node's GresUsed tells: {"shard": 3} of "shard:a100:0(0/1,0/3)"."""
    found: dict[str, int] = {}
    for name, _, each in _USED.findall(used):
        totals = [int(one.partition("/")[2] or 0) for one in each.split(",")]
        found[name] = max(found.get(name, 0), *totals)
    return found
