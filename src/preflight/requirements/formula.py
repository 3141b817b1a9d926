"""Formulas over comparisons, and Slurm's text of them: what --extra takes."""

from __future__ import annotations

from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable


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
