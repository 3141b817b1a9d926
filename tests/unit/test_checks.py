"""Each check over hand-written facts: what it says of healthy, faulty, refusing and absent things."""

from __future__ import annotations

import re
from typing import Any

import pytest

from preflight.checks.finding import BLAMES, STATUSES, Finding, passed
from preflight.checks.registry import (
    PHASES,
    REGISTRY,
    Context,
    Expected,
    JobGpus,
    SourcedRequirement,
    check,
    every_check,
)
from preflight.checks.run import run_checks
from preflight.facts.view import View
from preflight.policy.model import CheckPolicy, Policy
from preflight.requirements.grammar import parse
from preflight.verdict import verdict

H100 = {
    "minor": 0,
    "name": "NVIDIA H100 80GB HBM3",
    "uuid": "GPU-0",
    "bus_id": "00000000:3B:00.0",
    "memory": 85520809984,
    "compute_capability": "9.0",
    "ecc": True,
    "ecc_uncorrected_volatile": 0,
    "ecc_uncorrected_aggregate": 0,
    "remap_correctable": 0,
    "remap_uncorrectable": 0,
    "remap_pending": False,
    "remap_failure": False,
    "recovery_action": 0,
    "mig": False,
    "processes": [],
}


def gpu(index: int, without: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    values = {**H100, "index": index, "minor": index, "uuid": f"GPU-{index}", **more}
    return {key: value for key, value in values.items() if key not in without}


def lost(index: int, error: str = "GpuIsLost") -> dict[str, Any]:
    return {"index": index, "error": error}


DRIVER = {"version": "550.54.15", "cuda": "12.4", "module": "550.54.15", "nvml": "ok"}
HOST = {
    "os": {"id": "ubuntu", "version": "22.04", "like": ["debian"]},
    "kernel": {"release": "5.15.0"},
    "memory": {"total": 64 << 30, "available": 60 << 30},
    "tmp": {"path": "/tmp", "size": 10 << 30, "free": 9 << 30},
}


def node(*devices: dict[str, Any], unknown: dict[str, str] | None = None, **subjects: Any) -> View:
    gpus = {"count": len(devices), "devices": list(devices), "stuck_at": None}
    facts = {**HOST, "driver": DRIVER, "gpus": gpus, **subjects}
    return View({name: values for name, values in facts.items() if values is not None}, unknown or {})


def findings(view: View, phase: str = "health", policy: Policy = Policy(), **more: Any) -> list[Finding]:  # noqa: B008
    context = Context(phase, view, more.pop("job", view), policy, **more)
    found = run_checks(context)
    for one in found:
        assert one.status in STATUSES
        assert one.blame in BLAMES
        assert ":" not in one.subject
        assert one.duration_ms is not None
        assert (one.remedy is not None) >= (one.status == "fail"), one
    return found


def of(found: list[Finding], name: str) -> dict[str, str]:
    return {one.subject: one.status for one in found if one.check == name}


def bad(found: list[Finding]) -> list[tuple[str, str, str]]:
    """Return what is not well, but for what the catalog says of the age of drivers and systems."""
    kept = [one for one in found if one.check not in ("driver.security", "driver.eol", "os.eol")]
    return [(one.check, one.subject, one.status) for one in kept if one.status not in ("pass", "skip")]


@pytest.mark.parametrize("phase", PHASES)
def test_a_healthy_node_has_nothing_but_passes(phase: str) -> None:
    assert bad(findings(node(gpu(0), gpu(1)), phase)) == []


def test_every_check_says_what_it_is_about() -> None:
    for name, one in every_check().items():
        assert name == one.name
        assert one.help
        assert one.help.endswith(".")
        assert one.remedy
        assert set(one.phases) <= set(PHASES)
        assert one.action in ("drain", "warn", "off", "move")
        assert (one.limit is None) == (one.unit == "")
    assert REGISTRY["gpu.ecc.uncorrected"].action == "drain"
    assert REGISTRY["gpu.ecc.uncorrected"].limit == 0


@pytest.mark.parametrize(
    ("fact", "value", "name", "status"),
    [
        ("ecc_uncorrected_volatile", 1, "gpu.ecc.uncorrected", "fail"),
        ("remap_failure", True, "gpu.remap.failure", "fail"),
        ("remap_pending", True, "gpu.remap.pending", "warn"),
        ("recovery_action", 1, "gpu.recovery", "fail"),
        ("recovery_action", 2, "gpu.recovery", "fail"),
        ("recovery_action", 3, "gpu.recovery", "warn"),
        ("recovery_action", 99, "gpu.recovery", "fail"),
    ],
)
def test_a_fault_of_one_gpu_is_found_on_that_gpu(fact: str, value: Any, name: str, status: str) -> None:
    found = findings(node(gpu(0), gpu(3, **{fact: value}), gpu(4)))
    assert bad(found) == [(name, "gpu3", status)]
    one = next(one for one in found if one.check == name and one.subject == "gpu3")
    assert "00000000:3B:00.0" in one.message
    assert one.blame == "node"
    assert one.remedy


def test_not_supported_is_a_skip_and_function_not_found_unknown() -> None:
    asked = ("ecc_uncorrected_volatile",)
    refused = gpu(0, without=asked, errors={asked[0]: "NotSupported"})
    missing = gpu(1, without=asked, errors={asked[0]: "FunctionNotFound"})
    found = findings(node(refused, missing))
    assert of(found, "gpu.ecc.uncorrected") == {"gpu0": "skip", "gpu1": "unknown"}
    assert not any("N/A" in str(value) for one in found for value in one)


@pytest.mark.parametrize(
    ("device", "name"),
    [
        (lost(1), "gpu.responds"),
        (lost(1, "Timeout"), "gpu.responds"),
        (lost(1, "ResetRequired"), "gpu.reset"),
        (gpu(1, error="GpuIsLost"), "gpu.responds"),
        (gpu(1, error="ResetRequired"), "gpu.reset"),
        (gpu(1, errors={"processes": "GpuIsLost"}), "gpu.responds"),
        (gpu(1, errors={"processes": "ResetRequired"}), "gpu.reset"),
    ],
)
def test_a_gpu_that_is_lost_or_needs_a_reset_fails_once(device: dict[str, Any], name: str) -> None:
    assert bad(findings(node(gpu(0), device))) == [(name, "gpu1", "fail")]


@pytest.mark.parametrize("error", ["NotRead", "ProbeDied"])
def test_a_gpu_that_nobody_asked_is_no_fault(error: str) -> None:
    assert bad(findings(node(gpu(0), lost(1, error)))) == [("gpu.responds", "gpu1", "unknown")]


@pytest.mark.parametrize(
    ("driver", "name", "subject"),
    [
        ({**DRIVER, "nvml": "LibRmVersionMismatch", "version": None}, "driver.match", "driver"),
        ({**DRIVER, "module": "535.1"}, "driver.match", "driver"),
        ({**DRIVER, "nvml": "Timeout"}, "driver.responds", "driver"),
        ({**DRIVER, "nvml": "Unknown"}, "driver.loaded", "driver"),
        ({**DRIVER, "nvml": "DriverNotLoaded", "module": None}, "driver.loaded", "driver"),
        ({**DRIVER, "nvml": "LibraryNotFound"}, "driver.loaded", "driver"),
    ],
)
def test_a_driver_that_is_not_well_fails(driver: dict[str, Any], name: str, subject: str) -> None:
    view = node(unknown={"gpus": f"NVML: {driver['nvml']}"}, driver=driver, gpus=None)
    fails = [(one.check, one.subject) for one in findings(view, expected=Expected(1)) if one.status == "fail"]
    assert fails == [(name, subject)]


def test_a_node_without_gpus_needs_no_driver() -> None:
    absent = {"version": None, "cuda": None, "module": None, "nvml": "LibraryNotFound"}
    found = findings(node(driver=absent))
    assert bad(found) == []
    assert of(found, "driver.loaded") == {"driver": "skip"}


def test_a_driver_that_could_not_be_asked_is_unknown() -> None:
    why = {"driver.nvml": "the probe died", "driver.version": "the probe died", "gpus": "the probe died"}
    found = findings(node(unknown=why, driver={"module": "550.54.15"}, gpus=None))
    assert of(found, "driver.loaded") == {"driver": "unknown"}
    assert "fail" not in {one.status for one in found}


def test_the_call_that_hung_is_named() -> None:
    why = {"gpus": "nvmlInitWithFlags did not return", "driver.version": "x"}
    found = findings(node(unknown=why, driver={"nvml": "Timeout", "module": "550.54.15"}, gpus=None))
    (hung,) = [one for one in found if one.check == "driver.responds"]
    assert "nvmlInitWithFlags" in hung.message


def test_a_gpu_that_slurm_configures_and_nobody_sees_is_missing() -> None:
    found = findings(node(gpu(0)), expected=Expected(2, ("/dev/nvidia1",)))
    assert bad(found) == [("gpu.present", "/dev/nvidia1", "fail")]
    assert bad(findings(node(gpu(0), gpu(1)), expected=Expected(2))) == []
    job = findings(node(gpu(0)), "prolog", gpus=JobGpus((0,), ("/dev/nvidia3",)))
    assert bad(job) == [("gpu.present", "/dev/nvidia3", "fail")]
    by_hand = findings(node(gpu(0)), "prolog", gpus=JobGpus((0,), ("gpu9",)))
    assert bad(by_hand) == [("gpu.present", "gpu9", "fail")]


def test_gpus_that_could_not_be_counted_are_unknown_where_they_matter() -> None:
    view = node(unknown={"gpus": "did not answer"}, gpus=None, driver=DRIVER)
    assert of(findings(view), "gpu.present") == {"node": "unknown"}
    assert of(findings(view, "prolog", gpus=JobGpus((0,))), "gpu.present") == {"node": "unknown"}
    assert of(findings(view, "prolog", gpus=JobGpus()), "gpu.present") == {}


def test_an_ambiguous_gpu_number_is_unknown_and_nothing_fails() -> None:
    view = node(gpu(0, ecc_uncorrected_volatile=9))
    found = findings(view, "prolog", gpus=JobGpus(problem="gres.conf uses MultipleFiles="))
    assert ("gpu.present", "job", "unknown") in bad(found)
    assert ("gpu.ecc.uncorrected", "gpu0", "warn") in bad(found)
    assert "fail" not in {one.status for one in found}


def test_a_gpu_of_somebody_else_is_a_warning_in_a_jobs_prolog_only() -> None:
    view = node(gpu(0), gpu(1, ecc_uncorrected_volatile=2), lost(2))
    theirs = [("gpu.responds", "gpu2", "warn"), ("gpu.ecc.uncorrected", "gpu1", "warn")]
    found = findings(view, "prolog", gpus=JobGpus((0,)))
    assert sorted(bad(found)) == sorted(theirs)
    assert all("not a GPU of this job" in one.message for one in found if one.status == "warn")
    assert sorted(bad(findings(view, "health"))) == sorted((name, at, "fail") for name, at, _ in theirs)
    assert ("gpu.ecc.uncorrected", "gpu1", "fail") in bad(findings(view, "prolog", gpus=JobGpus((1,))))


def test_positions_are_not_indexes() -> None:
    view = node(gpu(4), gpu(6, ecc_uncorrected_volatile=2))
    assert bad(findings(view, "prolog", gpus=JobGpus((1,)))) == [("gpu.ecc.uncorrected", "gpu6", "fail")]
    assert bad(findings(view, "prolog", gpus=JobGpus((0,)))) == [("gpu.ecc.uncorrected", "gpu6", "warn")]


def said(action: str = "", limit: float | None = None, mode: str = "") -> Policy:
    return Policy(checks={"gpu.ecc.uncorrected": CheckPolicy(action, limit, mode)})


def test_what_policy_says_of_one_check() -> None:
    view = node(gpu(0, ecc_uncorrected_volatile=3))
    name = "gpu.ecc.uncorrected"
    assert of(findings(view, policy=said()), name) == {"gpu0": "fail"}
    assert of(findings(view, policy=said("warn")), name) == {"gpu0": "warn"}
    assert of(findings(view, policy=said("off")), name) == {}
    assert of(findings(view, policy=said(mode="observe")), name) == {"gpu0": "fail"}
    assert of(findings(view, policy=said(limit=3)), name) == {"gpu0": "pass"}
    assert of(findings(view, policy=said(limit=2)), name) == {"gpu0": "fail"}
    assert of(findings(view, policy=said("drain")), name) == {"gpu0": "fail"}


def test_a_check_that_only_warns_can_be_made_to_drain() -> None:
    policy = Policy(checks={"gpu.remap.pending": CheckPolicy("drain")})
    assert bad(findings(node(gpu(0, remap_pending=True)), policy=policy)) == [("gpu.remap.pending", "gpu0", "fail")]


def test_what_was_not_read_is_skipped() -> None:
    found = findings(node(driver=None, gpus=None), "prolog", gpus=JobGpus())
    assert bad(found) == []
    assert of(found, "gpu.ecc.uncorrected") == {"node": "skip"}


def test_little_memory_and_space_warn() -> None:
    little = {"memory": {"total": 1 << 30, "available": 255 << 20}, "tmp": {"path": "/tmp", "size": 1, "free": 0}}
    assert bad(findings(node(gpu(0), **little))) == [
        ("node.memory", "memory", "warn"),
        ("node.tmp", "/tmp", "warn"),
    ]
    none = findings(node(gpu(0), tmp={"path": "/tmp", "size": 0, "free": None}))
    assert of(none, "node.tmp") == {"/tmp": "skip"}
    untold = findings(node(gpu(0), unknown={"tmp": "live sources are off"}))
    assert of(untold, "node.tmp") == {"/tmp": "unknown"}


@pytest.mark.parametrize("phase", ["prolog", "health"])
@pytest.mark.parametrize("text", ["shm>=16G", "tmp>=1T", "!tmp<1T", "gpu=a100|shm>=16G", "kernel>=5, shm>=16G"])
def test_what_users_can_use_up_drains_no_node(text: str, phase: str) -> None:
    view = node(gpu(0), shm={"path": "/dev/shm", "size": 8 << 30, "free": 0})
    found = findings(view, phase, asked=(asked(text, "policy"),))
    failed = [one for one in found if one.status == "fail"]
    assert [(one.check, one.blame) for one in failed] == [("expectation", "user")]
    assert "drains no node" in (failed[0].remedy or "")
    assert verdict(found) == "degraded"
    jobs = findings(view, "prolog", asked=(asked("shm>=16G", "--require"),))
    assert verdict(jobs) == "mismatch"  # a job that asks for room is moved to where there is some


def test_a_lack_of_memory_or_space_never_drains_whatever_the_policy_says() -> None:
    little = {"memory": {"total": 1 << 30, "available": 0}, "tmp": {"path": "/tmp", "size": 1, "free": 0}}
    policy = Policy(checks={"node.memory": CheckPolicy("drain"), "node.tmp": CheckPolicy("drain")})
    found = findings(node(gpu(0), **little), policy=policy)
    assert [(one.check, one.blame) for one in found if one.status == "fail"] == [
        ("node.memory", "user"),
        ("node.tmp", "user"),
    ]
    assert verdict(found) == "degraded"


def asked(text: str, source: str) -> SourcedRequirement:
    return SourcedRequirement(parse(text), source)


def test_blame_follows_the_source_of_a_clause() -> None:
    view = node(gpu(0))
    every = (asked("kernel>=6", "--require"), asked("cpus>=4", "comment"), asked("kernel>=7", "policy"))
    found = [one for one in findings(view, "prolog", asked=every) if one.check in ("requirement", "expectation")]
    assert sorted((one.check, one.status, one.blame, one.source) for one in found) == [
        ("expectation", "fail", "node", "policy"),
        ("requirement", "fail", "job", "--require"),
        ("requirement", "unknown", "job", "comment"),
    ]


def test_a_job_clause_is_judged_on_the_jobs_gpus_an_expectation_on_the_node() -> None:
    other = gpu(1, name="NVIDIA A100-SXM4-80GB", compute_capability="8.0")
    view = node(gpu(0), other)
    every = (asked("gpu=h100", "--require"), asked("gpu=h100", "policy"), asked("gpu.count=2", "policy"))
    found = findings(view, "prolog", asked=every, job=view._replace(gpus=(0,)), gpus=JobGpus((0,)))
    assert of(found, "requirement") == {"gpu=h100": "pass"}
    assert of(found, "expectation") == {"gpu=h100": "fail", "gpu.count=2": "pass"}


@pytest.mark.parametrize("phase", ["epilog", "health"])
def test_expectations_hold_in_every_phase_and_requirements_in_the_prolog(phase: str) -> None:
    every = (asked("kernel>=6", "--require"), asked("kernel>=7", "policy"))
    found = findings(node(gpu(0)), phase, asked=every)
    assert of(found, "requirement") == {}
    assert of(found, "expectation") == {"kernel>=7": "fail"}


def test_the_policy_decides_about_minor_versions_of_cuda() -> None:
    from preflight.policy.model import CudaPolicy

    got = {}
    for how in ("accept", "warn", "reject"):
        policy = Policy(cuda=CudaPolicy(how))
        found = findings(node(gpu(0)), "prolog", policy, asked=(asked("cuda>=12.6", "--require"),))
        got[how] = of(found, "requirement")["cuda>=12.6"]
    assert got == {"accept": "pass", "warn": "warn", "reject": "fail"}


def test_a_requirement_that_cannot_be_read_is_unknown_and_the_jobs() -> None:
    broken = (("cuda:>>4", "comment", "what is that"),)
    found = findings(node(gpu(0)), "prolog", broken=broken)
    (one,) = [one for one in found if one.check == "requirement"]
    assert (one.status, one.blame, one.source) == ("unknown", "job", "comment")
    assert "what is that" in one.message


@pytest.mark.parametrize("end", ["\n", "\r", "\v", "\x1c", "\x85", "\u2028", "\u2029"])
def test_what_a_user_wrote_begins_no_line_in_a_subject(end: str) -> None:
    forged = f"cuda>={end}fail gpu.ecc.uncorrected gpu0"
    found = findings(node(gpu(0)), "prolog", broken=((forged, "comment", "what is that"),))
    (one,) = [one for one in found if one.check == "requirement"]
    assert one.subject.isprintable()
    assert one.subject.startswith("cuda>=\\")
    assert one.subject.endswith("fail gpu.ecc.uncorrected gpu0")


def test_a_policy_with_a_problem_is_the_sites_fault() -> None:
    found = findings(node(gpu(0)), policy=Policy(problem="p.toml:2: mode: wrong", path="p.toml"))
    (one,) = [one for one in found if one.check == "policy"]
    assert (one.status, one.blame, one.message) == ("fail", "site", "p.toml:2: mode: wrong")


def test_a_bug_in_a_check_is_unknown_and_loses_no_other_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    every_check()
    monkeypatch.setattr("preflight.checks.registry.REGISTRY", dict(REGISTRY))

    @check("a.broken", reads=(), remedy="none")
    def broken(context: Context, limit: float | None) -> Any:
        """Always fails."""
        yield passed("y")
        raise ZeroDivisionError("one\ntwo")

    try:
        found = findings(node(gpu(0)))
    finally:
        REGISTRY.pop("a.broken", None)
    assert bad(found) == [("checker", "a.broken", "unknown")]
    (one,) = [one for one in found if one.check == "checker"]
    assert re.search("a.broken.*ZeroDivisionError", one.message)
    assert of(found, "gpu.responds") == {"gpu0": "pass"}


def test_the_gpu_of_the_jobs_mig_device_is_judged_as_the_jobs_own() -> None:
    devices = [{"index": at, "profile": profile} for at, profile in enumerate(("3g.40gb", "1g.10gb"))]
    view = node(gpu(3, mig=True, mig_devices=devices, ecc_uncorrected_volatile=2), gpu(4, ecc_uncorrected_volatile=1))
    found = findings(view, "prolog", gpus=JobGpus((), slices=((0, 0),)))
    told = {one.subject: (one.status, one.message) for one in found if one.check == "gpu.ecc.uncorrected"}
    assert told == {
        "gpu3": ("fail", "GPU 3 MIG 3g.40gb: 2 uncorrected ECC errors (00000000:3B:00.0)"),
        "gpu4": ("warn", "1 uncorrected ECC errors (00000000:3B:00.0); not a GPU of this job"),
    }
    whole = findings(view, "health")
    assert [one.message for one in whole if one.subject == "gpu3" and one.status == "fail"] == [
        "2 uncorrected ECC errors (00000000:3B:00.0)"
    ]
