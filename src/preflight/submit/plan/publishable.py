"""Which answers that a node does not give count against it: those on what it could have published.

Unknown is never a pass. What nodes never publish in the way this cluster places by (mounts and modules, say) is the
prolog's to verify instead, and no reason to leave a node out.
"""

from preflight.facts.view import Unknown, View, attribute
from preflight.requirements import encode, mig, names
from preflight.requirements.evaluate import ClauseResult
from preflight.requirements.grammar import Clause, Predicate, Requirement
from preflight.requirements.row import Row
from preflight.tuples import NamedTuple

_BY_FEATURES = frozenset({"os", "gpu", "gpu.count", "gpu.arch", "gpu.code"})  # besides those of encode.GROUPS
_RANGED = (">=", "=", "~=")  # of cuda: judged by the published range


class Publishable(NamedTuple):
    """``placed``: texts of the clauses by which Slurm can place. ``named``: by text, clauses all of whose names nodes
    can publish, also where none does.
    """

    placed: frozenset[str]
    named: dict[str, Clause]

    def misses(self, answer: ClauseResult, view: View) -> bool:
        """Return whether a clause cannot be told of a node (``view``: all that it published) that could have told."""
        if answer.status != "unknown":
            return False
        if answer.text in self.placed:
            return True
        clause = self.named.get(answer.text)
        if clause is None:
            return False
        parts = zip(clause.predicates, answer.predicates)
        return any(found.truth is None and not _states(view, one) for one, found in parts)


def publishable(requirement: Requirement, placed: frozenset[str], by_extra: bool) -> Publishable:
    """Return what counts for the clauses of ``requirement``; ``by_extra``: nodes publish by Extra, else by Features."""
    named = {one.text: one for one in requirement.clauses if all(_may_name(part, by_extra) for part in one.predicates)}
    return Publishable(placed, named)


def _may_name(one: Predicate, by_extra: bool) -> bool:
    row = names.find(one.name)
    if row is None:
        return False
    return row.extra is not None if by_extra else _has_feature(row)


def _has_feature(row: Row) -> bool:
    if row.name in _BY_FEATURES or row in names.DISTRIBUTION_ROWS:
        return True
    return any(group.fact == row.fact for group in encode.GROUPS)


def _states(view: View, one: Predicate) -> bool:
    """Tell whether a node published what a predicate reads, whether or not that settles it."""
    row = names.find(one.name)
    if row is None:
        return False
    if row.name == "cuda" and one.op in _RANGED:
        runs = view.get("driver.runs")
        return bool(runs) and not isinstance(runs, Unknown)
    if row.subject != "gpus":
        return not isinstance(view.get(row.fact), Unknown)
    if row.fact == mig.PATH:
        listed = mig.listed(view)
        return not isinstance(listed, Unknown) and not listed.more
    devices = view.devices()
    if isinstance(devices, Unknown):
        return False
    key = row.fact.partition(".")[2]
    return row.name == "gpu.count" or not any(isinstance(attribute(one, key), Unknown) for one in devices)
