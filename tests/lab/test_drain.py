"""Draining and resuming on a real Slurm: only what is ours, never an admin's, never more than the policy lets us."""

import threading
import time
from pathlib import Path

import pytest

from lab.cluster import SICK, Cluster
from nvml import sim

pytestmark = pytest.mark.lab
NODE = "ubuntu2"
ECC = "preflight:gpu.ecc.uncorrected:gpu0:"


def _sicken(cluster: Cluster, *nodes: str) -> None:
    for node in nodes or (NODE,):
        cluster.set_gpus(node, sim.example("h100x2"), SICK)


def _cure(cluster: Cluster, *nodes: str) -> None:
    for node in nodes or (NODE,):
        cluster.set_gpus(node, sim.example("h100x2"))


def _update(cluster: Cluster, *values: str, node: str = NODE) -> None:
    cluster.lab.check_run(["scontrol", "update", f"NodeName={node}", *values])


def _drained(cluster: Cluster, node: str = NODE) -> bool:
    return "DRAIN" in cluster.lab.node_state(node)


def _stamp(cluster: Cluster, node: str = NODE) -> str:
    return cluster.lab.check_run(["sinfo", "-h", "-N", "-n", node, "-O", "User:64,Timestamp:64,Reason:256"])


def _back(cluster: Cluster) -> None:
    """Slurm asks a resumed node first whether it answers."""
    cluster.lab.wait_until(lambda: cluster.lab.node_state(NODE) == "IDLE", 20, "the node to be back")


def _drain_by_health(cluster: Cluster) -> None:
    _sicken(cluster)
    report = cluster.health_report(NODE)
    assert report["action"]["kind"] == "drain"
    assert (cluster.lab.node_reason(NODE) or "").startswith(ECC)


def test_from_a_jobs_prolog_to_the_resume_by_the_health_check(cluster: Cluster) -> None:
    """slurmctld hears of the failed prolog after our drain: reason, user and time must stay exactly ours."""
    _sicken(cluster)
    lab = cluster.lab
    job = lab.sbatch("true", "--gpus=2", "-w", NODE)
    assert cluster.wait_report(job)["action"]["kind"] == "drain"
    ours = _stamp(cluster)
    assert ECC in ours
    lab.wait_until(lambda: lab.job_state(job) == "PENDING", 20, "the job to be requeued")
    lab.wait_until(lambda: lab.node_state(NODE) == "IDLE+DRAIN", 20, "the node to be empty")
    assert _stamp(cluster) == ours
    assert cluster.health_report(NODE)["action"]["kind"] == "none"  # still sick, and drained already
    assert _stamp(cluster) == ours
    _cure(cluster)
    report = cluster.health_report(NODE)
    assert (report["action"]["kind"], report["action"]["enforced"]) == ("resume", True)
    _back(cluster)
    lab.check_run(["scontrol", "release", job])
    assert lab.wait_job(job, ("COMPLETED", "FAILED"))["nodes"] == NODE


def test_the_epilog_drains_for_what_the_job_broke(cluster: Cluster) -> None:
    lab = cluster.lab
    job = lab.sbatch("sleep 3", "--gpus=2", "-w", NODE)
    assert cluster.wait_report(job)["verdict"] == "ready"
    _sicken(cluster)
    report = cluster.wait_report(job, phase="epilog")
    assert (report["verdict"], report["action"]["kind"]) == ("unhealthy", "drain")
    assert lab.wait_job(job, ("COMPLETED", "FAILED"))["state"] == "COMPLETED"
    assert (lab.node_reason(NODE) or "").startswith(ECC)


@pytest.mark.parametrize("state", ["DRAIN", "DOWN"])
def test_an_admins_reason_stays_and_the_node_is_not_resumed(cluster: Cluster, state: str) -> None:
    _sicken(cluster)
    for _ in range(3):
        _update(cluster, f"State={state}", "Reason=fan 3 is broken, ticket 17")
        admins = _stamp(cluster)
        report = cluster.health_report(NODE)
        now = cluster.lab.node_state(NODE)
        if state in now:
            break  # else ReturnToService=2 gave the node back in between, as it registered
        if "DRAIN" in now:
            _update(cluster, "State=RESUME")
    assert report["verdict"] == "unhealthy"
    assert "its reason stays: fan 3 is broken" in report["action"]["detail"]
    assert _stamp(cluster) == admins
    _cure(cluster)
    assert cluster.health_report(NODE)["action"]["kind"] == "none"
    assert _stamp(cluster) == admins


