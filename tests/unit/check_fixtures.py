"""A node on which every check passes, and for each check what makes it fail, be unknown, or be skipped.

`FIXTURES[check]` is a Fixture of Changes: "subject.key" or "gpus.devices.N.key" to the value that differs (DROP: not
read), `unknown`: what could not be told, and the fields of the Context that differ. A new check needs a row here.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

from preflight.checks.registry import Configured, Context, Earlier, Expected, JobEnd, JobGpus, SourcedRequirement
from preflight.facts.view import View
from preflight.policy.model import CheckPolicy, Policy
from preflight.requirements.grammar import parse
from unit import check_fixtures_host as host
from unit.check_fixtures_log import RECORDS, log

DROP = object()
CODE = "environment 0123456789ab"
TODAY = "2026-11-24"
GPU: dict[str, Any] = {
    "index": 0,
    "minor": 0,
    "name": "NVIDIA H100 80GB HBM3",
    "uuid": "GPU-0",
    "bus_id": "00000000:3B:00.0",
    "memory": 85520809984,
    "memory_used": 500 << 20,
    "compute_capability": "9.0",
    "mig": False,
    "mig_pending": False,
    "ecc": True,
    "ecc_pending": True,
    "ecc_uncorrected_volatile": 0,
    "ecc_uncorrected_aggregate": 0,
    "remap_correctable": 0,
    "remap_uncorrectable": 0,
    "remap_pending": False,
    "remap_failure": False,
    "recovery_action": 0,
    "nvlink": 18,
    "nvlink_links": 18,
    "fabric_state": 3,
    "fabric_status": 0,
    "fabric_health_mask": 0b1010_1010,  # each part is told, and false
    "fabric_health_summary": 1,
    "temperature": 40,
    "pcie_width": 16,
    "pcie_width_max": 16,
    "processes": [],
    "vbios": "96.00.74.00.01",
    "persistence": True,
    "compute_mode": 0,
    "accounting": False,
    "ecc_corrected_volatile": 3,
    "ecc_corrected_aggregate": 9,
    "ecc_sram_threshold": False,
    "ecc_sram_uncorrected": 0,
    "ecc_sram_units": {"l2": 0, "sm": 1, "pcie": 0, "mcu": 0, "other": 0},
    "ecc_sram_unique": [{"unit": 1, "location": 2, "sublocation": 0, "parity": True, "count": 1}],
    "ecc_locations": {"dram": 0, "sram": 0},
    "serial": "1650123000000",
    "inforom": "G520.0200.00.05",
    "remap_banks_low": 0,
    "remap_banks_none": 0,
    "repair_pending": False,
    "unrepairable": False,
    "retired_single_bit": 0,
    "retired_double_bit": 0,
    "retired_pending": False,
    "clock_event_reasons": 1,
    "utilization": 100,
    "power_usage": 550_000,
    "power_limit": 700_000,
    "power_limit_default": 700_000,
    "power_limit_enforced": 700_000,
    "temperature_slowdown": 89,
    "temperature_shutdown": 92,
    "temperature_margin": 49,
    "temperature_memory": 55,
    "temperature_memory_max": 95,
    "pcie_generation": 5,
    "pcie_generation_max": 5,
    "pcie_replays": 12,
    "pcie_correctable": 0,
    "pcie_nonfatal": 0,
    "pcie_fatal": 0,
    "nvlink_version": "4.0",
    "nvlink_speed": 26562,
    "nvlink_crc": 5,
    "nvlink_crc_data": 0,
    "nvlink_ecc": 0,
    "nvlink_replay": 0,
    "nvlink_recovery": 0,
    "slowdown_power_ns": 10**9,
    "slowdown_thermal_ns": 0,
    "slowdown_sw_thermal_ns": 0,
    "slowdown_board_ns": 0,
    "slowdown_reliability_ns": 0,
    "slowdown_hw_thermal_ns": 0,
    "slowdown_power_brake_ns": 0,
    "bar1_total": 137438953472,
    "bar1_used": 1 << 20,
    "gsp_firmware": "580.178.04",
    "inforom_valid": True,
}


def gpu(index: int) -> dict[str, Any]:
    """Return a sound H100."""
    return {
        **GPU,
        "index": index,
        "minor": index,
        "uuid": f"GPU-{index}",
        "bus_id": f"00000000:{0x3B + index:02X}:00.0",
    }


def _device_file(name: str) -> dict[str, Any]:
    return {"name": name, "mode": 0o666, "uid": 0, "gid": 0, "character": True}


FACTS: dict[str, dict[str, Any]] = {
    "os": {"id": "ubuntu", "version": "24.04", "like": ["debian"], "variant": None},
    "kernel": {"release": "6.8.0-40-generic"},
    "arch": {"machine": "x86_64"},
    "libc": {"glibc": "2.39"},
    "cpu": {"count": 128},
    "memory": {"total": 1 << 40, "available": 1 << 39},
    "tmp": {"path": "/tmp", "size": 100 << 30, "free": 90 << 30},
    "shm": {"path": "/dev/shm", "size": 100 << 30, "free": 90 << 30},
    "toolkits": {"versions": ["13.0"], "items": [], "compat": []},
    "driver": {"version": "580.178.04", "module": "580.178.04", "cuda": "13.0", "nvml": "ok", "confidential": False},
    "gpus": {"count": 2, "devices": [gpu(0), gpu(1)], "stuck_at": None},
    "pci": {
        "gpus": [
            {"bus_id": f"0000:{bus}:00.0", "class": "0302", "device": "2330", "driver": "nvidia", "listed": True}
            for bus in ("3b", "3c")
        ],
        "confined": None,
    },
    "install": {
        "kernels": ["6.8.0-31-generic", "6.8.0-40-generic"],
        "headers": True,
        "dkms": True,
        "reboot": [],
        "cdi": [{"path": "/etc/cdi/nvidia.yaml", "driver": "580.178.04"}],
        "libraries": [{"path": "/usr/lib/libcuda.so.1", "version": "580.178.04", "problem": None}],
        "nvswitch": True,
        "fabric_manager": "580.178.04",
        "module": "open",
        "secure_boot": False,
        "lockdown": "none",
    },
    "ib": {"ports": [{"device": "mlx5_0", "port": 1, "state": "ACTIVE", "rate": 400}], "roce": [], "rate": 400},
    "remote": {"mounts": [{"path": "/home", "type": "nfs4"}]},
    "devices": {"files": [_device_file(name) for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm")]},
    "services": {
        "modules": ["nvidia", "nvidia_uvm", "nvidia_peermem"],
        "daemons": ["nv-fabricmanager", "nvidia-imex", "nvidia-persistenced"],
        "imex_nodes": 18,
    },
    "kernel_log": log(),
    "cuda": {"result": "ok", "devices": 2, "version": "13.0"},
    **host.FACTS,
}
SOON_S = 300.0
EARLIER = Earlier(
    SOON_S,
    {f"GPU-{index}": {key: value for key, value in gpu(index).items() if isinstance(value, int)} for index in range(2)},
)


ENDS = tuple(JobEnd(600.0 * at, 100 + at, 1000 + at, at == 2) for at in range(6))
KILLED = tuple(one._replace(failed=True) for one in ENDS)
_IDENTITY = ("uuid", "serial", "bus_id", "name", "vbios", "inforom")
LAST_BOOT = [{key: gpu(index)[key] for key in _IDENTITY} for index in range(2)]


def _sram(count: int, parity: bool) -> list[dict[str, Any]]:
    """Return as many uncorrected errors of one bank of SRAM, at different addresses."""
    return [{"unit": 1, "location": 2, "sublocation": 0, "parity": parity, "count": 1} for _ in range(count)]


class Case(NamedTuple):
    """How a node differs from the sound one."""

    changes: dict[str, Any] = {}  # noqa: RUF012
    unknown: dict[str, str] = {}  # noqa: RUF012
    context: dict[str, Any] = {}  # noqa: RUF012
    policy: Policy = Policy()
    phase: str = ""


def context(case: Case, phase: str) -> Context:
    """Return what the checks of ``phase`` read on the sound node with the case's changes."""
    facts = copy.deepcopy(FACTS)
    for path, value in case.changes.items():
        *parents, last = path.split(".")
        place: Any = facts
        for name in parents:
            place = place[int(name)] if isinstance(place, list) else place[name]
        if value is DROP:
            place.pop(last, None)
        else:
            place[int(last) if isinstance(place, list) else last] = value
    for path in case.unknown:
        subject, _, key = path.partition(".")
        facts[subject].pop(key, None) if key else facts.pop(subject, None)
    view = View(facts, case.unknown)
    sound: dict[str, Any] = {
        "job": view,
        "asked": (
            SourcedRequirement(parse("gpu=h100"), "--require"),
            SourcedRequirement(parse("gpu.count=2"), "policy"),
        ),
        "expected": Expected(2),
        "today": TODAY,
        "earlier": EARLIER,
        "configured": Configured(memory_mib=1 << 20, sockets=2, cores=32, threads=2, cpus=128),
        "ends": ENDS,
        "last_boot": LAST_BOOT,
    }
    if phase != "health":
        sound["gpus"] = JobGpus((0, 1), job=7)
    if phase == "epilog":
        sound["before"] = {**FACTS, "kernel_log": {**FACTS["kernel_log"], "seq": 10}}
        sound["ran_s"] = 600.0
    return Context(phase=phase, node=view, policy=case.policy, **{**sound, **case.context})


