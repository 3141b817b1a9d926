"""Reports of the situations that the report's tests share, made by the real builder."""

from __future__ import annotations

from typing import Any

from preflight.checks.finding import Finding
from preflight.report import model

START = 1795528802.25  # 2026-11-24T14:00:02.250Z
H100 = "NVIDIA H100 80GB HBM3"


def gpu(index: int, **other: Any) -> dict[str, Any]:
    """Return one healthy GPU, with attributes replaced."""
    return {
        "index": index,
        "name": H100,
        "memory": 85520809984,
        "compute_capability": "9.0",
        "ecc": True,
        "ecc_uncorrected_volatile": 0,
        "mig": False,
        "nvlink": 18,
    } | other


def facts(driver: str | None = "550.54.15", gpus: int = 8, **other: Any) -> dict[str, dict[str, Any]]:
    """Return the facts of a GPU node, subjects replaced by ``other``."""
    return {
        "os": {"id": "ubuntu", "version": "22.04", "name": "Ubuntu 22.04.4 LTS", "like": ["debian"]},
        "kernel": {"release": "5.15.0-105-generic"},
        "arch": {"machine": "x86_64"},
        "libc": {"glibc": "2.35"},
        "cpu": {"count": 192},
        "memory": {"total": 2164187254784, "available": 2100000000000},
        "driver": {"version": driver, "cuda": "12.4" if driver else None, "module": driver, "nvml": "ok"},
        "gpus": {"count": gpus, "devices": [gpu(index) for index in range(gpus)]},
        "toolkits": {"versions": ["12.4.1", "11.8.0"], "items": []},
        "modules": {"names": ["cuda/11.8", "cuda/12.4", "nccl/2.21"]},
        "mounts": {"paths": ["/", "/home", "/scratch"]},
        "ib": {"ports": [], "rate": 400},
        "tmp": {"path": "/tmp", "size": 960197124096, "free": 900000000000},
    } | other


def finding(check: str = "driver.version", status: str = "pass", blame: str = "node", **other: Any) -> Finding:
    """Return a finding, fields replaced by ``other``."""
    values = {
        "subject": "node",
        "expected": None,
        "observed": None,
        "message": f"{check} is as it should be",
        "remedy": None,
        "source": "policy",
        "duration_ms": 0.1,
    }
    return Finding(check, status, blame, **(values | other))


def passing() -> list[Finding]:
    """Return what a sound node answers."""
    names = ("driver.loaded", "driver.version", "gpu.count", "gpu.ecc.uncorrected", "gpu.lost", "memory", "mounts")
    return [finding(name) for name in names]


MISFIT = finding(
    "requirement",
    "fail",
    "job",
    subject="driver",
    expected=">=550.54",
    observed="470.82.01",
    message="driver 470.82.01 is older than 550.54",
    remedy='Ask for a node that has it: #SBATCH --constraint="driver550"',
    source="--require",
)
FAULT = finding(
    "gpu.ecc.uncorrected",
    "fail",
    "node",
    subject="GPU 3",
    expected="0",
    observed="2",
    message="GPU 3 has 2 uncorrected ECC errors since the driver was loaded",
    remedy="Reset GPU 3 (nvidia-smi --gpu-reset -i 3); replace it if the errors come back",
)
DRAINED = model.action_block("drain", "preflight:gpu.ecc.uncorrected:GPU 3: 2 uncorrected ECC errors")
REQUIRE = "driver>=550.54, gpu=h100, ubuntu>=22.04|rhel>=9"


def report(node: str = "gpu001", phase: str = "prolog", **other: Any) -> model.Report:
    """Return one report; ``job`` gives fields of the job (None for no job), the rest replaces `build`'s arguments."""
    job = other.pop("job", {})
    status = "fail" if other.get("verdict") == "mismatch" else "pass"
    clauses = [
        ("driver>=550.54", "--require", status),
        ("gpu=h100", "--require", "pass"),
        ("ubuntu>=22.04|rhel>=9", "--require", "pass"),
        ("gpu.count=8", "policy", "pass"),
    ]
    block = None
    if job is not None:
        usual = {"id": 42, "restart": 0, "user": "ada", "uid": 1000, "partition": "gpu", "nodes": node}
        block = model.job_block(**(usual | {"gpus": range(8)} | job))
    values: dict[str, Any] = {
        "cluster": "lab",
        "node": node,
        "phase": phase,
        "started": START,
        "duration_ms": 48.2,
        "verdict": "ready",
        "findings": passing(),
        "facts": facts(),
        "job": block,
        "requirement": model.requirement_block(REQUIRE, clauses),
        "timings_ms": {"gpus": 31.25, "os": 0.4, "mounts": 2.1, "driver": 4.9},
        "software": model.software_block("9f2c" * 16, "2026.11"),
    }
    made = model.build(**(values | other))
    made["software"]["python"] = "3.11.2"  # the same text on every interpreter that runs the tests
    return made


