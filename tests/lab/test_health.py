"""The health check finishes or drops what a killed hook, or a controller that was down, left half done."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from lab import processes
from lab.cluster import SICK, Cluster
from nvml import sim

pytestmark = pytest.mark.lab
CUDA = "--require=cuda>=12.4"
PRIORITY = "4242"


def _hook(cluster: Cluster, phase: str) -> list[processes.Process]:
    """Return the Python processes of this lab's hooks that run now."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                words = Path("/proc", name, "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            ours = any(word.startswith(f"{cluster.prefix}/versions/") for word in words)
            process = processes.identify(int(name))
            if ours and process and "hook" in words and words[words.index("hook") + 1] == phase:
                found.append(process)
    return found


def _kill_at(cluster: Cluster, pattern: str, phase: str = "prolog") -> None:
    """Kill the hook with -9 once it has run a Slurm command that fits ``pattern``, and before it hears of it."""

    def stuck() -> list[processes.Process]:
        return [one for hook in _hook(cluster, phase) for one in processes.descendants(hook.pid) if _sleeps(one.pid)]

    sleeping = cluster.lab.wait_until(stuck, 30, f"a hook to be at {pattern}")
    for hook in _hook(cluster, phase):
        os.kill(hook.pid, signal.SIGKILL)
    for one in sleeping:
        processes.kill(one)


def _sleeps(pid: int) -> bool:
    try:
        return Path("/proc", str(pid), "comm").read_text(encoding="utf-8") == "sleep\n"
    except OSError:
        return False


def _stick(cluster: Cluster, pattern: str) -> None:
    Path(cluster.directory, "slurm-stuck").write_text(pattern, encoding="utf-8")


def _unstick(cluster: Cluster) -> None:
    Path(cluster.directory, "slurm-stuck").unlink()


def _pending(cluster: Cluster, node: str = "rocky1") -> list[dict[str, object]]:
    folder = cluster.node_dir(node) / "spool" / "pending"
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]


def _half_moved(cluster: Cluster, pattern: str) -> str:
    """A job that asks for CUDA 12.4 starts on rocky1, whose prolog is killed at ``pattern``; return its id."""
    lab = cluster.lab
    _stick(cluster, pattern)
    job = lab.sbatch("sleep 1; hostname", CUDA, "--gpus=1", "-x", "ubuntu1", "--begin=now+1hour")
    lab.check_run(["scontrol", "update", f"JobId={job}", f"Priority={PRIORITY}"])
    with cluster.only("rocky1"):
        lab.check_run(["scontrol", "update", f"JobId={job}", "StartTime=now"])
        _kill_at(cluster, pattern)
    _unstick(cluster)
    assert len(_pending(cluster)) == 1
    return job


@pytest.mark.parametrize(
    "pattern",
    ["requeuehold *", "update *ExcNodeList=*", "update *AdminComment=*preflight:moved*"],
    ids=["requeued", "excluded", "marked"],
)
def test_a_hook_killed_in_the_middle_of_a_move(cluster: Cluster, pattern: str) -> None:
    lab = cluster.lab
    job = _half_moved(cluster, pattern)
    requeued = "AdminComment" not in pattern
    if requeued:
        assert lab.job(job)["priority"] == "0"
    cluster.health(node="rocky1")
    assert _pending(cluster) == []
    state = lab.job(job)
    if requeued:
        assert state["excluded_nodes"] == "rocky1,ubuntu1"
        assert state["priority"] == PRIORITY
    done = lab.wait_job(job, ("COMPLETED", "FAILED", "CANCELLED"))
    # Killed before the requeue, nobody has stopped the job: it runs where it is, and is left alone.
    expected = ("COMPLETED", "ubuntu2", "1") if requeued else ("COMPLETED", "rocky1", "0")
    assert (done["state"], done["nodes"], done["restarts"]) == expected
    assert lab.node_state("rocky1") == "IDLE"


