"""GPUs in an NVSwitch fabric, and those that the PCI bus has and NVML lacks, by the simulated driver."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest

from nvml import sim
from preflight.checks.finding import Finding
from preflight.checks.registry import Context, JobGpus
from preflight.checks.run import run_checks
from preflight.facts.collect import collect
from preflight.facts.document import FactsDocument
from preflight.facts.schema import check_facts
from preflight.facts.source import Source
from preflight.facts.view import View
from preflight.policy.model import Policy
from preflight.verdict import verdict

H100 = sim.example("h100x8")
EVERY = [f"0000:{bus:02x}:00.0" for bus in range(1, 9)]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(sim.build(tmp_path_factory.mktemp("nvml")))


class Node:
    """A node of which a tree is recorded, and the simulated driver."""

    def __init__(self, library: str, place: Path, patch: pytest.MonkeyPatch) -> None:
        self.library, self.place, self.patch = library, place, patch
        patch.setattr("os.geteuid", lambda: 0)

    def bus(self, name: str, driver: str = "nvidia", kind: str = "0x030200", device: str = "0x2330") -> None:
        here = self.place / "root/sys/bus/pci/devices" / name
        here.mkdir(parents=True)
        for key, value in (("vendor", "0x10de"), ("class", kind), ("device", device)):
            (here / key).write_text(f"{value}\n")
        if driver:
            (here / "driver").symlink_to(f"../../../../bus/pci/drivers/{driver}")

    def facts(self, **changes: Any) -> FactsDocument:
        scenario = sim.write(self.place / "node.scenario", H100, changes)
        for name, value in sim.environment(scenario).items():
            self.patch.setenv(name, value)
        (self.place / "root").mkdir(exist_ok=True)
        document = collect(
            ("driver", "gpus", "pci"),
            Source(str(self.place / "root"), nvml_library=self.library),
            60.0,
        )
        check_facts(document.facts)
        return document

    def findings(self, check: str, phase: str = "health", job: JobGpus | None = None, **changes: Any) -> list[Finding]:
        view = self.facts(**changes).view()
        every = run_checks(Context(phase, view, view, Policy(), gpus=job))
        return [one for one in every if one.check == check]


@pytest.fixture
def node(library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(library, tmp_path, monkeypatch)


def statuses(findings: list[Finding]) -> set[tuple[str, str]]:
    return {(one.subject, one.status) for one in findings}


@pytest.mark.parametrize(
    ("state", "status", "told"),
    [
        (0, 0, "skip"),
        (1, 0, "fail"),
        (2, 0, "fail"),
        (3, 0, "pass"),
        (3, 999, "fail"),
        (9, 0, "unknown"),
    ],
)
def test_the_state_of_the_fabric(node: Node, state: int, status: int, told: str) -> None:
    changes = {"gpu.2.fabric.state": state, "gpu.2.fabric.status": status}
    found = [one for one in node.findings("gpu.fabric", **changes) if one.subject == "gpu2"]
    assert [one.status for one in found] == [told]
    assert found[0].blame == "node"
    assert ("802" in found[0].message) is (state in (1, 2))


def test_gpus_without_a_fabric_are_skipped_also_by_old_drivers(node: Node) -> None:
    assert statuses(node.findings("gpu.fabric")) == {(f"gpu{index}", "pass") for index in range(8)}
    none = {"gpu.*.fabric.state": "", "gpu.*.fabric.status": ""}
    assert statuses(node.findings("gpu.fabric", **none)) == {(f"gpu{index}", "skip") for index in range(8)}
    old = {"ret.nvmlDeviceGetGpuFabricInfoV": 13, "ret.nvmlDeviceGetGpuFabricInfo": 13}
    assert {status for _, status in statuses(node.findings("gpu.fabric", **old))} == {"skip"}


def test_a_driver_of_525_answers_by_the_first_version(node: Node) -> None:
    changes = {"ret.nvmlDeviceGetGpuFabricInfoV": 13, "gpu.*.fabric.state": 2}
    assert {status for _, status in statuses(node.findings("gpu.fabric", **changes))} == {"fail"}


def test_each_gpu_of_the_bus_answers(node: Node) -> None:
    for name in EVERY:
        node.bus(name)
    assert statuses(node.findings("gpu.pci")) == {("node", "pass")}


@pytest.mark.parametrize("driver", ["nvidia", ""])
def test_a_gpu_of_the_bus_that_nvml_lacks_is_the_nodes_fault(node: Node, driver: str) -> None:
    for name in EVERY:
        node.bus(name, driver if name == EVERY[-1] else "nvidia")
    (found,) = node.findings("gpu.pci", gpus=7)
    assert (found.status, found.blame) == ("fail", "node")
    assert "lacks 1 of the 8 GPUs" in found.message
    assert EVERY[-1] in found.message
    assert verdict([found]) == "unhealthy"


def test_the_bus_is_compared_by_number_where_addresses_differ(node: Node) -> None:
    for bus in range(8):
        node.bus(f"0000:{0xA0 + bus:02x}:00.0")
    (found,) = node.findings("gpu.pci", gpus=7)
    assert (found.status, found.observed) == ("fail", "7")
    assert statuses(node.findings("gpu.pci")) == {("node", "pass")}


def test_a_lost_gpu_is_counted_by_nvml_and_not_missing_twice(node: Node) -> None:
    for name in EVERY:
        node.bus(name)
    assert statuses(node.findings("gpu.pci", **{"gpu.3.lost": True})) == {("node", "pass")}


def test_gpus_handed_to_virtual_machines_and_excluded_ones_are_not_missed(node: Node) -> None:
    for name in EVERY[:6]:
        node.bus(name)
    node.bus(EVERY[6], "vfio-pci")
    node.bus(EVERY[7])
    assert statuses(node.findings("gpu.pci", gpus=6, excluded=1)) == {("node", "pass")}
    assert statuses(node.findings("gpu.pci", gpus=6)) == {("node", "fail")}


def test_an_old_display_card_drains_nothing_and_a_gpu_of_the_same_model_does(node: Node) -> None:
    for name in EVERY:
        node.bus(name)
    node.bus("0000:f1:00.0", "", "0x030000", "0x128b")  # GT 710
    (found,) = node.findings("gpu.pci")
    assert found.status == "warn"
    assert verdict([found]) == "degraded"
    node.bus("0000:f2:00.0", "", "0x030000", "0x2330")
    assert statuses(node.findings("gpu.pci")) == {("node", "fail")}


def test_a_container_or_a_user_may_not_see_each_gpu(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in EVERY:
        node.bus(name)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert statuses(node.findings("gpu.pci", gpus=2)) == {("node", "unknown")}
    monkeypatch.setattr("os.geteuid", lambda: 0)
    for name in EVERY[:2]:
        (node.place / "root/proc/driver/nvidia/gpus" / name).mkdir(parents=True)
    assert statuses(node.findings("gpu.pci", gpus=2)) == {("node", "unknown")}


def test_in_a_prolog_a_missing_gpu_stops_the_job_that_may_have_it(node: Node) -> None:
    for name in EVERY:
        node.bus(name)
    assert statuses(node.findings("gpu.pci", "prolog", JobGpus((0, 1)), gpus=7)) == {("node", "warn")}
    unclear = JobGpus(problem="Slurm's order is not known")
    view = node.facts(gpus=7).view()
    found = run_checks(Context("prolog", view, view, Policy(), gpus=unclear))
    assert [one.status for one in found if one.check == "gpu.pci"] == ["fail"]
    gone = run_checks(Context("prolog", view, view, Policy(), gpus=JobGpus((0,), ("/dev/nvidia7",))))
    assert [one.status for one in gone if one.check == "gpu.pci"] == ["fail"]


def test_facts_recorded_without_the_bus_are_skipped() -> None:
    view = View({"gpus": {"count": 0, "devices": [], "stuck_at": None}}, {})
    found = run_checks(Context("health", view, view, Policy()))
    assert [one.status for one in found if one.check == "gpu.pci"] == ["skip"]


def structure(name: str, uuid: int, *more: str, version: int = 0) -> type[ctypes.Structure]:
    """A structure of the fabric as a release of nvidia-ml-py has it: ``uuid`` bytes of its cluster's."""
    words = [(one, ctypes.c_uint) for one in ("status", "cliqueId", "state", *more)]
    fields = [*([("version", ctypes.c_uint)] if version else []), ("clusterUuid", ctypes.c_char * uuid), *words]

    def begin(self: ctypes.Structure) -> None:
        ctypes.Structure.__init__(self, **({"version": version} if version else {}))

    return type(name, (ctypes.Structure,), {"_fields_": fields, "__init__": begin})


