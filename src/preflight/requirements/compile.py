"""A requirement as Slurm's scheduler understands it: an Extra constraint, or an expression of node Features.

A clause is placed only where Slurm's answer is the evaluator's. What Slurm cannot be asked (a mount, free space) is
reported and stays with the prolog. Negations are written out, as Slurm's Extra has none: a comparison with a key that
a node does not have is false, so a node that does not state a fact never fits.
"""

from __future__ import annotations

from preflight.catalog import families
from preflight.facts.view import View
from preflight.requirements import encode, names
from preflight.requirements.evaluate import evaluate
from preflight.requirements.grammar import Clause, Predicate, Requirement
from preflight.requirements.kinds import Count, Flag, Size, Version
from preflight.requirements.kinds_of_names import TokenName
from preflight.requirements.row import Row
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_MIB = 1 << 20
_HIGHEST_PART = 998  # a part above 999 is published as 999, so that number itself cannot be asked
_VERSION = Version()
_OPPOSITE = {">=": "<", ">": "<=", "<": ">=", "<=": ">", "=": "!=", "!=": "="}
_SPECIAL = "[]*()&|,{}<>=!;:@+"


class NotPlaceable(Exception):
    """A clause that Slurm cannot be asked; str() says why."""


class Compiled(NamedTuple):
    """``text`` for --extra or --constraint, "" where nothing can be placed; the ``placed`` clauses.

    ``not_placeable``: (clause, why) of those that stay with the prolog. ``unmet``: the placed clauses that no node of
    the cluster fits now (Features only; with Extra Slurm knows).
    """

    text: str
    placed: tuple[Clause, ...]
    not_placeable: tuple[tuple[Clause, str], ...]
    unmet: tuple[Clause, ...] = ()


class Node(NamedTuple):
    """A formula: ``op`` "&" or "|" over ``parts``; "" where ``text`` is a comparison."""

    op: str
    parts: tuple[Node, ...] = ()
    text: str = ""


def leaf(key: str, op: str, value: int | str) -> Node:
    """Return one comparison."""
    return Node("", (), f"{key}{op}{value}")


def join(op: str, parts: Iterable[Node]) -> Node:
    """Return the parts joined by ``op``; those that are joined by it themselves are taken apart."""
    flat: list[Node] = []
    for part in parts:
        flat += part.parts if part.op == op else (part,)
    flat = list(dict.fromkeys(flat))
    return flat[0] if len(flat) == 1 else Node(op, tuple(flat))


def both(*parts: Node) -> Node:
    """Return the formula that holds where all do."""
    return join("&", parts)


def either(*parts: Node) -> Node:
    """Return the formula that holds where one does."""
    return join("|", parts)


def render(node: Node) -> str:
    """Return Slurm's text of a formula: one kind of operator on a level of parentheses."""
    return node.op.join(f"({render(part)})" if part.op else part.text for part in node.parts) if node.op else node.text


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
    row, asked, negated = _read(predicate)
    op = predicate.op
    if op == "!=":
        op, negated = "=", not negated
    if row.extra is None:
        raise NotPlaceable(f"{row.name} is not published")
    if row in names.DISTRIBUTION_ROWS:
        return _distribution(row, str(op), asked, negated)
    if row.name == "cuda" and predicate.op in (">=", "=", "~="):
        low = _cuda(asked, negated)
        return both(leaf(encode.RUNS, ">=", low), leaf(encode.FROM, "<=", low))
    if row.name == "gpu.count":
        _only_more(predicate)
    if isinstance(row.kind, Version):
        formula = _version(row.extra, str(op), asked, negated)
    elif isinstance(row.kind, Size):
        formula = _size(row, str(op), asked, negated)
    elif isinstance(row.kind, Flag):
        return leaf(row.extra, "=", int(not negated))
    elif isinstance(row.kind, Count):
        formula = _count(row.extra, op, asked, negated)
    elif isinstance(row.kind, TokenName):
        return leaf(encode.WORD + encode.escape(_word(asked, negated)), "=", 1)
    else:
        formula = leaf(row.extra, "!=" if negated else "=", encode.escape(str(row.kind.encode(asked))))
    every_gpu = negated and row.scope == "gpu" and row.name != "gpu.count"
    return either(leaf("gpu_count", "=", 0), formula) if every_gpu else formula


