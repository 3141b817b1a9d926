"""Nodes of each generation through the simulated driver: a sound one is left alone, a sick one is found."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nvml import sim
from preflight.checks.finding import Finding
from preflight.checks.registry import PHASES, Context, Earlier, JobGpus
from preflight.checks.run import run_checks
from preflight.facts.collect import begin, collect
from preflight.facts.document import FactsDocument
from preflight.facts.schema import check_facts
from preflight.facts.source import Source
from preflight.hooks.counters import KEYS, earlier, keep
from preflight.policy.model import Policy
from preflight.verdict import verdict
from unit.check_fixtures import TODAY

SOUND = ("h100x8-r580", "a100x4-mig", "v100x4", "l40sx4", "b200x8", "gb200x4", "jetson", "h100x8", "h100x2")
SOUND += ("cpu-only",)
OLD = ("driver.eol", "driver.security", "os.eol", "driver.loaded")  # of the date, and of this test's empty root
GPUS = ("driver", "gpus", "cuda")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("nvml")
    sim.build_cuda(place)
    return str(sim.build(place))


class Node:
    """A node with the simulated driver, an empty root and a runtime directory."""

    def __init__(self, library: str, place: Path, patch: pytest.MonkeyPatch) -> None:
        self.library, self.place, self.patch = library, place, patch
        (place / "root").mkdir()

    def source(self, phase: str, run_dir: bool = False) -> Source:
        kept = str(self.place / "run") if run_dir else None
        return Source(str(self.place / "root"), nvml_library=self.library, phase=phase, run_dir=kept)

    def scenario(self, *parts: Any) -> None:
        for name, value in sim.environment(sim.write(self.place / "node.scenario", *parts)).items():
            self.patch.setenv(name, value)

    def facts(self, phase: str, *parts: Any, deadline_s: float = 60.0, run_dir: bool = False) -> FactsDocument:
        self.scenario(*parts)
        document = collect(GPUS, self.source(phase, run_dir), deadline_s)
        check_facts(document.facts)
        return document

    def judge(self, phase: str, *parts: Any, **more: Any) -> list[Finding]:
        return judged(phase, self.facts(phase, *parts), **more)


def judged(phase: str, document: FactsDocument, **more: Any) -> list[Finding]:
    """Return the findings of one document; a job has all GPUs, and its prolog is the same document."""
    view = document.view()
    count = len((document.facts.get("gpus") or {}).get("devices") or [])
    if phase != "health":
        more = {"gpus": JobGpus(tuple(range(count)), job=7), "before": document.facts, **more}
    return run_checks(Context(phase, view, view, Policy(), today=TODAY, **more))


@pytest.fixture
def node(library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.delenv("CUDA_SIM", raising=False)
    return Node(library, tmp_path, monkeypatch)


def bad(found: list[Finding]) -> dict[tuple[str, str], str]:
    return {(one.check, one.subject): one.status for one in found if one.status not in ("pass", "skip")}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_node_of_any_generation_is_left_alone(node: Node, name: str) -> None:
    # A second look, an hour later in the counters' eyes: nothing has grown, and nothing is stuck.
    first = node.facts("health", sim.example(name))
    devices = (first.facts.get("gpus") or {}).get("devices") or []
    before = {one["uuid"]: {key: one[key] for key in KEYS if key in one} for one in devices if "uuid" in one}
    for phase in PHASES:
        found = [one for one in judged(phase, first, earlier=Earlier(3600.0, before)) if one.check not in OLD]
        assert bad(found) == {}
        assert verdict(found) == "ready"


def test_what_a_drivers_library_lacks_is_unknown_and_drains_nothing(node: Node) -> None:
    """FunctionNotFound is never a pass; of a signal that the GPU's generation has not, it is nothing to tell."""
    example = sim.example("a100x2-old-driver")
    found = [one for one in node.judge("health", example) if one.check not in OLD]
    assert bad(found) == {
        ("gpu.confidential", "node"): "unknown",
        ("gpu.ecc.sram", "node"): "unknown",
        ("gpu.ecc.sram.bank", "node"): "unknown",
        ("gpu.gsp", "node"): "unknown",
        ("gpu.repair.pending", "node"): "unknown",
        ("gpu.temperature.margin", "node"): "unknown",
    }
    assert verdict(found) == "degraded"
    by_name = {one.check: one for one in found}
    assert by_name["gpu.memory.unrepairable"].status == "skip"  # Hopper's and later
    assert "FunctionNotFound" in by_name["gpu.repair.pending"].message
    assert verdict([one for one in node.judge("prolog", example) if one.check not in OLD]) == "ready"
    lacking = {"ret.nvmlGetExcludedDeviceCount": 13}
    found = [one for one in node.judge("health", sim.example("h100x8-r580"), lacking) if one.check not in OLD]
    assert bad(found) == {("gpu.excluded", "node"): "unknown"}


