"""Which builds of a Python package have code for a GPU, and run on its driver."""

from __future__ import annotations

from preflight.catalog import cuda as majors
from preflight.catalog import gpus, targets, versions
from preflight.catalog.driven import driven, first_branch
from preflight.catalog.runs import MINOR, NATIVE, runs
from preflight.catalog.tables import SHIPPED, Row, Tables, source
from preflight.tuples import NamedTuple

# What a package is called elsewhere, and those that come with a family's library.
_FAMILIES = {"pytorch": "torch", "libtorch": "torch", "jaxlib": "jax", "tensorflow-gpu": "tensorflow"}


class Build(NamedTuple):
    """A build that has code for a GPU. ``driver``: the lowest that runs programs of its CUDA, "" where not known.

    ``by_ptx``: the driver has to be of ``driver_cuda`` at least, since it compiles the code for the GPU: of the build's
    own CUDA, and of one that knows the GPU. ``python``: the lowest that it runs on, "" where not known.
    """

    family: str
    version: str
    build: str
    cuda: str
    driver: str
    by_ptx: bool
    source: str
    driver_cuda: str = ""
    python: str = ""

    @property
    def shown(self) -> str:
        """Return "torch 2.14 (cu126)", or its own name "faiss-gpu-cu12 1.14.1", and the driver that it needs."""
        index = f" ({self.build})" if self.build.startswith("cu") and self.build[2:].isalnum() else ""
        named = f"{self.family if index or self.build == 'default' else self.build} {self.version}{index}"
        needs = (
            f"a driver of CUDA {self.driver_cuda}" if self.by_ptx else f"driver {self.driver}" if self.driver else ""
        )
        python = f"Python {self.python}" if self.python else ""
        return ", ".join([named, *(f"{one} or newer" for one in (needs, python) if one)])


def family_of(package: str, tables: Tables = SHIPPED) -> str:
    """Return the family that a package is a build of (faiss of faiss-gpu-cu12), "" where the catalog has none."""
    name = package.lower().replace("_", "-")
    name = _FAMILIES.get(name, name)
    rows = tables.rows("wheels")
    return next((row["family"] for row in rows if name == row["family"] or name == row["build"]), "")


def builds(
    family: str, capability: str, driver: str | None = None, machine: str = "x86_64", tables: Tables = SHIPPED
) -> list[Build]:
    """Return the builds of a family with code for a GPU, of its newest version first that has one.

    ``driver``: None where any may be installed; else builds that it does not run for certain are left out.
    """
    found = [
        build for row in tables.rows("wheels") if (build := _build(row, family, capability, driver, machine, tables))
    ]
    newest = max((versions.parse(one.version) for one in found), default=())
    return [one for one in found if versions.parse(one.version) == newest]


def _build(row: Row, family: str, capability: str, driver: str | None, machine: str, tables: Tables) -> Build | None:
    if row["family"] != family or row["arch"] != machine:
        return None
    major, minor = versions.minor(capability) or (0, 0)
    known = (targets.parse(name) for name in row["targets"])
    fits = {one.kind for one in known if one and targets.runs(one, major * 10 + minor, tables) == targets.YES}
    if not fits:
        return None
    by_ptx = targets.SM not in fits
    if driver is not None and not _driven(row, capability, driver, by_ptx, tables):
        return None
    floor = _floor(row, capability, tables)
    own = max(row["cuda"], gpus.cuda_range(capability, tables)[0] or "", key=versions.parse)
    driver_cuda, python = own if by_ptx else "", row.get("python", "")
    return Build(family, row["version"], row["build"], row["cuda"], floor, by_ptx, source(row), driver_cuda, python)


def _floor(row: Row, capability: str, tables: Tables) -> str:
    """Return the lowest driver for programs of a build's CUDA that also drives a GPU, "" where that is not known."""
    lowest = majors.minimum_row((versions.minor(row["cuda"]) or (0, 0))[0], tables)
    known = [lowest["minimum_driver"]] if lowest else []
    known += [first_branch(capability, tables)]
    return max(known, key=versions.parse, default="")


def _driven(row: Row, capability: str, driver: str, by_ptx: bool, tables: Tables) -> bool:
    cuda = row["cuda"]
    return driven(driver, capability, tables).answer is True and runs(
        cuda, driver, compat=(), tables=tables
    ).answer in ((NATIVE,) if by_ptx else (NATIVE, MINOR))
