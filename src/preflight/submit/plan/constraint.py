"""A job's own --constraint on one node: features joined by & and |, with parentheses.

What is about all the job's nodes together (counts as in "a*4", "[a|b]": all alike) is Slurm's to decide: the node is
then taken as one that may be used, and ``left`` says what was not looked at. Likewise "a|b&c" without parentheses,
where the two ways to read it differ.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from preflight.tuples import NamedTuple

_TOKEN = re.compile(r"\s*([()\[\]&|]|[^()\[\]&|*\s]+|\*\s*\d+)")
_MOST = 4096  # characters; Slurm's own limit is far below
_DEEP = 20


class Term(NamedTuple):
    """``op`` "" is one feature, "and" and "or" hold parts, "mixed" holds parts and in ``text`` their operators."""

    op: str
    text: str = ""
    parts: tuple[Term, ...] = ()


class Constraint(NamedTuple):
    """A constraint, read: ``term`` None where it cannot be; ``left``: what is left to Slurm, "" for nothing."""

    term: Term | None
    left: str = ""

    def allows(self, features: Collection[str]) -> bool:
        """Return whether a node with these active features may be used, as far as that can be told here."""
        return self.term is None or holds(self.term, features) is not False


def read(text: str) -> Constraint:
    """Return a --constraint, read; it never raises: what is not understood is left to Slurm."""
    left = f"--constraint={text}: not looked at, Slurm decides by it"
    if not text.strip():
        return Constraint(None)
    if "*" in text:
        return Constraint(None, f"--constraint={text}: counts are about all nodes together: Slurm decides by it")
    tokens = list(_tokens(text))
    if not tokens or len(text) > _MOST:
        return Constraint(None, left)
    try:
        term, end = _level(tokens, 0, 0)
    except ValueError:
        return Constraint(None, left)
    if end != len(tokens):
        return Constraint(None, left)
    alike = f"--constraint={text}: that all nodes have the same one of [...] is left to Slurm" if "[" in text else ""
    return Constraint(term, alike)


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text.rstrip()):
        found = _TOKEN.match(text, at)
        if found is None:
            return
        yield found[1]
        at = found.end()


def _level(tokens: list[str], at: int, depth: int) -> tuple[Term, int]:
    """Read up to the end or the closing parenthesis; ValueError where the text is no such expression."""
    if depth > _DEEP:
        raise ValueError("too deep")
    parts: list[Term] = []
    signs = ""
    while True:
        if at >= len(tokens):
            raise ValueError("ends early")
        token = tokens[at]
        if token in "([":
            part, at = _level(tokens, at + 1, depth + 1)
            if at >= len(tokens) or tokens[at] != {"(": ")", "[": "]"}[token]:
                raise ValueError("not closed")
        elif token in ")]&|":
            raise ValueError(token)
        else:
            part = Term("", token)
        parts.append(part)
        at += 1
        if at >= len(tokens) or tokens[at] not in "&|":
            break
        signs += tokens[at]
        at += 1
    if not signs:
        return parts[0], at
    op = {"&": "and", "|": "or"}.get("".join(set(signs)), "mixed")
    return Term(op, signs, tuple(parts)), at


def holds(term: Term, features: Collection[str]) -> bool | None:
    """Tell whether a node with these features passes; None where the text can be read in two ways that differ."""
    if not term.op:
        return term.text in features
    found = [holds(part, features) for part in term.parts]
    if term.op == "mixed":
        readings = {_in_turn(found, term.text), _by_rank(found, term.text)}
        return readings.pop() if len(readings) == 1 else None
    deciding = term.op == "or"
    return deciding if deciding in found else None if None in found else not deciding


def _in_turn(found: list[bool | None], signs: str) -> bool | None:
    """Return the value read from left to right."""
    value = found[0]
    for sign, one in zip(signs, found[1:]):
        value = _both(value, one) if sign == "&" else _either(value, one)
    return value


def _by_rank(found: list[bool | None], signs: str) -> bool | None:
    """Return the value where & binds closer than |."""
    groups = [found[0]]
    for sign, one in zip(signs, found[1:]):
        if sign == "&":
            groups[-1] = _both(groups[-1], one)
        else:
            groups.append(one)
    value = groups[0]
    for one in groups[1:]:
        value = _either(value, one)
    return value


def _both(one: bool | None, other: bool | None) -> bool | None:
    return False if False in (one, other) else None if None in (one, other) else True


def _either(one: bool | None, other: bool | None) -> bool | None:
    return True if True in (one, other) else None if None in (one, other) else False
