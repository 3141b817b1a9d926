"""Does a driver drive a GPU: its branch the generation, and the driver no older than the chip."""

from __future__ import annotations

from preflight.catalog import drivers, gpus, versions
from preflight.catalog.tables import SHIPPED, Tables
from preflight.tuples import NamedTuple


class Driven(NamedTuple):
    """``answer``: None where that is not known. ``why``: of a chip that may be newer than the driver, else "".

    ``needs``: what drives it for certain, "" where it does or the catalog does not know.
    """

    answer: bool | None
    why: str
    needs: str
    source: str


def driven(driver: str, capability: str | None, tables: Tables = SHIPPED) -> Driven:
    """Tell whether a driver, as it was released, drives a GPU of a compute capability ("10.3").

    A branch that drives Blackwell (570, CUDA 12.8) need not know each chip of it: B300's first CUDA is 12.9. Then it is
    not known, since later releases of a branch may add chips. Where the driver runs on the GPU, that is no question.
    """
    row = gpus.architecture(capability, tables) if capability else None
    answer, needs, came_from = drivers.runs_gpu(driver, row["arch"] if row else None, tables)
    if not answer or capability is None:
        return Driven(answer, "", needs, came_from)
    first, own = gpus.cuda_range(capability, tables)[0], drivers.own_cuda(driver, tables)[0]
    if own and first and (versions.minor(own) or ()) < (versions.minor(first) or ()):
        why = f"it is of CUDA {own}, and the first for compute capability {capability} is {first}"
        branch = first_branch(capability, tables)
        return Driven(None, why, f"driver branch {branch} or newer" if branch else "", came_from)
    return Driven(answer, "", "", came_from)


def first_branch(capability: str, tables: Tables = SHIPPED) -> str:
    """Return the first branch that drives a GPU of a compute capability for certain ("575"), "" where none is known."""
    row = gpus.architecture(capability, tables)
    first = versions.minor(gpus.cuda_range(capability, tables)[0] or "")
    found = [
        one["branch"]
        for one in tables.rows("branches")
        if row and row["arch"] in one.get("archs", ()) and (versions.minor(one.get("cuda", "")) or ()) >= (first or ())
    ]
    return str(min(found)) if found else ""
