"""A requirement as an Extra constraint: what Slurm's scheduler asks of the nodes' Extra JSON.

Negations are written out, as Slurm's Extra has none: a comparison with a key that a node does not have is false, so a
node that does not state a fact never fits.
"""

from __future__ import annotations

from preflight.catalog import families
from preflight.requirements import encode, gpu_code, installed, names
from preflight.requirements.formula import Node, both, either, leaf, render
from preflight.requirements.grammar import Predicate, Requirement
from preflight.requirements.kinds import Count, Flag, Size, Version
from preflight.requirements.kinds_of_names import TokenName
from preflight.requirements.placeable import (
    Compiled,
    NotPlaceable,
    lowest,
    must_ask_for_more,
    must_ask_for_newer,
    one_profile,
    one_word,
    read,
    released_cuda,
)
from preflight.requirements.row import Row

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from preflight.catalog.targets import Target

_MIB = 1 << 20
_OPPOSITE = {">=": "<", ">": "<=", "<": ">=", "<=": ">", "=": "!=", "!=": "="}


def to_extra(requirement: Requirement) -> Compiled:
    """Return the requirement for --extra where SchedulerParameters has extra_constraints (Slurm 24.11 and later)."""
    placed, rest, formulas = [], [], []
    for clause in requirement.clauses:
        try:
            formulas.append(either(*(_extra(one) for one in clause.predicates)))
            placed.append(clause)
        except NotPlaceable as why:
            rest.append((clause, str(why)))
    return Compiled(render(both(*formulas)) if formulas else "", tuple(placed), tuple(rest))


def join_extra(own: str, ours: str) -> str:
    """Return the user's own --extra and ours as one."""
    return f"({own.strip()})&({ours})" if own.strip() and ours else own.strip() or ours


def _extra(predicate: Predicate) -> Node:
    row, asked, negated = read(predicate)
    op = predicate.op
    if op == "!=":
        op, negated = "=", not negated
    if row.extra is None:
        raise NotPlaceable(f"{row.name} is not published")
    if row in names.DISTRIBUTION_ROWS:
        return _distribution(row, str(op), asked, negated)
    if row.name == "cuda" and predicate.op in (">=", "=", "~="):
        low = released_cuda(asked, negated)
        return both(leaf(encode.RUNS, ">=", low), leaf(encode.FROM, "<=", low))
    if row.judge is installed.judge:
        must_ask_for_newer(predicate)
    if row.name in ("gpu.count", "mig.count"):
        must_ask_for_more(predicate)
    if row.extra == encode.MIG:
        profile, least = one_profile(predicate, asked)
        return leaf(encode.MIG + encode.escape(profile), ">=", least)
    if isinstance(row.kind, gpu_code.Targets):
        formula = _code(row.extra, asked, negated)
    elif isinstance(row.kind, Version):
        formula = _version(row.extra, str(op), asked, negated)
    elif isinstance(row.kind, Size):
        formula = _size(row, str(op), asked, negated)
    elif isinstance(row.kind, Flag):
        return leaf(row.extra, "=", int(not negated))
    elif isinstance(row.kind, Count):
        formula = _count(row.extra, op, asked, negated)
    elif isinstance(row.kind, TokenName):
        word, profile = one_word(asked, negated)
        named = [leaf(encode.WORD + encode.escape(word), "=", 1)] if word else []
        return both(*named, *([leaf(encode.MIG + encode.escape(profile), ">=", 1)] if profile else []))
    else:
        formula = leaf(row.extra, "!=" if negated else "=", encode.escape(str(row.kind.encode(asked))))
    every_gpu = negated and row.scope == "gpu" and row.quantifier == "all"
    return either(leaf("gpu_count", "=", 0), formula) if every_gpu else formula


def _code(key: str, asked: tuple[Target, ...], negated: bool) -> Node:
    """Return the comparisons with the compute capability: each one that is known to run the code, or not to."""
    known = gpu_code.known(asked, negated)
    if not known:
        raise NotPlaceable(f"no GPU is known {'not ' if negated else ''}to run it")
    equal = [leaf(key, "=", lowest(divmod(sm, 10))) for sm in known]
    return both(either(*equal), leaf(key + encode.PARTS, "=", 2))


