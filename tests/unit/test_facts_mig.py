"""MIG devices through the real pynvml on the simulated library, the capabilities' minor numbers from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nvml import sim
from preflight.facts.collect import collect
from preflight.facts.document import FactsDocument
from preflight.facts.mig import parse_minors, profile_of
from preflight.facts.schema import FactsError, subjects
from preflight.facts.source import Source
from preflight.facts.view import Unknown, attribute, mig_device

MIG = sim.example("mig")
# Lines as the driver writes them: every instance that could be, whatever there is.
MINORS = "config 1\nmonitor 2\ngpu1/gi1/access 138\ngpu1/gi1/ci0/access 139\ngpu1/gi5/access 174\n"
NAME = "NVIDIA A100-SXM4-80GB"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(sim.build(tmp_path_factory.mktemp("nvml")))


@pytest.fixture
def facts(library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def read(*parts: Any, minors: str = MINORS, deadline_s: float = 60.0, **more: Any) -> FactsDocument:
        for name, value in sim.environment(sim.write(tmp_path / "node.scenario", *parts)).items():
            monkeypatch.setenv(name, value)
        file = tmp_path / "root/proc/driver/nvidia-caps/mig-minors"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(minors)
        options = {"root": str(tmp_path / "root"), "live": True, "nvml_library": library, **more}
        document = collect(("gpus",), Source(**options), deadline_s)
        return FactsDocument.from_dict(json.loads(json.dumps(document.to_dict())))

    return read


def gpus(document: FactsDocument) -> list[dict[str, Any]]:
    found = document.view().devices()
    assert isinstance(found, list)
    return found


def test_the_devices_of_a_gpu_with_mig_on(facts: Any) -> None:
    whole, cut = gpus(facts(MIG, {"gpu.1.mig.0.uuid": "MIG-a"}))
    assert "mig_devices" not in whole
    found = cut["mig_devices"]
    assert found[0] == {
        "index": 0,
        "uuid": "MIG-a",
        "name": f"{NAME} MIG 3g.40gb",
        "profile": "3g.40gb",
        "gi": 1,
        "ci": 0,
        "memory": 42144366592,
        "caps": [138, 139],
    }
    assert [(one["profile"], one["gi"], one["caps"]) for one in found[1:]] == [
        ("2g.20gb", 5, None),  # its compute instance has no line
        ("1g.10gb", 9, None),
    ]
    assert cut["processes"] == [{"pid": 4242, "used_memory": 1073741824, "gi": 5, "ci": 0}]


def test_places_without_a_device_keep_nvmls_numbers(facts: Any) -> None:
    cut = gpus(facts(MIG, {"gpu.1.mig.1.gi": None}))[1]
    assert [one["index"] for one in cut["mig_devices"]] == [0, 2]


def test_a_gpu_that_is_not_cut_has_an_empty_list(facts: Any) -> None:
    assert gpus(facts({"driver": "550.54.15", "gpus": 1, "gpu.0.mig.mode": 1}))[0]["mig_devices"] == []


@pytest.mark.parametrize(
    ("gpu", "mib", "slices", "compute", "profile"),
    [
        (42949672960, 19968, 3, 3, "3g.20gb"),
        (42949672960, 4864, 1, 1, "1g.5gb"),
        (85899345920, 40192, 3, 1, "1c.3g.40gb"),
        (85520809984, 9856, 1, 1, "1g.10gb"),
        (150754820096, 71424, 3, 3, "3g.71gb"),
    ],
)
def test_a_name_without_a_profile_is_made_up_for_by_the_slices(
    facts: Any, gpu: int, mib: int, slices: int, compute: int, profile: str
) -> None:
    keys = {"name": NAME, "memory.total": mib << 20, "slices": slices, "compute_slices": compute}
    cut = gpus(facts(MIG, {"gpu.1.memory.total": gpu}, {f"gpu.1.mig.0.{key}": value for key, value in keys.items()}))[1]
    assert cut["mig_devices"][0]["profile"] == profile


@pytest.mark.parametrize("code", [13, 999])
def test_what_is_refused_of_one_device_costs_only_itself(facts: Any, code: int) -> None:
    cut = gpus(facts(MIG, {"gpu.1.ret.nvmlDeviceGetComputeInstanceId": code}))[1]
    error = {13: "FunctionNotFound", 999: "Unknown"}[code]
    assert [(one["ci"], one["errors"], one["gi"]) for one in cut["mig_devices"]] == [
        (None, {"ci": error}, gi) for gi in (1, 5, 9)
    ]


@pytest.mark.parametrize(
    ("function", "code", "error"),
    [
        ("nvmlDeviceGetMaxMigDeviceCount", 13, "FunctionNotFound"),
        ("nvmlDeviceGetMigDeviceHandleByIndex", 4, "NoPermission"),
        ("nvmlDeviceGetGpuInstanceId", 16, "ResetRequired"),
        ("nvmlDeviceGetMigDeviceHandleByIndex", 15, "GpuIsLost"),
    ],
)
def test_a_list_that_cannot_be_made_is_no_list(facts: Any, function: str, code: int, error: str) -> None:
    cut = gpus(facts(MIG, {f"gpu.1.ret.{function}": code}))[1]
    assert "mig_devices" not in cut
    told = attribute(cut, "mig_devices")
    assert isinstance(told, Unknown)
    assert told.reason.startswith(f"NVML: {error}")
    assert cut.get("error") == (error if error in ("ResetRequired", "GpuIsLost") else None)
    assert ("temperature" in {**cut, **cut["errors"]}) is (error != "GpuIsLost")


def test_a_hang_among_the_devices_names_the_device(facts: Any) -> None:
    document = facts(MIG, {"gpu.1.delay_ms.nvmlDeviceGetGpuInstanceId": 60000}, deadline_s=2.0)
    assert document.facts["gpus"]["stuck_at"] == "gpu 1 mig 0 nvmlDeviceGetGpuInstanceId"
    assert gpus(document)[1]["error"] == "Timeout"


def test_no_file_of_capabilities_and_a_hostile_one(facts: Any, tmp_path: Path) -> None:
    text = "gpu1/gi1/access\ngpu1/gi1/ci0/access -3\ngpu\u0661/gi1/access 3\ngpux/giy/access 1\n\x00/\n" + "/" * 9999
    assert parse_minors(text) == {}
    assert [one["caps"] for one in gpus(facts(MIG, minors=text))[1]["mig_devices"]] == [None] * 3


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        (f"{NAME} MIG 3g.40gb", "3g.40gb"),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb+me", "1g.10gb+me"),
        ("NVIDIA H100 80GB HBM3 MIG 1c.3g.40gb", "1c.3g.40gb"),
        (NAME, None),
        (f"{NAME} MIG ", None),
    ],
)
def test_the_profile_stands_in_the_name(name: str, profile: str | None) -> None:
    assert profile_of(name) == profile


def test_a_device_looks_like_a_gpu_with_its_own_size_and_its_gpus_condition(facts: Any) -> None:
    document = facts(MIG)
    view = document.view(gpus=(0,))._replace(slices=((1, 0), (1, 2), (9, 0)))
    found = view.devices()
    assert isinstance(found, list)
    assert [(one["name"], one["memory"], one["mig"]) for one in found] == [
        (NAME, 85198045184, False),
        (f"{NAME} MIG 3g.40gb", 42144366592, True),
        (f"{NAME} MIG 1g.10gb", 10334765056, True),
    ]
    assert attribute(found[1], "compute_capability") == "8.0"
    assert attribute(found[1], "ecc") is True
    assert attribute(found[1], "nvlink") is None


def test_a_device_of_a_gpu_that_does_not_answer_does_not_either() -> None:
    assert mig_device({"index": 3, "error": "Timeout"}, 0)["error"] == "Timeout"
    assert attribute(mig_device({"index": 3, "error": "Timeout"}, 0), "memory") == Unknown("NVML: Timeout")
    assert isinstance(attribute(mig_device({"index": 3}, 5), "memory"), Unknown)


@pytest.mark.parametrize("value", [{}, 3, [3], [{"caps": ["a"]}], [{"memory": -1}], [{"profile": 3}], [{"ci": True}]])
def test_a_recorded_file_with_another_shape_is_refused(value: Any) -> None:
    assert "mig_devices" in subjects()["gpus"]["devices"].rows
    facts = {"gpus": {"devices": [{"index": 0, "mig": True, "mig_devices": value}]}}
    with pytest.raises(FactsError, match=r"facts.gpus.devices\[0\].mig_devices"):
        FactsDocument.from_dict({"format": "preflight.facts/1", "node": "n", "collected": "x", "facts": facts})
