"""How a fact is declared, in its own file. A module of this package that declares one needs no other line anywhere.

A subject's declaration stands in the module of its name (``memory`` in memory.py): a hook imports what it asks for, so
that module imports little; what reads a static fact once a boot, or runs in a child, may stand in another.
"""

from __future__ import annotations

import os

from preflight.facts.answer import Answer
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from preflight.facts.isolate import Outcome

    Read = Callable[..., Answer]

NVML = "nvml"  # the one child that is started ahead of all, and that two subjects share (gpu.py)
FILES = "files"  # the child for what may lie on a dead network file system


class Fact(NamedTuple):
    """A declared fact.

    ``keys``: key -> what it holds, "KIND[?] [UNIT][: help]" (`preflight.facts.keys`). ``static``: kept from run to run
    until a file that it touched changes. ``child``: the probe child that reads it, "" for the process itself, in which
    nothing may wait. ``budget_s``: seconds that a child is waited for because of it, within the run's deadline; a child
    reads what has the smallest budget first. ``keep_s``: for how many seconds a prolog takes what the last epilog or
    health check read, instead of reading it; 0 where it reads anew. ``unfinished``: makes the answer of what a child
    had told by `Root.part` when it was ended.
    """

    subject: str
    help: str
    keys: dict[str, Any]
    static: bool
    child: str
    budget_s: float
    keep_s: float
    unfinished: Callable[[list[Any], Outcome], Answer] | None
    read: Read


REGISTRY: dict[str, Fact] = {}


def fact(
    subject: str,
    *,
    keys: dict[str, Any],
    static: bool = False,
    child: str = "",
    budget_s: float = 1.0,
    keep_s: float = 0.0,
    unfinished: Callable[[list[Any], Outcome], Answer] | None = None,
) -> Callable[[Read], Read]:
    """Register ``function(root) -> Answer`` as the reader of ``subject``; its docstring's first line is the help.

    ``root.source`` has the parameters of the run. A reader of the NVML child gets what the probe told beside it.
    """

    def register(function: Read) -> Read:
        text = (function.__doc__ or "").strip().split("\n")[0]
        REGISTRY[subject] = Fact(subject, text, keys, static, child, budget_s, keep_s, unfinished, function)
        return function

    return register


def fact_of(path: str) -> Fact:
    """Return the declaration of the subject of ``path`` ("os", "os.version"); raises ValueError for a strange one."""
    subject = path.split(".")[0]
    found = REGISTRY.get(subject)
    if found is None and subject.isidentifier():
        try:
            __import__(f"{__package__}.{subject}")
        except ModuleNotFoundError as error:
            if error.name != f"{__package__}.{subject}":
                raise
        found = REGISTRY.get(subject)
    if found is None:
        raise ValueError(f"no subject of facts is named {path!r}: one of {', '.join(every_fact())}")
    return found


def every_fact() -> dict[str, Fact]:
    """Return all facts by subject, importing each module and package beside this one."""
    here = os.path.dirname(__file__)
    for name in sorted(os.listdir(here)):
        if name.endswith(".py") or os.path.isfile(f"{here}/{name}/__init__.py"):
            __import__(f"{__package__}.{name.removesuffix('.py')}" if name != "__init__.py" else __package__)
    return dict(sorted(REGISTRY.items()))