class Fixture(NamedTuple):
    """What makes a check fail, be unknown, be skipped; None where it cannot be. ``passes``: by default all sound."""

    fails: Case
    unknown: Case | None = None
    skip: Case | None = None
    passes: Case = Case()


def _gpu(key: str, value: Any, more: dict[str, Any] | None = None, **other: Any) -> Fixture:
    """Return the fixture of a check of one attribute of GPU 1, which is told, refused, and not supported."""
    at = "gpus.devices.1"
    bad = {f"{at}.{key}": value, **{f"{at}.{name}": one for name, one in (more or {}).items()}}
    lacking = {f"gpus.devices.{index}.{key}": DROP for index in range(2)}
    refused = {f"gpus.devices.{index}.errors": {key: "Unknown"} for index in range(2)}
    unsupported = {f"gpus.devices.{index}.errors": {key: "NotSupported"} for index in range(2)}
    return Fixture(Case(bad, **other), Case({**lacking, **refused}), Case({**lacking, **unsupported}))


def _rate(key: str, value: int) -> Fixture:
    return Fixture(
        Case({f"gpus.devices.1.{key}": value}),
        skip=Case(context={"earlier": Earlier()}),
    )


def _host(kind: str) -> Fixture:
    _, sound, bad, other = host.ROWS[kind]
    return Fixture(
        Case(**host.case(kind, {"told": bad})),
        Case(**host.case(kind, {"error": "cannot read /proc: no permission"})),
        None if other is None else Case(**host.case(kind, {"told": other})),
        Case(**host.case(kind, {"told": sound})),
    )


