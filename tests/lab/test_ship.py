"""Reports leave the nodes by themselves: what Slurm's own jobs leave behind is in the store, each once."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fleet.collector import Collector
from lab.cluster import Cluster
from nvml import sim
from preflight.fleet import tokens
from preflight.fleet.query import jobs
from preflight.fleet.query.window import Window
from preflight.fleet.store.open import open_store

pytestmark = pytest.mark.lab


def ship(cluster: Cluster, node: str) -> "subprocess.CompletedProcess[str]":
    """Run `preflight ship` as the node's timer does."""
    command = [sys.executable, "-m", "preflight", "ship", "--config", cluster.config]
    environment = {**os.environ, "SLURMD_NODENAME": node}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_a_moved_job_is_one_job_with_two_tries_in_the_store(cluster: Cluster, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/fleet.db"
    store = open_store(url)
    nodes = [site.name for site in cluster.sites]
    for node in nodes:
        path = cluster.node_dir(node) / "ship.token"
        path.write_text(tokens.make(store, "lab", node), encoding="ascii")
        path.chmod(0o600)
    collector = Collector(url)
    places = f'token_file = "{cluster.directory}/nodes/%n/ship.token"'
    cluster.write_policy(f'[ship]\nurl = "{collector.url}"\n{places}')
    job = cluster.lab.sbatch("true", "--require=cuda>=12.4", "--gpus=1", "--begin=now+1hour", "-x", "ubuntu2")
    with cluster.only("rocky1"):
        cluster.lab.check_run(["scontrol", "update", f"JobId={job}", "StartTime=now"])
        cluster.wait_report(job, "rocky1")
    cluster.lab.check_run(["scontrol", "update", f"JobId={job}", "StartTime=now"])
    cluster.lab.wait_job(job, "COMPLETED", timeout=200)
    cluster.wait_report(job, "ubuntu1", phase="epilog")
    assert ship(cluster, "rocky1").returncode == 2  # no collector yet: all of it waits
    collector.start()
    try:
        sent = [ship(cluster, node) for node in nodes]
        assert [one.returncode for one in sent] == [0] * len(nodes), [one.stderr for one in sent]
        again = [ship(cluster, node).stdout for node in nodes]
        assert again == ["sent 0 reports, 0 of them refused\n"] * len(nodes)
    finally:
        collector.kill()
    now = round(time.time() * 1000)
    known = [one for one in jobs.jobs(store, Window(0, now)) if str(one.job) == job]
    assert [(one.tries, one.verdict) for one in known] == [(2, "mismatch")]
    raws = jobs.raw_reports(store, int(job))
    kept = {
        path.read_bytes() for node in nodes for path in (cluster.node_dir(node) / "spool/reports" / job).glob("*.json")
    }
    assert set(raws) == kept
    assert len(raws) == len(kept) == 4  # two prologs, two epilogs
    store.close()


def test_a_check_of_many_nodes_goes_through_slurm(cluster: Cluster) -> None:
    """Equal answers of nodes come once; a node that does not fit is told apart."""
    cluster.set_gpus("ubuntu2", sim.example("h100x2"), {"gpu.*.ecc.uncorrected.volatile": 3})
    done = cluster.preflight("fleet", "check", "-w", "ubuntu[1-2],debian1", timeout=200)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("ubuntu2 (1)\n")
    assert "fail gpu.ecc.uncorrected" in done.stdout.partition("\n\n")[0]
    assert "\nready\n" in done.stdout
    assert "debian1" in done.stdout
