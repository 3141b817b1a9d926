"""The main job on a real Slurm: asked, confirmed, reported; a misfit is moved and the node stays up."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.cluster import Cluster

pytestmark = pytest.mark.lab
CUDA = "--require=cuda>=12.4"


@contextmanager
def _only(cluster: Cluster, *nodes: str) -> Iterator[None]:
    """Keep jobs from all other nodes for a while, so that they start on ``nodes``."""
    others = [site.name for site in cluster.sites if site.name not in nodes]
    for name in others:
        cluster.lab.check_run(["scontrol", "update", f"NodeName={name}", "State=DRAIN", "Reason=test"])
    yield
    for name in others:
        cluster.lab.check_run(["scontrol", "update", f"NodeName={name}", "State=RESUME"])


def _ended(cluster: Cluster, job: str) -> dict[str, str]:
    return cluster.lab.wait_job(job, ("COMPLETED", "FAILED", "CANCELLED", "NODE_FAIL", "TIMEOUT"))


def test_a_job_that_fits_runs_ready_and_no_slurm_command_is_called(cluster: Cluster) -> None:
    spec = "--require=cuda>=12.4, ubuntu>=22.04|rhel>=9, gpu=h100, gpu.memory>=80G, gpu.count=2"
    job = cluster.lab.sbatch("env", spec, "--gpus=2", "-w", "ubuntu1")
    assert _ended(cluster, job)["state"] == "COMPLETED"
    report = cluster.wait_report(job)
    assert report["verdict"] == "ready"
    assert report["action"] == {"kind": "none", "detail": "", "enforced": True}
    assert [one["status"] for one in report["requirement"]["clauses"]] == ["pass"] * 5
    assert {one["source"] for one in report["requirement"]["clauses"]} == {"--require"}
    assert cluster.wait_report(job, phase="epilog")["verdict"] == "ready"
    assert cluster.called() == []
    output = cluster.lab.output(job)
    assert "PREFLIGHT_VERDICT=ready" in output
    path = re.search(r"PREFLIGHT_REPORT=(\S+)", output)
    assert path is not None
    copy = cluster.lab.run(["cat", path[1]], user="pfalice")
    assert json.loads(copy.stdout)["id"] == report["id"]
    assert cluster.lab.run(["cat", path[1]], user="pfbob").returncode != 0
    assert "preflight:" not in output


def test_a_misfit_calls_slurm_so_the_recording_stand_in_is_seen_to_work(cluster: Cluster) -> None:
    job = cluster.lab.sbatch("true", CUDA, "-w", "rocky1")
    cluster.wait_report(job)
    assert any(call.startswith("scontrol requeuehold") for call in cluster.called())


def test_a_misfit_moves_keeps_the_users_exclude_and_runs_where_it_fits(cluster: Cluster) -> None:
    lab = cluster.lab
    with _only(cluster, "rocky1"):
        job = lab.sbatch("hostname", CUDA, "--gpus=1", "-x", "ubuntu1")
        first = cluster.wait_report(job)
    assert (first["node"], first["verdict"]) == ("rocky1", "mismatch")
    done = _ended(cluster, job)
    assert (done["state"], done["nodes"]) == ("COMPLETED", "ubuntu2")
    assert done["excluded_nodes"] == "rocky1,ubuntu1"
    assert lab.node_state("rocky1") == "IDLE"
    verdicts = {(one["node"], one["job"]["restart"]): one["verdict"] for one in cluster.reports(job)}
    assert verdicts == {("rocky1", 0): "mismatch", ("ubuntu2", 1): "ready"}
    epilogs = {(one["node"], one["job"]["restart"]) for one in cluster.reports(job, "epilog")}
    assert epilogs == set(verdicts)
    moved = cluster.reports(job)[0]
    assert moved["action"]["kind"] == "requeue"
    assert moved["action"]["enforced"] is True


def test_where_none_fits_the_job_is_held_with_a_reason(cluster: Cluster) -> None:
    job = cluster.lab.sbatch("true", "--require=gpu=b200", "--gpus=1", "-x", "ubuntu1,ubuntu2")
    report = cluster.wait_report(job)
    state = cluster.lab.wait_job(job, "PENDING")
    assert report["action"]["kind"] == "hold"
    assert state["priority"] == "0"
    assert "no node is left that could fit" in state["admin_comment"]
    assert "gpu=b200" in state["admin_comment"]
    assert cluster.lab.node_state("rocky1") == "IDLE"
    # The report tells the user to release it once the requirement is put right: so they must be able to.
    assert cluster.lab.run(["scontrol", "release", job], user="pfalice").returncode == 0


def test_one_task_of_a_running_array_moves_alone(cluster: Cluster) -> None:
    lab = cluster.lab
    script = "#!/bin/bash\n#SBATCH --array=0-2\n#SBATCH --gpus=1\nsleep 300\n"
    lab.check_run(["scontrol", "update", "NodeName=rocky1", "State=DRAIN", "Reason=test"])
    job = lab.sbatch(script, CUDA, "-x", "debian1", "--cpus-per-task=1")
    tasks: dict[str, str] = {}

    def two_run() -> bool:
        tasks.update(lab.array_ids(job))
        return sum(lab.job_state(f"{job}_{task}") == "RUNNING" for task in "012") == 3

    lab.wait_until(two_run, 30, "all tasks to run")
    # The task whose own number is the array's is the one that a careless command would take for the whole array.
    task = next(name for name, number in lab.array_ids(job).items() if number == job)
    others = [name for name in "012" if name != task]
    lab.check_run(["scontrol", "requeue", f"{job}_{task}"])
    lab.check_run(["scontrol", "update", "NodeName=rocky1", "State=RESUME"])
    for name in ("ubuntu1", "ubuntu2"):
        lab.check_run(["scontrol", "update", f"NodeName={name}", "State=DRAIN", "Reason=test"])
    report = cluster.wait_report(job, "rocky1")
    assert report["verdict"] == "mismatch"
    lab.wait_until(lambda: lab.job_state(f"{job}_{task}") == "PENDING", 20, "the task to wait")
    assert [lab.job_state(f"{job}_{name}") for name in others] == ["RUNNING", "RUNNING"]
    moved = lab.job(f"{job}_{task}")
    assert moved["excluded_nodes"] == "debian1,rocky1"
    assert all(lab.job(f"{job}_{name}")["excluded_nodes"] == "debian1" for name in others)
    assert any(f"requeuehold {job}_{task}" in call for call in cluster.called())


def test_a_preference_for_the_node_that_does_not_fit_does_not_hold_the_job(cluster: Cluster) -> None:
    """From 24.11 on Slurm holds a job (BadConstraints) when every node that it prefers is excluded."""
    job = cluster.lab.sbatch("true", CUDA, "--gpus=1", "--prefer=rocky")
    assert cluster.wait_report(job)["node"] == "rocky1"
    done = _ended(cluster, job)
    assert (done["state"], done["excluded_nodes"]) == ("COMPLETED", "rocky1")


def test_two_nodes_of_one_job_misfit_at_once_and_both_end_up_excluded(cluster: Cluster) -> None:
    job = cluster.lab.sbatch("srun hostname", "--require=gpu=a100", "-N2", "--gpus-per-node=1", "-x", "rocky1,debian1")
    cluster.wait_report(job, "ubuntu1")
    cluster.wait_report(job, "ubuntu2")
    state = cluster.lab.wait_job(job, "PENDING")
    assert state["excluded_nodes"] == "debian1,rocky1,ubuntu[1-2]"
    assert state["restarts"] == "1"
    assert "preflight:moved:ubuntu1:run0" in state["admin_comment"]
    assert "preflight:moved:ubuntu2:run0" in state["admin_comment"]
    assert cluster.lab.output(job) == ""


def test_a_multi_node_script_does_not_start_while_a_node_still_decides(cluster: Cluster) -> None:
    cluster.set_gpus("ubuntu2", cluster.sites[1].scenario, {"delay_ms.nvmlDeviceGetMemoryInfo": 1500})
    job = cluster.lab.sbatch("date +%s.%N", "-N2", "--gpus-per-node=1", "-x", "rocky1,debian1")
    _ended(cluster, job)
    ends = []
    for report in cluster.reports(job):
        seconds, _, rest = report["started"].partition(".")
        began = time.mktime(time.strptime(seconds, "%Y-%m-%dT%H:%M:%S")) - time.timezone + float(f"0.{rest[:-1]}")
        ends.append(began + report["duration_ms"] / 1000)
    assert len(ends) == 2
    if not cluster.agent:  # an agent has read the slow GPUs ahead: neither node takes long to decide
        assert max(ends) - min(ends) > 1
    assert float(cluster.lab.output(job).split()[0]) >= max(ends)


def test_a_job_that_names_the_misfit_by_nodelist_is_held(cluster: Cluster) -> None:
    job = cluster.lab.sbatch("true", CUDA, "-w", "rocky1", "--gpus=1")
    report = cluster.wait_report(job)
    assert report["action"]["kind"] == "hold"
    state = cluster.lab.wait_job(job, "PENDING")
    assert state["priority"] == "0"
    assert "by name (--nodelist)" in state["admin_comment"]
    assert state["excluded_nodes"] == ""


def test_no_requeue_is_cancelled_with_the_reason(cluster: Cluster) -> None:
    job = cluster.lab.sbatch("true", CUDA, "-w", "rocky1", "--no-requeue")
    state = _ended(cluster, job)
    assert state["state"] == "CANCELLED"
    assert "preflight:cancelled:rocky1" in state["admin_comment"]
    assert "cuda>=12.4" in state["admin_comment"]
    assert cluster.wait_report(job)["action"]["kind"] == "cancel"
    assert cluster.lab.output(job) == ""


@pytest.mark.parametrize("command", [["srun"], ["salloc"]])
def test_interactive_jobs_see_the_reason_on_the_terminal(cluster: Cluster, command: list[str]) -> None:
    done = cluster.lab.run([*command, CUDA, "-w", "rocky1", "hostname"], user="pfalice", timeout=60)
    assert done.returncode != 0
    assert "cannot run on rocky1" in done.stderr
    assert "needs cuda>=12.4" in done.stderr
    assert "rocky1\n" not in done.stdout
    cluster.lab.wait_until(lambda: cluster.lab.node_state("rocky1") == "IDLE", 10, "rocky1 to be idle again")


def test_restarts_of_a_preempted_job_do_not_count_as_our_moves(cluster: Cluster) -> None:
    lab = cluster.lab
    cluster.write_policy(hook="max_requeues = 1")
    with _only(cluster, "debian1"):
        job = lab.sbatch("sleep 300", "--require=ubuntu>=22.04|debian>=12", "-x", "rocky1,ubuntu2")
        lab.wait_job(job, "RUNNING")
        # Not hurried: slurmd skips the prolog of a job that comes back before its old credential has expired.
        lab.check_run(["scontrol", "requeue", job])
        lab.wait_until(lambda: len(cluster.reports(job)) == 2, 40, "the second run")
        lab.wait_job(job, "RUNNING")
        # Now the node stops to fit: Slurm has restarted the job twice, we have moved it never.
        cluster.set_system("debian1", "rocky")
        lab.check_run(["scontrol", "requeue", job])
        lab.wait_until(lambda: len(cluster.reports(job)) == 3, 40, "the third run")
        report = cluster.reports(job)[-1]
    assert report["verdict"] == "mismatch"
    assert report["job"]["restart"] == 2
    assert report["action"]["kind"] == "requeue"
    state = lab.wait_job(job, "RUNNING")
    assert (state["nodes"], state["restarts"]) == ("ubuntu1", "3")


def test_after_max_requeues_of_our_moves_the_job_stays_held(cluster: Cluster) -> None:
    cluster.write_policy(hook="max_requeues = 1")
    lab = cluster.lab
    job = lab.sbatch("true", "--require=gpu=b200", "--gpus=1", "-x", "ubuntu1,debian1")
    lab.wait_until(lambda: len(cluster.reports(job)) == 1, 30, "the first try")
    lab.wait_until(lambda: len(cluster.reports(job)) == 2, 40, "the second try")
    state = lab.wait_job(job, "PENDING")
    assert "moved 1 times already" in state["admin_comment"]
    assert state["priority"] == "0"


def test_two_jobs_on_one_node_are_each_judged_by_their_own_gpus(cluster: Cluster) -> None:
    """ubuntu1's gres order is minor 1, then minor 0: gres index 0 is the GPU with minor number 1."""
    cluster.set_gpus("ubuntu1", cluster.sites[0].scenario, {"gpu.0.ecc.uncorrected.volatile": 2})
    lab = cluster.lab
    sound = lab.sbatch("sleep 300", "--gpus=1", "-w", "ubuntu1")
    lab.wait_job(sound, "RUNNING")
    report = cluster.wait_report(sound)
    assert report["verdict"] == "degraded"
    assert report["job"]["gpus"] == [1]
    warned = [one for one in report["findings"] if one["check"] == "gpu.ecc.uncorrected" and one["status"] == "warn"]
    assert [one["subject"] for one in warned] == ["gpu0"]
    cpu = lab.sbatch("sleep 1", "-w", "ubuntu1")
    _ended(cluster, cpu)
    assert cluster.wait_report(cpu)["verdict"] == "ready"
    assert lab.node_state("ubuntu1").startswith(("MIXED", "ALLOC"))
    sick = lab.sbatch("sleep 300", "--gpus=1", "--constraint=ubuntu", "-x", "ubuntu2,rocky1,debian1")
    report = cluster.wait_report(sick)
    assert report["verdict"] == "unhealthy"
    assert report["job"]["gpus"] == [0]
    assert "DRAIN" in lab.node_state("ubuntu1")
    assert lab.job_state(sound) == "RUNNING"


