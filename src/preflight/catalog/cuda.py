"""CUDA: which driver runs programs of which CUDA major."""

from __future__ import annotations

from preflight.catalog import versions
from preflight.catalog.tables import SHIPPED, Row, Tables

# Minor-version compatibility began with CUDA 11; a program of an older CUDA needs its own release's driver.
FIRST_COMPATIBLE_MAJOR = 11


def minimum_row(major: int, tables: Tables = SHIPPED) -> Row | None:
    """Return the row of the release that states the lowest driver of a CUDA major, None where none is known."""
    for row in tables.rows("toolkits"):
        if "minimum_driver" in row and versions.parse(row["version"])[0] == major:
            return row
    return None


def minimum_driver(major: int, tables: Tables = SHIPPED) -> tuple[int, ...] | None:
    """Return the lowest driver for minor-version compatibility within a CUDA major, or None where none is known."""
    row = minimum_row(major, tables)
    return versions.parse(row["minimum_driver"]) if row else None


def newest_major(driver: tuple[int, ...], tables: Tables = SHIPPED) -> int:
    """Return the newest CUDA major whose programs a driver version runs; 0 where it is older than all."""
    rows = [row for row in tables.rows("toolkits") if "minimum_driver" in row]
    fitting = [row for row in rows if driver >= versions.parse(row["minimum_driver"])]
    return max((versions.parse(row["version"])[0] for row in fitting), default=0)


def runs_by_minor_version(
    asked_major: int,
    driver_cuda: tuple[int, ...] | None,
    driver: tuple[int, ...] | None,
    tables: Tables = SHIPPED,
) -> bool | None:
    """Tell whether minor-version compatibility lets a driver run programs of CUDA ``asked_major``.

    ``driver_cuda`` is the driver's own CUDA version, ``driver`` its version; None or () for either where it is
    not known. The driver's version decides where both it and the major's minimum are known. None: cannot be told.
    """
    if asked_major < FIRST_COMPATIBLE_MAJOR:
        return False
    minimum = minimum_driver(asked_major, tables)
    if driver and minimum:
        return versions.at_least(driver, minimum)
    return driver_cuda[0] >= asked_major if driver_cuda else None
