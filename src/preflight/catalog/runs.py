"""Can a program built with CUDA X run on driver D with GPU G?"""

from __future__ import annotations

from preflight.catalog import cuda as majors
from preflight.catalog import drivers, gpus, versions
from preflight.catalog.gpus import Gpu
from preflight.catalog.tables import SHIPPED, Tables, source
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from preflight.catalog.forward import Compat, Forward

NATIVE, MINOR, FORWARD, PTX, NO, UNKNOWN = "native", "minor", "forward", "ptx", "no", "unknown"
MATRIX = "https://docs.nvidia.com/datacenter/tesla/drivers/cuda-toolkit-driver-and-architecture-matrix.html"
GUIDES = (
    "https://docs.nvidia.com/cuda/blackwell-compatibility-guide/ and "
    "https://docs.nvidia.com/cuda/hopper-compatibility-guide/"
)
LOST = "just-in-time compilation of PTX (error 222) and features that need a newer driver fail"


class Runs(NamedTuple):
    """``answer`` is native, minor, forward, ptx, no or unknown; ``needs`` what would make it work, or work in full.

    ptx: the CUDA is older than the GPU, so that it has no code for it. The driver compiles the program's PTX then; a
    program or a library that holds none fails (NVIDIA's compatibility guides for Hopper and Blackwell).
    """

    answer: str
    why: str
    needs: str | None
    source: str


def runs(
    cuda: str,
    driver: str | None,
    gpu: Gpu | None = None,
    *,
    driver_cuda: str | None = None,
    compat: tuple[Compat, ...] | None = None,
    tables: Tables = SHIPPED,
) -> Runs:
    """Tell whether a program built with a CUDA ("12.4"; its update does not matter) runs on a driver with a GPU.

    ``driver`` None: there is none. ``gpu`` None leaves the GPU out. ``driver_cuda``: the CUDA version that the driver
    reports, where known; else the branch's. ``compat``: what cuda-compat is on the node; None where that is not
    known: then "forward" means that the package named in ``needs`` makes it work.
    """
    asked = versions.minor(cuda)
    if asked is None:
        return Runs(UNKNOWN, f"{cuda} is no CUDA version", None, "")
    if driver is None:
        return Runs(
            NO, "there is no NVIDIA driver", options(cuda, tables), source(majors.minimum_row(asked[0], tables))
        )
    unfit = not_on_gpu(cuda, driver, gpu, tables)
    if unfit is None and driver_cuda is None:
        unfit = _newer_than(driver, gpu, tables)
    if unfit is not None and unfit.answer == NO:
        return unfit
    answer = _by_driver(cuda, asked, driver, driver_cuda, tables) or _older(cuda, driver, gpu, compat, tables)
    if unfit is None or answer.answer in (NO, UNKNOWN):
        return answer
    if unfit.answer == PTX and answer.answer != NATIVE:
        return Runs(UNKNOWN, f"{unfit.why}; and {answer.why}", unfit.needs, unfit.source)
    if unfit.answer == UNKNOWN:
        return unfit._replace(why=f"by the driver alone it does ({answer.why}); {unfit.why}", needs=answer.needs)
    return unfit


def not_on_gpu(cuda: str, driver: str | None, gpu: Gpu | None, tables: Tables = SHIPPED) -> Runs | None:
    """Return why the GPU does not go with that CUDA or driver, does by PTX alone, or is not known; None where it does.

    The answer is no, ptx or unknown.
    """
    if gpu is None:
        return None
    fit = gpus.with_toolkit(gpu, cuda, tables)
    if fit.answer == gpus.DROPPED:
        return Runs(NO, fit.why, fit.needs, fit.source)
    if driver:
        driven, needed, came_from = drivers.runs_gpu(driver, gpu.arch, tables)
        if driven is False:
            return Runs(NO, f"driver {driver} does not drive {gpu.shown} ({gpu.arch})", needed, came_from)
    if fit.answer == gpus.TOO_NEW and _knows(driver, fit.first_cuda, tables):
        return Runs(PTX, fit.why, fit.needs, GUIDES)
    if fit.answer == gpus.TOO_NEW:
        why = f"whether driver {driver} knows {gpu.shown} is not listed: the first toolkit for it is {fit.first_cuda}"
        return Runs(UNKNOWN, why, f"a driver of CUDA {fit.first_cuda} or newer", fit.source)
    return Runs(UNKNOWN, fit.why, None, fit.source) if fit.answer == gpus.UNKNOWN else None


def _newer_than(driver: str, gpu: Gpu | None, tables: Tables) -> Runs | None:
    """Return that a chip may be newer than a driver, which no machine has told of; None where it is not."""
    from preflight.catalog.driven import driven

    found = driven(driver, gpu.capability, tables) if gpu is not None else None
    if gpu is None or found is None or not found.why:
        return None
    why = f"whether driver {driver} drives {gpu.shown} is not known: {found.why}"
    return Runs(UNKNOWN, why, found.needs or None, found.source)


def _knows(driver: str | None, first_cuda: str | None, tables: Tables) -> bool:
    """Tell whether a driver is of a CUDA that has code for a GPU: only such a one surely compiles PTX for it."""
    own, exact, _ = drivers.own_cuda(driver, tables) if driver else (None, False, "")
    return not (
        own and exact and first_cuda and (versions.minor(own) or (0, 0)) < (versions.minor(first_cuda) or (0, 0))
    )


