"""Agent and hook find the same under policies of any size: no row to hundreds, drop-ins, [[host]] rows, recovery."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from preflight.agent import wire
from preflight.hooks.assess import FEW
from unit.agent_site import GPUS, AgentSite, comparable, spoken, until
from unit.hook_site import H100X2, JOB, REQUIRE, settle

HOLD = (
    *("kernel>=4.{}", "gpu.memory>={}M", "memory>={}K", "tmp>={}K", "driver>=470.{}", "ubuntu>=20.{}"),
    *("gpu.count=2|kernel>=9.{}", "shm>={}K, gpu=h100", "cuda>=11.{}"),
)
FAIL = ("kernel>=9.{}", "gpu.memory>=9{}T", "gpu.count=5{}", "mount=/nowhere{}")
PARTITIONS = ('"gpu"', '"cpu"', '"gpu", "cpu"')
HOST = '[[host]]\ncheck = "mount"\npath = "/"\nphases = [{}]\n'
RECOVER = '[recover.steps]\n"gpu.*" = ["reboot"]\n'
DRIVERS: tuple[dict[str, Any], ...] = ({}, {"gpu.*.memory.total": 40 << 30}, {"driver": "560.35.03"})
JOBS = ({**GPUS, REQUIRE: "cuda>=12.4, gpu=h100"}, GPUS, {**JOB, REQUIRE: "ubuntu>=22.04"})


def rows(chance: random.Random, count: int, sick: bool) -> str:
    """Return so many [[expect]] rows, a few of them of some partition; ``sick``: some do not hold."""
    texts = []
    for number in range(count):
        kind = chance.choice(FAIL if sick and chance.random() < 0.05 else HOLD).format(number % 9)
        where = f"partitions = [{chance.choice(PARTITIONS)}]\n" if chance.random() < 0.1 else ""
        texts.append(f'[[expect]]\n{where}require = "{kind}, kernel>=3.{number}"\n')
    return "".join(texts)


def write_policy(agent: AgentSite, chance: random.Random, count: int) -> bool:
    """Give the node a policy with ``count`` rows; return whether it leaves its prologs to the hook."""
    sick = chance.random() < 0.25
    texts = [rows(chance, count // 2, sick), rows(chance, count - count // 2, sick)]
    phases = chance.choice(("", '"health"', '"epilog", "health"', '"prolog", "health"'))
    if phases:
        texts[0] += HOST.format(phases)
    if chance.random() < 0.5:
        texts[1] += RECOVER
    drop_in = Path(f"{str(agent.site.config)[: -len('.toml')]}.d/10-site.toml")
    drop_in.parent.mkdir(exist_ok=True)
    drop_in.unlink(missing_ok=True)
    if chance.random() < 0.5:
        drop_in.write_text(texts.pop())
        settle(drop_in)
    agent.site.policy("".join(texts))
    return "prolog" in phases


def remembered(place: Path) -> Any:
    """Return what stands in the file of expectations that held, without the times."""
    if not place.exists():
        return None
    stored = json.loads(place.read_text())
    return {**stored, "groups": [one[:3] for one in stored["groups"]]}


@pytest.mark.parametrize(
    ("seed", "count", "answers"),
    [(1, 0, True), (2, FEW, False), (5, FEW + 1, True), (6, 150, True), (4, 300, False), (7, 600, True)],
)
def test_policies_of_any_size_are_judged_as_the_hook_judges(
    agent: AgentSite, seed: int, count: int, answers: bool
) -> None:
    site, chance = agent.site, random.Random(seed)
    place = site.run_dir / "expected-n1.json"
    for_hooks = write_policy(agent, chance, count)
    spoken(agent, {**GPUS, "SLURM_JOB_ID": "99"})  # the policy holds from here on
    until(agent.ready, "all that it asks for")
    place.unlink(missing_ok=True)
    answered = []
    driver: dict[str, Any] = {}
    for number in range(100, 104):
        if number > 101:
            other = chance.choice(DRIVERS)
            if other != driver:
                site.scenario(H100X2, other)
                agent.ask("refresh")
                until(agent.ready, "all read anew")
            driver = other
        forget(agent)
        before = place.read_bytes() if place.exists() else None
        job = {**chance.choice(JOBS), "SLURM_JOB_ID": str(number)}
        said = spoken(agent, job)
        kept = remembered(place)
        place.unlink(missing_ok=True)
        if before is not None:
            place.write_bytes(before)
        forget(agent)
        site.hook("prolog", **job)
        own = site.report(number)
        harmless = own["verdict"] in ("ready", "degraded") and own["action"]["kind"] == "none" and not for_hooks
        why = agent.ask("status")["one_shot_because"]
        assert said.startswith(wire.PASS) is harmless, (own["verdict"], own["action"], why)
        answered.append(harmless)
        if harmless:
            assert comparable(json.loads(said[len(wire.PASS) :])) == comparable(own)
            assert kept == remembered(place)
    assert any(answered) is answers


def forget(agent: AgentSite) -> None:
    """A day passes: what failed counts no more."""
    for path in agent.site.spool.glob("streaks-*"):
        path.unlink()
