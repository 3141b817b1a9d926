"""GPUs and driver through the real pynvml on the simulated library: what is told, refused, lost, hanging, absent."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from nvml import sim
from preflight.facts import driver, gpu_health, gpus, nvml
from preflight.facts.answer import Answer
from preflight.facts.collect import collect
from preflight.facts.document import FactsDocument
from preflight.facts.gpu import ATTRIBUTES
from preflight.facts.gpu_nvlink import OF_LINKS
from preflight.facts.gpus import DEVICE
from preflight.facts.isolate import Outcome
from preflight.facts.nvml_result import NvmlResult
from preflight.facts.source import Source
from preflight.facts.view import Unknown, attribute

H100 = sim.example("h100x8")
HANG_S = 2.0  # long enough for everything before the hang


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(sim.build(tmp_path_factory.mktemp("nvml")))


class Node:
    """A node with no files and the simulated driver."""

    def __init__(self, library: str, place: Path, patch: pytest.MonkeyPatch) -> None:
        self.library, self.place, self._patch = library, place, patch
        (place / "root").mkdir()

    def facts(
        self, *parts: Any, subjects: tuple[str, ...] = ("driver", "gpus"), deadline_s: float = 60.0, **more: Any
    ) -> FactsDocument:
        for name, value in sim.environment(sim.write(self.place / "node.scenario", *parts)).items():
            self._patch.setenv(name, value)
        options = {"root": str(self.place / "root"), "live": True, "nvml_library": self.library, "phase": "prolog"}
        return FactsDocument.from_dict(
            json.loads(json.dumps(collect(subjects, Source(**{**options, **more}), deadline_s).to_dict()))
        )


@pytest.fixture(params=["direct", "pynvml"])
def node(request: Any, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    """The node, asked as a prolog asks, and by pynvml, as where this Python's _ctypes is another."""
    if request.param == "pynvml":
        monkeypatch.setitem(sys.modules, "preflight.facts.nvml_direct.calls", None)
    return Node(library, tmp_path, monkeypatch)


def devices(document: FactsDocument) -> list[dict[str, Any]]:
    found = document.view().devices()
    assert isinstance(found, list)
    return found


def test_every_attribute_is_told(node: Node) -> None:
    document = node.facts(
        H100,
        {
            "gpu.2.minor": 7,
            "gpu.2.memory.used": 1 << 30,
            "gpu.2.memory.reserved": 1 << 20,
            "gpu.2.ecc.mode.pending": False,
            "gpu.2.ecc.uncorrected.volatile": 2,
            "gpu.2.ecc.uncorrected.aggregate": 5,
            "gpu.2.remap.correctable": 1,
            "gpu.2.remap.uncorrectable": 3,
            "gpu.2.remap.pending": True,
            "gpu.2.mig.mode": True,
            "gpu.2.nvlink.4.state": False,
            "gpu.2.field.230": 2,
            "gpu.2.process.0": "4711:1048576",
            "gpu.2.process.mps.0": "4712",
            "gpu.2.uuid": "GPU-two",
            "gpu.2.temperature": 44,
            "gpu.2.pcie.width.current": 8,
        },
    )
    assert document.unknown == {}
    assert document.facts["driver"] == {"module": None, "nvml": "ok", "version": "550.54.15", "cuda": "12.4"}
    assert document.facts["gpus"]["count"] == 8
    found = devices(document)[2]
    used = {process["pid"] for process in found.pop("processes")}
    assert used == {4711, 4712}
    assert found.pop("bus_id").lower().endswith(":03:00.0")
    assert found == {
        "index": 2,
        "minor": 7,
        "uuid": "GPU-two",
        "name": "NVIDIA H100 80GB HBM3",
        "memory": 85520809984,
        "memory_used": 1 << 30,
        "compute_capability": "9.0",
        "mig": True,
        "mig_pending": True,
        "mig_devices": [],
        "ecc": True,
        "ecc_pending": False,
        "ecc_uncorrected_volatile": 2,
        "ecc_uncorrected_aggregate": 5,
        "remap_correctable": 1,
        "remap_uncorrectable": 3,
        "remap_pending": True,
        "remap_failure": False,
        "recovery_action": 2,
        "nvlink": 17,
        "nvlink_links": 18,
        "fabric_state": 3,
        "fabric_status": 0,
        "fabric_health_mask": 0,
        "fabric_health_summary": 0,
        "temperature": 44,
        "pcie_width": 8,
        "pcie_width_max": 16,
    }


