"""Slurm's commands: each of them slow, hung, crashing, lying; and the hook killed before and after each."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from campaign.controller import HOWS
from campaign.fault import Fault, NotHere
from campaign.world import World

# How many commands of Slurm each scene runs where nothing is wrong, or more: what never comes is "not run".
ACTING = {
    "misfit": 10,
    "misfit-array": 10,
    "misfit-no-requeue": 5,
    "sick": 3,
    "epilog-sick": 3,
    "health-sick": 4,
    "health-well": 3,
    "health-half-moved": 9,
    "health-past-limit": 3,
    "health-by-admin": 1,
}
LASTING = (
    "fail",
    "silent",
    "nothing",
    "hang",
    "slow",
    "slower",
    "denied",
    "empty",
    "garbled",
    "huge",
    "stop",
    "missing-library",
)
SLOW = ("late", "success-late")
LATE_S = 7.0  # a command that is carried out late has been by then


@contextmanager
def failing(world: World, at: int, how: str, on: bool) -> Iterator[None]:
    """Have a fault befall command ``at`` from now on (and, ``on``, those after it)."""
    path = world.control / "fault.json"
    at += world.state()["calls"]
    path.write_text(json.dumps({"at": at, "how": how, "on": on}))
    yield
    path.unlink()
    calls = (world.control / "calls").read_text().splitlines()
    if len(calls) < at:
        raise NotHere(f"the scene runs {len(calls) - at} commands fewer")
    world.notes.append(" ".join(calls[at - 1].split()[:3])[:60])
    if how in SLOW:
        time.sleep(LATE_S)


FLAGS = (
    "reserved",
    "planned",
    "cloud",
    "dynamic_norm",
    "completing",
    "perfctrs",
    "maintenance+reserved",
    "not_responding",
)
GONE = ("down", "fail", "powered_down", "powering_down", "powering_up", "reboot_requested", "invalid_reg", "blocked")
USUAL = FLAGS[:5]  # nothing is amiss with such a node


def flags() -> Iterator[Fault]:
    """A node that is more than drained: reserved, of a cloud, going down."""
    for scene in ("sick", "health-sick", "health-well", "health-past-limit", "health-by-admin", "misfit"):
        for flag in (*FLAGS, *GONE):
            # A drain of ours stays on a node in whose state an admin, or Slurm, has had a hand.
            stays = flag not in USUAL or (scene == "health-well" and flag not in ("cloud", "dynamic_norm"))
            yield Fault("flags", f"the node is {flag} too", scene, partial(_flagged, flag=flag), stays=stays)


@contextmanager
def _flagged(world: World, flag: str) -> Iterator[None]:
    nodes = world.state()["nodes"]
    nodes["n1"]["state"] += f"+{flag}"
    world.set_state(nodes=nodes)
    yield


def kills() -> Iterator[Fault]:
    """SIGKILL to the hook before and after each command of Slurm."""
    for scene, most in ACTING.items():
        for at in range(1, most + 1):
            for how in ("kill-before", "kill-after"):
                inject = partial(failing, at=at, how=how, on=False)
                yield Fault("kills", f"{how} command {at}", scene, inject, kills=True)


def lies() -> Iterator[Fault]:
    """Every other way in which a command can fail, once or from then on."""
    for scene, most in ACTING.items():
        for at in range(1, most + 1):
            for how in (one for one in HOWS if not one.startswith("kill")):
                for on in (False, True) if how in LASTING else (False,):
                    more = " and all after it" if on else ""
                    inject = partial(failing, at=at, how=how, on=on)
                    yield Fault("controller", f"{how} at command {at}{more}", scene, inject, slow=how in SLOW)