def test_a_move_that_was_complete_but_for_its_record_is_dropped(cluster: Cluster) -> None:
    job = _half_moved(cluster, "release *")
    cluster.forget_calls()
    cluster.health("rocky1")
    assert _pending(cluster) == []
    assert not [call for call in cluster.called() if call.startswith("scontrol")]
    done = cluster.lab.wait_job(job, ("COMPLETED", "FAILED", "CANCELLED"))
    assert (done["state"], done["nodes"]) == ("COMPLETED", "ubuntu2")


def test_a_controller_that_dies_just_after_the_release_loses_no_job(cluster: Cluster) -> None:
    """It recovers the job as it was saved: held, and nobody had it in mind any more."""
    lab = cluster.lab
    job = _half_moved(cluster, "requeuehold *")
    # Nothing starts meanwhile: a slurmd that runs the job already would refuse a controller that forgot.
    lab.check_run(["scontrol", "update", "PartitionName=main", "State=DOWN"])
    time.sleep(8)  # slurmctld saves that
    cluster.health("rocky1")
    assert lab.job(job)["priority"] != "0"
    os.kill(lab.pids()["slurmctld"], signal.SIGKILL)
    time.sleep(0.5)
    lab.restart_slurmctld()

    def released() -> bool:
        cluster.health("rocky1")  # one that comes before the controller knows its nodes leaves it to the next
        return lab.job(job)["priority"] != "0"

    lab.wait_until(released, 30, "a health check to release the job again")
    lab.check_run(["scontrol", "update", "PartitionName=main", "State=UP"])
    done = lab.wait_job(job, ("COMPLETED", "FAILED", "CANCELLED"))
    assert (done["state"], done["nodes"]) == ("COMPLETED", "ubuntu2")


def test_a_job_that_is_gone_is_dropped(cluster: Cluster) -> None:
    job = _half_moved(cluster, "requeuehold *")
    cluster.lab.check_run(["scancel", job])

    def dropped() -> bool:
        cluster.health("rocky1")  # one that comes while the job still leaves its node leaves the entry to the next
        return _pending(cluster) == []

    cluster.lab.wait_until(dropped, 30, "a health check to drop the entry")
    assert cluster.lab.job_state(job) == "CANCELLED"


def test_a_job_that_runs_elsewhere_is_left_alone(cluster: Cluster) -> None:
    lab = cluster.lab
    job = _half_moved(cluster, "update *ExcNodeList=*")
    lab.check_run(["scontrol", "release", job])
    lab.wait_job(job, ("RUNNING", "COMPLETED"))
    cluster.forget_calls()
    cluster.health("rocky1")
    assert _pending(cluster) == []
    assert not [call for call in cluster.called() if call.startswith(("scontrol", "scancel"))]
    assert lab.wait_job(job, ("COMPLETED", "FAILED"))["nodes"] == "ubuntu2"


def test_what_a_hook_that_still_runs_is_doing_is_its_own(cluster: Cluster) -> None:
    lab = cluster.lab
    cluster.write_policy(hook="deadline_s = 20")
    _stick(cluster, "requeuehold *")
    with cluster.only("rocky1"):
        job = lab.sbatch("true", CUDA, "--gpus=1", "-x", "ubuntu1")
        lab.wait_until(lambda: lab.job(job)["restarts"] == "1", 20, "the requeue")
        before = lab.job(job)
        cluster.health("rocky1")
        assert len(_pending(cluster)) == 1
        assert lab.job(job)["excluded_nodes"] == before["excluded_nodes"]
        _unstick(cluster)
        # The hook itself gives the command up after a while, and goes no further: now it is the health check's.
        lab.wait_until(lambda: not _hook(cluster, "prolog"), 20, "the hook to end")
    assert cluster.wait_report(job)["action"]["enforced"] is False
    cluster.health("rocky1")
    assert _pending(cluster) == []
    assert lab.job(job)["excluded_nodes"] == "rocky1,ubuntu1"
    assert lab.wait_job(job, "COMPLETED")["nodes"] == "ubuntu2"