def _by_driver(cuda: str, asked: tuple[int, int], driver: str, driver_cuda: str | None, tables: Tables) -> Runs | None:
    """Answer by the driver's version alone; None where it is too old."""
    own, exact, came_from = (driver_cuda, True, MATRIX) if driver_cuda else drivers.own_cuda(driver, tables)
    stated = versions.minor(own) if own else None
    early = driver_cuda is None and _before_release(cuda, asked, driver, tables)
    if stated is not None and stated >= asked and not early:
        held = f"{own}{'' if exact else ' or newer'}"
        return Runs(NATIVE, f"driver {driver} is of CUDA {held}, which runs programs up to it", None, came_from)
    row = majors.minimum_row(asked[0], tables)
    by_minor = majors.runs_by_minor_version(asked[0], stated, versions.parse(driver), tables)
    if by_minor:
        # of a branch that the catalog lacks, only the least CUDA that it can have is known
        held = f"the driver's own CUDA is {own}{'' if exact else ' or newer'}"
        rule = f"any driver from {_minimum(row)} on runs CUDA {asked[0]}.x"
        why = f"by minor-version compatibility: {rule}; {held}, so {LOST}"
        first, _ = drivers.first_driver(cuda, tables)
        return Runs(MINOR, why, f"driver {first} or newer for all of it" if first else None, source(row))
    if by_minor is None or (stated is None and row is None):
        why = f"driver {driver} does not settle whether it is {_minimum(row)} or newer" if row else "not in the catalog"
        return Runs(UNKNOWN, why, None, source(row))
    if not exact and row is None:
        return Runs(UNKNOWN, f"driver {driver} is of a branch that the catalog does not know", None, came_from)
    return None


def _before_release(cuda: str, asked: tuple[int, int], driver: str, tables: Tables) -> bool:
    """Tell whether a driver of the right branch may be older than any that runs the major: 525.53, or "525"."""
    lowest, parts = majors.minimum_driver(asked[0], tables), versions.parse(driver)
    if not lowest or not parts or parts[0] != lowest[0] or versions.at_least(parts, lowest):
        return False
    first, _ = drivers.first_driver(cuda, tables)
    return not (first and versions.at_least(parts, versions.parse(first)))


def _minimum(row: dict[str, object] | None) -> str:
    return str(row["minimum_driver"]) if row else "an unknown driver"


def _older(cuda: str, driver: str, gpu: Gpu | None, compat: tuple[Compat, ...] | None, tables: Tables) -> Runs:
    """Answer for a driver that is too old for the CUDA by itself."""
    from preflight.catalog.forward import forward

    by_package = forward(cuda, driver, gpu, compat, tables)
    asked = versions.minor(cuda) or (0, 0)
    row = majors.minimum_row(asked[0], tables)
    first, first_source = drivers.first_driver(cuda, tables)
    lowest = _minimum(row) if row and asked[0] >= majors.FIRST_COMPATIBLE_MAJOR else first
    old = f"driver {driver} is older than {lowest}" if lowest else f"driver {driver} is too old"
    if by_package.works:
        where = f" at {by_package.present.path}" if by_package.present else ""
        needs = None if by_package.present else f"the package {by_package.package}"
        return Runs(FORWARD, f"{old}, but {by_package.why}{where}", needs, by_package.source)
    needs = options(cuda, tables)
    if compat is None and gpu is not None and by_package.works is None:
        return Runs(UNKNOWN, f"{old}; {by_package.why}", needs, by_package.source or source(row))
    thought = by_package if compat is None else forward(cuda, driver, gpu, None, tables)
    return Runs(
        NO,
        f"{old}{_package_says(thought, gpu)}",
        _or_package(needs, cuda, driver, gpu, thought, tables),
        source(row) or first_source,
    )


def _package_says(by_package: Forward, gpu: Gpu | None) -> str:
    return f"; {by_package.why}" if by_package.works is False and gpu is not None else ""


def _or_package(
    needs: str | None, cuda: str, driver: str, gpu: Gpu | None, thought: Forward, tables: Tables
) -> str | None:
    """Add the package that would do on this driver: on a data-center GPU, where the GPU is not known."""
    if gpu is None:
        from preflight.catalog.forward import forward

        thought = forward(cuda, driver, Gpu("", kind="datacenter"), None, tables)
    if not thought.works:
        return needs
    text = f"the package {thought.package}" + ("" if gpu else " on a data-center GPU")
    return f"{needs}, or {text}" if needs else text


def options(cuda: str, tables: Tables = SHIPPED) -> str | None:
    """Return which drivers run programs of a CUDA, in words; None where the catalog does not know."""
    asked = versions.minor(cuda)
    first, _ = drivers.first_driver(cuda, tables)
    row = majors.minimum_row(asked[0], tables) if asked and asked[0] >= majors.FIRST_COMPATIBLE_MAJOR else None
    if row is None:
        return f"driver {first} or newer" if first else None
    lowest = str(row["minimum_driver"])
    if not first or versions.parse(first) <= versions.parse(lowest):
        return f"driver {lowest} or newer"
    return f"driver {lowest} or newer (by minor-version compatibility; {first} or newer for all of it)"
