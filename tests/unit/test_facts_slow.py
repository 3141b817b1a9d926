"""NVML that is slow and NVML that hangs: the first is a warning, the second needs evidence from two runs."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nvml import sim
from preflight.checks.finding import Finding
from preflight.checks.registry import Context
from preflight.checks.run import run_checks
from preflight.facts import driver, gpus
from preflight.facts.answer import Answer
from preflight.facts.collect import begin
from preflight.facts.document import FactsDocument
from preflight.facts.isolate import Outcome, Pace
from preflight.facts.nvml_result import NvmlResult
from preflight.facts.probe import Span
from preflight.facts.schema import check_facts
from preflight.facts.source import Source
from preflight.facts.stuck import start_time
from preflight.policy.model import Policy
from preflight.verdict import verdict
from unit.agent_site import until

H100 = sim.example("h100x8")
SHORT_S = 1.0  # for all before a hang, on a machine under load
FOREVER_MS = 600_000


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(sim.build(tmp_path_factory.mktemp("nvml")))


class Node:
    """A node with the simulated driver and a runtime directory that lasts from run to run."""

    def __init__(self, library: str, place: Path, patch: pytest.MonkeyPatch) -> None:
        self.library, self.place, self._patch = library, place, patch
        (place / "root").mkdir()

    def scenario(self, **changes: Any) -> None:
        path = sim.write(self.place / "node.scenario", H100, {"gpus": 3}, changes)
        for name, value in sim.environment(path).items():
            self._patch.setenv(name, value)

    def run(self, deadline_s: float = SHORT_S, longer_s: float = 0.0, span: Span = Span()) -> FactsDocument:  # noqa: B008
        deadline = time.monotonic() + deadline_s
        collection = begin(
            ("driver", "gpus"),
            Source(str(self.place / "root"), nvml_library=self.library, run_dir=str(self.place / "run")),
            deadline_s,
            span=span,
        )
        document = collection.finish(deadline, longer_s)
        check_facts(document.facts)
        return document

    def left(self) -> dict[str, Any] | None:
        """Return the record of the probe that was left, None where none lives."""
        path = self.place / "run/stuck-nvml.json"
        stored = json.loads(path.read_text()) if path.exists() else None
        return stored if stored and start_time(stored["pid"]) == stored["start"] else None


@pytest.fixture
def node(library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    made = Node(library, tmp_path, monkeypatch)
    yield made
    left = made.left()
    if left:
        os.kill(left["pid"], signal.SIGKILL)


def judged(document: FactsDocument) -> list[Finding]:
    view = document.view()
    every = run_checks(Context("health", view, view, Policy()))
    return [one for one in every if one.check in ("driver.responds", "driver.slow", "driver.loaded", "gpu.responds")]


def bad(document: FactsDocument) -> dict[tuple[str, str], str]:
    return {(one.check, one.subject): one.status for one in judged(document) if one.status not in ("pass", "skip")}


def test_a_slow_start_is_a_warning_and_the_next_run_is_not_harmed(node: Node) -> None:
    node.scenario(**{"delay_ms.nvmlInitWithFlags": 2500})
    first = node.run()
    assert first.facts["driver"]["nvml"] == "Late"
    assert bad(first) == {("driver.responds", "driver"): "warn"}
    assert verdict(judged(first)) == "degraded"
    assert node.left() is not None
    second = node.run(20.0)  # meets the first one's probe, waits for its end, and asks for itself
    assert second.facts["driver"]["nvml"] == "ok"
    assert bad(second) == {}
    assert node.left() is None


def test_what_the_same_run_has_begun_is_not_waited_for(node: Node) -> None:
    """The node agent's child had less time for an epilog than its hook has, which asks for itself."""
    node.scenario(**{"delay_ms.nvmlInitWithFlags": FOREVER_MS})
    began = time.monotonic()
    assert node.run(span=Span(began, began + 60)).facts["driver"]["nvml"] == "Late"
    left = node.left()
    assert left is not None
    node.scenario()
    assert node.run(20.0, span=Span(began)).facts["driver"]["nvml"] == "ok"
    assert node.left() == left