def test_an_admin_drains_while_a_job_starts(cluster: Cluster) -> None:
    cluster.set_gpus(NODE, sim.example("h100x2"), SICK, {"delay_ms.nvmlDeviceGetMemoryInfo": 1000})
    job = cluster.lab.sbatch("true", "--gpus=1", "-w", NODE)
    cluster.lab.wait_job(job, "RUNNING")
    _update(cluster, "State=DRAIN", "Reason=to be rebooted")
    admins = _stamp(cluster)
    report = cluster.wait_report(job)
    assert report["verdict"] == "unhealthy"
    assert "its reason stays: to be rebooted" in report["action"]["detail"]
    cluster.lab.wait_until(lambda: cluster.lab.job_state(job) == "PENDING", 20, "the job to leave")
    assert _stamp(cluster) == admins
    assert cluster.lab.output(job) == ""


@pytest.mark.parametrize("text", ["another", "the same"])
def test_an_admin_who_drains_our_node_again_makes_it_theirs(cluster: Cluster, text: str) -> None:
    _drain_by_health(cluster)
    reason = "waits for a new board" if text == "another" else str(cluster.lab.node_reason(NODE))
    time.sleep(1.1)  # Slurm keeps whole seconds
    if text == "the same":  # a drain with the same reason over ours changes nothing at all in Slurm, its time neither
        _update(cluster, "State=RESUME")
    _update(cluster, "State=DRAIN", f"Reason={reason}")
    admins = _stamp(cluster)
    _cure(cluster)
    for _ in range(2):
        assert cluster.health_report(NODE)["action"]["kind"] == "none"
    assert _stamp(cluster) == admins
    assert cluster.lab.node_reason(NODE) == reason


def test_a_node_that_is_down_as_well_is_not_resumed(cluster: Cluster) -> None:
    _drain_by_health(cluster)
    reservation = ["reservation", "ReservationName=work", f"Nodes={NODE}", "StartTime=now", "Duration=60", "Users=root"]
    cluster.lab.check_run(["scontrol", "create", *reservation, "Flags=MAINT,IGNORE_JOBS"])
    try:
        cluster.lab.wait_until(lambda: "MAINT" in cluster.lab.node_state(NODE), 10, "the maintenance to begin")
        _cure(cluster)
        assert cluster.health_report(NODE)["action"]["kind"] == "none"
        assert _drained(cluster)
    finally:
        cluster.lab.check_run(["scontrol", "delete", "ReservationName=work"])
    cluster.lab.wait_until(lambda: cluster.lab.node_state(NODE) == "IDLE+DRAIN", 10, "the maintenance to end")
    report = cluster.health_report(NODE)
    assert report["action"]["kind"] == "resume", report["action"]
    _back(cluster)


def test_a_node_that_the_admin_resumed_is_forgotten(cluster: Cluster) -> None:
    _drain_by_health(cluster)
    remembered = cluster.node_dir(NODE) / "spool" / f"drain-{NODE}.json"
    assert remembered.exists()
    _update(cluster, "State=RESUME")
    _cure(cluster)
    assert cluster.health_report(NODE)["action"]["kind"] == "none"
    assert not remembered.exists()


@pytest.mark.parametrize(
    "fault",
    [SICK, {"gpu.0.ret.nvmlDeviceGetTotalEccErrors": 999}, {"gpu.1.ecc.uncorrected.volatile": 1}],
    ids=["fails", "unknown", "another-gpu"],
)
def test_not_resumed_while_the_same_check_does_not_pass(cluster: Cluster, fault: dict[str, object]) -> None:
    _drain_by_health(cluster)
    cluster.set_gpus(NODE, sim.example("h100x2"), fault)
    report = cluster.health_report(NODE)
    assert report["action"]["kind"] != "resume"
    statuses = {one["status"] for one in report["findings"] if one["check"] == "gpu.ecc.uncorrected"}
    assert statuses & {"fail", "unknown"}
    assert (cluster.lab.node_reason(NODE) or "").startswith(ECC)
    assert _drained(cluster)


