"""Playing one fault: scene, injection, what follows, judgement."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from campaign.fault import Fault, NotHere
from campaign.judge import judge, observed
from campaign.processes import adopting
from campaign.scenes import SCENES, play
from campaign.world import Assets, World


@dataclass
class Row:
    """One row of the table; ``result``: "held", "WRONG" or "not run"."""

    id: str
    family: str
    scene: str
    fault: str
    expected: str
    observed: str
    result: str
    wrong: list[str]
    seconds: float

    def data(self) -> dict[str, object]:
        """Return it for JSON."""
        return asdict(self)


def run(fault: Fault, place: Path, assets: Assets, timed: bool = True, keep: bool = False) -> Row:
    """Play ``fault`` in a directory of its own below ``place`` and return its row."""
    began = time.monotonic()
    if fault.whole is not None:
        return _whole(fault, place, assets)
    scene = SCENES[fault.scene]
    world = World(place / f"w{os.getpid()}", assets, timed=timed)
    wrong: list[str] = []
    seen = ""
    with adopting():
        try:
            world.make()
            scene.prepare(world)
            world.set_state(drains=[])
            with fault.inject(world):
                scene.strike(world)
            play(world, scene)
            wrong, seen = judge(world, fault, scene), observed(world, scene)
            result = "WRONG" if wrong else "held"
        except NotHere as why:
            result, seen = "not run", str(why)
        except Exception as error:
            result, wrong = "WRONG", [f"the campaign itself: {type(error).__name__}: {error}"]
        finally:
            if not keep:
                world.end()
    took = round(time.monotonic() - began, 2)
    return Row(fault.id, fault.family, fault.scene, fault.name, fault.expected, seen, result, wrong, took)


def _whole(fault: Fault, place: Path, assets: Assets) -> Row:
    began = time.monotonic()
    assert fault.whole is not None
    with tempfile.TemporaryDirectory(dir=place) as directory:
        try:
            seen, wrong = fault.whole(Path(directory), assets)
            result = "WRONG" if wrong else "held"
        except NotHere as why:
            seen, wrong, result = str(why), [], "not run"
        except Exception as error:
            seen, wrong, result = "", [f"the campaign itself: {type(error).__name__}: {error}"[:300]], "WRONG"
    took = round(time.monotonic() - began, 2)
    return Row(fault.id, fault.family, fault.scene, fault.name, fault.expected, seen, result, wrong, took)
