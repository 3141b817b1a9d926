"""The cluster as the rest of Preflight sees it: its nodes, one job, and what can be done to either.

Hooks call the functions behind the writing methods (slurm/job.py, slurm/node.py) with a decision before each; they
never read through a back end.
"""

from __future__ import annotations

import os

from preflight.slurm import job as slurm_job
from preflight.slurm import node as slurm_node
from preflight.slurm.commands import Slurm, SlurmError
from preflight.slurm.models import JobInfo as JobInfo
from preflight.slurm.models import Node as Node

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    from preflight.facts.view import View
    from preflight.policy.model import Policy
    from preflight.slurm.publish import Publication

    class BackEnd(Protocol):
        """What reads the cluster; raises SlurmError where it cannot."""

        def nodes(self, names: set[str] | None = None) -> list[Node]:
            """Return all nodes, or those called ``names``."""

        def job(self, text: str) -> JobInfo:
            """Return the job that ``text`` names."""


LARGEST = 1 << 28  # bytes of one command's output: 10,000 nodes that each differ are 8 MB
EACH_S = 20.0


class Cluster:
    """One cluster. It is read by ``back_end``, chosen at the first read where none is given, and changed by commands.

    ``name`` of a job is JobInfo's: ARRAY_TASK for one task of an array. Every method raises SlurmError.
    """

    def __init__(self, slurm: Slurm, back_end: BackEnd | None = None) -> None:
        self.slurm = slurm
        self._back_end = back_end

    @property
    def back_end(self) -> BackEnd:
        """Return what reads the cluster."""
        if self._back_end is None:
            from preflight.slurm.choose import choose

            self._back_end = choose(self.slurm)
        return self._back_end

    def nodes(self, partition: str | None = None, names: Iterable[str] | None = None) -> list[Node]:
        """Return the nodes of ``partition`` ("a,b" for several) called ``names``; of all where these are None.

        In no order. Names and partitions that Slurm does not know have no nodes. A node in no partition, which no job
        can get, is left out: sinfo does not show those.
        """
        wanted = None if names is None else set(names)
        if wanted is not None and not wanted:
            return []
        found = [node for node in self.back_end.nodes(wanted) if node.partitions]
        if partition is None:
            return found
        asked = set(partition.split(","))
        return [node for node in found if asked.intersection(node.partitions)]

    def job(self, text: str) -> JobInfo:
        """Return the job that ``text`` names ("12", "12_3", "12+1"), also one that ended within MinJobAge."""
        return self.back_end.job(text)

    def drain(self, node: str, reason: str) -> None:
        """Drain a node that is not away already: drained, down or failing; another's reason is never replaced."""
        state = slurm_node.read(self.slurm, node)
        if state.away:
            raise SlurmError(f"{node} is {'+'.join(state.flags)} already, its reason stays: {state.reason}")
        slurm_node.drain(self.slurm, node, reason)

    def resume(self, node: str) -> None:
        """Resume a node."""
        slurm_node.resume(self.slurm, node)

    def move(self, name: str, off: str) -> None:
        """Requeue a batch job and let it start again, but not on the node ``off``; its own --exclude is kept.

        The prolog does the same in steps, with a record and a decision between them (hooks/move.py).
        """
        slurm_job.requeue_held(self.slurm, name)
        slurm_job.exclude(self.slurm, name, {off})
        slurm_job.release(self.slurm, name)

    def notify(self, name: str, text: str) -> None:
        """Write one line to a job's terminal or output."""
        slurm_job.notify(self.slurm, name, text)

    def publish(self, node: str, view: View, policy: Policy, via: str = "auto", dry_run: bool = False) -> Publication:
        """Tell Slurm the facts of a node, keeping what others put there; see slurm/publish.py."""
        from preflight.slurm.publish import publish

        return publish(self.slurm, node, view, policy, via, dry_run)


def slurm_for(policy: Policy, deadline: float, each_s: float = EACH_S) -> Slurm:
    """Return the way to the user's cluster: by SLURM_CONF as Slurm's own commands, else the policy's [hook].

    ``deadline``: a time.monotonic() instant that no command outlives; ``each_s`` bounds one command.
    """
    conf = os.environ.get("SLURM_CONF", "") or policy.hook.slurm_conf
    return Slurm(policy.hook.slurm_bin, conf, deadline, each_s, limit=LARGEST)


def cluster_for(policy: Policy, deadline: float, each_s: float = EACH_S) -> Cluster:
    """Return the user's cluster; arguments as of `slurm_for`."""
    return Cluster(slurm_for(policy, deadline, each_s))
