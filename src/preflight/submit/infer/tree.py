"""A shell text's syntax tree, made within a time: recovering from errors is not linear."""

import time
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

    try:
        tree: Tree | None = parser.parse(lambda at, _: data[at : at + _CHUNK], progress_callback=is_late)
    except TypeError:  # before tree-sitter 0.25
        parser.timeout_micros = int(min(max(deadline - time.process_time(), 0.1), 60) * 1e6)  # type: ignore[attr-defined]
        tree = parser.parse(data)
    except ValueError:  # so it says that it was stopped
        tree = None
    if tree is None:
        parser.reset()
        raise TimeoutError
    return tree.root_node
