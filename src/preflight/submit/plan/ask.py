"""Reading the cluster for a plan: its nodes, its default partition, which way it places, its plugins' options."""

from preflight.policy.model import Policy
from preflight.slurm.cluster import Cluster
from preflight.slurm.commands import Slurm, SlurmError, find
from preflight.slurm.publish import uses_extra
from preflight.submit.options_help import plugin_rows
from preflight.submit.options_table import Row
from preflight.submit.plan.make import ClusterState


def is_installed(policy: Policy) -> bool:
    """Return whether this machine has Slurm's commands."""
    try:
        find(policy.hook.slurm_bin, "sinfo")
    except SlurmError:
        return False
    return True


def read_cluster(slurm: Slurm, via: str = "auto") -> ClusterState:
    """Return the cluster as it is now; raises SlurmError where it does not answer. ``via``: the policy's [publish]."""
    nodes, default = Cluster(slurm).nodes(), default_partition(slurm)
    return ClusterState(nodes, default, via != "features" and uses_extra(slurm))


def default_partition(slurm: Slurm) -> str:
    """Return the partition of jobs that name none, "" where there is none; raises SlurmError."""
    names = [line.strip() for line in slurm.run("sinfo", "-h", "-a", "-o", "%P").splitlines()]
    return next((name.removesuffix("*") for name in names if name.endswith("*")), "")


def plugin_options(slurm: Slurm) -> tuple[Row, ...]:
    """Return the options of the cluster's SPANK plugins; () where sbatch cannot be asked, which changes little."""
    try:
        return plugin_rows(slurm.run("sbatch", "--help"))
    except SlurmError:
        return ()