def _plain(bad: dict[str, Any], untold: str, other: dict[str, Any] | None) -> Fixture:
    return Fixture(Case(bad), Case(unknown={untold: "no permission"}), None if other is None else Case(other))


WITHOUT_GPUS = {"gpus.devices": [], "gpus.count": 0}
NO_NVML = Case(unknown={"gpus": "the probe died", "driver": "the probe died"})
HUNG = {"gpus": "no answer at nvmlInitWithFlags", "driver.version": "no answer"}
GONE = {"driver": {"nvml": "LibraryNotFound", "module": None, "version": None, "cuda": None}}
DRIVERLESS = {**{f"driver.{key}": value for key, value in GONE["driver"].items()}, **WITHOUT_GPUS}

FIXTURES: dict[str, Fixture] = {
    **{f"host.{kind}": _host(kind) for kind in host.ROWS},
    **{name: _plain(*one) for name, one in host.PLAIN.items()},
    "node.kills-jobs": Fixture(Case(context={"ends": KILLED}), skip=Case(context={"ends": ()})),
    "boot.locks": Fixture(
        Case({"driver.nvml": "DriverNotLoaded", "install.secure_boot": True}),
        Case(unknown={"install.secure_boot": "no permission"}),
    ),
    "cdi.stale": Fixture(
        Case({"install.cdi": [{"path": "/etc/cdi/x.yaml", "driver": "550.54.15"}]}),
        Case({"install.cdi": [{"path": "/etc/cdi/x.yaml", "driver": None}]}),
        Case({"install.cdi": []}),
    ),
    "clock": Fixture(Case(context={"clock_jump_s": 7200.0})),
    "cuda.start": Fixture(
        Case({"cuda.result": "SystemNotReady"}),
        Case({"cuda.result": "OperatingSystem"}),
        Case({"cuda.result": "LibraryNotFound"}),
    ),
    "device.files": Fixture(
        Case({"devices.files": [_device_file(name) for name in ("nvidia0", "nvidiactl")]}),
        Case(unknown={"devices": "no permission"}),
        Case({"devices.files": []}),
    ),
    "driver.eol": Fixture(
        Case({"driver.version": "390.157"}), Case({"driver.version": "999.1"}), Case({"driver.version": None})
    ),
    "driver.flavour": Fixture(
        Case(
            {"gpus.devices.0.name": "NVIDIA B200", "gpus.devices.0.compute_capability": "10.0"}
            | {"install.module": "proprietary"}
        ),
        Case(unknown={"install.module": "no permission"}),
        Case({"install.module": None}),
    ),
    "driver.libraries": Fixture(
        Case({"install.libraries": [{"path": "/usr/lib/libcuda.so.1", "version": None, "problem": "empty"}]}),
        Case(unknown={"install.libraries": "no permission"}),
        Case({"install.libraries": []}),
    ),
    "driver.loaded": Fixture(
        Case({"driver.nvml": "DriverNotLoaded", "driver.module": None}),
        Case(unknown={"driver.nvml": "the probe died"}),
        Case(DRIVERLESS, context={"expected": Expected()}, phase="health"),
    ),
    "driver.match": Fixture(Case({"driver.module": "535.1.1"}), skip=Case({"driver.nvml": "Timeout"}, HUNG)),
    "driver.responds": Fixture(Case({"driver.nvml": "Timeout"}, HUNG), skip=Case(DRIVERLESS)),
    "driver.security": Fixture(
        Case({"driver.version": "580.65.06"}), Case({"driver.version": "999.1"}), Case({"driver.version": None})
    ),
    "driver.slow": Fixture(
        Case({"driver.slow": {"took_s": 9.0, "call": "nvmlInitWithFlags", "call_s": 8.0, "answered": True}}),
        skip=Case(DRIVERLESS),
    ),
    "expectation": Fixture(
        Case(context={"asked": (SourcedRequirement(parse("kernel>=99"), "policy"),)}),
        Case(context={"asked": (SourcedRequirement(parse("ib"), "policy"),)}, unknown={"ib": "no permission"}),
    ),
    "fabric.version": Fixture(
        Case({"install.fabric_manager": "550.54.15"}),
        Case(unknown={"install.fabric_manager": "no permission"}),
        Case({"install.nvswitch": False, "gpus.devices.0.fabric_state": 0, "gpus.devices.1.fabric_state": 0}),
    ),
    "gpu.accounting": Fixture(
        Case(policy=Policy(checks={"gpu.accounting": CheckPolicy(limit=1)})),
        skip=Case(),
        passes=Case(policy=Policy(checks={"gpu.accounting": CheckPolicy(limit=0)})),
    ),
    "gpu.alike": Fixture(Case({"gpus.devices.1.vbios": "96.00.61.00.01"}), skip=Case(WITHOUT_GPUS)),
    "gpu.bar1": _gpu("bar1_used", 137438953472),
    "gpu.compute_mode": _gpu("compute_mode", 2),
    "gpu.confidential": Fixture(
        Case({"driver.confidential": True, "driver.confidential_ready": False}),
        Case(unknown={"driver.confidential": "NVML: FunctionNotFound"}),
        skip=Case(),
        passes=Case({"driver.confidential": True, "driver.confidential_ready": True}),
    ),
    "gpu.configured": Fixture(Case(context={"expected": Expected(1)}), skip=Case(context={"expected": Expected()})),
    "gpu.ecc.corrected": _gpu("ecc_corrected_volatile", 10_001),
    "gpu.ecc.pending": _gpu("ecc_pending", False),
    "gpu.ecc.risen": Fixture(
        Case({"gpus.devices.1.ecc_uncorrected_aggregate": 1}), passes=Case(), skip=Case(unknown=HUNG)
    ),
    "gpu.ecc.location": _gpu("ecc_locations", {"dram": 0, "sram": 1}),
    "gpu.code": Fixture(
        Case(context={"asked": (SourcedRequirement(parse("gpu.code=sm_80"), CODE),)}),
        Case(context={"asked": (SourcedRequirement(parse("gpu.code=sm_90"), CODE),)}, unknown={"gpus": "no answer"}),
        None,
        Case(context={"asked": (SourcedRequirement(parse("gpu.code=sm_80+sm_90"), CODE),)}),
    ),
    "gpu.ecc.off": _gpu("ecc", False, {"name": "NVIDIA H100 80GB HBM3"}),
    "gpu.ecc.sram.bank": _gpu(
        "ecc_sram_uncorrected", 1, {"ecc_sram_unique": _sram(4, True), "ecc_sram_units": {"sm": 4}}
    ),
    "gpu.ecc.sram": _gpu("ecc_sram_threshold", True),
    "gpu.ecc.uncorrected": _gpu("ecc_uncorrected_volatile", 1),
    "gpu.excluded": Fixture(
        Case({"gpus.excluded": [{"bus_id": "00000000:5E:00.0"}]}), Case(unknown=HUNG), Case(WITHOUT_GPUS)
    ),
    "gpu.fabric": _gpu("fabric_state", 1),
    "gpu.fabric.health": _gpu("fabric_health_summary", 2),
    "gpu.gsp": _gpu("gsp_firmware", "550.54.15"),
    "gpu.inforom": _gpu("inforom_valid", False),
    "gpu.inventory": Fixture(
        Case({"gpus.devices.1.serial": "1650999000000"}),
        Case(unknown=HUNG | {"gpus": "no answer at nvmlInitWithFlags"}),
        Case(context={"last_boot": None}),
    ),
    "gpu.memory.left": _gpu("memory_used", 40 << 30),
    "gpu.memory.unrepairable": _gpu("unrepairable", True),
    "gpu.mig.devices": Fixture(
        Case({"gpus.devices.1.mig": True, "gpus.devices.1.mig_devices": []}),
        Case({"gpus.devices.1.mig": True}),
        Case(),
        Case({"gpus.devices.1.mig": True, "gpus.devices.1.mig_devices": [{"index": 0, "profile": "7g.80gb"}]}),
    ),
    "gpu.mig.pending": _gpu("mig_pending", True),
    "gpu.nvlink": Fixture(
        Case({"gpus.devices.1.nvlink": 17, "gpus.devices.1.fabric_state": 3}),
        skip=Case({f"gpus.devices.{index}.nvlink_links": 0 for index in range(2)}),
    ),
    "gpu.nvlink.crc": _rate("nvlink_crc", 10**6),
    "gpu.nvlink.errors": _rate("nvlink_ecc", 1),
    "gpu.nvlink.speed": Fixture(
        Case({"gpus.devices.1.nvlink_speed": 13281}),
        Case(
            {f"gpus.devices.{index}.{key}": DROP for index in range(2) for key in ("nvlink_version", "nvlink_speed")}
            | {f"gpus.devices.{index}.errors": {"nvlink_version": "FunctionNotFound"} for index in range(2)}
        ),
        Case({f"gpus.devices.{index}.nvlink": 0 for index in range(2)}),
    ),
    "gpu.nvlink.flapping": _rate("nvlink_recovery", 4),
    "gpu.pci": Fixture(
        Case({"gpus.devices": [gpu(0)], "gpus.count": 1}, context={"gpus": None}),
        Case(unknown={"pci": "no permission"}),
        Case({"pci.gpus": []}),
    ),
    "gpu.pcie.errors": _rate("pcie_nonfatal", 1),
    "gpu.pcie.replay": _rate("pcie_replays", 10_000),
    "gpu.pcie.speed": _gpu("pcie_generation", 1),
    "gpu.pcie.width": _gpu("pcie_width", 8),
    "gpu.persistence": _gpu("persistence", False),
    "gpu.power.enforced": _gpu("power_limit_enforced", 500_000),
    "gpu.power.limit": _gpu("power_limit", 500_000),
    "gpu.present": Fixture(
        Case(context={"expected": Expected(3, ("/dev/nvidia2",)), "gpus": None}),
        Case(unknown=HUNG, context={"gpus": None}),
        Case(context={"gpus": JobGpus(other="/dev/dri/renderD128", job=7)}),
    ),
    "gpu.processes": Fixture(
        Case({"gpus.devices.1.processes": [{"pid": 4711, "used_memory": 1 << 30}]}),
        Case(
            {"gpus.devices.1.processes": [{"pid": 4711, "used_memory": 1 << 30}]},
            context={"gpus": JobGpus((0, 1), job=7, shared=True)},
        ),
    ),
    "gpu.recovery": _gpu("recovery_action", 2),
    "gpu.remap.banks": _gpu("remap_banks_none", 1),
    "gpu.remap.failure": _gpu("remap_failure", True),
    "gpu.remap.pending": _gpu("remap_pending", True),
    "gpu.remap.rows": _gpu("remap_uncorrectable", 512),
    "gpu.repair.pending": _gpu("repair_pending", True),
    "gpu.reset": Fixture(Case({"gpus.devices.1": {"index": 1, "error": "ResetRequired"}})),
    "gpu.responds": Fixture(
        Case({"gpus.devices.1": {"index": 1, "error": "GpuIsLost"}}),
        Case({"gpus.devices.1": {"index": 1, "error": "NotRead"}}),
    ),
    "gpu.retired.double_bit": _gpu("retired_double_bit", 16),
    "gpu.retired.pages": _gpu("retired_single_bit", 63),
    "gpu.retired.pending": _gpu("retired_pending", True),
    "gpu.slowdown": _gpu("clock_event_reasons", 0x48),
    "gpu.slowdown.time": _rate("slowdown_hw_thermal_ns", 200 * 10**9),
    "gpu.stuck": Fixture(
        Case(
            {"gpus.devices.1.power_usage": 90_000},
            context={"earlier": Earlier(SOON_S, {"GPU-1": {**GPU, "power_usage": 91_000}})},
        ),
        skip=Case({"gpus.devices.1.power_usage": 90_000}),
    ),
    "gpu.temperature": _gpu("temperature", 91),
    "gpu.temperature.memory": _gpu("temperature_memory", 95),
    "gpu.temperature.margin": _gpu("temperature_margin", -1),
    "kernel.headers": Fixture(
        Case({"install.headers": False}), Case(unknown={"install.dkms": "no permission"}), Case({"install.dkms": False})
    ),
    "kernel.newest": Fixture(
        Case({"install.kernels": ["6.8.0-40-generic", "6.8.0-52-generic"]}),
        Case(unknown={"install.kernels": "no permission"}),
    ),
    "module.peermem": Fixture(
        Case({"services.modules": ["nvidia"], "install.module": "proprietary"}),
        Case(unknown={"services": "no permission"}),
        Case({"ib.rate": None}),
    ),
    "module.uvm": Fixture(
        Case({"services.modules": ["nvidia"], "cuda.result": "Unknown"}),
        Case(unknown={"services": "no permission"}),
        Case({"services.modules": ["nvidia"]}),
    ),
    "mount.responds": Fixture(
        Case({"remote.mounts": [{"path": "/home", "type": "nfs4", "error": "Timeout"}]}),
        Case({"remote.mounts": [{"path": "/home", "type": "nfs4", "error": "NotRead"}]}),
        Case({"remote.mounts": []}),
    ),
    "node.memory": Fixture(Case({"memory.available": 1 << 20}), Case(unknown={"memory.available": "no MemAvailable"})),
    "node.tmp": Fixture(Case({"tmp.free": 0}), Case(unknown={"tmp": "no permission"}), Case({"tmp.free": None})),
    "os.eol": Fixture(Case({"os.version": "16.04"}), Case({"os.id": "templeos"}), Case({"os.id": None})),
    "policy": Fixture(Case(policy=Policy(problem="p.toml:2: mode: wrong", path="p.toml"))),
    "reboot.pending": Fixture(
        Case({"install.reboot": ["linux-image-6.8.0-52"]}), Case(unknown={"install.reboot": "no permission"})
    ),
    "requirement": Fixture(
        Case(context={"asked": (SourcedRequirement(parse("kernel>=99"), "--require"),)}),
        Case(context={"asked": (SourcedRequirement(parse("ib"), "--require"),)}, unknown={"ib": "no permission"}),
    ),
    "service.fabric_manager": Fixture(
        Case({"services.daemons": []}), Case(unknown={"services": "no permission"}), Case({"install.nvswitch": False})
    ),
    "service.imex": Fixture(
        Case({"services.daemons": []}), Case(unknown={"services": "no permission"}), Case({"services.imex_nodes": None})
    ),
    "service.persistenced": Fixture(
        Case({"services.daemons": [], "gpus.devices.1.persistence": False}),
        Case(unknown={"services": "no permission"}),
        Case({"services.daemons": []}),
    ),
    "toolkit.supported": Fixture(
        Case({"os.version": "7", "os.id": "centos", "toolkits.versions": ["12.5"]}),
        Case(unknown={"toolkits": "no answer"}),
        Case({"toolkits.versions": []}),
    ),
}
FIXTURES |= {name: Fixture(Case({"kernel_log": log(name)})) for name in RECORDS}
FIXTURES |= {
    "flapping": Fixture(Case(context={"flaps": {"gpu.responds|gpu1": 11}})),
    "kernel.log": Fixture(
        Case({"kernel_log.lost": 7}),
        Case(unknown={"kernel_log": "cannot read /dev/kmsg: Operation not permitted"}),
        Case({"kernel_log.source": "none"}),
    ),
}
