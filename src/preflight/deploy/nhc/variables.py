"""The variables of an nhc.conf, which may have other values on other nodes: NHC sets them line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from preflight.deploy.nhc.braces import Unread
from preflight.deploy.nhc.targets import NoMatch, both, without
from preflight.deploy.nhc.words import value

MOST = 16  # parts into which variables may cut the nodes of a line
MEASURED = (
    "HW_",
    "PS_",
    "FS_",
    "DF_",
    "DFI_",
    "DMI_",
    "NET_",
    "LOADAVG",
    "RUNPROCS",
    "TOTPROCS",
    "PWDATA_",
    "JOBUSERS",
)
OF_THE_NODE = ("HOSTNAME", "HOSTNAME_S", "PATH", "UID", "EUID", "PWD", "HOME", "USER", "RANDOM", "SECONDS", "BASHPID")


class _Setting(NamedTuple):
    """A variable set on the nodes of a selector; ``why`` it is not known beforehand, "" where it is."""

    name: str
    nodes: str
    value: str
    why: str
    line: int


class Part(NamedTuple):
    """Nodes that have the same variables. ``problem``: why they cannot be told apart."""

    nodes: str
    settings: dict[str, _Setting]
    used: set[tuple[int, str]]
    problem: str = ""

    def lookup(self, line: int) -> Callable[[str], str]:
        """Return what gives a variable's value, or raises Unread."""

        def find(name: str) -> str:
            found = self.settings.get(name)
            if found is not None:
                if found.why:
                    raise Unread(f"${name} of line {found.line}: {found.why}")
                self.used.add((found.line, name))
                return found.value
            if name.startswith(MEASURED):
                raise Unread(f"${name} is measured on the node")
            if name in OF_THE_NODE:
                raise Unread(f"${name} is another on each node")
            raise Unread(f"${name} is not set in this file")

        return find


class Environment:
    """All settings so far, in order. ``used``: (line, name) of those whose value was taken."""

    def __init__(self) -> None:
        self._settings: list[_Setting] = []
        self.used: set[tuple[int, str]] = set()

    def set(self, name: str, nodes: str, text: str | None, why: str, line: int) -> None:
        """Set a variable on some nodes."""
        self._settings.append(_Setting(name, nodes, text or "", why, line))

    def value(self, node: object, nodes: str, line: int) -> str:
        """Return the value of an assignment on some nodes; raises Unread."""
        from preflight.deploy.nhc.words import variables

        parts = list(self.parts(nodes, variables(node) if node is not None else ()))  # type: ignore[arg-type]
        if len(parts) != 1 or parts[0].problem:
            raise Unread("it is another on each node")
        return value(node, parts[0].lookup(line))  # type: ignore[arg-type]

    def parts(self, nodes: str, names: Iterable[str]) -> list[Part]:
        """Return the parts of ``nodes`` that have different values of ``names``."""
        found = [Part(nodes, {}, self.used)]
        terms = nodes.split(" && ") if nodes else []
        for name in sorted(set(names)):
            mine = [one for one in self._settings if one.name == name]
            everywhere = [at for at, one in enumerate(mine) if _covers(one, terms)]
            for one in mine[everywhere[-1] if everywhere else 0 :]:
                found = [part for each in found for part in _cut(each, one)]
                if len(found) > MOST:
                    return [Part(nodes, {}, self.used, f"its variables cut the nodes into more than {MOST} parts")]
        return found


def _covers(one: _Setting, terms: list[str]) -> bool:
    """Return whether a setting holds on all nodes that the terms of a chain select."""
    return all(term in terms for term in (one.nodes.split(" && ") if one.nodes else []))


def _cut(part: Part, one: _Setting) -> list[Part]:
    """Return the part with the setting, or its two halves where it holds on some of its nodes."""
    terms = part.nodes.split(" && ") if part.nodes else []
    having = part._replace(settings={**part.settings, one.name: one})
    if _covers(one, terms):
        return [having]
    try:
        other = without(one.nodes)
    except NoMatch as error:
        return [part._replace(problem=f"${one.name} is set on some of its nodes only (line {one.line}): {error}")]
    if other in terms:
        return [part]
    return [having._replace(nodes=both(part.nodes, one.nodes)), part._replace(nodes=both(part.nodes, other))]