def test_the_schema_knows_every_attribute() -> None:
    more = {key for _, keys, _ in gpu_health.CALLS for key in keys} | {*gpu_health.FIELDS, *OF_LINKS}
    assert set(DEVICE) == {*ATTRIBUTES, *more, "index", "error", "errors", "mig_devices"}


def test_what_a_gpu_does_not_have_is_not_supported(node: Node) -> None:
    found = devices(node.facts({"driver": "550.54.15", "gpus": 1, "gpu.0.name": "NVIDIA T400"}))[0]
    assert found["errors"]["ecc"] == found["errors"]["nvlink"] == found["errors"]["recovery_action"] == "NotSupported"
    assert "error" not in found
    assert attribute(found, "ecc") is None


@pytest.mark.parametrize(
    ("function", "code", "names", "error"),
    [
        ("nvmlDeviceGetEccMode", 13, ("ecc", "ecc_pending"), "FunctionNotFound"),
        ("nvmlDeviceGetFieldValues", 999, ("recovery_action",), "Unknown"),
        ("nvmlDeviceGetMigMode", 4, ("mig", "mig_pending"), "NoPermission"),
        ("nvmlDeviceGetName", 10, ("name",), "Timeout"),
        ("nvmlDeviceGetNvLinkState", 77, ("nvlink", "nvlink_links"), "Error77"),
        ("nvmlDeviceGetComputeRunningProcesses", 3, ("processes",), "NotSupported"),
        ("nvmlDeviceGetMPSComputeRunningProcesses", 999, ("processes",), "Unknown"),
        (
            "nvmlDeviceGetTotalEccErrors",
            2,
            ("ecc_uncorrected_volatile", "ecc_uncorrected_aggregate"),
            "InvalidArgument",
        ),
    ],
)
def test_a_refusal_costs_only_its_own_attributes(
    node: Node, function: str, code: int, names: tuple[str, ...], error: str
) -> None:
    good = devices(node.facts(H100))[1]
    found = devices(node.facts(H100, {f"gpu.1.ret.{function}": code}))[1]
    assert {name: found["errors"][name] for name in names} == dict.fromkeys(names, error)
    assert {key: found[key] for key in good if key not in (*names, "errors")} == {
        key: good[key] for key in good if key not in (*names, "errors")
    }


def test_an_old_driver_without_memory_version_2_still_tells_memory(node: Node) -> None:
    found = devices(node.facts(H100, {"ret.nvmlDeviceGetMemoryInfo_v2": 13, "gpu.*.memory.used": 9}))[0]
    assert (found["memory"], found["memory_used"]) == (85520809984, 9)


def test_mps_clients_that_cannot_be_asked_for_are_left_out(node: Node) -> None:
    found = devices(node.facts(H100, {"ret.nvmlDeviceGetMPSComputeRunningProcesses": 13, "gpu.0.process.0": "5:1"}))[0]
    assert found["processes"] == [{"pid": 5, "used_memory": 1}]


@pytest.mark.parametrize(
    ("code", "error"), [("ret:3", "NotSupported"), ("ret:2", "NotSupported"), ("ret:999", "Unknown")]
)
def test_a_fields_own_return_code(node: Node, code: str, error: str) -> None:
    assert devices(node.facts(H100, {"gpu.0.field.230": code}))[0]["errors"] == {"recovery_action": error}


@pytest.mark.parametrize("kind", ["u32", "u64", "ulong", "i32", "i64", "u16"])
def test_a_fields_value_is_read_by_its_type(node: Node, kind: str) -> None:
    assert devices(node.facts(H100, {"gpu.0.field.230": f"{kind}:4"}))[0]["recovery_action"] == 4


