"""What the kernel's log is worth: Xids by catalog and policy, whose they are, and the rest of the log."""

from __future__ import annotations

from typing import Any

import pytest

from preflight.catalog.xids import BY_ACTION, DRAIN, OFF, WARN, Effect, effect
from preflight.checks.events import xid_changes
from preflight.checks.registry import Context, JobGpus, every_check
from preflight.checks.run import run_checks
from preflight.facts.kmsg.history import DEFAULTS, History
from preflight.facts.kmsg.kinds import Reading
from preflight.facts.kmsg.records import Record
from preflight.facts.rootfs import Root
from preflight.facts.view import View
from preflight.policy.model import CheckPolicy, Policy
from preflight.verdict import decide, verdict

BUS = {0: "0000:3b:00", 1: "0000:c1:00"}
LOST = "NVRM: Xid (PCI:0000:c1:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
FAULT = "NVRM: Xid (PCI:0000:c1:00): 31, pid=4242, name=train.py, Ch 00000012"
SXID = "nvidia-nvswitch2: SXid (PCI:0000:06:00.0): {}"
AER = "x 0000:81:00.0: PCIe Bus Error: severity={}, type=x"
DOUBLE = "NVRM: Xid (PCI:0000:c1:00): 48, An uncorrectable double bit error (DBE) has been detected"


def gpu(index: int, **more: Any) -> dict[str, Any]:
    return {"index": index, "uuid": f"GPU-{index}", "bus_id": f"0000{BUS[index].upper()}.0", **more}


def log(*records: str | tuple[str, int], now_s: float = 1000, **more: Any) -> dict[str, Any]:
    """Return the fact of a log in which these texts stand, numbered from 1, all at second 900."""
    history, reading = History(None, "n1", Root("/nowhere", live=False)), Reading()
    for at, one in enumerate(records):
        text, seq = one if isinstance(one, tuple) else (one, at + 1)
        history.take(Record(0, seq, 900_000_000, text), reading)
    values = {"source": "kmsg", "seq": history.seq, "now_s": now_s, "lost": 0, "complete": True}
    return {**values, "events": history.shown(), **more}


def look(
    kernel_log: dict[str, Any] | None,
    phase: str = "health",
    devices: list[dict[str, Any]] | None = None,
    policy: Policy | None = None,
    **more: Any,
) -> list[tuple[str, str, str, str]]:
    """Return (check, status, blame, subject) of what is not well, and of all of a check's where none is."""
    return [
        (one.check, one.status, one.blame, one.subject)
        for one in findings(kernel_log, phase, devices, policy, **more)
        if one.status not in ("pass", "skip")
    ]


def findings(
    kernel_log: dict[str, Any] | None,
    phase: str = "health",
    devices: list[dict[str, Any]] | None = None,
    policy: Policy | None = None,
    **more: Any,
) -> list[Any]:
    facts: dict[str, Any] = {"gpus": {"count": 2, "devices": [gpu(0), gpu(1)] if devices is None else devices}}
    unknown = {}
    if kernel_log is None:
        unknown["kernel_log"] = "cannot read /dev/kmsg: Operation not permitted"
    else:
        facts["kernel_log"] = kernel_log
    view = View(facts, unknown)
    context = Context(phase, view, view, policy or Policy(), **more)
    ours = {name for name, check in every_check().items() if "kernel_log" in check.reads}
    return [one for one in run_checks(context) if one.check in ours]


JOB = JobGpus(positions=(1,), job=42)
BEFORE = {"kernel_log": {"seq": 10}}

# --- worth


def test_each_xid_of_the_catalog_has_its_worth() -> None:
    drains = {code for code in range(1, 177) if effect(code, "fatal", 1).action == DRAIN}
    assert {48, 62, 64, 74, 79, 95, 110, 119, 120, 136, 140, 143, 144, 149, 154, 158, 171, 172} <= drains
    user = {code for code in range(1, 177) if effect(code).user}
    assert {8, 11, 13, 25, 31, 32, 43, 45, 68, 69, 80} <= user
    assert not user & drains
    for code in (63, 92, 94, 145, 160, 999, None):
        assert effect(code) == Effect(WARN)
    assert effect(106) == Effect(OFF)


def test_no_xid_that_a_program_can_cause_drains_by_default() -> None:
    from preflight.catalog.xids import xid

    for code in range(1, 177):
        row = xid(code)
        if row is not None and row.application:
            assert effect(code).action != DRAIN, code


