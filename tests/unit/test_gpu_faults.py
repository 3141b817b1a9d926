"""Four ways in which a GPU goes bad, on a node of each generation: the right finding, in time, the call named."""

import time
from pathlib import Path
from typing import Any

import pytest

from nvml import sim
from preflight.checks.registry import Earlier
from preflight.facts.collect import begin
from preflight.facts.probe import Transcript
from preflight.hooks.counters import KEYS
from preflight.verdict import verdict
from unit.test_gpu_generations import GPUS, OLD, Node, bad, judged, library, node

__all__ = ["library", "node"]

H100, MIG, V100, L40S, GB200, B200 = "h100x8-r580", "a100x4-mig", "v100x4", "l40sx4", "gb200x4", "b200x8"
NODES = {H100: 5, MIG: 1, V100: 2, L40S: 1, GB200: 3, B200: 7, "jetson": 0}  # and the GPU that goes bad
ALL = pytest.mark.parametrize("name", NODES)


@ALL
@pytest.mark.parametrize("phase", ["prolog", "health"])
def test_a_gpu_that_is_lost_half_way(node: Node, name: str, phase: str) -> None:
    sick = NODES[name]
    lost = {f"gpu.{sick}.ret.nvmlDeviceGetTemperature": 15}
    found = [one for one in node.judge(phase, sim.example(name), lost) if one.check not in OLD]
    assert bad(found) == {("gpu.responds", f"gpu{sick}"): "fail"}
    assert {one.blame for one in found if one.status == "fail"} == {"node"}
    assert verdict(found) == "unhealthy"


@ALL
def test_a_gpu_that_answers_unknown(node: Node, name: str) -> None:
    sick = NODES[name]
    names = ("nvmlDeviceValidateInforom", "nvmlDeviceGetFieldValues", "nvmlDeviceGetPersistenceMode")
    odd = {f"gpu.{sick}.ret.{one}": 999 for one in names}
    found = [one for one in node.judge("health", sim.example(name), odd) if one.check not in OLD]
    assert {("gpu.inforom", f"gpu{sick}"), ("gpu.recovery", f"gpu{sick}")} <= set(bad(found))
    assert set(bad(found).values()) == {"unknown"}
    assert {subject for _, subject in bad(found)} == {f"gpu{sick}"}
    assert verdict(found) == "degraded"


@ALL
def test_a_gpu_that_hangs_for_a_minute(node: Node, name: str) -> None:
    """Found by two looks at one call, long before it returns; the GPUs before it are judged."""
    sick = NODES[name]
    call = f"gpu {sick} nvmlDeviceGetBAR1MemoryInfo"
    node.scenario(sim.example(name), {f"gpu.{sick}.delay_ms.nvmlDeviceGetBAR1MemoryInfo": 60_000})
    began = time.monotonic()
    started = begin(GPUS, node.source("health"), 120.0)
    assert started.nvml is not None
    while Transcript(started.nvml.child.board.read()).doing != call:
        assert time.monotonic() - began < 50
        time.sleep(0.02)
    document = started.finish(time.monotonic(), 0.3)
    assert time.monotonic() - began < 59
    assert document.facts["gpus"]["stuck_at"] == call
    found = [one for one in judged("health", document) if one.check not in OLD]
    assert [key for key, status in bad(found).items() if status == "fail"] == [("gpu.responds", f"gpu{sick}")]
    assert {subject for _, subject in bad(found) if subject.startswith("gpu")} >= {f"gpu{sick}"}
    assert not {subject for _, subject in bad(found)} & {f"gpu{before}" for before in range(sick)}
    assert verdict(found) == "unhealthy"


# (node, what the counters say at the second look, the check that warns of it). L40S and Jetson have no NVLink: there it
# is the PCIe link that may flap, which a Jetson has not either.
FLAPS: list[tuple[str, dict[str, Any], str]] = [
    (H100, {"field.59": 3}, "gpu.nvlink.flapping"),
    (H100, {"field.52": 1}, "gpu.nvlink.flapping"),
    (H100, {"field.38": 10**6}, "gpu.nvlink.crc"),
    (H100, {"field.45": 10**6}, "gpu.nvlink.crc"),
    (H100, {"field.160": 1}, "gpu.nvlink.errors"),
    (MIG, {"field.59": 3}, "gpu.nvlink.flapping"),
    (V100, {"field.52": 2}, "gpu.nvlink.flapping"),
    (L40S, {"field.94": 99_000}, "gpu.pcie.replay"),
    (GB200, {"field.215.11": 2, "field.214.11": 1}, "gpu.nvlink.flapping"),
    (B200, {"field.215.0": 1}, "gpu.nvlink.flapping"),
    *((B200, {f"field.{field}.17": 1}, "gpu.nvlink.errors") for field in range(206, 213)),
    (B200, {"field.219.3": 10**6}, "gpu.nvlink.crc"),
    (B200, {"field.221.3": 10**6}, ""),  # its codes corrected them
    ("jetson", {"field.59": 3, "field.94": 99_000}, ""),
    (H100, {"field.269": "u64:290000000000"}, "gpu.slowdown.time"),
    (H100, {"field.77": "u64:290000000000"}, "gpu.slowdown.time"),
    (V100, {"field.79": "u64:290000000000"}, "gpu.slowdown.time"),
]


@pytest.mark.parametrize(("name", "changes", "check"), FLAPS)
def test_a_link_that_flaps_shows_in_the_second_look(node: Node, name: str, changes: dict[str, Any], check: str) -> None:
    sick = NODES[name]
    devices = node.facts("health", sim.example(name)).facts["gpus"]["devices"]
    before = {one["uuid"]: {key: one[key] for key in KEYS if key in one} for one in devices if "uuid" in one}
    later = node.facts("health", sim.example(name), {f"gpu.{sick}.{key}": value for key, value in changes.items()})
    found = [one for one in judged("health", later, earlier=Earlier(300.0, before)) if one.check not in OLD]
    assert bad(found) == ({(check, f"gpu{sick}"): "warn"} if check else {})


def test_the_nodes_are_those_that_were_asked_for() -> None:
    assert {one.stem for one in Path(sim.EXAMPLES).glob("*.scenario")} >= set(NODES)
