"""Placing on a real Slurm by node Extra JSON: releases that have it (24.11, 26.05); skipped on others."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import placing, unavailable
from lab.cluster import Cluster
from lab.placing import NODES, extra, publish, set_extra

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def placed() -> Iterator[Cluster]:
    """Three nodes that differ; slurm.conf turns extra_constraints on, and the filter sets --extra."""
    reason = unavailable() or placing.lacks("extra")
    if reason:
        pytest.skip(reason)
    with placing.make("extra") as made:
        yield made


@pytest.fixture
def cluster(placed: Cluster) -> Cluster:
    placed.reset()
    for node in NODES:
        publish(placed, node)
    placed.forget_calls()
    return placed


def test_published_extra_keeps_what_is_not_ours(cluster: Cluster) -> None:
    set_extra(cluster, "ubuntu1", '{"rack":"r1","cuda":1}')
    publish(cluster, "ubuntu1")
    found = extra(cluster, "ubuntu1")
    assert (found["rack"], found["os"], found["cuda_runs"]) == ("r1", "ubuntu", 12999000)
    cluster.forget_calls()
    assert "unchanged" in publish(cluster, "ubuntu1")
    assert [call.split()[0] for call in cluster.called()] == ["sinfo"]


def test_what_is_cleared_leaves_what_is_not_ours(cluster: Cluster) -> None:
    set_extra(cluster, "ubuntu1", json.dumps({**extra(cluster, "ubuntu1"), "rack": "a7"}))
    publish(cluster, "ubuntu1", "--clear")
    assert extra(cluster, "ubuntu1") == {"rack": "a7"}


@pytest.mark.parametrize(
    ("spec", "node"),
    [
        ("cuda>=12.4", "ubuntu1"),
        ("rhel>=9", "rocky1"),
        ("rhel>=9|ubuntu>=23, driver<550", "rocky1"),
        ("!os=debian, !rhel>=9", "ubuntu1"),
        ("debian>=12, driver!=550", "debian1"),
        ("gpu=a100|gpu.memory>=90G", "rocky1"),
        ("driver~=550.54", "ubuntu1"),
    ],
)
def test_require_alone_starts_where_it_fits(cluster: Cluster, spec: str, node: str) -> None:
    gpus = ["--gpus=1"] if "gpu" in spec else []
    job = cluster.lab.sbatch("true", f"--require={spec}", *gpus)
    done = cluster.lab.wait_job(job, "COMPLETED")
    assert (done["nodes"], done["restarts"]) == (node, "0")


def test_what_nothing_fits_waits_and_starts_when_a_node_does(cluster: Cluster) -> None:
    job = cluster.lab.sbatch("true", "--require=ubuntu>=24.04|fedora>=40")

    def waits() -> bool:
        return cluster.lab.job(job)["reason"] == "Constraints"

    cluster.lab.wait_until(waits, 60, "reason Constraints")
    command = [f"{cluster.prefix}/bin/preflight", "facts", "--json", "--config", cluster.config]
    document = json.loads(cluster.lab.check_run(command, env={"SLURMD_NODENAME": "debian1"}))
    document["node"] = "debian1"
    document["facts"]["os"] = {"id": "ubuntu", "version": "24.04", "like": ["debian"]}
    path = Path(cluster.lab.work, "expected.json")
    path.write_text(json.dumps(document), encoding="utf-8")
    publish(cluster, "debian1", "--node", "debian1", "--facts", str(path))
    assert cluster.lab.wait_job(job, ("RUNNING", "COMPLETED", "COMPLETING"))["nodes"] == "debian1"


def test_the_users_own_extra_is_kept(cluster: Cluster) -> None:
    set_extra(cluster, "rocky1", json.dumps({**extra(cluster, "rocky1"), "rack": "r1"}))
    job = cluster.lab.sbatch("true", "--require=rhel>=9|ubuntu>=22.04", "--extra=rack=r1|rack=r2")
    assert cluster.lab.wait_job(job, "COMPLETED")["nodes"] == "rocky1"


def test_a_node_that_forgot_is_told_by_its_health_check(cluster: Cluster) -> None:
    set_extra(cluster, "ubuntu1", '{"rack":"r1"}')
    assert cluster.health("ubuntu1").returncode == 0
    assert extra(cluster, "ubuntu1")["gpu_name_h100"] == 1