@pytest.mark.parametrize(("level", "action"), [*BY_ACTION.items(), (None, WARN), (99, WARN)])
def test_the_recovery_action_decides_by_its_number(level: int | None, action: str) -> None:
    assert effect(154, level=level).action == action


@pytest.mark.parametrize(("severity", "action"), [("fatal", DRAIN), ("nonfatal", WARN), ("", WARN)])
def test_nvlink5_decides_by_its_state(severity: str, action: str) -> None:
    assert effect(149, severity).action == action


# --- Xids on a node


@pytest.mark.parametrize("phase", ["prolog", "epilog", "health"])
def test_an_xid_of_hardware_drains_for_its_gpu(phase: str) -> None:
    job = None if phase == "health" else JOB
    assert look(log(LOST), phase, gpus=job, before=BEFORE) == [("gpu.xid", "fail", "node", "gpu1")]
    found = findings(log(LOST), phase, gpus=job)
    assert decide(phase, found, Policy()).kind == "drain"
    reason = decide(phase, found, Policy()).detail
    assert reason.startswith("preflight:gpu.xid:gpu1: Xid 79 (GPU fallen off the bus) on gpu1 (0000 c1 00)".replace(
        "0000 c1 00", "0000:c1:00"))  # fmt: skip


def test_another_jobs_gpu_is_a_warning_in_the_prolog() -> None:
    assert look(log(LOST), "prolog", gpus=JobGpus(positions=(0,), job=42)) == [("gpu.xid", "warn", "node", "gpu1")]


def test_a_gpu_that_is_not_there_any_more_is_named_by_its_address() -> None:
    found = look(log(LOST), devices=[gpu(0)])
    assert found == [("gpu.xid", "fail", "node", "pci 0000.c1.00")]
    assert look(log(LOST), "prolog", [gpu(0)], gpus=JobGpus(positions=(0,), job=1))[0][1] == "warn"
    assert look(log(LOST), devices=[gpu(0), {"index": 1, "error": "GpuIsLost"}])[0][3] == "gpu1"


def test_the_first_of_several_is_the_cause() -> None:
    found = findings(log(DOUBLE, LOST, FAULT, LOST))
    first = next(one for one in found if one.status == "fail")
    assert first.observed == "48, 79"
    assert first.message.startswith("Xid 48 (uncorrectable (double-bit) ECC error) on gpu1 (0000:c1:00), 100 s ago")
    assert "then 79" in first.message
    assert first.remedy.startswith("drain, reset GPU")


@pytest.mark.parametrize("state", ["stale", "cleared", "handled"])
def test_what_is_past_drains_nobody(state: str) -> None:
    fact = log(LOST, DOUBLE)
    for one in fact["events"]:
        one["state"] = state
    assert look(fact) == []
    assert verdict(findings(fact)) == "ready"


def test_applications_xids_are_nobodys_fault_on_the_node() -> None:
    texts = [f"NVRM: Xid (PCI:0000:c1:00): {code}, pid=1, name=x, y" for code in (13, 31, 43, 45, 69)]
    for phase in ("prolog", "health"):
        assert look(log(*texts), phase, gpus=JOB if phase == "prolog" else None) == []


def test_a_doubtful_xid_is_a_warning_for_a_day() -> None:
    text = "NVRM: Xid (PCI:0000:c1:00): 63, Row Remapper: New row marked for remapping"
    assert look(log(text)) == [("gpu.xid", "warn", "node", "gpu1")]
    assert look(log(text), "prolog", gpus=JOB) == []
    assert look(log(text, now_s=90_000)) == []
    assert look(log(LOST, now_s=90_000_000)) != []  # one that drains stays until it is cleared


def test_a_site_has_its_own_mind() -> None:
    assert look(log(LOST), policy=Policy(xids={"79": "warn"})) == [("gpu.xid", "warn", "node", "gpu1")]
    assert look(log(LOST), policy=Policy(xids={"79": "off"})) == []
    assert look(log(FAULT), policy=Policy(xids={"31": "drain"})) == [("gpu.xid", "fail", "node", "gpu1")]
    assert look(log(LOST), policy=Policy(checks={"gpu.xid": CheckPolicy("warn")}))[0][1] == "warn"


# --- a job's Xids


