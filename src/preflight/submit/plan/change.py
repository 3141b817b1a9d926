"""What the user could change to get more nodes: each proposal is proven on the nodes before it is made.

A clause may be lowered to what nodes have, or dropped; one of the user's own options may go; fewer GPUs a node may do.
Where no single change helps, two clauses are dropped together. Only nodes that are up count.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from preflight.facts.view import View
from preflight.requirements import names
from preflight.requirements.evaluate import ClauseResult
from preflight.requirements.grammar import Clause, Predicate, Requirement
from preflight.requirements.kinds import Count, Size, Version
from preflight.submit.plan.gres import gpus_of, noun, published
from preflight.submit.plan.judge import Row
from preflight.submit.plan.kinds import Given, Kinds
from preflight.submit.plan.model import Change, Need
from preflight.submit.plan.publishable import Publishable
from preflight.submit.plan.terms import Terms
from preflight.tuples import NamedTuple

_TRIED = 12  # values of one clause that are tried: the nearest, and the furthest
_PAIRS = 8  # clauses of which pairs are tried
_MIB = 1 << 20


class Ground(NamedTuple):
    """What proposals are proven on: judged nodes, their kinds, and how clauses are judged."""

    rows: Sequence[Row]
    kinds: Kinds
    gpus: Given
    cuda_minor: str
    tables: Any
    asks: Publishable

    def fitting(self, without: frozenset[str]) -> list[Row]:
        """Return the up nodes whose clauses hold where those ``without`` are not asked."""
        hold: dict[int, bool] = {}  # by the answers that nodes of a kind share
        for row in self.rows:
            if id(row.answers) not in hold:
                hold[id(row.answers)] = all(self.may(one, row) for one in row.answers if one.text not in without)
        return [row for row in self.rows if not row.away and hold[id(row.answers)]]

    def may(self, answer: ClauseResult, row: Row) -> bool:
        """Return whether a clause stands not in a node's way: it holds, or only the prolog can tell."""
        return answer.status != "fail" and not self.asks.misses(answer, row.view)


def changes(ground: Ground, needs: Sequence[Need], terms: Terms) -> tuple[Change, ...]:
    """Return what would gain nodes, the most first."""
    clauses = list({need.clause.text: need.clause for need in needs}.values())
    found = [change for clause in clauses for change in _of_clause(ground, clause)]
    found += _of_options(ground) + _of_gpus(ground, terms) + _of_memory(ground, terms)
    if not found:
        found = _of_pairs(ground, clauses)
    return tuple(sorted(found, key=lambda one: -len(one.nodes)))


def _gain(ground: Ground, without: frozenset[str]) -> list[Row]:
    """Return the up nodes that fit if the clauses were not asked, and do not with all of them."""
    return [
        row
        for row in ground.fitting(without)
        if not row.left_out and not row.lacks and not without.isdisjoint(row.fails)
    ]


def _of_clause(ground: Ground, clause: Clause) -> list[Change]:
    # A node that does not tell is no gain: nothing is known of it.
    failing = _gain(ground, frozenset((clause.text,)))
    if not failing:
        return []
    lowered = _lowered(ground, clause, failing)
    most = max((len(one.nodes) for one in lowered), default=0)
    dropped = [Change(f"without {clause.text}", _names(failing))] if len(failing) > most else []
    return [*lowered, *dropped]


def _lowered(ground: Ground, clause: Clause, failing: Sequence[Row]) -> list[Change]:
    """Return the clause with values that failing nodes have: with the nearest one, and the one that gains most."""
    if len(clause.predicates) != 1 or not _has_order(clause.predicates[0]):
        return []
    one = clause.predicates[0]
    kinds = sorted({ground.kinds.of[row.node.name] for row in failing})
    values = {value for kind in kinds if (value := _value(one, ground.kinds.views[kind])) is not None}
    found: dict[frozenset[str], Change] = {}
    nearest = sorted(values, key=_order(one), reverse=True)
    for value in [*nearest[: _TRIED - 1], *nearest[_TRIED - 1 :][-1:]]:
        changed = Predicate(one.name, ">=", value, False)
        passing = _passing(ground, Clause((changed,), changed.text()))
        nodes = _names([row for row in failing if ground.kinds.of[row.node.name] in passing])
        if nodes:
            found.setdefault(frozenset(nodes), Change(f"{clause.text} -> {changed.text()}", nodes))
    steps = list(found.values())
    most = max(steps, key=lambda step: len(step.nodes), default=None)
    return [*steps[:1], most] if most and most not in steps[:1] else steps[:1]