def test_a_lost_gpu_has_an_error_and_the_others_do_not(node: Node) -> None:
    found = devices(node.facts(sim.example("lost-gpu")))
    assert found[3] == {"index": 3, "error": "GpuIsLost"}
    assert [device.get("error") for device in found] == [None] * 3 + ["GpuIsLost"] + [None] * 4


@pytest.mark.parametrize(("code", "error"), [(15, "GpuIsLost"), (16, "ResetRequired")])
def test_a_gpu_that_is_lost_half_way_keeps_what_was_read(node: Node, code: int, error: str) -> None:
    found = devices(node.facts(H100, {"gpu.1.ret.nvmlDeviceGetMigMode": code}))[1]
    assert found["error"] == error
    assert found["errors"]["mig"] == error
    assert found["minor"] == 1
    assert attribute(found, "mig") == Unknown(f"NVML: {error}")


def test_a_hang_keeps_the_gpus_before_it_and_names_the_call(node: Node) -> None:
    document = node.facts(sim.example("hang"), {"gpus": 3}, deadline_s=HANG_S)
    first, hung, rest = devices(document)
    assert "error" not in first
    assert first["temperature"] == 31
    assert hung["error"] == "Timeout"
    assert hung["name"] == "NVIDIA H100 80GB HBM3"
    assert rest == {"index": 2, "error": "NotRead"}
    assert document.facts["driver"]["nvml"] == "ok"
    assert document.facts["gpus"]["stuck_at"] == "gpu 1 nvmlDeviceGetTemperature"
    assert document.unknown["gpus.1"] == "no answer at gpu 1 nvmlDeviceGetTemperature before the deadline"


@pytest.mark.parametrize(
    ("function", "told"),
    [("nvmlInitWithFlags", None), ("nvmlSystemGetDriverVersion", None), ("nvmlDeviceGetCount", None)],
)
def test_a_hang_before_the_gpus(node: Node, function: str, told: str | None) -> None:
    document = node.facts(H100, {f"delay_ms.{function}": 60000}, deadline_s=HANG_S)
    assert document.facts["driver"]["nvml"] == (told or "Timeout")
    assert function in document.unknown["gpus"]
    assert isinstance(document.view().get("gpus.count"), Unknown)
    if function != "nvmlDeviceGetCount":
        assert function in document.unknown["driver.version"]


def test_a_mismatch_of_driver_and_library(node: Node) -> None:
    document = node.facts(sim.example("mismatch"))
    assert document.facts["driver"]["nvml"] == "LibRmVersionMismatch"
    assert document.unknown["gpus"] == "NVML: LibRmVersionMismatch"
    assert isinstance(document.view().get("driver.version"), Unknown)


def test_a_node_without_nvidia_has_zero_gpus(node: Node) -> None:
    document = node.facts(sim.example("cpu-only"))
    assert document.facts["driver"] == {"module": None, "nvml": "DriverNotLoaded", "version": None, "cuda": None}
    assert document.facts["gpus"] == {"count": 0, "devices": [], "stuck_at": None}
    assert document.unknown == {}


def test_no_library_at_all(node: Node) -> None:
    document = node.facts(nvml_library="/nowhere/libnvidia-ml.so.1")
    assert document.facts["driver"]["nvml"] == "LibraryNotFound"
    assert document.facts["gpus"]["count"] == 0


def test_an_empty_library_file_is_none(node: Node) -> None:
    (node.place / "libnvidia-ml.so.1").write_bytes(b"")
    document = node.facts(nvml_library=str(node.place / "libnvidia-ml.so.1"))
    assert document.facts["driver"]["nvml"] == "LibraryNotFound"


def test_gpus_on_the_pci_bus_without_a_driver_are_unknown(node: Node) -> None:
    device = node.place / "root/sys/bus/pci/devices/0000:01:00.0"
    device.mkdir(parents=True)
    (device / "vendor").write_text("0x10de\n")
    (device / "class").write_text("0x030200\n")
    document = node.facts(sim.example("cpu-only"))
    assert document.unknown == {"gpus": "NVML: DriverNotLoaded, but the PCI bus shows 1 NVIDIA GPUs"}
    assert document.facts["driver"]["version"] is None


