"""A job's --prefer once nodes are excluded from it.

From 24.11 on Slurm holds a waiting job for ever (BadConstraints, priority 0) when no node that it may use has what it
prefers; a preference that nothing can satisfy must go.
"""

from __future__ import annotations

from preflight.hostlist import names
from preflight.slurm import job as slurm_job
from preflight.slurm.commands import Slurm, lines
from preflight.slurm.fields import hosts


def drop_vain_preference(slurm: Slurm, name: str) -> bool:
    """Clear the job's preference if none of the nodes left to it has it; return whether it was. Raises SlurmError."""
    wanted = slurm_job.field(slurm, name, "Prefer")
    if not wanted:
        return False
    excluded = names(slurm_job.excluded(slurm, name))
    rows = lines(slurm.run("sinfo", "-h", "-p", slurm_job.letter(slurm, name, "P"), "-o", "%N %f"))
    for row in rows:
        nodes, _, features = row.partition(" ")
        if _has(set(features.split(",")), wanted) and not excluded.issuperset(hosts(nodes)):
            return False
    slurm_job.update(slurm, name, Prefer="")
    return True


def _has(features: set[str], wanted: str) -> bool:
    """Return whether a node with ``features`` surely satisfies the expression; brackets and counts are not sure."""
    if not any(mark in wanted for mark in "()[]*"):
        return any(all(one in features for one in term.split("&")) for term in wanted.split("|"))
    for mark in "()[]|":
        wanted = wanted.replace(mark, "&")
    return all(one.split("*")[0] in features for one in wanted.split("&") if one)
