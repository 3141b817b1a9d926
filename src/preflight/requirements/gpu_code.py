"""The name `gpu.code`: targets that code was compiled for, of which each GPU must run one.

Each GPU considered is asked by its compute capability; of PTX the driver has to know the ISA too, which
``driver.cuda`` asks for. The rules are those of `preflight.catalog.targets`.
"""

from __future__ import annotations

from preflight.catalog.tables import SHIPPED, Tables
from preflight.digits import is_whole
from preflight.facts.view import View
from preflight.requirements import judges
from preflight.requirements.kinds import Version
from preflight.requirements.row import Answer, Ask

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    from preflight.catalog.targets import Target

JOIN = "+"
MOST = 64  # targets of one value; nvcc 13 knows some thirty


class Targets(Version):
    """Targets joined by "+". What a node has is its GPU's compute capability, which is published as a version."""

    name = "target"
    operators = ("=", "!=")
    value_help = "what code was compiled for, such as sm_90, or several: sm_80+sm_90+compute_90"

    def __init__(self, tables: Tables = SHIPPED) -> None:
        super().__init__()
        self.tables = tables

    def parse(self, value: str) -> tuple[Target, ...]:  # type: ignore[override]
        """Return the targets, each once; raise ValueError where one is none, with what may be meant."""
        from preflight.catalog import targets  # a hook imports it for a job that asks

        words = [one.strip() for one in value.casefold().split(JOIN)]
        if len(words) > MOST:
            raise ValueError(f"has more than {MOST} targets")
        found = []
        for word in words:
            target = targets.parse(word)
            if target is None:
                raise ValueError(_meant(word, len(words) > 1))
            found.append(target)
        return tuple(dict.fromkeys(found))

    def check(self, op: str, asked: Any) -> None:
        """Accept every operator with every value."""

    def compare(self, op: str, asked: Any, have: Any) -> bool | None:
        """Tell whether a GPU of a compute capability runs code for one of the targets."""
        held = holds(asked, _sm(self.read(have)), self.tables)
        return None if held is None else held == (op == "=")


def _meant(word: str, several: bool) -> str:
    digits = word.removeprefix("sm").removeprefix("compute").replace(".", "").strip("_")
    number = digits.rstrip("af")
    where = f'has "{word[:20]}", which ' if several else ""
    if is_whole(number, 3) and len(number) > 1 and digits.removeprefix(number) in ("", "a", "f"):
        return f"{where}is no target: write sm_{digits} (machine code) or compute_{digits} (PTX)"
    return f"{where}is no target: sm_90, sm_90a, sm_100f (machine code), compute_90 (PTX)"


def _sm(stated: tuple[int, ...]) -> int:
    """Return 90 of a compute capability (9, 0); 0, which no GPU has, where its parts are others than two."""
    return stated[0] * 10 + stated[1] if len(stated) == 2 and stated[1] < 10 else 0


def holds(asked: tuple[Target, ...], sm: int, tables: Tables = SHIPPED) -> bool | None:
    """Tell whether a GPU of an architecture runs code for one of the targets; None where it is not known."""
    from preflight.catalog import targets

    told = {targets.runs(one, sm, tables) for one in asked}
    return True if targets.YES in told else None if targets.UNKNOWN in told else False


def judge(ask: Ask, view: View) -> Answer:
    """Judge each GPU considered, by the catalog that the node has."""
    return judges.every_gpu(ask._replace(row=ask.row._replace(kind=Targets(ask.tables))), view)


def known(asked: tuple[Target, ...], negated: bool) -> list[int]:
    """Return the architectures of the GPUs that are known to run one of the targets; negated: to run none of them."""
    from preflight.catalog import targets

    return [sm for sm in targets.capabilities() if holds(asked, sm) is (not negated)]