def test_a_broken_gpu_drains_with_our_reason_and_the_job_runs_elsewhere(cluster: Cluster) -> None:
    cluster.set_gpus("ubuntu1", cluster.sites[0].scenario, {"gpu.*.ecc.uncorrected.volatile": 2})
    lab = cluster.lab
    with _only(cluster, "ubuntu1"):
        job = lab.sbatch("hostname", "--gpus=2", "--constraint=ubuntu")
        report = cluster.wait_report(job, "ubuntu1")
    assert report["verdict"] == "unhealthy"
    assert report["action"]["kind"] == "drain"
    lab.wait_until(lambda: "DRAIN" in lab.node_state("ubuntu1"), 10, "the drain")
    assert (lab.node_reason("ubuntu1") or "").startswith("preflight:gpu.ecc.uncorrected:gpu0: 2 uncorrected ECC errors")
    state = lab.wait_job(job, ("PENDING", "RUNNING", "COMPLETED"))
    if state["priority"] == "0":
        lab.check_run(["scontrol", "release", job])
    done = _ended(cluster, job)
    assert (done["state"], done["nodes"]) == ("COMPLETED", "ubuntu2")
    assert (lab.node_reason("ubuntu1") or "").startswith("preflight:gpu.ecc.uncorrected:gpu0:")


