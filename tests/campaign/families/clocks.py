"""Clocks that are wrong or jump, before a hook and in the middle of it, and time zones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from campaign.fault import Fault, shimmed
from campaign.scenes import SCENES

DAY = 86400
OFFSETS = {
    "1 s back": -1,
    "1 s forward": 1,
    "30 s back": -30,
    "an hour back": -3599,
    "an hour forward": 3601,
    "a day back": -DAY,
    "a day forward": DAY,
    "8 days forward": 8 * DAY,
    "400 days back": -400 * DAY,
    "400 days forward": 400 * DAY,
    "10 years forward": 3652 * DAY,
    "to 1970": -int(time.time() // DAY * DAY) + 1,
    "before 1970": -int(time.time() // DAY * DAY) - 10 * DAY,
    "past 2038": 4_400_000_000 - int(time.time() // DAY * DAY),
    "to 2231, as far as Linux lets it": 8_230_000_000 - int(time.time() // DAY * DAY),
}
ZONES = (
    ":/etc/shadow",
    "Pacific/Kiritimati",
    "<+24>-24",
    "XXX" * 1000,
    "Europe/Berlin,M3.5.0,M10.5.0/3",
    "",
    "\x01",
    "../../etc/passwd",
)


def faults() -> Iterator[Fault]:
    """Every jump in every scene, from the beginning and in the middle; and time zones."""
    for scene in SCENES:
        for name, seconds in OFFSETS.items():
            for calls in (0, 1, 4):
                where = f"from call {calls} on" if calls else "from the beginning"
                inject = partial(shimmed, FAULT_CLOCK=f"{seconds}|{calls}")
                yield Fault("clocks", f"the clock jumps {name}, {where}", scene, inject)
    for scene in ("fit", "sick", "health-well", "misfit"):
        for number, zone in enumerate(ZONES):
            yield Fault("clocks", f"time zone {number} {zone[:20]!r}", scene, partial(shimmed, TZ=zone))
