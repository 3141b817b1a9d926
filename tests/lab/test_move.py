"""What a move must not lose: others' AdminComment, a priority set by hand, a component of a heterogeneous job."""

import pytest

from lab.cluster import Cluster

pytestmark = pytest.mark.lab
CUDA = "--require=cuda>=12.4"


def _later(cluster: Cluster, *options: str) -> str:
    """Submit a job that does not start yet and that only rocky1 or ubuntu2 can run."""
    return cluster.lab.sbatch("sleep 1", CUDA, "--gpus=1", "-x", "ubuntu1", "--begin=now+1hour", *options)


def _start_on_rocky(cluster: Cluster, job: str) -> None:
    with cluster.only("rocky1"):
        cluster.lab.check_run(["scontrol", "update", f"JobId={job}", "StartTime=now"])
        assert cluster.wait_report(job)["action"]["kind"] == "requeue"


@pytest.mark.parametrize("size", [1, 20_000])
def test_what_others_keep_in_admin_comment_stays(cluster: Cluster, size: int) -> None:
    job = _later(cluster)
    theirs = "billing=42; site:note a=b " + "é" * size + " end"
    cluster.lab.check_run(["scontrol", "update", f"JobId={job}", f"AdminComment={theirs}"])
    _start_on_rocky(cluster, job)
    now = cluster.lab.job(job)["admin_comment"]
    assert now.startswith(f"{theirs}; preflight:moved:rocky1:run0: ")
    assert now.count("preflight:") == 1


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_priority_set_by_hand_survives(cluster: Cluster, by_hand: bool) -> None:
    job = _later(cluster)
    if by_hand:
        cluster.lab.check_run(["scontrol", "update", f"JobId={job}", "Priority=777"])
    before = cluster.lab.job(job)["priority"]
    _start_on_rocky(cluster, job)
    state = cluster.lab.job(job)
    assert state["restarts"] == "1"
    assert state["priority"] == ("777" if by_hand else before)


def _row(cluster: Cluster, leader: str) -> str:
    """Return excluded nodes and priority of the leader alone: its number gives the rows of all components."""
    rows = cluster.lab.check_run(["squeue", "-h", "-j", leader, "-o", "%A %x %Q"]).splitlines()
    return next(row for row in rows if row.startswith(f"{leader} "))


def test_one_component_of_a_heterogeneous_job_misfits(cluster: Cluster) -> None:
    """The leader is requeued and released, the component alone gets the exclusion."""
    lab = cluster.lab
    script = "\n".join(
        [
            "#!/bin/bash",
            "#SBATCH -n1 -w debian1",
            "#SBATCH hetjob",
            "#SBATCH -n1 --gpus=1 -x ubuntu1 '--comment=require: cuda>=12.4'",
            # DeferBatch waits for the leader's nodes only: the script has begun when the component is judged.
            'sleep 60; echo "ran $SLURM_RESTART_COUNT"',
            "",
        ]
    )
    with cluster.only("debian1", "rocky1"):
        leader = lab.sbatch(script)
        component = str(int(leader) + 1)
        before = _row(cluster, leader)
        report = cluster.wait_report(component, "rocky1")
    assert (report["verdict"], report["action"]["kind"]) == ("mismatch", "requeue"), report["action"]
    assert report["action"]["enforced"] is True
    # Slurm itself shows the leader's node among those that another component may not have.
    assert lab.job(component)["excluded_nodes"] in ("rocky1,ubuntu1", "debian1,rocky1,ubuntu1")
    assert _row(cluster, leader) == before  # excluded nodes, priority
    # That far only: Slurm 22.05 starts no heterogeneous job again that was requeued, held and released, even by hand.
    state = lab.wait_job(component, "PENDING")
    assert state["priority"] != "0"
    assert state["restarts"] == "1"
    assert "ran" not in lab.output(leader)
    lab.wait_until(lambda: lab.node_state("rocky1") == "IDLE", 20, "rocky1 to be idle")
