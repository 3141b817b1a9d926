"""What would be set so that Slurm's scheduler picks nodes that fit: what `require --to` prints, less what is implied.

A clause is left out where another one implies it. Of cuda>=11.8 and cuda>=12.4 neither implies the other by itself: on
a GPU that needs a newer CUDA only the second holds. By Features the features that the nodes have tell.
"""

from collections.abc import Collection, Iterable
from typing import Any

from preflight.requirements import names
from preflight.requirements.extra import join_extra, to_extra
from preflight.requirements.features import join_constraint, to_constraint
from preflight.requirements.grammar import Clause, Requirement
from preflight.requirements.kinds import Count, Size, Version
from preflight.requirements.placeable import NotPlaceable, parted
from preflight.submit.gpu_types import profile_of
from preflight.submit.plan.model import Placement
from preflight.submit.script import Asked

EXTRA, CONSTRAINT = "--extra", "--constraint"


def placement(requirement: Requirement, asked: Asked, by_extra: bool, features: Iterable[str]) -> Placement:
    """Return the --extra or the --constraint with the user's own in it; ``features``: all that the nodes have."""
    if asked.gpus is None or not profile_of(asked.gpus.type):
        return _placement(requirement, asked, by_extra, features)
    rest, own = parted(requirement)
    made = _placement(rest, asked, by_extra, features)
    return made._replace(not_placed=(*own, *made.not_placed))


def _placement(requirement: Requirement, asked: Asked, by_extra: bool, features: Iterable[str]) -> Placement:
    if by_extra:
        compiled = to_extra(requirement)
        text = to_extra(_least(requirement)).text
        return Placement(EXTRA, join_extra(asked.extra, text), compiled.not_placeable, ())
    known = frozenset(features)
    compiled = to_constraint(requirement, known)
    try:
        value = join_constraint(asked.constraint, to_constraint(_proving(requirement, known), known).text)
    except NotPlaceable as why:
        return Placement(CONSTRAINT, asked.constraint, compiled.not_placeable, compiled.unmet, str(why))
    return Placement(CONSTRAINT, value, compiled.not_placeable, compiled.unmet)


def _least(requirement: Requirement) -> Requirement:
    """Return the clauses without those that ask for less of the same than another one: driver>=535 beside >=550."""
    highest: dict[str, Clause] = {}
    for clause in requirement.clauses:
        name = _lower_bound(clause)
        if name and (name not in highest or _asked(clause) > _asked(highest[name])):
            highest[name] = clause
    kept = [one for one in requirement.clauses if highest.get(_lower_bound(one), one) == one]
    return Requirement(tuple(kept))


def _lower_bound(clause: Clause) -> str:
    """Return the name of which a clause asks at least so much; "" for another clause."""
    if len(clause.predicates) != 1:
        return ""
    one = clause.predicates[0]
    row = names.find(one.name)
    ordered = row is not None and isinstance(row.kind, (Version, Size, Count))
    return one.name if ordered and one.op == ">=" and not one.negated and one.name != "cuda" else ""


def _asked(clause: Clause) -> Any:
    one = clause.predicates[0]
    row = names.find(one.name)
    return row.kind.parse(one.value or "") if row else ()


def _proving(requirement: Requirement, known: Collection[str]) -> Requirement:
    """Return the clauses without those that every feature proves which proves another one."""
    proofs: dict[str, frozenset[str]] = {}
    for clause in requirement.clauses:
        alone = to_constraint(Requirement((clause,)), known)
        proofs[clause.text] = frozenset(alone.text.split("|")) if alone.placed and not alone.unmet else frozenset()
    stricter = [one for one in proofs.values() if one]
    kept = [one for one in requirement.clauses if not any(less < proofs[one.text] for less in stricter)]
    return Requirement(tuple(kept))