@pytest.mark.parametrize("name", SOUND)
def test_a_prolog_reads_less_and_finds_the_node_as_sound(node: Node, name: str) -> None:
    found = [one for one in node.judge("prolog", sim.example(name)) if one.check not in OLD]
    assert bad(found) == {}


def test_everything_that_nvml_tells_is_read_by_one_call_of_fields(node: Node) -> None:
    told = node.facts("health", sim.example("h100x8-r580")).facts["gpus"]["devices"][0]
    wanted = {
        "vbios": "96.00.74.00.01",
        "persistence": True,
        "compute_mode": 0,
        "ecc_corrected_aggregate": 4,
        "ecc_sram_threshold": False,
        "remap_banks_none": 0,
        "repair_pending": False,
        "unrepairable": False,
        "clock_event_reasons": 1,
        "utilization": 0,
        "power_usage": 71000,
        "power_limit_default": 700000,
        "temperature_slowdown": 89,
        "temperature_margin": 58,
        "pcie_generation_max": 5,
        "pcie_replays": 3,
        "nvlink_recovery": 0,
        "slowdown_power_ns": 10**9,
        "bar1_total": 137438953472,
        "gsp_firmware": "580.178.04",
        "inforom_valid": True,
        "fabric_health_summary": 1,
        "serial": "1650023100000",
        "inforom": "G520.0200.00.05",
        "ecc_locations": {"dram": 0, "sram": 0},
        "ecc_sram_units": {"l2": 0, "sm": 0, "pcie": 0, "mcu": 0, "other": 0},
        "ecc_sram_unique": [],
        "power_limit_enforced": 700000,
        "temperature_memory": 45,
        "temperature_memory_max": 95,
        "nvlink_version": "4.0",
        "nvlink_speed": 26562,
        "nvlink_ecc": 0,
        "slowdown_board_ns": 0,
    }
    assert {key: told[key] for key in wanted} == wanted
    assert set(told.get("errors", {}).values()) == {"NotSupported"}
    assert set(told["errors"]) == {"retired_single_bit", "retired_double_bit", "retired_pending"}


