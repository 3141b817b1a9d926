"""The families of faults, each a function that lists its faults in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from campaign.families import (
    clocks,
    controller,
    files,
    fleet,
    lab,
    limits,
    nvml,
    places,
    policies,
    servers,
    torn,
    upgrades,
    users,
)
from campaign.fault import Fault

FAMILIES: dict[str, Callable[[], Iterator[Fault]]] = {
    "kills": controller.kills,
    "controller": controller.lies,
    "flags": controller.flags,
    "files": files.failing,
    "odd-files": files.odd,
    "torn": torn.faults,
    "places": places.faults,
    "clocks": clocks.faults,
    "limits": limits.faults,
    "servers": servers.faults,
    "nvml": nvml.faults,
    "users": users.texts,
    "users-directories": users.directories,
    "policies": policies.faults,
    "upgrades": upgrades.faults,
    "fleet": fleet.faults,
    "lab": lab.faults,
}


def every(only: str = "") -> list[Fault]:
    """Return all faults, or those of the family ``only``; where there is none of that name, of those that begin so."""
    faults = [fault for listed in FAMILIES.values() for fault in listed()]
    return [fault for fault in faults if fault.family == only] or [
        fault for fault in faults if fault.family.startswith(only)
    ]
