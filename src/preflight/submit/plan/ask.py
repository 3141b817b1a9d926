"""Reading the cluster for a plan: its nodes, its default partition, which way it places, its plugins' options."""

from __future__ import annotations

from collections.abc import Sequence

from preflight.policy.model import Policy
from preflight.slurm.at_once import at_once
from preflight.slurm.cluster import Cluster
from preflight.slurm.commands import Slurm, SlurmError, find
from preflight.slurm.ping import reached
from preflight.slurm.publish import uses_extra
from preflight.slurm.shares import of_one_gpu
from preflight.submit.options_help import plugin_rows
from preflight.submit.options_table import Row
from preflight.submit.plan.state import ClusterState
from preflight.submit.script import Component, asked


def is_installed(policy: Policy) -> bool:
    """Return whether this machine has Slurm's commands."""
    try:
        find(policy.hook.slurm_bin, "sinfo")
    except SlurmError:
        return False
    return True


def ask(slurm: Slurm, via: str = "auto") -> tuple[tuple[Row, ...], ClusterState | None, str]:
    """Return the options of the cluster's plugins and the cluster; None, and why, where no controller answers."""
    try:
        slurm = reached(slurm)
    except SlurmError as error:
        return (), None, str(error)

    def cluster() -> tuple[ClusterState | None, str]:
        try:
            return read_cluster(slurm, via), ""
        except SlurmError as error:
            return None, str(error)

    (state, problem), plugins = at_once(cluster, lambda: plugin_options(slurm))
    return plugins, state, problem


def read_cluster(slurm: Slurm, via: str = "auto", default: bool = True) -> ClusterState:
    """Return the cluster as it is now; raises SlurmError where it does not answer. ``via``: the policy's [publish].

    ``default``: with its default partition.
    """
    cluster = Cluster(slurm)
    nodes, partition, by_extra = at_once(
        cluster.nodes,
        lambda: default_partition(slurm) if default else "",
        lambda: via != "features" and uses_extra(slurm),
    )
    return ClusterState(nodes, partition, by_extra)


def with_shares(slurm: Slurm, state: ClusterState, components: Sequence[Component], cwd: str) -> ClusterState:
    """Return the cluster with the shares of one GPU, where a job asks for any; what cannot be read is left out.

    Raises OptionError as `asked`.
    """
    wanted = [gpus.shares for one in components if (gpus := asked(one, cwd).gpus) is not None]
    if not any(wanted):
        return state
    try:
        found = of_one_gpu(slurm)
        return state._replace(shares=found or {}, several=found is None)
    except SlurmError:
        return state


def default_partition(slurm: Slurm) -> str:
    """Return the partition of jobs that name none, "" where there is none; raises SlurmError."""
    # sinfo would read all nodes for it.
    name = ""
    for line in slurm.run("scontrol", "-a", "show", "partition").split("\n"):
        if line.startswith("PartitionName="):
            name = line.removeprefix("PartitionName=").strip()
        elif line.startswith("   AllocNodes=") and " Default=YES " in line:
            return name
    return ""


def plugin_options(slurm: Slurm) -> tuple[Row, ...]:
    """Return the options of the cluster's SPANK plugins; () where sbatch cannot be asked, which changes little."""
    try:
        return plugin_rows(slurm.run("sbatch", "--help"))
    except SlurmError:
        return ()