def _read(predicate: Predicate) -> tuple[Row, Any, bool]:
    row = names.find(predicate.name)
    if row is None:  # the grammar lets no unknown name through
        raise NotPlaceable("it has an unknown name")
    return row, None if predicate.value is None else row.kind.parse(predicate.value), predicate.negated


def _only_more(predicate: Predicate) -> None:
    if predicate.negated or predicate.op not in (None, ">=", ">"):
        raise NotPlaceable("it is about the GPUs that the job gets, of which a node may have more")


def _word(asked: str, negated: bool) -> str:
    if negated:
        raise NotPlaceable("a word that a GPU's name does not have is not published")
    if " " in asked:
        raise NotPlaceable("a GPU's name is published word by word, and it asks for several in a row")
    return asked


def _cuda(asked: tuple[int, ...], negated: bool) -> int:
    if negated:
        raise NotPlaceable("which CUDA does not run is not published")
    if len(asked) > 1 and encode.MINORS[-2] < asked[1] < encode.MINORS[-1]:
        raise NotPlaceable("there is no such CUDA release")
    return _low(asked[:2])


def _low(asked: tuple[int, ...]) -> int:
    """Return the number of the lowest version that the asked parts begin."""
    if len(asked) > 3:
        raise NotPlaceable("versions are published by three parts")
    if any(part > _HIGHEST_PART for part in asked[1:]):
        raise NotPlaceable(f"parts of a version above {_HIGHEST_PART} are not told apart")
    return sum(part * scale for part, scale in zip(asked, (1_000_000, 1_000, 1), strict=False))


def _above(asked: tuple[int, ...]) -> int:
    """Return the number of the lowest version above all that the asked parts begin."""
    return _low(asked) + (1_000_000, 1_000, 1)[len(asked) - 1]


def _version(key: str, op: str, asked: tuple[int, ...], negated: bool) -> Node:
    """Return the comparison of a version. ``key``_parts tells a 9 from a 9.0: a part not stated settles nothing."""
    low, parts = _low(asked), key + encode.PARTS
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
        either(leaf(parts, "!=", stated), leaf(key, "!=", _low(asked[:stated])))
        for stated in range(1, len(asked))
        if _may_hold(formula, _low(asked[:stated]))
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
    low, above = _low((major,)), _above((major,))
    if negated:
        return either(leaf("os_version", "<", low), leaf("os_version", ">=", above))
    return both(leaf("os_version", ">=", low), leaf("os_version", "<", above))


def to_constraint(requirement: Requirement, features: Iterable[str]) -> Compiled:
    """Return the requirement for --constraint over ``features``, those that the cluster's nodes have.

    A clause that no node fits is placed all the same, by a feature that none has: Slurm then refuses the job.
    """
    known = sorted(set(features))
    placed, rest, texts, unmet = [], [], [], []
    for clause in requirement.clauses:
        try:
            fits = sorted({one for predicate in clause.predicates for one in _features(predicate, known)})
        except NotPlaceable as why:
            rest.append((clause, str(why)))
            continue
        placed.append(clause)
        if not fits:
            unmet.append(clause)
        texts.append(fits or [f"no_node_has_{clause.predicates[0].name}"])
    # One clause needs no parentheses, nor does a single feature.
    shown = ["|".join(one) if len(one) == 1 or len(texts) == 1 else f"({'|'.join(one)})" for one in texts]
    return Compiled("&".join(dict.fromkeys(shown)), tuple(placed), tuple(rest), tuple(unmet))