SICK = [
    ("h100x8-r580", {"gpu.5.sram.threshold_exceeded": 1}, "gpu.ecc.sram", "gpu5", "fail"),
    ("h100x8-r580", {"gpu.5.ecc.corrected.volatile": 20_000}, "gpu.ecc.corrected", "gpu5", "warn"),
    ("h100x8-r580", {"gpu.5.ecc.uncorrected.volatile.sram": 1}, "gpu.ecc.location", "gpu5", "warn"),
    ("v100x4", {"gpu.1.ecc.uncorrected.volatile.l2": 2}, "gpu.ecc.location", "gpu1", "warn"),
    ("v100x4", {"gpu.1.ecc.uncorrected.volatile.register_file": 1}, "gpu.ecc.location", "gpu1", "warn"),
    ("h100x8-r580", {"gpu.5.sram.unique": 2}, "gpu.ecc.sram.bank", "gpu5", "warn"),
    ("a100x4-mig", {"gpu.1.sram.bucket.sm": 4}, "gpu.ecc.sram.bank", "gpu1", "warn"),
    ("h100x8-r580", {"gpu.5.ecc.mode": 0}, "gpu.ecc.off", "gpu5", "warn"),
    ("h100x8-r580", {"gpu.5.field.90": 13281}, "gpu.nvlink.speed", "gpu5", "warn"),
    ("b200x8", {"gpu.1.nvlink.version": 6}, "gpu.nvlink.speed", "gpu1", "warn"),
    ("v100x4", {"gpu.1.nvlink.version": 1}, "gpu.nvlink.speed", "gpu1", "warn"),
    ("h100x8-r580", {"gpu.5.power.limit.enforced": 500_000}, "gpu.power.enforced", "gpu5", "warn"),
    ("h100x8-r580", {"gpu.5.field.82": 96}, "gpu.temperature.memory", "gpu5", "warn"),
    ("h100x8-r580", {"gpu.5.clocks.event_reasons": 0x20}, "gpu.slowdown", "gpu5", "warn"),
    ("h100x8-r580", {"gpu.5.unrepairable": 1}, "gpu.memory.unrepairable", "gpu5", "fail"),
    ("h100x8-r580", {"gpu.5.remap.histogram.none": 1}, "gpu.remap.banks", "gpu5", "warn"),
    ("h100x8-r580", {"gpu.5.remap.uncorrectable": 600}, "gpu.remap.rows", "gpu5", "warn"),
    ("h100x8-r580", {"gpu.5.repair.tpc": 1}, "gpu.repair.pending", "gpu5", "warn"),
    ("h100x8-r580", {"gpu.5.inforom.valid": 0}, "gpu.inforom", "gpu5", "fail"),
    ("h100x8-r580", {"gpu.5.temperature": 91}, "gpu.temperature", "gpu5", "warn"),
    ("h100x8-r580", {"gpu.5.temperature.margin": 0}, "gpu.temperature.margin", "gpu5", "warn"),
    ("h100x8-r580", {"gpu.5.clocks.event_reasons": 0x80}, "gpu.slowdown", "gpu5", "warn"),
    ("h100x8-r580", {"gpu.5.persistence.mode": 0}, "gpu.persistence", "gpu5", "warn"),
    ("h100x8-r580", {"gpu.5.compute.mode": 2}, "gpu.compute_mode", "gpu5", "fail"),
    ("h100x8-r580", {"gpu.5.ecc.mode.pending": 0}, "gpu.ecc.pending", "gpu5", "warn"),
    ("h100x8-r580", {"gpu.5.pcie.width.current": 4}, "gpu.pcie.width", "gpu5", "warn"),
    ("h100x8-r580", {"gpu.5.utilization.gpu": 99}, "gpu.pcie.speed", "gpu5", "warn"),
    ("h100x8-r580", {"gpu.5.nvlink.7.state": 0}, "gpu.nvlink", "gpu5", "fail"),
    ("h100x8-r580", {"gpu.5.bar1.used": 137438953472}, "gpu.bar1", "gpu5", "warn"),
    ("h100x8-r580", {"gpu.5.memory.used": 9 << 30}, "gpu.memory.left", "gpu5", "warn"),
    ("h100x8-r580", {"gpu.5.gsp.version": "550.54.15"}, "gpu.gsp", "gpu5", "warn"),
    ("h100x8-r580", {"gpu.5.vbios": "96.00.61.00.01"}, "gpu.alike", "NVIDIA H100 80GB HBM3", "warn"),
    ("h100x8-r580", {"excluded": 1}, "gpu.excluded", "node", "warn"),
    ("h100x8-r580", {"cc.feature": 1, "cc.ready": 0}, "gpu.confidential", "node", "fail"),
    ("a100x4-mig", {"gpu.1.mig.mode": 1}, "gpu.mig.devices", "gpu1", "warn"),
    ("a100x4-mig", {"gpu.0.mig.mode.pending": 1}, "gpu.mig.pending", "gpu0", "warn"),
    ("v100x4", {"gpu.1.field.29": 40, "gpu.1.field.30": 23}, "gpu.retired.pages", "gpu1", "fail"),
    ("v100x4", {"gpu.1.field.30": 16}, "gpu.retired.double_bit", "gpu1", "warn"),
    ("v100x4", {"gpu.1.field.31": 1}, "gpu.retired.pending", "gpu1", "warn"),
    ("v100x4", {"gpu.1.nvlink.2.state": 0}, "gpu.nvlink", "gpu1", "fail"),
    ("l40sx4", {"gpu.1.pcie.width.current": 8}, "gpu.pcie.width", "gpu1", "warn"),
    ("b200x8", {"gpu.1.fabric.health_summary": 2}, "gpu.fabric.health", "gpu1", "fail"),
    ("b200x8", {"gpu.1.fabric.health_mask": 0xA9}, "gpu.fabric.health", "gpu1", "warn"),
    ("gb200x4", {"gpu.1.fabric.state": 1}, "gpu.fabric", "gpu1", "fail"),
    ("gb200x4", {"gpu.1.fabric.health_mask": 0x55AA}, "gpu.fabric.health", "gpu1", "fail"),
]