def _above(asked: tuple[int, ...]) -> int:
    """Return the number of the lowest version above all that the asked parts begin."""
    return lowest(asked) + (1_000_000, 1_000, 1)[len(asked) - 1]


def _version(key: str, op: str, asked: tuple[int, ...], negated: bool) -> Node:
    """Return the comparison of a version. ``key``_parts tells a 9 from a 9.0: a part not stated settles nothing."""
    low, parts = lowest(asked), key + encode.PARTS
    if op == "~=":
        inside = both(leaf(key, ">=", low), leaf(key, "<", _above(asked[:-1])))
        outside = either(leaf(key, "<", low), leaf(key, ">=", _above(asked[:-1])))
    elif op == "=":
        inside = both(leaf(key, ">=", low), leaf(key, "<", _above(asked)))
        outside = either(leaf(key, "<", low), leaf(key, ">=", _above(asked)))
    else:
        bound = low if op in (">=", "<") else _above(asked)
        inside = leaf(key, ">=" if op in (">=", ">") else "<", bound)
        outside = leaf(key, "<" if op in (">=", ">") else ">=", bound)
    formula = outside if negated else inside
    if negated and op in ("<", "<=") and key != "os_version":
        formula = either(leaf(key, "<", 0), formula)
    # A node that states fewer parts, all as asked: its number is that of the parts with zeros behind.
    short = [
        either(leaf(parts, "!=", stated), leaf(key, "!=", lowest(asked[:stated])))
        for stated in range(1, len(asked))
        if _may_hold(formula, lowest(asked[:stated]))
    ]
    present = [] if negated or op not in ("<", "<=") else [leaf(key, ">=", 0)]
    return both(formula, *short, *present)


def _may_hold(formula: Node, value: int) -> bool:
    """Tell whether a formula of comparisons with one key holds for ``value``."""
    if formula.op:
        held = [_may_hold(part, value) for part in formula.parts]
        return all(held) if formula.op == "&" else any(held)
    sign = ">=" if ">=" in formula.text else "<"
    bound = int(formula.text.partition(sign)[2])
    return value >= bound if sign == ">=" else value < bound


def _size(row: Row, op: str, asked: int, negated: bool) -> Node:
    op = _OPPOSITE[op] if negated else op
    key = row.extra or ""
    whole, rest = divmod(asked, _MIB)
    if op == "<=" or (op == "<" and rest):
        raise NotPlaceable("sizes are published in whole MiB, rounded down")
    if row.scope == "gpu" and not negated and op == "<":
        raise NotPlaceable("of several GPUs the least memory is published")
    if op == "<":
        present = [] if negated else [leaf(key, ">=", 0)]
        return both(leaf(key, "<", whole), *present)
    if negated and row.scope == "gpu":
        raise NotPlaceable("of several GPUs the least memory is published")
    least = whole + (1 if rest or op == ">" else 0)
    return either(leaf(key, "<", 0), leaf(key, ">=", least)) if negated else leaf(key, ">=", least)


def _count(key: str, op: str | None, asked: int | None, negated: bool) -> Node:
    if op is None:
        op, asked = ">", 0
    number = asked or 0
    if negated and op in ("<", "<="):
        return either(leaf(key, "<", 0), leaf(key, _OPPOSITE[op], number))
    formula = leaf(key, _OPPOSITE[op] if negated else op, number)
    return both(formula, leaf(key, ">=", 0)) if not negated and op in ("<", "<=") else formula


def _distribution(row: Row, op: str, asked: tuple[int, ...], negated: bool) -> Node:
    version = _version("os_version", op, asked, negated)
    kinds = []
    for os_id, majors in families.members(row.name).items():
        here = leaf("os", "!=" if negated else "=", encode.escape(os_id))
        if majors is None:
            kinds.append(here)
            continue
        major = [_major(one, negated) for one in sorted(majors)]
        kinds.append(either(here, both(*major)) if negated else both(here, either(*major)))
    return either(both(*kinds), version) if negated else both(either(*kinds), version)


def _major(major: int, negated: bool) -> Node:
    low, above = lowest((major,)), _above((major,))
    if negated:
        return either(leaf("os_version", "<", low), leaf("os_version", ">=", above))
    return both(leaf("os_version", ">=", low), leaf("os_version", "<", above))