def _has_order(one: Predicate) -> bool:
    row = names.find(one.name)
    # Of cuda, = and ~= ask for what runs, as >= does; elsewhere they ask for that very version.
    lowered = (">=", ">", "=", "~=") if one.name == "cuda" else (">=", ">")
    if row is None or one.negated or one.op not in lowered or (one.name == "cuda" and one.op == ">"):
        return False
    return isinstance(row.kind, (Version, Size, Count))


def _order(one: Predicate) -> Any:
    row = names.find(one.name)
    return row.kind.parse if row else str


def _value(one: Predicate, view: View) -> str | None:
    """Return what a node has, as a value that the predicate may ask for; to as many parts as it asks."""
    row = names.find(one.name)
    if row is None:
        return None
    devices = view.devices()
    if row.name == "gpu.count":
        return str(len(devices)) if isinstance(devices, list) and devices else None
    if row.subject == "gpus":
        have = devices[0].get(row.fact.partition(".")[2]) if isinstance(devices, list) and devices else None
    else:
        have = view.get(row.fact)
    if isinstance(row.kind, Version):
        parts = max(2, (one.value or "").count(".") + 1)
        stated = row.kind.read(have)[:parts]
        if row in names.DISTRIBUTION_ROWS:  # as its makers write it: 22.04
            return ".".join(str(have).split(".")[:parts]) if stated else None
        return ".".join(map(str, stated)) or None
    if isinstance(row.kind, Size):
        return _size(have[0], row.kind.base) if isinstance(have, list) else None
    return str(int(have)) if isinstance(have, (int, float)) and have >= 1 else None


def _size(least: int, base: int) -> str | None:
    """Return a size that a node with so many bytes has: whole G, where there is one."""
    whole = least // base**3
    return f"{whole}G" if whole else f"{least // base**2}M" if least >= base**2 else None


def _passing(ground: Ground, clause: Clause) -> set[int]:
    answers = ground.kinds.judged(Requirement((clause,)), ground.gpus, ground.cuda_minor, ground.tables)
    return {kind for kind, answer in enumerate(answers) if answer[0].status in ("pass", "warn")}


def _of_options(ground: Ground) -> list[Change]:
    gained: dict[str, list[Row]] = {}
    for row in ground.fitting(frozenset()):
        if len(row.left_out) == 1 and not row.lacks:
            gained.setdefault(row.left_out[0], []).append(row)
    return [Change(f"without your {option}", _names(found)) for option, found in gained.items()]


def _of_gpus(ground: Ground, terms: Terms) -> list[Change]:
    """Return fewer GPUs a node, where that is all that is amiss."""
    if terms.gpus is None or ground.gpus.number is None:
        return []
    found: dict[int, list[Row]] = {}
    for row in ground.rows:
        if len(row.lacks) != 1 or not row.lacks[0].of_gpus or row.left_out or row.away:
            continue
        told = published(row.view, terms.gpus.type, row.node.gres)
        have = gpus_of(row.node.gres, terms.gpus.type)
        have = have if told is None else min(have, told)
        if have:
            found.setdefault(have, []).append(row)
    proven = []
    for have, some in found.items():
        asked = Requirement(tuple(_clauses(some[0])))
        given = ground.gpus._replace(number=have)
        answers = ground.kinds.judged(asked, given, ground.cuda_minor, ground.tables) if asked.clauses else []
        fitting = [
            row
            for row in some
            if not answers or all(ground.may(one, row) for one in answers[ground.kinds.of[row.node.name]])
        ]
        if fitting:
            text = f"{noun(have, terms.gpus.type)} a node instead of {terms.gpus.least}"
            proven.append(Change(text, _names(fitting)))
    return proven


def _of_memory(ground: Ground, terms: Terms) -> list[Change]:
    """Return the most memory that a node has which lacks nothing else, where none fits for want of it."""
    able = [row for row in ground.fitting(frozenset()) if not row.left_out]
    only = [row for row in able if len(row.lacks) == 1 and row.lacks[0].what.startswith("memory <")]
    if not only or not all(row.lacks for row in able):
        return []
    most = max(row.node.memory for row in only)
    gained = _names([row for row in only if row.node.memory == most])
    return [Change(f"--mem={most}M instead of {terms.memory}M", gained)]


def _clauses(row: Row) -> list[Clause]:
    from preflight.requirements.grammar import parse

    return [clause for one in row.answers for clause in parse(one.text).clauses]


def _of_pairs(ground: Ground, clauses: Sequence[Clause]) -> list[Change]:
    found = []
    for first, second in combinations(clauses[:_PAIRS], 2):
        both = frozenset((first.text, second.text))
        gained = [row for row in _gain(ground, both) if both <= frozenset(row.fails)]
        if gained:
            found.append(Change(f"without both {first.text} and {second.text}", _names(gained)))
    return found


def _names(found: Sequence[Row]) -> tuple[str, ...]:
    return tuple(sorted(row.node.name for row in found))
