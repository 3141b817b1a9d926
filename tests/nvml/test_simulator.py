"""The simulated driver seen through the real pynvml: a fresh process for each scenario."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nvml import sim

# Evaluates expressions where n is pynvml and h the first GPU's handle; an NVMLError becomes {"error": code}.
ASK = r"""
import ctypes, json, os, sys
library, script = sys.argv[1:]
ctypes.CDLL(library)
import pynvml as n

def plain(value):
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (ctypes.Structure, n.nvmlFriendlyObject)):
        names = [f[0] for f in value._fields_] if isinstance(value, ctypes.Structure) else value.__dict__
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, ctypes.Union):
        return None
    if isinstance(value, (list, tuple, ctypes.Array)):
        return [plain(item) for item in value]
    return value

def handle(i):
    return n.nvmlDeviceGetHandleByIndex(i)

def mig(i, k):
    return n.nvmlDeviceGetMigDeviceHandleByIndex(handle(i), k)

def filled(call, struct, i=0):
    call(handle(i), ctypes.byref(struct))
    return struct

def fields(i, *ids):
    def number(v):
        kinds = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
        return getattr(v.value, kinds[v.valueType])
    return [[v.nvmlReturn, v.valueType, number(v)] for v in n.nvmlDeviceGetFieldValues(handle(i), list(ids))]

answers = []
for expression in json.loads(script):
    try:
        answers.append(plain(eval(expression)))
    except n.NVMLError as error:
        answers.append({"error": error.value})