def test_two_sick_nodes_at_once_and_only_one_may_be_drained(cluster: Cluster) -> None:
    cluster.write_policy(drain="max_nodes = 1")
    _sicken(cluster, "ubuntu1", "ubuntu2")
    lab = cluster.lab
    jobs = {node: lab.sbatch("echo ran", "--gpus=2", "-w", node) for node in ("ubuntu1", "ubuntu2")}
    reports = {node: cluster.wait_report(job) for node, job in jobs.items()}
    drained = [node for node in jobs if _drained(cluster, node)]
    enforced = [node for node, report in reports.items() if report["action"]["enforced"]]
    assert {report["verdict"] for report in reports.values()} == {"unhealthy"}
    assert len(drained) <= 1
    assert enforced == drained
    for node in set(jobs) - set(drained):
        assert "drain breaker" in reports[node]["action"]["detail"]
        lab.wait_job(jobs[node], "COMPLETED")
        assert "ran" in lab.output(jobs[node])
        assert not _drained(cluster, node)


def test_the_race_of_health_checks_is_undone_by_rank(cluster: Cluster) -> None:
    cluster.write_policy(drain="max_nodes = 1")
    nodes = ("ubuntu1", "ubuntu2")
    _sicken(cluster, *nodes)
    for _ in range(4):
        threads = [threading.Thread(target=cluster.health, args=(node,)) for node in nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        drained = [node for node in nodes if _drained(cluster, node)]
        assert len(drained) <= 1
        remembered = [node for node in nodes if list((cluster.node_dir(node) / "spool").glob("drain-*.json"))]
        assert remembered == drained
        for node in drained:
            _update(cluster, "State=RESUME", node=node)
            (cluster.node_dir(node) / "spool" / f"drain-{node}.json").unlink()


def test_an_admins_drains_do_not_count_against_ours(cluster: Cluster) -> None:
    cluster.write_policy(drain="max_nodes = 1")
    _update(cluster, "State=DRAIN", "Reason=looked at by hand, not preflight:", node="rocky1")
    _drain_by_health(cluster)


@pytest.mark.parametrize("how", ["site", "check", "switch"])
def test_observed_only(cluster: Cluster, how: str) -> None:
    if how == "site":
        cluster.write_policy(mode="observe")
    elif how == "check":
        cluster.write_policy('[checks."gpu.ecc.uncorrected"]\nmode = "observe"')
    else:
        Path(cluster.directory, "etc/off").touch()
    _sicken(cluster)
    lab = cluster.lab
    sick = lab.sbatch("echo ran", "--gpus=2", "-w", NODE)
    lab.wait_job(sick, "COMPLETED")
    report = cluster.wait_report(sick)
    assert report["verdict"] == "unhealthy"
    assert (report["action"]["kind"], report["action"]["enforced"]) == ("drain", False)
    assert ECC in report["action"]["detail"]
    report = cluster.health_report(NODE)
    assert (report["action"]["kind"], report["action"]["enforced"]) == ("drain", False)
    cluster.wait_report(sick, phase="epilog")
    assert lab.node_state(NODE) == "IDLE"
    if how != "check":
        misfit = lab.sbatch("echo ran", "--require=gpu=a100", "-w", "ubuntu1", "--gpus=1")
        lab.wait_job(misfit, "COMPLETED")
        report = cluster.wait_report(misfit)
        assert (report["verdict"], report["action"]["kind"]) == ("mismatch", "requeue")
        assert report["action"]["enforced"] is False
        assert lab.job(misfit)["restarts"] == "0"
    assert cluster.called() == []


def test_the_kill_switch_keeps_our_drain(cluster: Cluster) -> None:
    _drain_by_health(cluster)
    _cure(cluster)
    Path(cluster.directory, "etc/off").touch()
    assert cluster.health_report(NODE)["action"]["kind"] == "none"
    assert _drained(cluster)
    Path(cluster.directory, "etc/off").unlink()
    assert cluster.health_report(NODE)["action"]["kind"] == "resume"


def test_a_drain_that_could_not_be_made_is_made_by_the_next_health_check(cluster: Cluster) -> None:
    cluster.write_policy(hook="deadline_s = 3")
    _sicken(cluster)
    down = Path(cluster.directory, "slurm-down")
    down.touch()
    report = cluster.health_report(NODE)
    assert (report["action"]["kind"], report["action"]["enforced"]) == ("drain", False)
    assert "Slurm was not reached" in report["action"]["detail"]
    assert cluster.lab.node_state(NODE) == "IDLE"
    down.unlink()
    report = cluster.health_report(NODE)
    assert (report["action"]["kind"], report["action"]["enforced"]) == ("drain", True)
    assert (cluster.lab.node_reason(NODE) or "").startswith(ECC)
    assert list((cluster.node_dir(NODE) / "spool" / "pending").iterdir()) == []
