"""A requirement as Slurm's scheduler understands it: an Extra constraint, or an expression of node Features.

A clause is placed only where Slurm's answer is the evaluator's. What Slurm cannot be asked (a mount, free space) is
reported and stays with the prolog.
"""

from preflight.requirements.extra import join_extra, to_extra
from preflight.requirements.features import join_constraint, to_constraint
from preflight.requirements.placeable import Compiled, NotPlaceable

__all__ = ["Compiled", "NotPlaceable", "join_constraint", "join_extra", "to_constraint", "to_extra"]