@pytest.mark.parametrize("uuid", [16, 80])  # 12.550 has 80 in its second version, too
@pytest.mark.parametrize("second", [True, False])
def test_structures_as_older_bindings_have_them_tell_the_same(
    node: Node, second: bool, uuid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """12.570: no third version, the second by another name, and the first with a UUID of 80 bytes."""
    import pynvml

    for name in ("c_nvmlGpuFabricInfo_v2_t", "c_nvmlGpuFabricInfo_v3_t"):
        monkeypatch.delattr(pynvml, name, raising=False)
    monkeypatch.setattr(pynvml, "c_nvmlGpuFabricInfoV_t", structure("V", uuid, "healthMask", version=0x02000024))
    monkeypatch.setattr(pynvml, "c_nvmlGpuFabricInfo_t", structure("First", 80))
    old = {} if second else {"ret.nvmlDeviceGetGpuFabricInfoV": 13}
    for state, told in ((3, "pass"), (2, "fail"), (0, "skip")):
        found = node.findings("gpu.fabric", **{"gpu.*.fabric.state": state}, **old)
        assert {one.status for one in found} == {told}, state
    assert {one.status for one in node.findings("gpu.fabric", **{"gpu.*.fabric.clique": 1}, **old)} == {"pass"}
    devices = node.facts(**{"gpu.*.fabric.health_mask": 5}, **old).facts["gpus"]["devices"]
    assert {one["fabric_health_mask"] for one in devices} == {5 if second else 0}
