"""A prolog's NVML without pynvml against pynvml: names, symbols, layouts, and each answer on the same drivers."""

from __future__ import annotations

import ast
import ctypes
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pynvml
import pytest

from nvml import sim
from preflight.facts import gpu, gpu_bus, gpu_fields, mig
from preflight.facts.nvml_direct import calls, tables

FORMATS = {
    ctypes.c_int: "i",
    ctypes.c_uint: "I",
    ctypes.c_ulonglong: "Q",
    ctypes.c_longlong: "q",
    ctypes.c_ulong: "L",
    ctypes.c_ushort: "H",
    ctypes.c_double: "d",
    ctypes.c_ubyte: "B",
}
EVERY = {*tables.NUMBERS, *tables.TEXTS, *tables.RECORDS, *tables.GIVEN, *tables.PROCESSES} | {
    name for name in vars(calls.Direct) if name.startswith("nvml") and name != "nvmlMemory_v2"
}


def form(kind: Any) -> str:
    """Return the format of a type of ctypes; its long is its long long where both have 64 bits."""
    return FORMATS.get(kind) or f"{ctypes.sizeof(kind)}s"


def same(form: str) -> str:
    return form.replace("L", "Q") if ctypes.sizeof(ctypes.c_long) == 8 else form


@pytest.mark.parametrize("name", tables.LAYOUTS)
def test_a_structures_size_and_its_fields_places_and_types_are_pynvmls(name: str) -> None:
    theirs = getattr(pynvml, name)
    size, fields = tables.LAYOUTS[name]
    assert ctypes.sizeof(theirs) == size
    kinds = {field[0]: field[1] for field in theirs._fields_}
    for field, (offset, kind) in fields.items():
        assert (getattr(theirs, field).offset, same(form(kinds[field]))) == (offset, kind), field


def test_the_union_of_a_fields_value_is_pynvmls() -> None:
    assert pynvml.c_nvmlFieldValue_t.value.offset == tables.VALUE_AT
    assert {name: same(form(kind)) for name, kind in pynvml.c_nvmlValue_t._fields_} == {
        name: same(kind) for name, kind in tables.VALUES.items()
    }
    assert pynvml.c_nvmlExcludedDeviceInfo_t.pci.offset == 0
    assert pynvml.c_nvmlProcessInfo_v3_t is pynvml.c_nvmlProcessInfo_v2_t


def test_versions_and_codes_are_pynvmls() -> None:
    assert pynvml.nvmlMemory_v2 == tables.MEMORY_V2
    for name, version in tables.VERSIONS.items():
        assert version == getattr(pynvml, name.removeprefix("c_").removesuffix("_t")) == getattr(pynvml, name)().version
    assert pynvml.NVML_VALUE_NOT_AVAILABLE_ulonglong.value == calls.NOT_AVAILABLE
    assert (calls.SUCCESS, calls.UNINITIALIZED) == (pynvml.NVML_SUCCESS, pynvml.NVML_ERROR_UNINITIALIZED)
    assert calls.INSUFFICIENT_SIZE == pynvml.NVML_ERROR_INSUFFICIENT_SIZE
    assert calls.FUNCTION_NOT_FOUND == pynvml.NVML_ERROR_FUNCTION_NOT_FOUND
    assert calls.LIBRARY_NOT_FOUND == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND


def test_it_has_every_function_that_a_prologs_probe_names() -> None:
    """Those in the probe's sources, but for what a prolog does not ask (gpu_health.py and NVLink's counters)."""
    named = set()
    for module in (gpu, gpu_bus, gpu_fields, mig):
        tree = ast.parse(Path(str(module.__file__)).read_text())
        texts = {one.value for one in ast.walk(tree) if isinstance(one, ast.Constant) and isinstance(one.value, str)}
        named |= {text for text in texts if text.startswith("nvml") and text.isidentifier()}
    not_asked = {"nvmlSystemGetConfComputeState", "nvmlDeviceGetNvLinkErrorCounter", "nvmlInitWithFlags"}
    assert named - not_asked - {"nvmlMemory_v2", "nvml"} <= EVERY
    assert all(callable(getattr(pynvml, name)) for name in EVERY)