def join_constraint(own: str, ours: str) -> str:
    """Return the user's own --constraint and ours as one; raises NotPlaceable where Slurm's grammar allows none."""
    own = own.strip()
    if not own or not ours:
        return own or ours
    if any(char in own for char in "[]*(),"):
        raise NotPlaceable("your own --constraint has counts or parentheses, to which nothing can be added")
    mine = f"({own})" if "|" in own else own
    return f"{mine}&({ours})" if "|" in ours and "(" not in ours else f"{mine}&{ours}"


def _features(predicate: Predicate, known: list[str]) -> list[str]:
    """Return the features of which each proves the predicate."""
    row, asked, negated = _read(predicate)
    if row.name == "gpu":
        word = _word(asked, negated)
        _published([one for one in known if _gpu_word(one)], row)
        return [f"gpu_{word}"] if f"gpu_{word}" in known else []
    if row.name == "gpu.count":
        _only_more(predicate)
    if row.name == "cuda" and predicate.op in (">=", "=", "~="):
        _cuda(asked, negated)
        starts = _of(known, f"{encode.FROM}_")
        if any(_VERSION.read(one.removeprefix(f"{encode.FROM}_")) > (*asked, 0)[:2] for one in starts):
            raise NotPlaceable("some nodes have GPUs that need a newer CUDA, which a feature does not tell")
        return [one for one in _published(_of(known, f"{encode.RUNS}_"), row) if _runs(one, asked[:2])]
    prefix = _prefix(row)
    if not prefix:
        raise NotPlaceable(f"{row.name} is not among the features that are published")
    group = [one for one in _of(known, prefix) if not one.startswith((f"{encode.RUNS}_", f"{encode.FROM}_"))]
    requirement = Requirement((Clause((predicate,), ""),))
    return [one for one in _published(group, row) if _proves(requirement, row, prefix, one)]


def _prefix(row: Row) -> str:
    """Return the beginning of the features that state what the row reads; "" where none does."""
    if row.name == "os" or row in names.DISTRIBUTION_ROWS:
        return "os_"
    if row.name in ("gpu.count", "gpu.arch"):
        return f"{row.extra}_"
    return next((group.prefix for group in encode.GROUPS if group.fact == row.fact), "")


def _of(known: list[str], prefix: str) -> list[str]:
    return [one for one in known if one.startswith(prefix) and not any(char in one for char in _SPECIAL)]


def _gpu_word(feature: str) -> bool:
    return feature.startswith("gpu_") and "_" not in feature[4:]


def _published(group: list[str], row: Row) -> list[str]:
    if not group:
        raise NotPlaceable(f"no node publishes {row.name}")
    return group


def _runs(feature: str, asked: tuple[int, ...]) -> bool:
    value = feature.removeprefix(f"{encode.RUNS}_")
    return value != "none" and _VERSION.compare(">=", asked, value) is True


def _proves(requirement: Requirement, row: Row, prefix: str, feature: str) -> bool:
    """Tell whether a node with ``feature`` passes, by evaluating what the feature states."""
    value: Any = feature.removeprefix(prefix)
    facts: dict[str, dict[str, Any]]
    if prefix == "os_":
        os_id, _, version = value.partition("_")
        facts = {"os": {"id": os_id, "version": version or None}}
    elif row.name == "gpu.count":
        number = int(value) if value.isascii() and value.isdigit() and len(value) < 4 else 0
        facts = {"gpus": {"devices": [{}] * number}}
    elif row.name == "gpu.arch":
        facts = {"gpus": {"devices": [{"compute_capability": value}]}}
    else:
        subject, _, key = row.fact.partition(".")
        facts = {subject: {key: None if value == "none" else value}}
        if row.name == "cuda":
            facts = {"driver": {"version": None}} if value == "none" else facts
    return evaluate(requirement, View(facts, {}))[0].status in ("pass", "warn")
