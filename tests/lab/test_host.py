"""[[host]] rows on a real Slurm: a drain by name of the row, its end, and jobs that fail as slurmd tells the epilog."""

import json
from pathlib import Path

import pytest

from lab.cluster import Cluster

pytestmark = pytest.mark.lab
NODE = "ubuntu2"
ROW = '[[host]]\ncheck = "mount"\nnodes = "/ubuntu2$/"\naction = "drain"\npath = "/scratch-of-the-lab"\n'


def test_a_row_drains_its_node_and_no_other_and_gives_it_back(cluster: Cluster) -> None:
    lab = cluster.lab
    cluster.write_policy(ROW)
    assert cluster.health_report("ubuntu1")["action"]["kind"] == "none"
    report = cluster.health_report(NODE)
    assert (report["verdict"], report["action"]["kind"]) == ("unhealthy", "drain")
    reason = lab.node_reason(NODE) or ""
    assert reason.startswith("preflight:host.mount:/scratch-of-the-lab: nothing is mounted")
    (cluster.node_dir(NODE) / "root" / "proc" / "self").mkdir(parents=True, exist_ok=True)
    mounts = cluster.node_dir(NODE) / "root" / "proc" / "self" / "mounts"
    mounts.write_text("fs1:/scratch /scratch-of-the-lab nfs4 rw 0 0\n", encoding="utf-8")
    try:
        assert cluster.health_report(NODE)["action"]["kind"] == "resume"
    finally:
        mounts.unlink()
        cluster.write_policy()
    lab.wait_until(lambda: lab.node_state(NODE) == "IDLE", 20, "the node to be back")


def test_a_job_that_failed_is_noted_where_slurm_tells_the_epilog(cluster: Cluster) -> None:
    """slurmd tells its epilog SLURM_JOB_EXIT_CODE2 in newer releases; older ones tell EpilogSlurmctld only."""
    lab = cluster.lab
    jobs = [lab.sbatch(text, "-w", NODE) for text in ("exit 3", "true", "kill -9 $$")]
    for job in jobs:
        cluster.wait_report(job, phase="epilog")
    place = Path(cluster.node_dir(NODE), "spool", f"ends-{NODE}.json")

    def rows() -> list[list[int]]:
        return json.loads(place.read_text(encoding="utf-8"))["ends"] if place.exists() else []

    if cluster.release.version() < (26, 0) and not place.exists():
        pytest.skip("this Slurm tells the epilog no exit status")
    failed = {int(jobs[0]), int(jobs[2])}  # the cluster is shared: others' jobs stand there, too
    lab.wait_until(lambda: {row[1] for row in rows()} >= failed, 30, "the epilogs' notes")
    assert {row[1]: row[3] for row in rows() if row[1] in failed} == dict.fromkeys(failed, True)
