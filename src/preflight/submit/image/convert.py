"""NVIDIA's conditions as a Preflight requirement, never stronger than they are.

An OR of ANDs becomes an AND of ORs (conjunctive normal form), which is what a list of clauses is. What a requirement
cannot say is taken to hold, which makes the requirement weaker, and is told.

Two readings: what the image's programs need (`cuda`, for which minor-version compatibility counts), or what a runtime
that checks the variables asks before it starts the container (`driver.cuda`, and of a GPU's brand what its name tells).
Source: NVIDIA/libnvidia-container src/cli/configure.c (each visible GPU by itself), src/driver.c (brands).
"""

from __future__ import annotations

from typing import NamedTuple

from preflight.requirements.grammar import MAX_LENGTH, MAX_PREDICATES
from preflight.submit.image.requires import Condition, Factor, Term

MAX_CLAUSES = 64
NAMES = {"cuda": "cuda", "driver": "driver", "arch": "gpu.arch"}
OWN = "driver.cuda"  # what a runtime that checks compares
# How many parts the node's own version has at most: with as many, ">" and "!=" mean the same to both.
_PARTS = {"cuda": 2, OWN: 2, "driver": 3, "gpu.arch": 2}
_ORDER = {"cuda": 0, OWN: 0, "driver": 1, "gpu.arch": 2, "gpu": 3}
# Brands that show in the name of a GPU, and the word of it: no name has two of them.
BRANDS = {
    "geforce": ("geforce", "geforcertx"),
    "titan": ("titan", "titanrtx"),
    "quadro": ("quadro", "quadrortx", "nvidiartx"),
}


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


def convert(condition: Condition, checked: bool = False) -> Converted:
    """Return the clauses that follow from one condition; none where it asks nothing that can be said.

    ``checked``: as a container runtime checks it, before it starts the container.
    """
    lost: dict[str, None] = {}
    if not condition.terms:
        return Converted((), ())
    clauses: set[Clause] = {frozenset()}
    terms = _branded(condition.terms, lost) if checked else [_weaker(term, lost) for term in condition.terms]
    if not terms:
        return Converted((), (*lost, "no GPU is of two brands: it never holds"))
    for term in dict.fromkeys(terms):
        if not term:
            return Converted((), tuple(lost))  # one of the terms always holds
        clauses = _times(clauses, term)
        if len(clauses) > MAX_CLAUSES:
            return Converted((), (*lost, "it is too long to be written as a requirement"))
    return _written(clauses, lost)


def _branded(terms: tuple[Term, ...], lost: dict[str, None]) -> list[frozenset[Predicate]]:
    """Return the terms of a condition as a runtime checks them: those that differ in their brands alone are one."""
    brands: dict[frozenset[Predicate], frozenset[str] | None] = {}
    for term in terms:
        rest = frozenset(one for one in (_noted(factor, lost, True) for factor in term) if one)
        mine = _brands(term, lost)
        before = brands.get(rest, frozenset())
        brands[rest] = None if mine is None or before is None else before | mine
    found = []
    for rest, some in brands.items():
        others = [] if some is None else [word for word, names in BRANDS.items() if not some.intersection(names)]
        if some is None or some:  # else no GPU is of two brands
            found.append(rest | {Predicate("gpu", "!=", word) for word in others})
    return found


def _brands(term: Term, lost: dict[str, None]) -> frozenset[str] | None:
    """Return the brands that a term allows, None where it names none that it is limited to."""
    if any(one.name == "brand" for one in term):
        lost["of a GPU's brand a requirement asks only that it is no GeForce, Titan or Quadro"] = None
    named = [frozenset((one.value,)) for one in term if one.name == "brand" and one.op == "="]
    return frozenset.intersection(*named) if named else None


def _weaker(term: Term, lost: dict[str, None]) -> frozenset[Predicate]:
    """Return a term's factors as predicates; those that cannot be said are left out."""
    if any(factor.name == "brand" for factor in term):
        lost["the GPU's brand is left out, so the requirement is weaker"] = None
    return frozenset(one for one in (_noted(factor, lost, False) for factor in term) if one)


def _noted(factor: Factor, lost: dict[str, None], checked: bool) -> Predicate | None:
    """Return a factor other than a brand as a predicate; None, and it is told, where none says it."""
    if factor.name == "brand":
        return None
    predicate = _predicate(factor, OWN if checked and factor.name == "cuda" else NAMES[factor.name])
    if predicate is None:
        lost[f"{factor.text()} has no equal among requirements and is left out"] = None
    return predicate


def _predicate(factor: Factor, name: str) -> Predicate | None:
    """Return a predicate that holds wherever the factor does.

    Requirements compare over as many parts as they write: driver>550 leaves out 550.54, which NVIDIA counts as greater.
    """
    op, parts = factor.op, factor.value.split(".")
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
    if sum(one.name == "gpu" for one in kept) > 1:  # a GPU that is a GeForce is no Titan
        return None
    for name in (*NAMES.values(), OWN):
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
        # A clause about GPUs holds where every GPU satisfies; two of them in an OR would ask one of them of all GPUs.
        if sum(one.name in ("gpu.arch", "gpu") for one in clause) > 1:
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
    return _ORDER[one.name], () if one.name == "gpu" else _version(one), one.op + one.value


def _key(clause: Clause) -> list[tuple[int, tuple[int, ...], str]]:
    return sorted(_rank(one) for one in clause)
