"""A shell text's syntax tree, made within a time: recovering from errors is not linear. And its nodes' texts."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node, Parser, Tree

_CHUNK = 1 << 16


def parsed(parser: "Parser", text: str, deadline: float) -> "Node":
    """Return a text's tree; raises TimeoutError where that takes longer.

    ``deadline`` is of time.process_time(), so that a busy machine changes nothing.
    """
    data = text.encode("utf-8", "replace")

    def is_late(*_: object) -> bool:
        return time.process_time() > deadline

    tree: Tree | None = None
    try:
        try:
            tree = parser.parse(lambda at, _: data[at : at + _CHUNK], progress_callback=is_late)
        except TypeError:  # before tree-sitter 0.25
            seconds = min(max(deadline - time.process_time(), 0.1), 60)
            parser.timeout_micros = int(seconds * 1e6)  # type: ignore[attr-defined]
            tree = parser.parse(data)
    except ValueError:  # so it says that it was stopped
        tree = None
    if tree is None:
        parser.reset()
        raise TimeoutError
    return tree.root_node


def source(node: "Node") -> str:
    """Return a node's own text."""
    return (node.text or b"").decode("utf-8", "replace")


def start_row(node: "Node") -> int:
    """Return the row (0-based) on which a node's text begins; the grammar may count a line break before it to it."""
    return node.start_point[0]


def children(node: "Node", kinds: tuple[str, ...]) -> "Iterator[Node]":
    """Yield the outermost descendants of some kinds, at any depth, without recursion."""
    todo = list(reversed(node.children))
    while todo:
        one = todo.pop()
        if one.type in kinds:
            yield one
        else:
            todo.extend(reversed(one.children))
