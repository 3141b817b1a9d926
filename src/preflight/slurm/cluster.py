"""The cluster as the rest of Preflight sees it: its nodes, one job, and what can be done to either."""

from __future__ import annotations

import os

from preflight.slurm.by_commands import ByCommands
from preflight.slurm.commands import Slurm
from preflight.slurm.models import JobInfo as JobInfo
from preflight.slurm.models import Node as Node

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    from preflight.policy.model import Policy

    class BackEnd(Protocol):
        """What reads the cluster; raises SlurmError where it cannot."""

        def nodes(self, names: set[str] | None = None) -> list[Node]:
            """Return all nodes, or those called ``names``."""

        def job(self, text: str) -> JobInfo:
            """Return the job that ``text`` names."""


LARGEST = 1 << 28  # bytes of one command's output: 10,000 nodes that each differ are 8 MB
EACH_S = 20.0


class Cluster:
    """One cluster: reads by its back end, writes by Slurm's commands. Every method raises SlurmError."""

    def __init__(self, slurm: Slurm, back_end: BackEnd | None = None) -> None:
        self.slurm = slurm
        self._back_end = back_end or ByCommands(slurm)

    def nodes(self, partition: str | None = None, names: Iterable[str] | None = None) -> list[Node]:
        """Return the nodes of ``partition`` ("a,b" for several) called ``names``; of all where these are None.

        In no order. A name that Slurm does not know is left out; a partition that it does not know is an error.
        """
        wanted = None if names is None else set(names)
        if wanted is not None and not wanted:
            return []
        found = self._back_end.nodes(wanted)
        if partition is None:
            return found
        asked = set(partition.split(","))
        return [node for node in found if asked.intersection(node.partitions)]

    def job(self, text: str) -> JobInfo:
        """Return the job that ``text`` names ("12", "12_3", "12+1"), also one that ended within MinJobAge."""
        return self._back_end.job(text)


def cluster_for(policy: Policy, deadline: float, each_s: float = EACH_S) -> Cluster:
    """Return the cluster that the policy's [hook] names, else SLURM_CONF, else the machine's own.

    ``deadline``: a time.monotonic() instant that no command outlives; ``each_s`` bounds one command.
    """
    conf = policy.hook.slurm_conf or os.environ.get("SLURM_CONF", "")
    return Cluster(Slurm(policy.hook.slurm_bin, conf, deadline, each_s, limit=LARGEST))
