"""NVIDIA's conditions as a Preflight requirement, never stronger than they are.

An OR of ANDs becomes an AND of ORs (conjunctive normal form), which is what a list of clauses is. What a requirement
cannot say (a GPU's brand) is taken to hold, which makes the requirement weaker, and is told.
"""

from typing import NamedTuple

from preflight.requirements.grammar import MAX_LENGTH, MAX_PREDICATES
from preflight.submit.image.requires import Condition, Factor, Term

MAX_CLAUSES = 64
NAMES = {"cuda": "cuda", "driver": "driver", "arch": "gpu.arch"}
# How many parts the node's own version has at most: with as many, ">" and "!=" mean the same to both.
_PARTS = {"cuda": 2, "driver": 3, "gpu.arch": 2}
_ORDER = {"cuda": 0, "driver": 1, "gpu.arch": 2}


class Predicate(NamedTuple):
    """One comparison of a requirement."""

    name: str
    op: str
    value: str


Clause = frozenset[Predicate]


class Converted(NamedTuple):
    """``clauses`` as text that the requirement language takes; ``lost`` says what they leave out, one line each."""

    clauses: tuple[str, ...]
    lost: tuple[str, ...]


def convert(condition: Condition) -> Converted:
    """Return the clauses that follow from one condition; none where it asks nothing that can be said."""
    lost: dict[str, None] = {}
    if not condition.terms:
        return Converted((), ())
    clauses: set[Clause] = {frozenset()}
    for term in dict.fromkeys(_weaker(term, lost) for term in condition.terms):
        if not term:
            return Converted((), tuple(lost))  # one of the terms always holds
        clauses = _times(clauses, term)
        if len(clauses) > MAX_CLAUSES:
            return Converted((), (*lost, "it is too long to be written as a requirement"))
    return _written(clauses, lost)


def _weaker(term: Term, lost: dict[str, None]) -> frozenset[Predicate]:
    """Return a term's factors as predicates; those that cannot be said are left out."""
    said: set[Predicate] = set()
    for factor in term:
        if factor.name == "brand":
            lost["a requirement cannot ask for a GPU's brand, so it leaves the brand out and is weaker"] = None
            continue
        predicate = _predicate(factor)
        if predicate is None:
            lost[f"{factor.text()} has no equal among requirements and is left out"] = None
        else:
            said.add(predicate)
    return frozenset(said)


def _predicate(factor: Factor) -> Predicate | None:
    """Return a predicate that holds wherever the factor does.

    Requirements compare over as many parts as they write: driver>550 leaves out 550.54, which NVIDIA counts as greater.
    """
    name, op, parts = NAMES[factor.name], factor.op, factor.value.split(".")
    most = _PARTS[name]
    if len(parts) > most and set("".join(parts[most:])) != {"0"}:
        # More parts than a node states: what is compared then is what it does state.
        op = {">": ">=", "<": "<="}.get(op, op)
        if op == "!=":
            return None
    if len(parts) < most and op == ">":
        op = ">="
    if len(parts) < most and op == "!=":
        return None
    return Predicate(name, op, ".".join(parts[:most]))


def _times(clauses: set[Clause], term: frozenset[Predicate]) -> set[Clause]:
    """Return the clauses of (clauses OR term): each clause with each predicate, simplified."""
    made = {simple for clause in clauses for one in term if (simple := _simple(clause | {one})) is not None}
    return {clause for clause in made if not any(other < clause for other in made)}


def _simple(clause: Clause) -> Clause | None:
    """Return a clause with one lower and one upper bound a name; None where it always holds."""
    kept = {one for one in clause if one.op in ("=", "!=")}
    for name in NAMES.values():
        lower = [one for one in clause if one.name == name and one.op in (">=", ">")]
        upper = [one for one in clause if one.name == name and one.op in ("<=", "<")]
        least = min(lower, key=lambda one: (_version(one), one.op == ">"), default=None)
        most = max(upper, key=lambda one: (_version(one), one.op == "<="), default=None)
        if least and most:
            low, high = _version(least), _version(most)
            if low < high or (low == high and (least.op == ">=" or most.op == "<=")):
                return None
        kept |= {one for one in (least, most) if one}
    return frozenset(kept)


def _version(predicate: Predicate) -> tuple[int, ...]:
    parts = [int(part) for part in predicate.value.split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def _written(clauses: set[Clause], lost: dict[str, None]) -> Converted:
    texts: list[str] = []
    predicates = length = 0
    for clause in sorted(clauses, key=_key):
        # "gpu.arch" holds where every GPU satisfies; two of them in an OR would ask one of them of all GPUs.
        if sum(one.name == "gpu.arch" for one in clause) > 1:
            lost["an alternative of GPU architectures cannot be asked of each GPU by itself and is left out"] = None
            continue
        text = "|".join(f"{one.name}{one.op}{one.value}" for one in sorted(clause, key=_rank))
        predicates += len(clause)
        length += len(text) + 2
        if predicates > MAX_PREDICATES // 2 or length > MAX_LENGTH // 2:
            lost["it is too long to be written as a requirement; the rest is left out"] = None
            break
        texts.append(text)
    return Converted(tuple(texts), tuple(lost))


def _rank(one: Predicate) -> tuple[int, tuple[int, ...], str]:
    return _ORDER[one.name], _version(one), one.op


def _key(clause: Clause) -> list[tuple[int, tuple[int, ...], str]]:
    return sorted(_rank(one) for one in clause)
