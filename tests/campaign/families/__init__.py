"""The families of faults, each a function that lists its faults in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from campaign.families import controller
from campaign.fault import Fault

FAMILIES: dict[str, Callable[[], Iterator[Fault]]] = {
    "kills": controller.kills,
    "controller": controller.lies,
}


def every(only: str = "") -> list[Fault]:
    """Return all faults, or those of the families whose names begin with ``only``."""
    return [fault for name, listed in FAMILIES.items() if name.startswith(only) for fault in listed()]