class Recorder:
    """In the place of libnvidia-ml: each function takes its arguments down, and fills each buffer with a pattern."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[object]]] = []

    def function(self, symbol: str) -> Any:
        def take(*arguments: Any) -> int:
            self.calls.append((symbol, [self._plain(one) for one in arguments]))
            for one in arguments:
                room = getattr(one, "_obj", one)
                if isinstance(room, (ctypes.Array, ctypes.Structure)) or room is not one:
                    ctypes.memset(one, 0x21, 4)
            return 0

        return take

    @staticmethod
    def _plain(one: Any) -> object:
        value = getattr(one, "value", one)
        return value if isinstance(value, int) or value is None else "memory"


ASKED: dict[str, tuple[Any, ...]] = {
    "nvmlInit": (),
    "nvmlSystemGetDriverVersion": (),
    "nvmlSystemGetCudaDriverVersion_v2": (),
    "nvmlDeviceGetCount": (),
    "nvmlGetExcludedDeviceCount": (),
    "nvmlDeviceGetHandleByIndex": (3,),
    "nvmlGetExcludedDeviceInfoByIndex": (2,),
    "nvmlDeviceGetTotalEccErrors": ("handle", 1, 0),
    "nvmlDeviceGetNvLinkState": ("handle", 17),
    "nvmlDeviceGetTemperature": ("handle", 0),
    "nvmlDeviceGetMigDeviceHandleByIndex": ("handle", 6),
    "nvmlDeviceGetMemoryInfo": ("handle", tables.MEMORY_V2),
    "nvmlDeviceGetFieldValues": ("handle", [230, (206, 4)]),
    "nvmlDeviceGetGpuFabricInfoV": ("handle", "c_nvmlGpuFabricInfo_v3_t"),
    "nvmlDeviceGetGpuFabricInfo": ("handle", "c_nvmlGpuFabricInfo_t"),
}


@pytest.mark.parametrize("name", sorted(EVERY - {"nvmlInit"}))
def test_each_function_calls_the_same_symbol_with_the_same_arguments(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = Recorder(), Recorder()
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer", theirs.function)
    monkeypatch.setattr(calls, "_Function", lambda where: ours.function(where[0]))
    direct = object.__new__(calls.Direct)
    direct._library, direct._functions = "library", {}  # type: ignore[assignment]
    for nvml, handle in ((pynvml, ctypes.c_void_p(77)), (direct, calls._Pointer(77))):
        given = [
            handle if one == "handle" else nvml.byref(getattr(nvml, one)()) if isinstance(one, str) else one
            for one in ASKED.get(name, ("handle",))
        ]
        getattr(nvml, name)(*given)
    assert theirs.calls == ours.calls != []


COMPARE = """
import json, os, sys
sys.path[:0] = sys.argv[4:]
library, jobs = sys.argv[1], json.loads(sys.argv[3])
asked = json.loads(sys.argv[2])
from preflight.facts.nvml import Fault, call, load
from preflight.facts.nvml_direct import tables
from preflight.facts.nvml_direct.calls import Direct
import pynvml

def plain(one):
    if isinstance(one, (list, tuple)) and not hasattr(one, "pid") and not hasattr(one, "pci"):
        return [plain(each) for each in one]
    if hasattr(one, "pid"):
        return [one.pid, one.usedGpuMemory, one.gpuInstanceId, one.computeInstanceId]
    if hasattr(one, "pci"):
        return one.pci.busId
    if hasattr(one, "nvmlReturn"):
        values = [repr(getattr(one.value, name)) for name in tables.VALUES]
        return [one.fieldId, one.scopeId, one.nvmlReturn, one.valueType, *values]
    for kind in ("c_nvmlDeviceAttributes", "c_nvmlMemory_v2_t", "c_nvmlMemory_t", "nvmlPciInfo_t"):
        names = tables.LAYOUTS[kind][1]
        if all(hasattr(one, name) for name in names):
            return {name: getattr(one, name) for name in names}
    if hasattr(one, "__len__") and not isinstance(one, str):
        return [plain(each) for each in one]
    return one if isinstance(one, (int, str, float)) or one is None else "pointer"