print(json.dumps(answers))
"""

GPU = {"driver": "550.54.15", "cuda": "12.4", "gpus": 1}


def error(code: int) -> dict[str, int]:
    return {"error": code}


NOT_SUPPORTED = error(3)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sim.build(tmp_path_factory.mktemp("driver"))


def run(library: Path, expressions: list[str], env: dict[str, str]) -> tuple[list[object], str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("NVML_SIM") and k != "SLURMD_NODENAME"}
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(library), json.dumps(expressions)],
        env={**clean, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


class Driver:
    """Asks one scenario after another, in processes of their own."""

    def __init__(self, library: Path, directory: Path) -> None:
        self.library = library
        self.path = directory / "x.scenario"

    def ask(self, scenario: str | dict[str, object], *expressions: str) -> list[object]:
        sim.write(self.path, scenario)
        answers, _ = run(self.library, ["n.nvmlInit()", *expressions], sim.environment(self.path))
        assert answers[0] is None, answers[0]
        return answers[1:]

    def one(self, scenario: str | dict[str, object], expression: str) -> object:
        return self.ask(scenario, expression)[0]

    def init(self, text: str | dict[str, object], *, strict: bool = False) -> tuple[object, str]:
        sim.write(self.path, text)
        answers, stderr = run(self.library, ["n.nvmlInit()"], sim.environment(self.path, strict=strict))
        return answers[0], stderr


@pytest.fixture
def driver(library: Path, tmp_path: Path) -> Driver:
    return Driver(library, tmp_path)


# One row a function: the keys that make it answer, the call, the answer. Without the keys it is NotSupported.
ANSWERS: list[tuple[dict[str, object], str, object]] = [
    ({"name": "NVIDIA H100 80GB HBM3"}, "n.nvmlDeviceGetName(h)", "NVIDIA H100 80GB HBM3"),
    ({"serial": "1650522003820"}, "n.nvmlDeviceGetSerial(h)", "1650522003820"),
    ({"board_part_number": "692-2G520"}, "n.nvmlDeviceGetBoardPartNumber(h)", "692-2G520"),
    ({"module_id": 4}, "n.nvmlDeviceGetModuleId(h)", 4),
    ({"compute_capability": "9.0"}, "n.nvmlDeviceGetCudaComputeCapability(h)", [9, 0]),
    ({"compute_capability": "8.9"}, "n.nvmlDeviceGetArchitecture(h)", 8),
    ({"compute_capability": "7.0"}, "n.nvmlDeviceGetArchitecture(h)", 5),
    ({"compute_capability": "12.1"}, "n.nvmlDeviceGetArchitecture(h)", 10),
    ({"architecture": 9}, "n.nvmlDeviceGetArchitecture(h)", 9),
    ({"vbios": "96.00.74.00.01"}, "n.nvmlDeviceGetVbiosVersion(h)", "96.00.74.00.01"),
    ({"inforom.valid": 1}, "n.nvmlDeviceValidateInforom(h)", None),
    ({"inforom.valid": 0}, "n.nvmlDeviceValidateInforom(h)", error(14)),
    ({"inforom.image_version": "G520.0200.00.05"}, "n.nvmlDeviceGetInforomImageVersion(h)", "G520.0200.00.05"),
    ({"inforom.checksum": "0xffffffff"}, "n.nvmlDeviceGetInforomConfigurationChecksum(h)", 0xFFFFFFFF),
    ({"gsp.version": "550.54.15"}, "n.nvmlDeviceGetGspFirmwareVersion(h)", "550.54.15"),
    ({"gsp.mode": 1}, "n.nvmlDeviceGetGspFirmwareMode(h)", [1, 1]),
    ({"virtualization.mode": 1}, "n.nvmlDeviceGetVirtualizationMode(h)", 1),
    ({"utilization.gpu": 97}, "n.nvmlDeviceGetUtilizationRates(h)", {"gpu": 97, "memory": 0}),
    ({"persistence.mode": 1}, "n.nvmlDeviceGetPersistenceMode(h)", 1),
    ({"compute.mode": 3}, "n.nvmlDeviceGetComputeMode(h)", 3),
    ({"performance_state": 8}, "n.nvmlDeviceGetPerformanceState(h)", 8),
    ({"memory.total": 100}, "n.nvmlDeviceGetMemoryInfo(h)", {"total": 100, "free": 100, "used": 0}),
    (
        {"memory.total": 100, "memory.used": 30, "memory.reserved": 10},
        "n.nvmlDeviceGetMemoryInfo(h)",
        {"total": 100, "free": 60, "used": 40},
    ),
    (
        {"memory.total": 100, "memory.used": 30, "memory.reserved": 10},
        "n.nvmlDeviceGetMemoryInfo(h, version=n.nvmlMemory_v2)",
        {"version": 0x02000028, "total": 100, "reserved": 10, "free": 60, "used": 30},
    ),
    (
        {"bar1.total": 8, "bar1.used": 3},
        "n.nvmlDeviceGetBAR1MemoryInfo(h)",
        {"bar1Total": 8, "bar1Free": 5, "bar1Used": 3},
    ),
    ({"accounting.mode": 1}, "n.nvmlDeviceGetAccountingMode(h)", 1),
    ({"accounting.mode": 1}, "n.nvmlDeviceGetAccountingBufferSize(h)", 4000),
    ({"accounting.mode": 1}, "n.nvmlDeviceGetAccountingPids(h)", []),
    ({"ecc.mode": 1}, "n.nvmlDeviceGetEccMode(h)", [1, 1]),
    ({"ecc.mode": 1, "ecc.mode.pending": 0}, "n.nvmlDeviceGetEccMode(h)", [1, 0]),
    ({"ecc.corrected.volatile": 1}, "n.nvmlDeviceGetTotalEccErrors(h, 0, 0)", 1),
    ({"ecc.corrected.aggregate": 2}, "n.nvmlDeviceGetTotalEccErrors(h, 0, 1)", 2),
    ({"ecc.uncorrected.volatile": 3}, "n.nvmlDeviceGetTotalEccErrors(h, 1, 0)", 3),
    ({"ecc.uncorrected.aggregate": 2**63}, "n.nvmlDeviceGetTotalEccErrors(h, 1, 1)", 2**63),
    ({"ecc.uncorrected.volatile.dram": 4}, "n.nvmlDeviceGetMemoryErrorCounter(h, 1, 0, 2)", 4),
    ({"ecc.corrected.aggregate.sram": 5}, "n.nvmlDeviceGetMemoryErrorCounter(h, 0, 1, 7)", 5),
    ({"retired.sbe": 2}, "len(set(n.nvmlDeviceGetRetiredPages(h, 0)))", 2),
    ({"retired.dbe": 0}, "n.nvmlDeviceGetRetiredPages(h, 1)", []),
    ({"retired.pending": 1}, "n.nvmlDeviceGetRetiredPagesPendingStatus(h)", 1),
    ({"remap.uncorrectable": 7, "remap.pending": 1}, "n.nvmlDeviceGetRemappedRows(h)", [0, 7, 1, 0]),
    ({"remap.correctable": 3, "remap.failure": 1}, "n.nvmlDeviceGetRemappedRows(h)", [3, 0, 0, 1]),
    (
        {"remap.histogram.max": 638, "remap.histogram.none": 2},
        "n.nvmlDeviceGetRowRemapperHistogram(h)",
        {"max": 638, "high": 0, "partial": 0, "low": 0, "none": 2},
    ),
    ({"repair.tpc": 1}, "n.nvmlDeviceGetRepairStatus(h)", [0, 1]),
    ({"repair.channel": 1}, "n.nvmlDeviceGetRepairStatus(h)", [1, 0]),
    ({"unrepairable": 1}, "n.nvmlDeviceGetUnrepairableMemoryFlag_v1(h)", 0),
    ({"clocks.event_reasons": "0x48"}, "n.nvmlDeviceGetCurrentClocksEventReasons(h)", 0x48),
    ({"clocks.event_reasons": "0x48"}, "n.nvmlDeviceGetCurrentClocksThrottleReasons(h)", 0x48),
    ({"clock.sm": 1980}, "n.nvmlDeviceGetClockInfo(h, n.NVML_CLOCK_SM)", 1980),
    ({"clock.memory": 2619}, "n.nvmlDeviceGetClockInfo(h, n.NVML_CLOCK_MEM)", 2619),
    ({"clock.max.graphics": 1981}, "n.nvmlDeviceGetMaxClockInfo(h, n.NVML_CLOCK_GRAPHICS)", 1981),
    ({"clock.application.graphics": 1410}, "n.nvmlDeviceGetApplicationsClock(h, n.NVML_CLOCK_GRAPHICS)", 1410),
    ({"clocks.supported.memory": "2619 1593"}, "n.nvmlDeviceGetSupportedMemoryClocks(h)", [2619, 1593]),
    (
        {"clocks.supported.memory": "2619 1593", "clocks.supported.graphics": "1980 1965 345"},
        "n.nvmlDeviceGetSupportedGraphicsClocks(h, 1593)",
        [1980, 1965, 345],
    ),
    (
        {"clocks.supported.memory": "2619", "clocks.supported.graphics": "1980"},
        "n.nvmlDeviceGetSupportedGraphicsClocks(h, 1593)",
        error(6),
    ),
    ({"clocks.supported.graphics": "1980"}, "n.nvmlDeviceSetApplicationsClocks(h, 2619, 1980)", error(4)),
    ({"clocks.supported.graphics": "1980"}, "n.nvmlDeviceResetApplicationsClocks(h)", error(4)),
    ({"clocks.supported.graphics": "1980"}, "n.nvmlDeviceSetGpuLockedClocks(h, 345, 1980)", error(4)),
    ({"clocks.supported.graphics": "1980"}, "n.nvmlDeviceResetGpuLockedClocks(h)", error(4)),
    ({"clocks.supported.memory": "2619"}, "n.nvmlDeviceSetMemoryLockedClocks(h, 2619, 2619)", error(4)),
    ({"clocks.supported.memory": "2619"}, "n.nvmlDeviceResetMemoryLockedClocks(h)", error(4)),
    ({"affinity.cpus": "0-3,8,64-65,4000"}, "list(n.nvmlDeviceGetCpuAffinity(h, 2))", [0x10F, 3]),
    ({"nvlink.2.peer": "00000000:AF:00.0"}, "n.nvmlDeviceGetNvLinkRemotePciInfo(h, 2).busId", "00000000:AF:00.0"),
    (
        {"nvlink.links": 4, "nvlink.peer": "00000000:07:00.0"},
        "n.nvmlDeviceGetNvLinkRemotePciInfo(h, 3).bus",
        7,
    ),
    (
        {"utilization.0": "77:1000:90:40", "utilization.1": "78:2000:5"},
        "[[s.pid, s.smUtil, s.memUtil, s.encUtil] for s in n.nvmlDeviceGetProcessUtilization(h, 0)]",
        [[77, 90, 40, 0], [78, 5, 0, 0]],
    ),
    (
        {"utilization.0": "77:1000:90:40", "utilization.1": "78:2000:5"},
        "[s.pid for s in n.nvmlDeviceGetProcessUtilization(h, 1500)]",
        [78],
    ),
    ({"temperature": 41}, "n.nvmlDeviceGetTemperature(h, 0)", 41),
    ({"temperature": -3}, "n.nvmlDeviceGetTemperatureV(h, 0)", -3),
    ({"temperature.margin": -2}, "n.nvmlDeviceGetMarginTemperature(h)", -2),
    ({"temperature.threshold.slowdown": 89}, "n.nvmlDeviceGetTemperatureThreshold(h, 1)", 89),
    ({"temperature.threshold.gpu_max": 87}, "n.nvmlDeviceGetTemperatureThreshold(h, 3)", 87),
    ({"power.usage": 1}, "n.nvmlDeviceGetPowerUsage(h)", 1),
    ({"power.limit": 2}, "n.nvmlDeviceGetPowerManagementLimit(h)", 2),
    ({"power.limit.default": 3}, "n.nvmlDeviceGetPowerManagementDefaultLimit(h)", 3),
    ({"power.limit.enforced": 4}, "n.nvmlDeviceGetEnforcedPowerLimit(h)", 4),
    ({"pcie.gen.current": 1}, "n.nvmlDeviceGetCurrPcieLinkGeneration(h)", 1),
    ({"pcie.gen.max": 5}, "n.nvmlDeviceGetMaxPcieLinkGeneration(h)", 5),
    ({"pcie.gen.gpu_max": 6}, "n.nvmlDeviceGetGpuMaxPcieLinkGeneration(h)", 6),
    ({"pcie.width.current": 8}, "n.nvmlDeviceGetCurrPcieLinkWidth(h)", 8),
    ({"pcie.width.max": 16}, "n.nvmlDeviceGetMaxPcieLinkWidth(h)", 16),
    ({"pcie.replay": 12}, "n.nvmlDeviceGetPcieReplayCounter(h)", 12),
    ({"nvlink.links": 18}, "n.nvmlDeviceGetNvLinkState(h, 17)", 1),
    ({"nvlink.links": 18, "nvlink.17.state": 0}, "n.nvmlDeviceGetNvLinkState(h, 17)", 0),
    ({"nvlink.links": 18, "nvlink.state": 0, "nvlink.2.state": 1}, "n.nvmlDeviceGetNvLinkState(h, 2)", 1),
    ({"nvlink.links": 18, "nvlink.version": 6}, "n.nvmlDeviceGetNvLinkVersion(h, 0)", 6),
    ({"nvlink.links": 18, "nvlink.remote": 2}, "n.nvmlDeviceGetNvLinkRemoteDeviceType(h, 0)", 2),
    ({"nvlink.3.errors.recovery": 9}, "n.nvmlDeviceGetNvLinkErrorCounter(h, 3, 1)", 9),
    ({"fabric.state": 3}, "filled(n.nvmlDeviceGetGpuFabricInfo, n.c_nvmlGpuFabricInfo_t()).state", 3),
    (
        {"fabric.state": 3, "fabric.health_mask": 1},
        "filled(n.nvmlDeviceGetGpuFabricInfoV, n.c_nvmlGpuFabricInfo_v2_t()).healthMask",
        1,
    ),
    (
        {"fabric.state": 3, "fabric.health_summary": 2, "fabric.clique": 9, "fabric.status": 999},
        "(lambda i: [i.state, i.status, i.cliqueId, i.healthSummary])"
        "(filled(n.nvmlDeviceGetGpuFabricInfoV, n.c_nvmlGpuFabricInfo_v3_t()))",
        [3, 999, 9, 2],
    ),
    (
        {"fabric.state": 3, "fabric.uuid": "00112233445566778899aabbccddeeff"},
        "bytes(filled(n.nvmlDeviceGetGpuFabricInfo, n.c_nvmlGpuFabricInfo_t()).clusterUuid).hex()",
        "00112233445566778899aabbccddeeff",
    ),
    (
        {"sram.threshold_exceeded": 1, "sram.volatile.secded": 6, "sram.bucket.other": 8},
        "(lambda s: [s.bThresholdExceeded, s.volatileUncSecDed, s.aggregateUncBucketOther, s.aggregateCor])"
        "(filled(n.nvmlDeviceGetSramEccErrorStatus, n.c_nvmlEccSramErrorStatus_v1_t()))",
        [1, 6, 8, 0],
    ),
    (
        {"platform.module": 5, "platform.chassis": "CH1", "platform.slot": 3},
        "(lambda p: [ord(p.moduleId), p.chassisSerialNumber, ord(p.slotNumber)])"
        "(filled(n.nvmlDeviceGetPlatformInfo, n.c_nvmlPlatformInfo_v2_t()))",
        [5, "CH1", 3],
    ),
    ({"mig.mode": 0, "mig.mode.pending": 1}, "n.nvmlDeviceGetMigMode(h)", [0, 1]),
    ({"mig.mode": 0}, "n.nvmlDeviceGetMaxMigDeviceCount(h)", 0),
    ({"mig.mode": 1}, "n.nvmlDeviceGetMaxMigDeviceCount(h)", 7),
    ({"events.supported": "0x1f"}, "n.nvmlDeviceGetSupportedEventTypes(h)", 0x1F),
]


def test_each_function_answers_its_keys(driver: Driver) -> None:
    scenario: dict[str, object] = {**GPU, "gpus": len(ANSWERS)}
    for index, (keys, _, _) in enumerate(ANSWERS):
        scenario.update({f"gpu.{index}.{key}": value for key, value in keys.items()})
    calls = [
        call.replace("(h", f"(handle({i})").replace("_t())", f"_t(), {i})") for i, (_, call, _) in enumerate(ANSWERS)
    ]
    for (keys, call, wanted), got in zip(ANSWERS, driver.ask(scenario, *calls)):
        assert got == wanted, f"{call} with {keys}"


def test_an_absent_key_is_not_supported(driver: Driver) -> None:
    calls = sorted({call.replace("(h", "(handle(0)") for _, call, _ in ANSWERS})
    for call, got in zip(calls, driver.ask(GPU, *calls)):
        assert got == NOT_SUPPORTED, call


def test_the_driver_s_own_answers(driver: Driver) -> None:
    scenario = {**GPU, "excluded": 1, "cc.feature": 1, "cc.devtools": 1, "cc.ready": 0}
    assert driver.ask(
        scenario,
        "n.nvmlSystemGetDriverVersion()",
        "n.nvmlSystemGetCudaDriverVersion()",
        "n.nvmlSystemGetCudaDriverVersion_v2()",
        "n.nvmlSystemGetNVMLVersion()",
        "n.nvmlDeviceGetCount()",
        "n.nvmlGetExcludedDeviceCount()",
        "n.nvmlSystemGetConfComputeState()",
        "n.nvmlSystemGetConfComputeGpusReadyState()",
        "n.nvmlErrorString(15)",
        "n.nvmlErrorString(12345)",
    ) == [
        "550.54.15",
        12040,
        12040,
        "12.550.54.15",
        1,
        1,
        {"environment": 0, "ccFeature": 1, "devToolsMode": 1},
        0,
        "GPU is lost",
        "Unknown Error",
    ]
    assert driver.ask(
        "# nothing at all\n",
        "n.nvmlDeviceGetCount()",
        "n.nvmlSystemGetDriverVersion()",
        "n.nvmlSystemGetNVMLVersion()",
        "n.nvmlSystemGetCudaDriverVersion_v2()",
        "n.nvmlGetExcludedDeviceCount()",
        "n.nvmlSystemGetConfComputeState()",
        "n.nvmlSystemGetConfComputeGpusReadyState()",
    ) == [0, *[NOT_SUPPORTED] * 6]


def test_what_every_gpu_has(driver: Driver) -> None:
    index, minor, uuid, again, pci, processes, by_uuid, by_bus = driver.ask(
        {"gpus": 2},
        "n.nvmlDeviceGetIndex(handle(1))",
        "n.nvmlDeviceGetMinorNumber(handle(1))",
        "n.nvmlDeviceGetUUID(handle(1))",
        "n.nvmlDeviceGetUUID(handle(0))",
        "n.nvmlDeviceGetPciInfo(handle(1))",
        "n.nvmlDeviceGetComputeRunningProcesses(handle(1))",
        "n.nvmlDeviceGetIndex(n.nvmlDeviceGetHandleByUUID(n.nvmlDeviceGetUUID(handle(1))))",
        "n.nvmlDeviceGetIndex(n.nvmlDeviceGetHandleByPciBusId('0000:02:00.0'))",
    )
    assert (index, minor, processes, by_uuid, by_bus) == (1, 1, [], 1, 1)
    assert re.fullmatch(r"GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", str(uuid))
    assert uuid != again
    assert isinstance(pci, dict)
    assert (pci["busId"], pci["busIdLegacy"], pci["bus"]) == ("00000000:02:00.0", "0000:02:00.0", 2)
    # The same next time, another with another seed.
    other, changed = (
        driver.one({"gpus": 2, **more}, "n.nvmlDeviceGetUUID(handle(1))") for more in ({}, {"seed": "n2"})
    )
    assert other == uuid != changed


def test_identity_by_key_and_shuffled_minors(driver: Driver) -> None:
    scenario = {
        "gpus": 3,
        "gpu.0.minor": 2,
        "gpu.2.minor": 0,
        "gpu.1.uuid": "GPU-one",
        "gpu.1.bus_id": "00000001:af:1f.0",
        "gpu.1.pci.device_id": "0x233010de",
    }
    assert driver.ask(
        scenario,
        "[n.nvmlDeviceGetMinorNumber(handle(i)) for i in range(3)]",
        "n.nvmlDeviceGetIndex(n.nvmlDeviceGetHandleByUUID('GPU-one'))",
        "n.nvmlDeviceGetIndex(n.nvmlDeviceGetHandleByPciBusId('00000001:AF:1F.0'))",
        "n.nvmlDeviceGetPciInfo(handle(1)).busId",
        "hex(n.nvmlDeviceGetPciInfo(handle(1)).pciDeviceId)",
        "n.nvmlDeviceGetHandleByUUID('GPU-two')",
        "n.nvmlDeviceGetHandleByPciBusId('0000:99:00.0')",
        "n.nvmlDeviceGetHandleByPciBusId('nonsense')",
        "handle(3)",
    ) == [[2, 1, 0], 1, 1, "00000001:AF:1F.0", "0x233010de", error(6), error(6), error(2), error(2)]


def test_the_gpu_s_own_key_beats_every_gpu_s_and_the_last_line_wins(driver: Driver) -> None:
    scenario = """
    gpu.1.temperature = 50
    gpu.*.temperature = 40
    gpu.*.temperature=41   # later, and with a comment
    gpu.2.temperature = 60
    gpu.2.temperature = 61
    gpu.3.temperature =
    gpus = 4\r
    gpu.*.name = GPU #1 of = signs
    """
    assert driver.ask(
        scenario,
        *[f"n.nvmlDeviceGetTemperature(handle({i}), 0)" for i in range(4)],
        "n.nvmlDeviceGetName(handle(0))",
    ) == [41, 50, 61, NOT_SUPPORTED, "GPU"]


def test_told_return_codes(driver: Driver) -> None:
    scenario = {
        "gpus": 3,
        "gpu.*.temperature": 40,
        "gpu.*.memory.total": 100,
        "gpu.*.power.usage": 5,
        "ret.nvmlDeviceGetTemperature": 999,
        "gpu.1.ret.nvmlDeviceGetTemperature": 16,
        "gpu.2.ret.nvmlDeviceGetTemperature": 0,
        "ret.nvmlDeviceGetMemoryInfo_v2": 13,
        "gpu.1.ret.nvmlDeviceGetMemoryInfo": 4,
        "gpu.2.ret.nvmlDeviceGetHandleByIndex": 8,
        "ret.nvmlSystemGetDriverVersion": 17,
    }
    assert driver.ask(
        scenario,
        "n.nvmlDeviceGetTemperature(handle(0), 0)",
        "n.nvmlDeviceGetTemperature(handle(1), 0)",
        "n.nvmlDeviceGetMemoryInfo(handle(0)).total",
        "n.nvmlDeviceGetMemoryInfo(handle(0), version=n.nvmlMemory_v2)",
        "n.nvmlDeviceGetMemoryInfo(handle(1))",
        "n.nvmlDeviceGetMemoryInfo(handle(1), version=n.nvmlMemory_v2)",
        "handle(2)",
        "n.nvmlDeviceGetTemperature(n.nvmlDeviceGetHandleByPciBusId('0000:03:00.0'), 0)",
        "n.nvmlSystemGetDriverVersion()",
        "n.nvmlDeviceGetPowerUsage(handle(0))",
    ) == [error(999), error(16), 100, error(13), error(4), error(4), error(8), 40, error(17), 5]


@pytest.mark.parametrize("code", [4, 9, 12, 18, 999])
def test_told_return_codes_of_init(driver: Driver, code: int) -> None:
    assert driver.init({**GPU, "ret.nvmlInitWithFlags": code}, strict=True) == (error(code), "")


def test_a_lost_gpu_answers_nothing_and_is_still_counted(driver: Driver) -> None:
    scenario = {"gpus": 2, "gpu.*.temperature": 40, "gpu.1.uuid": "GPU-lost"}
    sim.write(driver.path, scenario)
    lost = {"gpu.1.lost": 1, "gpu.1.ret.nvmlDeviceGetTemperature": 4}
    rewrite = f"open({str(driver.path)!r}, 'w').write({sim.scenario(scenario, lost)!r}) and n.nvmlInit()"
    answers = driver.ask(
        scenario,
        "globals().update(kept=handle(1))",
        rewrite,
        "n.nvmlDeviceGetCount()",
        "handle(1)",
        "n.nvmlDeviceGetHandleByUUID('GPU-lost')",
        "n.nvmlDeviceGetHandleByPciBusId('0000:02:00.0')",
        "n.nvmlDeviceGetTemperature(kept, 0)",
        "n.nvmlDeviceGetIndex(kept)",
        "n.nvmlDeviceGetFieldValues(kept, [1])",
        "n.nvmlDeviceGetTemperature(handle(0), 0)",
    )
    assert answers[2:] == [2, *[error(15)] * 6, 40]


def test_field_values_each_have_their_own_answer(driver: Driver) -> None:
    scenario = {
        "gpus": 3,
        "field.230": 1,
        "gpu.1.field.230": 4,
        "gpu.*.field.150": 7,
        "gpu.2.field.230": "ret:4",
        "field.83": 5_000_000_000,
        "field.193": -2,
        "field.194": -5_000_000_000,
        "field.185": "1.5",
        "field.4": "u64:0",
        "field.5": "u16:65535",
        "field.6": "f64:3",
        "field.165": 1,
        "field.165.7": 0,
        "gpu.1.field.83": "",
    }
    ids = "230, 150, 83, 193, 194, 185, 4, 5, 6, (165, 7), (165, 8), 999"
    assert driver.ask(scenario, *[f"fields({i}, {ids})" for i in range(3)]) == [
        [
            *([0, 1, 1], [0, 1, 7], [0, 3, 5_000_000_000], [0, 5, -2], [0, 4, -5_000_000_000], [0, 0, 1.5]),
            *([0, 3, 0], [0, 6, 65535], [0, 0, 3.0], [0, 1, 0], [0, 1, 1], [3, 1, 0]),
        ],
        [
            *([0, 1, 4], [0, 1, 7], [3, 1, 0], [0, 5, -2], [0, 4, -5_000_000_000], [0, 0, 1.5]),
            *([0, 3, 0], [0, 6, 65535], [0, 0, 3.0], [0, 1, 0], [0, 1, 1], [3, 1, 0]),
        ],
        [
            *([4, 1, 0], [0, 1, 7], [0, 3, 5_000_000_000], [0, 5, -2], [0, 4, -5_000_000_000], [0, 0, 1.5]),
            *([0, 3, 0], [0, 6, 65535], [0, 0, 3.0], [0, 1, 0], [0, 1, 1], [3, 1, 0]),
        ],
    ]
    assert driver.ask(
        {"gpus": 2, "gpu.1.ret.nvmlDeviceGetFieldValues": 999, "field.230": 0}, "fields(0, 230)", "fields(1, 230)"
    ) == [[[0, 1, 0]], error(999)]


def test_processes(driver: Driver) -> None:
    many = {f"gpu.1.process.{k}": f"{1000 + k}:{k}" for k in range(300)}
    scenario = {
        "gpus": 3,
        "gpu.*.process.0": "7:70",
        "gpu.*.process.12": "8",
        "gpu.2.process.12": "",
        "gpu.*.process.graphics.0": "9:90",
        "gpu.*.process.mps.0": "10:100:1:2",
        **many,
    }
    compute, crowd, one, graphics, mps = driver.ask(
        scenario,
        "n.nvmlDeviceGetComputeRunningProcesses(handle(0))",
        "n.nvmlDeviceGetComputeRunningProcesses(handle(1))",
        "n.nvmlDeviceGetComputeRunningProcesses(handle(2))",
        "n.nvmlDeviceGetGraphicsRunningProcesses(handle(0))",
        "n.nvmlDeviceGetMPSComputeRunningProcesses(handle(0))",
    )
    none = 0xFFFFFFFF
    first = {"pid": 7, "usedGpuMemory": 70, "gpuInstanceId": none, "computeInstanceId": none}
    assert compute == [first, {**first, "pid": 8, "usedGpuMemory": None}]
    assert one == [first]
    assert isinstance(crowd, list)
    assert [(p["pid"], p["usedGpuMemory"]) for p in crowd] == [(1000 + k, k) for k in range(300)]
    assert graphics == [{**first, "pid": 9, "usedGpuMemory": 90}]
    assert mps == [{"pid": 10, "usedGpuMemory": 100, "gpuInstanceId": 1, "computeInstanceId": 2}]


def test_accounting(driver: Driver) -> None:
    scenario = {"gpus": 1, "gpu.0.accounting.mode": 1, "gpu.0.accounting.buffer_size": 1}
    scenario |= {"gpu.0.accounting.pid.42": "90:20:1000:5000", "gpu.0.accounting.pid.7": "1:2:3:4:5:1"}
    pids, size, stats, missing = driver.ask(
        scenario,
        "n.nvmlDeviceGetAccountingPids(handle(0))",
        "n.nvmlDeviceGetAccountingBufferSize(handle(0))",
        "n.nvmlDeviceGetAccountingStats(handle(0), 42)",
        "n.nvmlDeviceGetAccountingStats(handle(0), 43)",
    )
    assert (pids, size, missing) == ([7, 42], 2, error(6))
    assert isinstance(stats, dict)
    assert (stats["gpuUtilization"], stats["maxMemoryUsage"], stats["time"], stats["isRunning"]) == (90, 1000, 5000, 0)


def test_mig_devices(driver: Driver) -> None:
    uuid = "n.nvmlDeviceGetUUID(mig(1, 1))"
    answers = driver.ask(
        sim.example("mig"),
        "[n.nvmlDeviceGetMigMode(handle(i))[0] for i in range(2)]",
        "mig(0, 0)",
        "mig(1, 3)",
        "mig(1, 7)",
        "n.nvmlDeviceGetName(mig(1, 1))",
        "[n.nvmlDeviceGetGpuInstanceId(mig(1, 1)), n.nvmlDeviceGetComputeInstanceId(mig(1, 1))]",
        "n.nvmlDeviceGetMemoryInfo(mig(1, 2)).total",
        "(lambda a: [a.gpuInstanceSliceCount, a.memorySizeMB])(n.nvmlDeviceGetAttributes_v2(mig(1, 0)))",
        "n.nvmlDeviceGetAttributes_v2(handle(1))",
        "n.nvmlDeviceGetGpuInstanceId(handle(1))",
        "[len(n.nvmlDeviceGetComputeRunningProcesses(mig(1, k))) for k in range(3)]",
        "len(n.nvmlDeviceGetComputeRunningProcesses(handle(1)))",
        "n.nvmlDeviceGetMinorNumber(mig(1, 1))",
        f"n.nvmlDeviceGetName(n.nvmlDeviceGetHandleByUUID({uuid}))",
        uuid,
    )
    second = "NVIDIA A100-SXM4-80GB MIG 2g.20gb"
    assert answers[:-1] == [
        *([0, 1], error(6), error(6), error(2), second, [5, 0], 10334765056, [3, 40192]),
        *(NOT_SUPPORTED, NOT_SUPPORTED, [0, 1, 0], 1, NOT_SUPPORTED, second),
    ]
    assert str(answers[-1]).startswith("MIG-")
    assert driver.ask({"gpus": 1}, "n.nvmlDeviceGetMaxMigDeviceCount(handle(0))", "mig(0, 0)") == [NOT_SUPPORTED] * 2


def test_events(driver: Driver) -> None:
    scenario = {"gpus": 1, "gpu.0.events.supported": "0x1f", "gpu.0.event.0": "8:79", "gpu.0.event.1": "2:5"}
    scenario |= {"gpu.0.event.2": "8:48:1:0"}
    take = "(lambda e: [e.eventType, e.eventData, e.gpuInstanceId])(n.nvmlEventSetWait_v2(s, 1))"
    assert driver.ask(
        scenario,
        "globals().update(s=n.nvmlEventSetCreate())",
        "n.nvmlDeviceRegisterEvents(handle(0), 8, s)",
        *[take] * 3,
        "n.nvmlDeviceRegisterEvents(handle(0), 0x20, s)",
        "n.nvmlEventSetFree(s)",
        "n.nvmlEventSetFree(s)",
        take,
    ) == [None, None, [8, 79, 0xFFFFFFFF], [8, 48, 1], error(10), NOT_SUPPORTED, None, error(2), error(2)]


def test_a_structure_of_another_version_is_refused(driver: Driver) -> None:
    scenario = {**GPU, "gpu.0.fabric.state": 3, "gpu.0.sram.threshold_exceeded": 0, "gpu.0.memory.total": 1}
    scenario |= {"gpu.0.temperature": 1, "gpu.0.temperature.margin": 1, "gpu.0.platform.module": 1}
    assert (
        driver.ask(
            scenario,
            "filled(n.nvmlDeviceGetGpuFabricInfoV, (ctypes.c_uint * 10)())",
            "filled(n.nvmlDeviceGetSramEccErrorStatus, (ctypes.c_uint * 26)())",
            "n.nvmlDeviceGetMemoryInfo(handle(0), version=0x03000028)",
            "filled(n.nvmlDeviceGetPlatformInfo, (ctypes.c_uint * 11)())",
        )
        == [error(25)] * 4
    )


def test_text_that_does_not_fit_is_never_cut(driver: Driver) -> None:
    assert driver.ask(
        {"gpus": 1, "gpu.0.serial": "9" * 30, "gpu.0.name": "N" * 95, "gpu.0.gsp.version": "1" * 64},
        "n.nvmlDeviceGetSerial(handle(0))",
        "n.nvmlDeviceGetName(handle(0))",
        "n.nvmlDeviceGetGspFirmwareVersion(handle(0))",
    ) == [error(7), "N" * 95, error(7)]


def test_uninitialized_and_bad_handles(driver: Driver) -> None:
    assert driver.ask(
        GPU,
        "n.nvmlDeviceGetName(ctypes.c_void_p(0))",
        "n.nvmlDeviceGetName(ctypes.c_void_p(0xdeadbeef))",
        "n.nvmlShutdown()",
        "n.nvmlDeviceGetCount()",
        "n.nvmlShutdown()",
    ) == [error(2), error(2), None, error(1), error(1)]


def test_each_init_reads_the_scenario_again(driver: Driver) -> None:
    rewrite = f"open({str(driver.path)!r}, 'w').write('gpus = 5')"
    count = "n.nvmlDeviceGetCount()"
    assert driver.ask(GPU, rewrite, count, "n.nvmlShutdown()", "n.nvmlInit()", count)[1:] == [1, None, None, 5]
    assert driver.ask(GPU, rewrite, "n.nvmlInit()", count, "n.nvmlShutdown()", count)[1:] == [None, 5, None, 5]


def test_which_scenario_is_read(library: Path, tmp_path: Path) -> None:
    directory = tmp_path / "beside"
    directory.mkdir()
    copy = directory / sim.LIBRARY
    copy.write_bytes(library.read_bytes())
    expressions = ["n.nvmlInit()", "n.nvmlDeviceGetCount()"]

    def count(**env: str) -> object:
        answers, _ = run(copy, expressions, env)
        return answers[1] if answers[0] is None else answers[0]

    assert count() == error(9)
    assert count(SLURMD_NODENAME="n1") == error(9)
    sim.write(directory / "scenarios" / "default.scenario", {"gpus": 1})
    sim.write(directory / "scenarios" / "n1.scenario", {"gpus": 2})
    sim.write(tmp_path / "own.scenario", {"gpus": 3})
    sim.write(directory / "escaped.scenario", {"gpus": 9})
    assert count() == 1
    assert count(SLURMD_NODENAME="n1") == 2
    assert count(SLURMD_NODENAME="n2") == 1
    assert count(SLURMD_NODENAME="../escaped") == 1
    assert count(SLURMD_NODENAME="n1", NVML_SIM_SCENARIO=str(tmp_path / "own.scenario")) == 3
    assert count(SLURMD_NODENAME="n1", NVML_SIM_SCENARIO="") == 2
    assert count(SLURMD_NODENAME="n1", NVML_SIM_SCENARIO=str(tmp_path / "none")) == error(9)
    assert count(NVML_SIM_SCENARIO=str(tmp_path)) == error(999)


@pytest.mark.parametrize(
    "line",
    [
        "no equals sign",
        "= 5",
        "a key with blanks = 5",
        "gpu.x.name = A",
        "gpu.-1.name = A",
        "gpu.4294967296.name = A",
        "gpu.3 = A",
        "gpu..name = A",
        "gpu.3. = A",
        "gpus = eight",
        "gpus = -1",
        "gpus = 99999999999999999999",
        "gpus = 1048577",
        "gpu.*.memory.total = 80G",
        "gpu.*.memory.total = 18446744073709551616",
        "gpu.*.compute_capability = 9",
        "cuda = 12",
        "gpu.3.lost = yes",
        "gpu.3.ecc.mode = 2",
        "gpu.0.process.0 = 1:2:3",
        "gpu.0.process.0 = 4294967296",
        "gpu.0.accounting.pid.1 = 1",
        "gpu.0.event.0 = 8",
        "gpu.0.bus_id = 0000:zz:00.0",
        "gpu.0.fabric.uuid = 12",
        "field.230 = one",
        "field.230 = u16:65536",
        "field.230 = foo:1",
        "ret.nvmlInitWithFlags = DriverNotLoaded",
        "delay_ms.nvmlInitWithFlags = -5",
        "delay_ms.nvmlInitWithFlags = 1 2",
    ],
)
def test_a_line_that_makes_no_sense_is_named(driver: Driver, line: str) -> None:
    result, stderr = driver.init(f"driver = 1\n\n{line}\ngpus = 1\n")
    assert result == error(999)
    assert stderr.startswith(f"nvml simulator: {driver.path}:3: ")
    assert stderr.count("\n") == 1


def test_odd_files(driver: Driver) -> None:
    long = "x" * 100_000
    assert driver.init(f"# {long}\ngpu.*.serial = {long}\n{long} = 1")[0] is None
    assert driver.init("")[0] is None
    result, stderr = driver.init("gpus = 1\n\0gpus = 2\n")
    assert result == error(999)
    assert "NUL" in stderr


@pytest.mark.parametrize(
    "line",
    [
        "gpu.*.temprature = 40",
        "temperature = 40",
        "gpu.*.driver = 1",
        "gpu.1.temperature = 40",
        "ret.nvmlDeviceGetTemprature = 3",
        "ret.malloc = 3",
        "gpu.0.ecc.uncorrected.volatile.hbm = 1",
        "gpu.0.nvlink.one.state = 1",
    ],
)
def test_strict_refuses_what_would_do_nothing(driver: Driver, line: str) -> None:
    text = f"gpus = 1\n{line}\n"
    assert driver.init(text) == (None, "")
    result, stderr = driver.init(text, strict=True)
    assert result == error(999)
    assert stderr.startswith(f"nvml simulator: {driver.path}:2: ")


def test_a_delay_holds_the_call_and_no_other(driver: Driver) -> None:
    scenario = {
        "gpus": 2,
        "gpu.*.temperature": 40,
        "gpu.1.delay_ms.nvmlDeviceGetTemperature": 700,
        "delay_ms.nvmlSystemGetDriverVersion": 0,
    }
    clock = "__import__('time').monotonic()"
    before, first, between, second, after = driver.ask(
        scenario,
        clock,
        "n.nvmlDeviceGetTemperature(handle(0), 0)",
        clock,
        "n.nvmlDeviceGetTemperature(handle(1), 0)",
        clock,
    )
    assert first == second == 40
    assert isinstance(before, float)
    assert isinstance(between, float)
    assert isinstance(after, float)
    assert after - between >= 0.7 > between - before


def test_a_hang_is_not_ended_by_a_handled_signal_and_other_threads_go_on(library: Path, tmp_path: Path) -> None:
    path = sim.write(tmp_path / "x.scenario", {"gpus": 1, "delay_ms.nvmlDeviceGetPowerUsage": 60000})
    code = r"""