def ready() -> list[model.Report]:
    """Return a job that found what it asked for on one node."""
    return [report(), report(phase="epilog", started=START + 3600, changes=[])]


def moved() -> list[model.Report]:
    """Return a job that a first node did not fit, and a second one did."""
    first = report(
        "gpu001",
        verdict="mismatch",
        findings=[*passing(), MISFIT],
        facts=facts("470.82.01"),
        action=model.action_block("requeue", "gpu001 excluded: driver>=550.54"),
    )
    fits = finding("requirement", message="the node has what the job asked for", source="--require")
    later = {"job": {"restart": 1}, "findings": [*passing(), fits]}
    after = report("gpu002", "epilog", started=START + 3800, **later, changes=[LEFT])
    return [first, report("gpu002", started=START + 125, **later), after]


LEFT = {"fact": "shm.free", "before": "1007 GiB", "after": "620 GiB", "blame": "user"}


def unhealthy() -> list[model.Report]:
    """Return a node whose fourth GPU has ECC errors, drained."""
    devices = [gpu(index) for index in range(8)]
    devices[3]["ecc_uncorrected_volatile"] = 2
    broken = [one for one in passing() if one.check != FAULT.check]
    broken += [finding(FAULT.check, subject=f"GPU {index}") for index in range(8) if index != 3]
    broken.append(finding("tmp.space", "warn", "site", message="/tmp is 94 % full", remedy="Clean /tmp at job end"))
    other = facts(gpus=8) | {"gpus": {"count": 8, "devices": devices}}
    return [report("gpu003", verdict="unhealthy", findings=[*broken, FAULT], facts=other, action=DRAINED)]


def sixteen() -> list[model.Report]:
    """Return a job on 16 nodes of which two differ: one by its driver, one by a missing mount and an unread fact."""
    made = []
    for number in range(1, 17):
        values: dict[str, Any] = {}
        if number == 7:
            values = {"facts": facts("535.161.08"), "verdict": "mismatch", "findings": [*passing(), MISFIT]}
            values["action"] = model.action_block("requeue", "gpu007 excluded", enforced=False)
        elif number == 12:
            lost = facts(mounts={"paths": ["/", "/home"]})
            del lost["ib"]
            values = {"facts": lost, "unknown": {"ib": "Timeout"}, "verdict": "unknown"}
            values["findings"] = [*passing(), finding("ib.rate", "unknown", message="ib was not read: Timeout")]
        made.append(report(f"gpu{number:03d}", started=START + number / 10, **values))
    return made


HOSTILE = (
    "<script>alert(1)</script>\x1b[31mred\x1b]0;title\x07 | `rm` **b** "
    "[x](javascript:x) \u202egnp.exe \u05d0\u05d1 {{7*7}}"
)


def hostile() -> list[model.Report]:
    """Return a report in which every text that a user can choose is an attack."""
    long = HOSTILE + "A" * 10_000
    text = finding("requirement", "fail", "job", subject=HOSTILE.replace(":", ""), expected=long, observed=HOSTILE)
    findings = [*passing(), text._replace(message=HOSTILE, remedy=HOSTILE, source=HOSTILE)]
    return [
        report(
            "n1<b>",
            verdict="mismatch",
            findings=findings,
            facts=facts(os={"id": HOSTILE, "version": None, "name": HOSTILE}, extra={HOSTILE: HOSTILE}),
            job={"user": HOSTILE, "partition": long, "constraints": HOSTILE, "nodes": HOSTILE},
            requirement=model.requirement_block(long, [(HOSTILE, HOSTILE, "fail")]),
            action=model.action_block("cancel", HOSTILE),
            timings_ms={HOSTILE: 3.0},
        )
        | {"cluster": HOSTILE}
    ]


def large() -> list[model.Report]:
    """Return 64 nodes and 30 checks, a fault here and there."""
    made = []
    for number in range(1, 65):
        findings = [finding(f"subject{check // 5}.check.number{check}") for check in range(30)]
        values: dict[str, Any] = {}
        if number in (9, 40):
            findings.append(FAULT)
            values = {"verdict": "unhealthy", "action": DRAINED}
        elif number % 13 == 0:
            findings[4] = findings[4]._replace(status="warn", message="a limit is near")
            findings[11] = findings[11]._replace(status="skip")
            values = {"verdict": "degraded"}
        made.append(report(f"gpu{number:03d}", findings=findings, started=START + number / 100, **values))
    return made


SAMPLES = {
    "ready": ready,
    "moved": moved,
    "unhealthy": unhealthy,
    "sixteen": sixteen,
    "hostile": hostile,
    "large": large,
}