def answer(nvml, name, *arguments):
    try:
        return plain(call(nvml, name, *arguments))
    except Fault as fault:
        return "Fault " + fault.name
    except UnicodeError as error:
        return "Fault " + type(error).__name__

def everything(nvml):
    found = {}
    for name in ("nvmlInit", "nvmlSystemGetDriverVersion", "nvmlSystemGetCudaDriverVersion_v2", "nvmlDeviceGetCount",
                 "nvmlGetExcludedDeviceCount"):
        found[name] = answer(nvml, name)
    for index in range(3):
        found["excluded", index] = answer(nvml, "nvmlGetExcludedDeviceInfoByIndex", index)
        try:
            handle = call(nvml, "nvmlDeviceGetHandleByIndex", index)
        except Fault as fault:
            found[index] = fault.name
            continue
        handles = [handle]
        for place in range(3):
            try:
                handles.append(call(nvml, "nvmlDeviceGetMigDeviceHandleByIndex", handle, place))
            except Fault as fault:
                found[index, place] = fault.name
        for at, one in enumerate(handles):
            for name, more in asked:
                found[index, at, name, repr(more)] = answer(nvml, name, one, *more)
            for kind in ("c_nvmlGpuFabricInfo_v3_t", "c_nvmlGpuFabricInfo_v2_t", "c_nvmlGpuFabricInfo_t"):
                info = getattr(nvml, kind)()
                name = "nvmlDeviceGetGpuFabricInfo" + ("V" if "_v" in kind else "")
                found[index, at, kind] = answer(nvml, name, one, nvml.byref(info)), *(
                    getattr(info, field) for field in tables.LAYOUTS[kind][1])
    return found

for scenario in jobs:
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.environ["NVML_SIM_SCENARIO"] = scenario
            theirs, ours = everything(load(library)), everything(load(library, lean=True))
            bad = {str(key): (value, ours.get(key)) for key, value in theirs.items() if ours.get(key) != value}
            print(json.dumps([scenario, len(theirs), str(bad or "")]), flush=True)
            code = 0
        finally:
            os._exit(code)
    if os.waitpid(pid, 0)[1]:
        print(json.dumps([scenario, 0, "ended by itself"]), flush=True)
