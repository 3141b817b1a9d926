"""What code asks of a node for certain: without it nothing of a package runs. What is in doubt is no demand."""

from __future__ import annotations

from typing import NamedTuple

from preflight.artifacts.gpu_code.fatbin import ZSTD
from preflight.artifacts.gpu_code.isa import cuda_of
from preflight.artifacts.gpu_code.model import CUBIN, LINKED, LOADED, PTX, RELOCATABLE
from preflight.artifacts.gpu_code.survey import Library, Package
from preflight.catalog.targets import is_known

_ORDER = {CUBIN: 0, PTX: 1}


class Holds(NamedTuple):
    """What a package's code was compiled for.

    ``targets``: in order, sm_90 before compute_80; a GPU that runs none of them runs nothing of it. ``cuda``: where a
    GPU has PTX alone, the driver's CUDA that some of it needs at least. ``doubt``: why that is not known, "" where it
    is. ``library``: the one with most of the code. ``packed``: all of it is packed by zstd, which a driver has to know.
    """

    targets: tuple[str, ...]
    cuda: tuple[int, int] | None
    doubt: str
    library: str
    packed: bool = False

    @property
    def machine_code(self) -> tuple[str, ...]:
        """Return the targets that need no compiler of the driver's."""
        return tuple(one for one in self.targets if one.startswith("sm_"))


def holds(package: Package) -> Holds | None:
    """Return what a package's code was compiled for, None where it has no kernel for NVIDIA's GPUs."""
    parts: dict[tuple[int, int, str], str] = {}
    isas = set()
    packed = set()
    doubt = ""
    largest: tuple[int, str] = (0, "")
    for one in package.libraries:
        doubt = doubt or _doubt(one)
        units = one.code.of(LOADED, LINKED)
        largest = max(largest, (len(units), one.name))
        for each in set(units):
            doubt = doubt or each.doubt
            for part in each.parts:
                if part.doubt or part.kind not in _ORDER or part.suffix == "?" or not is_known(part.arch):
                    doubt = doubt or part.doubt or f"{part.target} is not known"
                    continue
                parts[_ORDER[part.kind], part.arch, part.suffix] = part.target
                packed.add(bool(part.flags & ZSTD))
                isas |= {part.isa} if part.isa else set()
    if not parts and not doubt:
        return None
    cudas = [cuda_of(isa) for isa in isas]
    cuda = min((one for one in cudas if one is not None), default=None)
    names = tuple(parts[key] for key in sorted(parts))
    return Holds(names, cuda if None not in cudas else None, doubt, largest[1], packed == {True})


def _doubt(one: Library) -> str:
    if not one.code.complete:
        return one.code.notes[0] if one.code.notes else "not all of it was read"
    if one.code.of(RELOCATABLE) and one.code.of(LINKED):
        return "the driver may link its relocatable code anew"
    return ""


def span(targets: tuple[str, ...]) -> str:
    """Return "sm_75 to sm_120" of machine code, with the PTX behind it: "sm_75 to sm_90, compute_90"."""
    code = [one for one in targets if one.startswith("sm_")]
    text = f"{code[0]} to {code[-1]}" if len(code) > 2 else ", ".join(code)
    return ", ".join(filter(None, [text, *(one for one in targets if one not in code)]))