def test_a_jobs_own_xid_is_its_users() -> None:
    found = look(log((FAULT, 11)), "epilog", gpus=JOB, before=BEFORE)
    assert found == [("gpu.xid.application", "warn", "user", "gpu1")]
    view = View({"kernel_log": log((FAULT, 11)), "gpus": {"devices": [gpu(0), gpu(1)]}}, {})
    assert xid_changes(view, BEFORE, JOB, None, Policy()) == [
        {"fact": "gpu1.xid", "before": None, "after": "31 (GPU memory page fault (MMU))", "blame": "user"}
    ]


@pytest.mark.parametrize(
    ("more", "seq"),
    [
        ({"before": BEFORE, "gpus": JOB}, 10),  # before the job began
        ({"before": BEFORE, "gpus": JobGpus(positions=(0,), job=42)}, 11),  # another GPU
        ({"before": None, "gpus": JOB}, 11),  # no prolog
        ({"before": {}, "gpus": JOB, "ran_s": 50.0}, 11),
        ({"before": BEFORE, "gpus": JobGpus(job=42)}, 11),
    ],
)
def test_what_is_not_the_jobs(more: dict[str, Any], seq: int) -> None:
    assert look(log((FAULT, seq)), "epilog", **more) == []


def test_without_the_prologs_number_the_time_says_it() -> None:
    assert look(log((FAULT, 11)), "epilog", gpus=JOB, before={}, ran_s=200.0) != []


def test_a_process_of_another_job_is_not_this_jobs() -> None:
    fact = log((FAULT, 11))
    fact["events"][0]["job"] = 43
    assert look(fact, "epilog", gpus=JOB, before=BEFORE) == []
    fact["events"][0]["job"] = 42
    assert look(fact, "epilog", gpus=JobGpus(positions=(0,), job=42), before=BEFORE) != []


def test_on_a_shared_gpu_nobody_is_blamed() -> None:
    found = look(log((FAULT, 11)), "epilog", gpus=JOB._replace(shared=True), before=BEFORE)
    assert found == [("gpu.xid.application", "unknown", "site", "gpu1")]


def test_of_mig_devices_the_jobs_own_counts() -> None:
    text = "NVRM: Xid (PCI:0000:c1:00 GPU-I:05): 43, pid=1, name=x, Ch 1"
    devices = [gpu(0), gpu(1, mig=True, mig_devices=[{"index": 0, "gi": 5, "ci": 0}, {"index": 1, "gi": 6, "ci": 0}])]
    for place, told in ((0, 1), (1, 0)):
        job = JobGpus(slices=((1, place),), job=42)
        assert len(look(log((text, 11)), "epilog", devices, gpus=job, before=BEFORE)) == told


def test_an_xid_without_an_address_is_the_jobs_that_has_all_gpus() -> None:
    text = "NVRM: Xid 31, pid=1, name=x, y"
    assert look(log((text, 11)), "epilog", gpus=JOB, before=BEFORE) == []
    assert look(log((text, 11)), "epilog", gpus=JobGpus(positions=(0, 1), job=42), before=BEFORE) != []


def test_an_xid_of_hardware_in_a_jobs_time_is_the_nodes() -> None:
    view = View({"kernel_log": log((LOST, 11)), "gpus": {"devices": [gpu(0), gpu(1)]}}, {})
    assert [one["blame"] for one in xid_changes(view, BEFORE, JOB, None, Policy())] == ["node"]
    assert look(log((LOST, 11)), "epilog", gpus=JOB, before=BEFORE) == [("gpu.xid", "fail", "node", "gpu1")]


def test_an_applications_xid_that_repeats_on_one_gpu_alone() -> None:
    fact = log(*[FAULT.replace("4242", str(pid)) for pid in (1, 2, 3)])
    for at, one in enumerate(fact["events"]):
        one["job"] = 50 + at
    assert look(fact) == [("gpu.xid.repeated", "warn", "node", "gpu1")]
    fact["events"][2]["job"] = 50
    assert look(fact) == []
    fact["events"][2].update(job=52, bus=BUS[0])
    assert look(fact) == []


# --- the rest