import ctypes, signal, sys, threading
ctypes.CDLL(sys.argv[1])
import pynvml as n
signal.signal(signal.SIGUSR1, lambda *_: None)
n.nvmlInit()
h = n.nvmlDeviceGetHandleByIndex(0)
def others():
    for _ in range(50):
        n.nvmlDeviceGetIndex(h)
    n.nvmlShutdown()
    n.nvmlInit()
    print("others", flush=True)
threading.Timer(0.2, others).start()
print("ready", flush=True)
n.nvmlDeviceGetPowerUsage(h)
print("back", flush=True)
"""
    env = {**os.environ, **sim.environment(path)}
    process = subprocess.Popen([sys.executable, "-c", code, str(library)], env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert process.stdout.readline() == "others\n"
        process.send_signal(10)
        time.sleep(0.3)
        assert process.poll() is None
    finally:
        process.kill()
        rest, _ = process.communicate()
    assert rest == ""


def test_many_threads_and_nested_inits(library: Path, tmp_path: Path) -> None:
    path = sim.write(tmp_path / "x.scenario", sim.example("h100x8"))
    code = r"""
import ctypes, sys, threading
ctypes.CDLL(sys.argv[1])
import pynvml as n
wrong = []
def work():
    for _ in range(60):
        n.nvmlInit()
        for i in range(8):
            h = n.nvmlDeviceGetHandleByIndex(i)
            if n.nvmlDeviceGetName(h) != "NVIDIA H100 80GB HBM3" or n.nvmlDeviceGetNvLinkState(h, 17) != 1:
                wrong.append(i)
        s = n.nvmlEventSetCreate()
        n.nvmlDeviceRegisterEvents(h, 8, s)
        n.nvmlEventSetFree(s)
        n.nvmlShutdown()