@pytest.mark.parametrize(("name", "changes", "check", "subject", "status"), SICK)
def test_a_sick_gpu_is_found_by_the_signal_that_shows_it(
    node: Node, name: str, changes: dict[str, Any], check: str, subject: str, status: str
) -> None:
    found = [one for one in node.judge("health", sim.example(name), changes) if one.check not in OLD]
    assert bad(found)[check, subject] == status
    others = {key: value for key, value in bad(found).items() if key[0] != check}
    assert set(others.values()) <= {"warn"}, others  # a neighbouring signal may warn as well, and drains nothing


def test_a_gpu_lost_half_way_fails_and_the_others_are_judged(node: Node) -> None:
    lost = {"gpu.3.ret.nvmlDeviceGetTemperature": 15}
    found = bad([one for one in node.judge("health", sim.example("h100x8-r580"), lost) if one.check not in OLD])
    assert found == {("gpu.responds", "gpu3"): "fail"}


def test_a_gpu_that_answers_unknown_is_unknown_and_drains_nothing(node: Node) -> None:
    names = ("nvmlDeviceValidateInforom", "nvmlDeviceGetFieldValues", "nvmlDeviceGetPersistenceMode")
    odd = {f"gpu.3.ret.{name}": 999 for name in names}
    found = [one for one in node.judge("health", sim.example("h100x8-r580"), odd) if one.check not in OLD]
    assert ("gpu.inforom", "gpu3") in bad(found)
    assert set(bad(found).values()) == {"unknown"}
    assert {subject for _, subject in bad(found)} == {"gpu3"}
    assert verdict(found) == "degraded"


def test_a_gpu_that_hangs_is_named_with_its_call_within_the_deadline(node: Node) -> None:
    hangs = {"gpu.3.delay_ms.nvmlDeviceGetBAR1MemoryInfo": 60_000}
    node.scenario(sim.example("h100x8-r580"), hangs)
    began = time.monotonic()
    started = begin(GPUS, node.source("health"), 8.0)
    document = started.finish(began + 4.0, 2.0)
    assert time.monotonic() - began < 30
    assert document.facts["gpus"]["stuck_at"] == "gpu 3 nvmlDeviceGetBAR1MemoryInfo"
    found = [one for one in judged("health", document) if one.check not in OLD]
    assert {key: status for key, status in bad(found).items() if status == "fail"} == {("gpu.responds", "gpu3"): "fail"}


def test_a_flapping_link_shows_in_two_looks(node: Node) -> None:
    run, scenario = str(node.place / "run"), sim.example("h100x8-r580")
    first = node.facts("health", scenario)
    keep(run, "n1", first, earlier(run, "n1"))
    path = node.place / "run/counters-n1.json"
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({**stored, "at": stored["at"] - 300}))
    second = node.facts("health", scenario, {"gpu.5.field.59": 3, "gpu.6.field.94": 99_000})
    before = earlier(run, "n1")
    assert 300 <= before.ago_s < 1000
    found = [one for one in judged("health", second, earlier=before) if one.check not in OLD]
    assert bad(found) == {("gpu.nvlink.flapping", "gpu5"): "warn", ("gpu.pcie.replay", "gpu6"): "warn"}