def test_a_loaded_module_without_its_library_leaves_the_version_unknown(node: Node) -> None:
    (node.place / "root/proc/driver/nvidia").mkdir(parents=True)
    (node.place / "root/proc/driver/nvidia/version").write_text("NVRM version: NVIDIA x Kernel Module  550.54.15  x\n")
    document = node.facts(nvml_library="/nowhere/libnvidia-ml.so.1")
    assert document.facts["driver"] == {"module": "550.54.15", "nvml": "LibraryNotFound"}
    assert document.view().get("driver.version") == Unknown("NVML: LibraryNotFound")


def test_a_count_that_is_refused(node: Node) -> None:
    document = node.facts(H100, {"ret.nvmlDeviceGetCount": 999})
    assert document.unknown == {"gpus": "NVML: Unknown"}
    assert document.facts["driver"]["version"] == "550.54.15"


def test_only_the_driver_is_asked_when_only_it_is_wanted(node: Node) -> None:
    document = node.facts(H100, {"delay_ms.nvmlDeviceGetCount": 60000}, subjects=("driver",))
    assert document.facts == {"driver": {"module": None, "nvml": "ok", "version": "550.54.15", "cuda": "12.4"}}
    assert document.unknown == {}


def test_only_the_module_needs_no_nvml(node: Node) -> None:
    document = node.facts(H100, {"delay_ms.nvmlInitWithFlags": 60000}, subjects=("driver.module",))
    assert document.facts == {"driver": {"module": None}}


# without the simulator


def told(*messages: dict[str, Any], **ending: Any) -> NvmlResult:
    return NvmlResult(Outcome(list(messages), **{"finished": False, **ending}))


def test_a_probe_of_ours_that_crashed_is_no_fault_of_the_node() -> None:
    crashed = told(stuck_at="nvmlInitWithFlags", died="signal 11")
    answer = driver.merged(crashed, Answer({"module": None}))
    assert answer.values == {"module": None}
    assert answer.unknown["nvml"] == "probe ended at nvmlInitWithFlags: signal 11"
    assert gpus.merged(crashed).unknown == {"": "probe ended at nvmlInitWithFlags: signal 11"}


def test_a_crash_at_one_gpu_is_not_called_a_timeout() -> None:
    crashed = told({"nvml": "ok"}, {"count": 2}, {"gpu": 0, "done": True}, stuck_at="gpu 1 x", died="signal 11")
    assert [device.get("error") for device in gpus.merged(crashed).values["devices"]] == [None, "ProbeDied"]


def test_a_missing_binding_is_no_fault_of_the_node() -> None:
    answer = driver.merged(told({"nvml": "BindingNotFound"}, finished=True), Answer({"module": "550.54.15"}))
    assert answer.values == {"module": "550.54.15"}
    assert answer.unknown["nvml"] == "NVML: BindingNotFound"


class Binding:
    """As much of a pynvml as `call` needs."""

    class NVMLError(Exception):
        value = 15

    class NVMLLibraryMismatchError(Exception):
        pass

    def lost(self) -> None:
        raise self.NVMLError

    def mismatch(self) -> None:
        raise self.NVMLLibraryMismatchError

    def text(self) -> str:
        return b"\xff".decode()


@pytest.mark.parametrize(
    ("function", "name"),
    [
        ("lost", "GpuIsLost"),
        ("mismatch", "FunctionNotFound"),
        ("text", "UnicodeDecodeError"),
        ("nvmlOfANewerBinding", "FunctionNotFound"),
    ],
)
def test_whatever_the_binding_raises_is_a_typed_fault(function: str, name: str) -> None:
    with pytest.raises(nvml.Fault) as caught:
        nvml.call(Binding(), function)
    assert caught.value.name == name


def test_the_error_names_are_pynvmls_own(library: str) -> None:
    import pynvml

    for code, name in nvml.ERRORS.items():
        assert type(pynvml.NVMLError(code)).__name__ == f"NVMLError_{name}"


def test_the_stand_in_for_ctypes_util_goes_away(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    monkeypatch.delitem(sys.modules, "ctypes.util", raising=False)
    nvml.load(library)
    assert "ctypes.util" not in sys.modules
