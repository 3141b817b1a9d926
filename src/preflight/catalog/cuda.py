"""CUDA: which driver runs programs of which CUDA major."""

from __future__ import annotations

from preflight.tuples import NamedTuple


class Major(NamedTuple):
    """A CUDA major: the lowest Linux driver that runs programs of any of its minor releases."""

    major: int
    minimum_driver: tuple[int, ...]
    source: str


_MVC = "https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html"

# The upper bounds that NVIDIA prints there ("<525") are no limits: newer drivers run older programs.
MAJORS = (
    Major(11, (450, 80, 2), _MVC),
    Major(12, (525, 60, 13), _MVC),
    Major(13, (580, 65, 6), _MVC),
)

# Minor-version compatibility began with CUDA 11; a program of an older CUDA needs its own release's driver.
FIRST_COMPATIBLE_MAJOR = 11

_MINIMUM = {row.major: row.minimum_driver for row in MAJORS}


def minimum_driver(major: int) -> tuple[int, ...] | None:
    """Return the lowest driver for minor-version compatibility within a CUDA major, or None where none is known."""
    return _MINIMUM.get(major)


def newest_major(driver: tuple[int, ...]) -> int:
    """Return the newest CUDA major whose programs a driver version runs by this table; 0 where it is older than all."""
    return max((row.major for row in MAJORS if driver >= row.minimum_driver), default=0)


def runs_by_minor_version(
    asked_major: int, driver_cuda: tuple[int, ...] | None, driver: tuple[int, ...] | None
) -> bool | None:
    """Tell whether minor-version compatibility lets a driver run programs of CUDA ``asked_major``.

    ``driver_cuda`` is the driver's own CUDA version, ``driver`` its version; None or () for either where it is
    not known. The driver's version decides where both it and the major's minimum are known. None: cannot be told.
    """
    if asked_major < FIRST_COMPATIBLE_MAJOR:
        return False
    minimum = minimum_driver(asked_major)
    if driver and minimum:
        short = len(driver) < len(minimum) and driver == minimum[: len(driver)]
        return None if short else driver >= minimum
    return driver_cuda[0] >= asked_major if driver_cuda else None
