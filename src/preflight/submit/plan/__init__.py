"""What a job asks, which nodes fit now, why the others do not, and what to change."""

from __future__ import annotations

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    from preflight.submit.plan.make import plan as plan
    from preflight.submit.plan.model import Plan as Plan
    from preflight.submit.plan.model import PlanError as PlanError
    from preflight.submit.plan.state import ClusterState as ClusterState

_PLACES = {"plan": "make", "Plan": "model", "PlanError": "model", "ClusterState": "state"}


def __getattr__(name: str) -> Any:
    """Import what is asked for alone: `preflight sbatch` asks Slurm before it needs all of a plan."""
    if name not in _PLACES:
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