@pytest.mark.parametrize(
    ("text", "check", "status", "blame", "subject"),
    [
        (SXID.format("20034, Fatal, Link 48"), "nvswitch.sxid", "fail", "node", "nvswitch2"),
        (SXID.format("12028, Non-fatal, x"), "nvswitch.sxid", "warn", "node", "nvswitch2"),
        ("NVRM: GPU 0000:c1:00.0: GPU has fallen off the bus.", "gpu.bus", "fail", "node", "gpu1"),
        ("NVRM: _kgspRpcRecvPoll: GSP RPC timeout", "gpu.gsp.timeout", "warn", "node", "node"),
        ("NVRM: GPU 0000:c1:00.0: RmInitAdapter failed! (0x1)", "gpu.init", "warn", "node", "gpu1"),
        ("NVRM: knvlinkTrainLinks: link 3 failed to train", "gpu.nvlink.log", "warn", "node", "node"),
        ("EDAC MC0: 1 UE memory read error on x", "memory.uncorrected", "fail", "node", "MC0"),
        ("EDAC MC0: 101 CE memory read error on x", "memory.corrected", "warn", "node", "MC0"),
        ("mce: [Hardware Error]: CPU 1: Machine Check Exception: 5", "cpu.machine_check", "warn", "node", "node"),
        ("nvidia 0000:c1:00.0: PCIe Bus Error: severity=Uncorrected (Fatal), x", "pcie.fatal", "warn", "node", "gpu1"),
        (AER.format("Uncorrected (Non-Fatal)"), "pcie.uncorrected", "warn", "node", "pci 0000.81.00"),
        ("I/O error, dev sda, sector 1", "disk.errors", "warn", "node", "sda"),
        ("XFS (dm-0): Internal error x", "file_system.errors", "warn", "node", "dm-0"),
        ("INFO: task python:4242 blocked for more than 120 seconds.", "kernel.hung_task", "warn", "node", "node"),
        ("watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [x:1]", "kernel.lockup", "warn", "node", "CPU3"),
        ("BUG: unable to handle page fault for address: 1", "kernel.oops", "warn", "node", "node"),
        ("Out of memory: Killed process 812 (python) x", "oom.system", "warn", "user", "node"),
    ],
)  # fmt: skip
def test_the_rest_of_the_log(text: str, check: str, status: str, blame: str, subject: str) -> None:
    assert look(log(text)) == [(check, status, blame, subject)]


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("EDAC MC0: 1 CE memory read error on x", 100),
        ("mce: [Hardware Error]: Machine check events logged", 100),
        (AER.format("Corrected"), 100),
        ("CPU3: Core temperature above threshold, cpu clock throttled", 10),
        ("LustreError: 11-0: x", 20),
    ],
)
def test_a_few_of_what_happens_are_no_warning(text: str, limit: int) -> None:
    assert look(log(*[text] * limit)) == []
    assert len(look(log(*[text] * (limit + 1)))) == 1
    assert look(log(*[text] * (limit + 1), now_s=90_000)) == []


def test_a_jobs_own_oom_kill_and_crash() -> None:
    kill = (
        "oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/system.slice/slurmstepd.scope/job_42,"
        "task_memcg=/system.slice/slurmstepd.scope/job_42/step_0,task=python,pid=812,uid=1000"
    )
    assert look(log((kill, 11)), "epilog", gpus=JobGpus(job=42), before={}, ran_s=500.0)[0][0] == "oom.job"
    assert look(log((kill, 11)), "epilog", gpus=JobGpus(job=43), before=BEFORE) == []
    assert look(log(kill)) == []  # a job's own limit is not the node's
    crash = "python[4242]: segfault at 0 ip 1 sp 2 error 4 in libnccl.so.2.18.5[1+1]"
    assert look(log((crash, 11)), "epilog", gpus=JobGpus(positions=(0, 1), job=42), before=BEFORE)[0][:3] == (
        "nccl.segfault", "warn", "user",
    )  # fmt: skip


def test_a_log_that_cannot_be_read_is_said_once() -> None:
    assert look(None) == [("kernel.log", "unknown", "site", "node")]
    assert look(None, "prolog", gpus=JOB) == []
    assert look({**log(), "source": "none"}) == []


def test_lost_and_unread_records_are_said() -> None:
    assert look(log(lost=7)) == [("kernel.log", "warn", "site", "node")]
    assert look(log(complete=False)) == [("kernel.log", "warn", "site", "node")]


def test_a_sound_log_is_ready() -> None:
    for phase in ("prolog", "epilog", "health"):
        found = findings(log("usb 1-1: new device"), phase, gpus=JOB if phase != "health" else None, before=BEFORE)
        assert {one.status for one in found} == {"pass"}


def test_the_shape_of_an_event_is_the_declared_one() -> None:
    from preflight.facts.schema import check_facts

    check_facts({"kernel_log": log(LOST, FAULT, "usb")})
    assert set(log(LOST)["events"][0]) == set(DEFAULTS)