n.nvmlInit()
threads = [threading.Thread(target=work) for _ in range(6)]
[t.start() for t in threads]
[t.join() for t in threads]
n.nvmlShutdown()
try:
    n.nvmlDeviceGetCount()
except n.NVMLError as error:
    print(wrong, error.value)
"""
    env = {**os.environ, **sim.environment(path)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(library)], env=env, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("[] 1\n", "", 0)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("h100x8", [8, "NVIDIA H100 80GB HBM3", 85520809984, [9, 0], "550.54.15", 12040]),
        ("h100x2", [2, "NVIDIA H100 80GB HBM3", 85520809984, [9, 0], "550.54.15", 12040]),
        ("h100-ecc-error", [8, "NVIDIA H100 80GB HBM3", 85520809984, [9, 0], "550.54.15", 12040]),
        ("lost-gpu", [8, "NVIDIA H100 80GB HBM3", 85520809984, [9, 0], "550.54.15", 12040]),
        ("hang", [2, "NVIDIA H100 80GB HBM3", 85520809984, [9, 0], "550.54.15", 12040]),
        ("a100x2-old-driver", [2, "NVIDIA A100-SXM4-80GB", 85198045184, [8, 0], "470.256.02", 11040]),
        ("mig", [2, "NVIDIA A100-SXM4-80GB", 85198045184, [8, 0], "550.54.15", 12040]),
    ],
)
def test_examples(driver: Driver, name: str, wanted: list[object]) -> None:
    assert (
        driver.ask(
            sim.example(name),
            "n.nvmlDeviceGetCount()",
            "n.nvmlDeviceGetName(handle(0))",
            "n.nvmlDeviceGetMemoryInfo(handle(0)).total",
            "n.nvmlDeviceGetCudaComputeCapability(handle(0))",
            "n.nvmlSystemGetDriverVersion()",
            "n.nvmlSystemGetCudaDriverVersion_v2()",
        )
        == wanted
    )


def test_examples_of_what_goes_wrong(driver: Driver) -> None:
    assert driver.init(sim.example("cpu-only"), strict=True)[0] == error(9)
    assert driver.init(sim.example("mismatch"), strict=True)[0] == error(18)
    ecc = [f"n.nvmlDeviceGetTotalEccErrors(handle({i}), 1, 0)" for i in range(8)]
    assert driver.ask(sim.example("h100-ecc-error"), *ecc) == [0, 0, 0, 2, 0, 0, 0, 0]
    assert driver.ask(sim.example("lost-gpu"), "handle(3)", "n.nvmlDeviceGetIndex(handle(4))") == [error(15), 4]
    assert {path.stem for path in sim.EXAMPLES.glob("*.scenario")} == {
        *("h100x8", "h100x2", "a100x2-old-driver", "h100-ecc-error", "cpu-only", "mig", "lost-gpu", "mismatch", "hang"),
        *("h100x8-r580", "a100x4-mig", "v100x4", "l40sx4", "b200x8", "gb200x4", "jetson"),
    }


def test_every_key_of_the_table_is_in_the_readme() -> None:
    readme = (sim.HERE / "README.md").read_text(encoding="utf-8")
    table = (sim.HERE / "src" / "keys.c").read_text(encoding="utf-8")
    patterns = re.findall(r'^    \{"([^"]+)", (?:DRIVER|GPU|BOTH)', table, re.MULTILINE)
    assert len(patterns) > 100
    words = set(re.findall(r"[a-z_]+", readme))
    for pattern in patterns:
        assert set(re.findall(r"[a-z_]+", pattern)) <= words, f"README.md says nothing of {pattern}"


def test_only_nvml_is_exported_under_the_soname(library: Path) -> None:
    symbols = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    exported = {line.split()[-1] for line in symbols.splitlines()}
    assert {name for name in exported if not name.startswith("nvml")} == set()
    assert len(exported) >= 95
    dynamic = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True).stdout
    assert "soname: [libnvidia-ml.so.1]" in dynamic


def test_two_builds_at_once(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def build() -> None:
        try:
            sim.build(tmp_path)
        except BaseException as problem:
            failures.append(problem)

    threads = [threading.Thread(target=build) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [path.name for path in tmp_path.iterdir()] == [sim.LIBRARY]
    built = (tmp_path / sim.LIBRARY).stat().st_mtime_ns
    assert sim.build(tmp_path).stat().st_mtime_ns == built


def test_the_scenario_writer() -> None:
    assert sim.scenario("a = 1\n\n", {"b": True, "c": None, "d": 1.5}) == "a = 1\nb = 1\nc =\nd = 1.5\n"
    with pytest.raises(ValueError, match="line break"):
        sim.scenario({"a": "1\nb = 2"})