def test_only_a_run_that_began_after_another_was_over_proves_a_hang_by_it(node: Node) -> None:
    node.scenario(**{"delay_ms.nvmlInitWithFlags": FOREVER_MS})
    began = time.monotonic()
    over = began + 60
    node.run(span=Span(began, over))
    first = node.left()
    assert first is not None
    document = node.run(span=Span(over - 1))
    assert document.facts["driver"]["nvml"] == "Late"
    assert {*bad(document).values()} == {"warn"}
    second = node.left()
    assert second is not None
    assert second["pid"] != first["pid"]
    until(lambda: start_time(first["pid"]) is None, "the first one's end")  # one is kept
    assert node.run(span=Span(over + 1)).facts["driver"]["nvml"] == "Timeout"


def test_a_run_with_less_time_than_a_hook_proves_nothing_and_ends_nothing(node: Node) -> None:
    node.scenario(**{"delay_ms.nvmlInitWithFlags": FOREVER_MS})
    node.run()
    left, now = node.left(), time.monotonic()
    assert node.run(span=Span(now, now + 60)).facts["driver"]["nvml"] == "Late"
    assert (node.left(), left is None) == (left, False)
    assert node.run().facts["driver"]["nvml"] == "Timeout"
    now = time.monotonic()
    assert node.run(span=Span(now, now + 60)).facts["driver"]["nvml"] == "Late"
    assert node.left() is None  # nor is another begun where a call is known to hang
    assert node.run().facts["driver"]["nvml"] == "Timeout"  # and that is known still


def test_what_answers_late_is_waited_for_a_little_longer_and_timed(node: Node) -> None:
    node.scenario(**{"delay_ms.nvmlInitWithFlags": 3500})
    document = node.run(SHORT_S, 20.0)
    assert document.facts["driver"]["nvml"] == "ok"
    assert document.facts["gpus"]["count"] == 3
    slow = document.facts["driver"]["slow"]
    assert slow["call"] == "nvmlInitWithFlags"
    assert slow["took_s"] >= slow["call_s"] >= 3.5
    assert slow["answered"] is True
    (found,) = [one for one in judged(document) if one.check == "driver.slow"]
    assert (found.status, found.blame) == ("warn", "node")
    assert "nvmlInitWithFlags" in found.message
    assert "persistenced" in (found.remedy or "")


def test_gpus_that_each_take_their_time_never_hang_however_many_runs_see_it(node: Node) -> None:
    node.scenario(**{"gpu.*.delay_ms.nvmlDeviceGetName": 800, "gpu.*.delay_ms.nvmlDeviceGetTemperature": 800})
    for _ in range(4):
        document = node.run(1.2)
        devices = document.facts.get("gpus", {}).get("devices", [])  # none where the new probe had no time left
        assert "Timeout" not in {device.get("error") for device in devices}
        assert verdict(judged(document)) in ("ready", "degraded")


def test_a_hang_is_proven_by_the_second_run_until_the_driver_answers_again(node: Node) -> None:
    node.scenario(**{"delay_ms.nvmlInitWithFlags": FOREVER_MS})
    assert node.run().facts["driver"]["nvml"] == "Late"
    left = node.left()
    assert left is not None
    second = node.run()
    assert second.facts["driver"]["nvml"] == "Timeout"
    (found,) = [one for one in judged(second) if one.status == "fail"]
    assert (found.check, found.blame) == ("driver.responds", "node")
    assert f"pid {left['pid']} in nvmlInitWithFlags" in found.message
    assert node.left() is None  # what hangs for certain is not kept
    assert start_time(left["pid"]) is None
    third = node.run()
    assert third.facts["driver"]["nvml"] == "Timeout"
    assert node.left() is None
    node.scenario()
    assert node.run(30.0).facts["driver"]["nvml"] == "ok"
    node.scenario(**{"delay_ms.nvmlInitWithFlags": FOREVER_MS})
    assert node.run().facts["driver"]["nvml"] == "Late"  # it was well in between: proof is needed anew


