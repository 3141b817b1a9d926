"""The cluster that a plan is made for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from preflight.slurm.models import Node
from preflight.tuples import NamedTuple


class ClusterState(NamedTuple):
    """What was read of the cluster: its ``nodes``, the ``default`` partition ("" for none), whether Extra places.

    ``shares``: the most that one GPU of a node has ("shard", "mps"), where jobs can have those of one GPU alone; read
    only for jobs that ask for shares (`ask.with_shares`). ``several``: jobs can have those of several GPUs.
    """

    nodes: Sequence[Node]
    default: str
    by_extra: bool
    shares: Mapping[str, Mapping[str, int]] = {}
    several: bool = False
