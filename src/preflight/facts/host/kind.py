"""How a kind of [[host]] row is declared, in its own file beside this one, which needs no other line anywhere.

A row of the policy is one instance of a kind: a mount, a file, a port. The kind declares the keys that a row may have;
the policy is validated by them, and the page of the kinds is made from them. Its reader reads what one row asks.
"""

from __future__ import annotations

import os

from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from preflight.facts.rootfs import Root

    Args = dict[str, Any]
    Read = Callable[[Root, Args, "Shared"], dict[str, Any]]
else:
    Args = dict

READY = "host"  # the subject of what answers at once: tables and counters of the kernel
WAITING = "host_waiting"  # the subject of what may take its time or hang: paths, other hosts
FRAMEWORK = ("__init__.py", "kind.py", "match.py")


class CannotTell(Exception):
    """Raised by a reader for a row that it cannot tell; one line."""


class Shared:
    """What the rows of one run read together: a table is read once, however many rows look into it."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._kept: dict[Callable[[Root], Any], Any] = {}

    def of(self, read: Callable[[Root], Any]) -> Any:
        """Return ``read(root)``, of the first call; raises what it raised."""
        if read not in self._kept:
            try:
                self._kept[read] = (read(self._root), None)
            except (OSError, CannotTell) as error:
                self._kept[read] = (None, error)
        found, why = self._kept[read]
        if why is not None:
            raise why
        return found


class Kind(NamedTuple):
    """A declared kind.

    ``keys``: key -> "TYPE[!] [UNIT]: help", "!" where a row must have it; TYPE is one of `preflight.policy.rows.TYPES`.
    ``needs``: of each group a row must have at least one key. ``names``: the keys that name a row's subject, the first
    that it has. ``phases``: where a row runs that names none. ``dear``: never in a prolog. ``fact``: the subject it
    is read for. ``users``: why users' processes alone can make such a row (its keys) fail, "" where they cannot.
    """

    name: str
    help: str
    keys: dict[str, str]
    needs: tuple[tuple[str, ...], ...]
    names: tuple[str, ...]
    phases: tuple[str, ...]
    dear: bool
    fact: str
    users: Callable[[Args], str]
    read: Read

    def subject(self, args: Args) -> str:
        """Return what a row is about, as it stands in its findings."""
        for key in self.names:
            value = args.get(key)
            if value:
                return (
                    (",".join(map(str, value)) if isinstance(value, list) else str(value))
                    .replace(": ", " ")
                    .replace(":", " ")
                )
        return self.name


REGISTRY: dict[str, Kind] = {}


def never(args: Args) -> str:
    """Return "": nothing that users do makes a row of the kind fail."""
    return ""


def kind(
    name: str,
    *,
    keys: dict[str, str],
    needs: tuple[tuple[str, ...], ...] = (),
    names: tuple[str, ...] = (),
    phases: tuple[str, ...] = ("health",),
    dear: bool = False,
    fact: str = READY,
    users: Callable[[Args], str] = never,
) -> Callable[[Read], Read]:
    """Register ``function(root, args, shared) -> what it is`` as the reader of one row of the kind ``name``.

    It returns plain JSON values, or raises `CannotTell` or OSError. Its docstring's first line is the kind's help.
    """

    def register(function: Read) -> Read:
        text = (function.__doc__ or "").strip().split("\n")[0]
        REGISTRY[name] = Kind(name, text, keys, needs, names, phases, dear, fact, users, function)
        return function

    return register


def kind_of(name: str) -> Kind:
    """Return the kind, importing its module; raises KeyError where there is none."""
    if name not in REGISTRY and name in names_of_kinds():
        __import__(f"{__package__}.{name}")
    return REGISTRY[name]


def names_of_kinds() -> list[str]:
    """Return the names of all kinds, sorted; a module beside this one is one."""
    here = os.path.dirname(__file__)
    return sorted(file[:-3] for file in os.listdir(here) if file.endswith(".py") and file not in FRAMEWORK)


def every_kind() -> dict[str, Kind]:
    """Return all kinds by name."""
    return {name: kind_of(name) for name in names_of_kinds()}
