"""What would be set so that Slurm's scheduler picks nodes that fit: the same that `require --to` prints."""

from collections.abc import Iterable

from preflight.requirements.extra import join_extra, to_extra
from preflight.requirements.features import join_constraint, to_constraint
from preflight.requirements.grammar import Requirement
from preflight.requirements.placeable import NotPlaceable
from preflight.submit.plan.model import Placement
from preflight.submit.script import Asked

EXTRA, CONSTRAINT = "--extra", "--constraint"


def placement(requirement: Requirement, asked: Asked, by_extra: bool, features: Iterable[str]) -> Placement:
    """Return the --extra or the --constraint with the user's own in it; ``features``: all that the nodes have."""
    if by_extra:
        compiled = to_extra(requirement)
        return Placement(EXTRA, join_extra(asked.extra, compiled.text), compiled.not_placeable, ())
    compiled = to_constraint(requirement, features)
    try:
        value = join_constraint(asked.constraint, compiled.text)
    except NotPlaceable as why:
        return Placement(CONSTRAINT, asked.constraint, compiled.not_placeable, compiled.unmet, str(why))
    return Placement(CONSTRAINT, value, compiled.not_placeable, compiled.unmet)