def test_a_gpu_that_is_busy_at_idle_power_is_stuck_at_the_second_look(node: Node) -> None:
    run = str(node.place / "run")
    busy = {"gpu.5.utilization.gpu": 100, "gpu.5.pcie.gen.current": 5}
    first = node.facts("health", sim.example("h100x8-r580"), busy)
    assert bad([one for one in judged("health", first) if one.check == "gpu.stuck"]) == {}
    keep(run, "n1", first, earlier(run, "n1"))
    (one,) = [
        one
        for one in judged("health", first, earlier=earlier(run, "n1"))
        if one.check == "gpu.stuck" and one.status == "warn"
    ]
    assert (one.subject, one.blame, one.observed) == ("gpu5", "user", "100 %, 71 W")


def test_counters_of_another_boot_or_torn_are_not_believed(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    run = str(node.place / "run")
    keep(run, "n1", node.facts("health", sim.example("h100x2")), earlier(run, "n1"))
    assert earlier(run, "n1").gpus
    path = node.place / "run/counters-n1.json"
    path.write_text(path.read_text()[:40])
    assert earlier(run, "n1").gpus == {}
    keep(run, "n1", node.facts("health", sim.example("h100x2")), earlier(run, "n1"))
    monkeypatch.setattr("preflight.hooks.counters.boot_id", lambda: "another")
    assert earlier(run, "n1").gpus == {}


# CUDA


@pytest.mark.parametrize(
    ("answer", "result", "status"),
    [
        ("0 8", "ok", "pass"),
        ("802", "SystemNotReady", "fail"),
        ("100", "NoDevice", "fail"),
        ("999", "Unknown", "fail"),
        ("304", "OperatingSystem", "unknown"),
        ("77", "Error77", "unknown"),
    ],
)
def test_nvml_answers_and_cuda_does_not_start(node: Node, answer: str, result: str, status: str) -> None:
    node.patch.setenv("CUDA_SIM", answer)
    document = node.facts("epilog", sim.example("h100x8-r580"))
    assert document.facts["cuda"]["result"] == result
    (one,) = [one for one in judged("epilog", document) if one.check == "cuda.start"]
    assert (one.status, one.blame, one.subject) == (status, "node", "cuda")


def test_a_cuinit_that_hangs_is_named_and_costs_its_budget_only(node: Node) -> None:
    node.patch.setenv("CUDA_SIM", "0 8 600000")
    document = node.facts("health", sim.example("h100x2"), deadline_s=300.0)
    assert document.unknown["cuda"] == "no answer at cuda: cuInit before the deadline"
    assert document.facts["gpus"]["count"] == 2


def test_a_prolog_takes_the_last_answer_with_its_age_and_none_that_is_too_old(node: Node) -> None:
    node.patch.setenv("CUDA_SIM", "802")
    scenario = sim.example("h100x2")
    unasked = node.facts("prolog", scenario, run_dir=True)
    assert "cuda" not in unasked.facts
    assert [one.status for one in judged("prolog", unasked) if one.check == "cuda.start"] == ["skip"]
    node.facts("health", scenario, run_dir=True)
    path = node.place / "run/kept-cuda.json"
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({**stored, "at": stored["at"] - 600}))
    (one,) = [
        one for one in judged("prolog", node.facts("prolog", scenario, run_dir=True)) if one.check == "cuda.start"
    ]
    assert one.status == "fail"
    assert "(asked 10 minutes ago)" in one.message
    for change in ({"at": stored["at"] - 4000}, {"boot": "another"}, {"values": 7}, {"at": stored["at"] + 9999}):
        path.write_text(json.dumps({**stored, **change}))
        assert "cuda" not in node.facts("prolog", scenario, run_dir=True).facts
