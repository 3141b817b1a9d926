"""A fault: what is done, in the middle of which scene, and what may follow from it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from campaign.world import Assets, World

Injection = Callable[["World"], AbstractContextManager[Any]]
NOTHING_LOST = "no drain of a sound node, no job held unmarked, in time, report kept, no traceback"


class NotHere(Exception):
    """The fault did not come about, on this machine or in this scene: why."""


@dataclass(frozen=True)
class Fault:
    """One row to be. ``family`` and ``name`` identify it; ``inject`` arms it and, when the scene is over, lifts it.

    drains      it is a fault of the node's own, which may drain it
    kills       the hook may end by a signal, or by a status of Python's own, without a report
    held        the hook may be ended at its deadline; its report says so
    unwritable  no report can be kept anywhere
    slow        it takes tens of seconds, most of them asleep
    word_lost   it destroys the only record of a drain or a move: a node may stay drained, and a job held with the mark
                of its move
    forgets     it destroys reports themselves
    starves     too little is left for Python to start
    breaks      the installation itself is broken, as one line in syslog may say
    stays       the node may stay drained: more than our drain is amiss with it
    moves       the job may not fit with it
    whole       plays all of it in a directory and returns (observed, what went wrong)
    """

    family: str
    name: str
    scene: str
    inject: Injection = field(default=lambda world: nullcontext())
    expected: str = NOTHING_LOST
    drains: bool = False
    kills: bool = False
    held: bool = False
    unwritable: bool = False
    slow: bool = False
    word_lost: bool = False
    forgets: bool = False
    starves: bool = False
    breaks: bool = False
    stays: bool = False
    moves: bool = False
    whole: Callable[[Path, Assets], tuple[str, list[str]]] | None = None

    @property
    def id(self) -> str:
        """Return what names the row in tables and on the command line."""
        return f"{self.family}/{self.scene}/{self.name}"


@contextmanager
def shimmed(world: World, **variables: str) -> Iterator[None]:
    """Give the hooks that are struck variables for shim.c."""
    world.struck.update(variables)
    hit = world.place / "hit"
    hit.unlink(missing_ok=True)
    yield
    for name in variables:
        world.struck.pop(name, None)
    if "FAULT_SHIM" in variables:
        if not hit.exists():
            raise NotHere("no hook of the scene does that")
        world.notes.append(hit.read_text().splitlines()[0].replace(str(world.place), ""))


def shim(ops: str, glob: str, nth: int, mode: str, argument: int = 0) -> Injection:
    """Return an injection of shim.c; in ``glob`` "@" stands for the world's directory."""
    return lambda world: shimmed(
        world, FAULT_SHIM=f"{ops}|{glob.replace('@', str(world.place))}|{nth}|{mode}|{argument}"
    )


def chosen(faults: Iterable[Fault], count: int, seed: int) -> list[Fault]:
    """Return ``count`` of the faults, the families taking turns, each family's in a random order of the seed."""
    families: dict[str, list[Fault]] = {}
    for fault in faults:
        families.setdefault(fault.family, []).append(fault)
    for name, members in families.items():
        random.Random(f"{seed} {name}").shuffle(members)
    taken: list[Fault] = []
    while len(taken) < count and any(families.values()):
        for members in families.values():
            if members and len(taken) < count:
                taken.append(members.pop())
    return taken