def test_the_kill_switch_leaves_a_half_done_move_for_later(cluster: Cluster) -> None:
    job = _half_moved(cluster, "requeuehold *")
    Path(cluster.directory, "etc/off").touch()
    cluster.health("rocky1")
    assert len(_pending(cluster)) == 1
    assert cluster.lab.job(job)["priority"] == "0"
    Path(cluster.directory, "etc/off").unlink()
    cluster.health("rocky1")
    assert cluster.lab.job(job)["priority"] == PRIORITY


def test_a_drain_whose_hook_was_killed_is_still_ours(cluster: Cluster) -> None:
    cluster.set_gpus("ubuntu2", sim.example("h100x2"), SICK)
    _stick(cluster, "update NodeName=* State=DRAIN *")
    job = cluster.lab.sbatch("echo ran", "--gpus=2", "-w", "ubuntu2")
    _kill_at(cluster, "drain")
    _unstick(cluster)
    assert "DRAIN" in cluster.lab.node_state("ubuntu2")
    assert len(_pending(cluster, "ubuntu2")) == 1
    cluster.lab.wait_job(job, "COMPLETED")  # nothing told slurmd to stop it
    cluster.health("ubuntu2")
    assert _pending(cluster, "ubuntu2") == []
    cluster.set_gpus("ubuntu2", sim.example("h100x2"))
    cluster.lab.wait_until(lambda: cluster.lab.node_state("ubuntu2") == "IDLE+DRAIN", 20, "the node to be empty")
    action = cluster.health_report("ubuntu2")["action"]
    assert action["kind"] == "resume", action


def test_an_admins_drain_after_a_killed_hooks_is_not_taken_for_ours(cluster: Cluster) -> None:
    cluster.set_gpus("ubuntu2", sim.example("h100x2"), SICK)
    _stick(cluster, "update NodeName=* State=DRAIN *")
    cluster.lab.sbatch("true", "--gpus=2", "-w", "ubuntu2")
    _kill_at(cluster, "drain")
    _unstick(cluster)
    cluster.lab.check_run(["scontrol", "update", "NodeName=ubuntu2", "State=DRAIN", "Reason=mine now"])
    cluster.health("ubuntu2")
    cluster.set_gpus("ubuntu2", sim.example("h100x2"))
    assert cluster.health_report("ubuntu2")["action"]["kind"] == "none"
    assert cluster.lab.node_reason("ubuntu2") == "mine now"


@pytest.mark.parametrize("sick", [False, True], ids=["mismatch", "unhealthy"])
def test_the_controller_goes_away_while_a_job_starts(cluster: Cluster, sick: bool) -> None:
    """The hook returns in time, slurmd goes on, and the health check does the rest once the controller is back."""
    lab = cluster.lab
    cluster.write_policy(hook="deadline_s = 4")
    slow = {"delay_ms.nvmlDeviceGetMemoryInfo": 800}
    node = "ubuntu2" if sick else "rocky1"
    cluster.set_gpus(node, sim.example("h100x2" if sick else "a100x2-old-driver"), SICK if sick else {}, slow)
    with cluster.only(node):
        job = lab.sbatch("echo ran", CUDA, "--gpus=1", "-x", "ubuntu1")
        lab.wait_job(job, "RUNNING")
        lab.stop_slurmctld()
        try:
            report = cluster.wait_report(job)
            assert report["duration_ms"] < 4500
            assert report["verdict"] == ("unhealthy" if sick else "mismatch")
            assert report["action"]["enforced"] is False  # nobody could count the drained nodes: no exit status either
        finally:
            lab.start_slurmctld()
        cluster.set_gpus(node, sim.example("h100x2" if sick else "a100x2-old-driver"), SICK if sick else {})
        cluster.health(node)
        assert _pending(cluster, node) == []
    if sick:
        assert "DRAIN" in lab.node_state(node)
        assert (lab.node_reason(node) or "").startswith("preflight:")
    # Slurm itself launches nothing more of a batch job whose prolog saw the controller go: here it is ended.
    lab.run(["scancel", job])
    if not sick:
        after = lab.sbatch("echo went on", "-w", node)
        lab.wait_job(after, "COMPLETED")
        assert lab.output(after) == "went on\n"