"""
OF_A_GPU = [
    *((name, ()) for name in sorted(EVERY) if name not in ASKED),
    *(("nvmlDeviceGetTotalEccErrors", (1, counter)) for counter in (0, 1)),
    *(("nvmlDeviceGetNvLinkState", (link,)) for link in (0, 3, 17, 40)),
    ("nvmlDeviceGetTemperature", (0,)),
    ("nvmlDeviceGetMemoryInfo", ()),
    ("nvmlDeviceGetMemoryInfo", (tables.MEMORY_V2,)),
    ("nvmlDeviceGetFieldValues", ([230, 82, 31, 9999],)),
    ("nvmlDeviceGetFieldValues", ([[206, 4], [38, 0]],)),
]


def compared(library: str, scenarios: list[Path]) -> list[Any]:
    paths = [str(Path(__file__).parents[2] / "src"), *[one for one in sys.path if one.endswith("site-packages")]]
    command = [sys.executable, "-c", COMPARE, library, json.dumps(OF_A_GPU), json.dumps(list(map(str, scenarios)))]
    done = subprocess.run([*command, *paths], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(sim.build(tmp_path_factory.mktemp("nvml")))


PARTS: dict[str, dict[str, object]] = {
    "processes": {"gpu.0.process.0": "5:7", "gpu.0.process.1": "6", "gpu.0.process.mps.0": "8:9"},
    "types": {f"gpu.0.field.{field}": value for field, value in ((230, "u16:4"), (82, "i64:-5"), (31, "ret:16"))},
    "excluded": {"excluded": 2},
    "long": {"gpu.0.name": "N" * 300, "gpu.0.uuid": "", "driver": "5" * 200},
    "not UTF-8": {"gpu.0.name": "\udcfe\udcff", "gpu.1.uuid": "GPU-\udce9"},
}


def test_each_answer_is_pynvmls_on_every_example(library: str, tmp_path: Path) -> None:
    scenarios = [path for path in sorted((sim.HERE / "examples").glob("*.scenario")) if path.stem != "hang"]
    for name, more in PARTS.items():
        path = tmp_path / f"{name}.scenario"
        path.write_bytes(sim.scenario(sim.example("h100x8"), more).encode("utf-8", "surrogateescape"))
        scenarios.append(path)
    found = compared(library, scenarios)
    assert [(one, bad) for one, _, bad in found if bad] == []
    assert len(found) == len(scenarios)
    assert max(number for _, number, _ in found) > 90


def test_each_return_code_is_pynvmls_of_every_function(library: str, tmp_path: Path) -> None:
    scenarios = []
    symbols = {name for name in EVERY if name.startswith("nvmlDevice") and "Handle" not in name}
    symbols |= {one.replace("_v3", "").replace("_v2", "") for one in symbols} | {"nvmlDeviceGetMemoryInfo_v2"}
    for code in (*range(1, 31), 77, 999):
        rows: dict[str, object] = {f"ret.{name}": code for name in symbols - {"nvmlDeviceGetCount"}}
        scenarios.append(sim.write(tmp_path / f"{code}.scenario", sim.example("h100x2"), rows))
    found = compared(library, scenarios)
    assert [(one, bad) for one, _, bad in found if bad] == []
    assert len(found) == len(scenarios)


FEW = """
#include <string.h>
int nvmlInitWithFlags(unsigned flags) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 1; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) { *handle = (void *)8; return 0; }
int nvmlDeviceGetName(void *device, char *into, unsigned size) { memset(into, 'x', size); return 0; }
int nvmlDeviceGetUUID(void *device, char *into, unsigned size) { memset(into, 0xfe, size); return 0; }
int nvmlDeviceGetPciInfo_v3(void *device, char *into) { memset(into, 0xfe, 68); return 0; }
int nvmlDeviceGetMinorNumber(void *device, unsigned *minor) { return 123456; }
int nvmlDeviceGetTemperature(void *device, unsigned sensor, unsigned *into) { return -1; }
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, char *into) {
    if (into == 0) { *count = 1; return 7; }
    *count = 1000000; return 0;
}
int nvmlDeviceGetMPSComputeRunningProcesses_v3(void *device, unsigned *count, char *into) {
    if (into == 0) { *count = 0x7ffffffe; return 7; }
    return *count == 1 ? 0 : 999;
}
"""


def test_a_library_that_lacks_functions_and_breaks_its_own_rules_is_told_of_alike(tmp_path: Path) -> None:
    (tmp_path / "few.c").write_text(FEW)
    library = tmp_path / "libnvidia-ml.so.1"
    command = ["cc", "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1", "-o", str(library), str(tmp_path / "few.c")]
    subprocess.run(command, check=True)
    ((_, number, bad),) = compared(str(library), [tmp_path / "none"])
    assert (number > 30, bad) == (True, "")


def test_where_the_binding_of_this_python_is_another_pynvml_is_taken(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from preflight.facts.nvml import load

    assert isinstance(load(library, lean=True), calls.Direct)
    monkeypatch.setitem(sys.modules, "preflight.facts.nvml_direct.calls", None)
    assert load(library, lean=True) is pynvml
