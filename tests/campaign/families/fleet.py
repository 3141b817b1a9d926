"""64 nodes with a policy that is wrong for all of them, under every speed of the controller, on a clock of their own.

The real drain code over a stand-in for slurmctld (tests/unit/breaker_sim.py), so no load of this machine changes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from campaign.fault import Fault
from campaign.world import Assets
from unit.breaker_sim import Site

NODES = 64
SPEEDS = {
    "at once": (0.005, 0.02),
    "0.1 s": (0.05, 0.15),
    "0.5 s": (0.3, 0.7),
    "1 s": (0.6, 1.2),
    "2 s": (1.5, 2.5),
    "4 s": (3.5, 4.5),
    "from 0 to 4 s": (0.0, 4.0),
    "30 s": (25.0, 35.0),
}
STOPS = {
    "never stopped": 0.0,
    "stopped 1 s at a time": 1.0,
    "2 s at a time": 2.0,
    "5 s at a time": 5.0,
    "20 s at a time": 20.0,
}
PROBES = {"quick probes": 0.1, "probes of 3 s": 3.0, "probes that hang": 5.3}
LIMITS = (1, 2, 5)


def faults() -> Iterator[Fault]:
    """Every speed of the controller with every way of stopping it, speed of the probes, and limit."""
    for speed, slower in SPEEDS.items():
        for stop, stop_s in STOPS.items():
            for probe, probe_s in PROBES.items():
                for limit in LIMITS:
                    name = f"answers in {speed}, {stop}, {probe}, limit {limit}"
                    whole = partial(_fleet, name=name, slower=slower, stop_s=stop_s, probe_s=probe_s, limit=limit)
                    expected = f"at most {limit} of {NODES} nodes drained two health checks later, 8 s kept"
                    yield Fault("fleet", name, "64 nodes", whole=whole, expected=expected)


def _fleet(
    place: Path, assets: Assets, name: str, slower: tuple[float, float], stop_s: float, probe_s: float, limit: int
) -> tuple[str, list[str]]:
    with pytest.MonkeyPatch.context() as patch:
        site = Site(place, hash_of(name), NODES, limit, slower=slower, stop_s=stop_s, calm_at=240.0)
        site.patch(patch)
        site.prologs(1.0, probe_s)
        for when in (60.0, 120.0, 250.0, 310.0):
            site.health_checks(when, probe_s)
        site.clock.run()
    drained = site.drained()
    wrong = [f"{len(drained)} nodes stay drained"] if len(drained) > limit else []
    if any(site.controller.drained[one][0] == "Prolog error" for one in drained):
        wrong.append("a prolog's exit status drained a node")
    if site.most_s > 9.0:
        wrong.append(f"a hook took {site.most_s:.1f} s")
    return f"{len(drained)} drained, {len(site.stopped)} prologs stopped a job, slowest hook {site.most_s:.1f} s", wrong


def hash_of(text: str) -> int:
    """Return a number of a text that is the same in every process."""
    return int.from_bytes(text.encode(), "big") % 1_000_003
