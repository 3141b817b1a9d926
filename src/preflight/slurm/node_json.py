"""Nodes from `scontrol show node --json` (24.11 on), by the names of Slurm's data_parser plugin."""

from __future__ import annotations

from preflight.slurm.fields import value
from preflight.slurm.job_json import listed
from preflight.slurm.models import Node

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def parsed(text: str) -> list[Node]:
    """Return the nodes of the document; raises SlurmError where it is none, or says that it failed."""
    return listed(text, "scontrol", "nodes", node_of)


def node_of(one: Mapping[str, Any]) -> Node:
    """Return one node of the document."""
    return Node(
        one["name"],
        tuple(one["state"]),
        value(one["reason"]),
        tuple(one["partitions"]),
        tuple(one["features"]),
        tuple(one["active_features"]),
        value(one["extra"]),
        value(one["gres"]),
        one["cpus"],
        one["real_memory"],
    )