def test_the_comment_is_a_requirement_too(cluster: Cluster) -> None:
    job = cluster.lab.sbatch("true", "--comment=my run; require: cuda>=12.4, gpu.count>=1; x", "-w", "rocky1")
    report = cluster.wait_report(job)
    assert report["verdict"] == "mismatch"
    assert {one["source"] for one in report["requirement"]["clauses"]} == {"comment"}


def test_a_job_that_is_not_ready_is_told_so_in_one_line(cluster: Cluster) -> None:
    cluster.set_gpus("ubuntu2", cluster.sites[1].scenario, {"driver": "535.183.01", "cuda": "12.2"})
    job = cluster.lab.sbatch("srun true; env | grep PREFLIGHT_V", CUDA, "--gpus=1", "-w", "ubuntu2")
    assert _ended(cluster, job)["state"] == "COMPLETED"
    output = cluster.lab.output(job)
    assert cluster.wait_report(job)["verdict"] == "degraded"
    assert "PREFLIGHT_VERDICT=degraded" in output
    lines = [line for line in output.splitlines() if line.startswith("preflight: ")]
    assert len(lines) == 1
    assert "ubuntu2: degraded: cuda>=12.4 holds" in lines[0]


def test_the_report_command_merges_the_tries_for_root_and_for_the_user(cluster: Cluster) -> None:
    job = cluster.lab.sbatch("true", CUDA, "-w", "rocky1", "--gpus=1")
    cluster.wait_report(job)
    cluster.lab.wait_job(job, "PENDING")
    for user in (None, "pfalice"):
        done = cluster.preflight("report", job, "--config", cluster.config, user=user)
        assert done.returncode == 0, done.stderr
        assert "MISMATCH" in done.stdout
        assert "cuda>=12.4" in done.stdout
    assert cluster.preflight("report", job, "--config", cluster.config, user="pfbob").returncode == 2
    html = cluster.preflight("report", job, "--format", "html", "--config", cluster.config).stdout
    assert html.lower().startswith("<!doctype html>")
