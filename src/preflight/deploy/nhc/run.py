"""Where NHC's run ends: a line that runs `exit` or `return` keeps the lines below it from running on its nodes."""

from __future__ import annotations

from preflight.deploy.nhc.call import Unturned
from preflight.deploy.nhc.targets import NoMatch, both, without

MOST = 16  # selectors that rows below are cut by; of more it is only said that a row may not be reached


class Run:
    """The lines so far that end NHC's run, or may."""

    def __init__(self) -> None:
        self._ended: list[tuple[int, str]] = []
        self._perhaps: list[int] = []

    def look(self, number: int, nodes: str, ends: bool | None) -> None:
        """Take note of a line: whether it ends the run on ``nodes``; None: only bash on the node knows."""
        if ends is None or (ends and len(self._ended) >= MOST):
            self._perhaps.append(number)
        elif ends:
            self._ended.append((number, nodes))

    def reached(self, nodes: str) -> tuple[str, tuple[str, ...]]:
        """Return which of the nodes still run a line, and why even that is not sure.

        Raises `Unturned` where none does.
        """
        terms = nodes.split(" && ") if nodes else []
        unsure = list(self._perhaps)
        for number, ended in self._ended:
            if not ended or all(term in terms for term in ended.split(" && ")):
                raise Unturned(f"line {number} ends NHC's run before it on all its nodes")
            try:
                other = without(ended)
            except NoMatch:
                unsure.append(number)
                continue
            nodes = both(nodes, other)
        if not unsure:
            return nodes, ()
        return nodes, (f"line {min(unsure)} may end NHC's run before it, and so the row only warns",)