def test_a_probe_that_nothing_ends_is_not_joined_by_another(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.scenario(**{"delay_ms.nvmlInitWithFlags": FOREVER_MS})
    node.run()
    monkeypatch.setattr("preflight.facts.probe.kill", lambda earlier: False)  # as for a process in D state
    for _ in range(3):
        left = node.left()
        began = time.monotonic()
        assert node.run(SHORT_S).facts["driver"]["nvml"] == "Timeout"
        assert (node.left() or {}).get("pid") == (left or {}).get("pid") is not None
    assert time.monotonic() - began < SHORT_S / 2  # what is proven is not waited for


def test_a_gpu_that_hangs_is_named_and_the_others_are_not_blamed(node: Node) -> None:
    node.scenario(**{"gpu.1.delay_ms.nvmlDeviceGetTemperature": FOREVER_MS, "gpu.1.minor": 7})
    first = node.run()
    assert [device.get("error") for device in first.facts["gpus"]["devices"]] == [None, "Late", "NotRead"]
    assert bad(first) == {("gpu.responds", "gpu1"): "warn", ("gpu.responds", "gpu2"): "unknown"}
    second = node.run()
    devices = second.facts["gpus"]["devices"]
    assert [device.get("error") for device in devices] == ["NotRead", "Timeout", "NotRead"]
    assert devices[1]["minor"] == 7  # which GPU it is stays known
    assert "temperature" not in devices[0]  # how it was a run ago is no fact of now
    assert bad(second)[("gpu.responds", "gpu1")] == "fail"
    assert second.facts["driver"]["nvml"] == "ok"
    assert "the same call since an earlier run" in second.unknown["gpus.1"]


def test_without_a_runtime_directory_one_run_looks_twice(node: Node) -> None:
    def run(longer_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + SHORT_S
        source = Source(str(node.place / "root"), nvml_library=node.library)
        return begin(("driver",), source, SHORT_S + longer_s).finish(deadline, longer_s).facts["driver"]

    node.scenario(**{"delay_ms.nvmlInitWithFlags": FOREVER_MS})
    assert run(0.0)["nvml"] == "Late"
    assert run(1.0)["nvml"] == "Timeout"
    node.scenario(**{"delay_ms.nvmlInitWithFlags": 2500})
    assert run(20.0)["nvml"] == "ok"
    assert not (node.place / "run").exists()


@pytest.mark.parametrize(
    ("state", "call", "stuck_s", "error"),
    [
        ("D", "gpu 0 nvmlDeviceGetTemperature", 4.0, "Timeout"),
        ("S", "gpu 0 nvmlDeviceGetTemperature", 4.0, "Late"),
        ("D", "gpu 0 nvmlDeviceGetTemperature", 0.5, "Late"),
        ("D", "gpu 0 nvmlDeviceGetHandleByIndex", 5.0, "Late"),  # waking a GPU takes its time, and in D state
    ],
)
def test_a_call_that_cannot_be_interrupted_is_evidence(state: str, call: str, stuck_s: float, error: str) -> None:
    pace = Pace(stuck_s + 1, call, stuck_s, stuck_s)
    told = NvmlResult(Outcome([{"nvml": "ok"}, {"count": 1}], False, call, running=5, state=state, pace=pace))
    assert gpus.merged(told).values["devices"] == [{"index": 0, "error": error}]


def test_a_hang_between_the_gpus_is_the_drivers() -> None:
    told = NvmlResult(
        Outcome([{"nvml": "ok"}, {"count": 1}], False, "nvmlGetExcludedDeviceCount", evidence="seen twice")
    )
    assert driver.merged(told, Answer({"module": None})).values["nvml"] == "Timeout"
    assert gpus.merged(told).values["devices"] == [{"index": 0, "error": "NotRead"}]
