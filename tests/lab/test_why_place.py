"""`preflight why` where nodes have published their facts: which of them fit, and a job that no node takes."""

import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from lab import placing, unavailable
from lab.cluster import Cluster
from lab.placing import NODES, WAYS, publish

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module", params=WAYS)
def placed(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Three nodes that differ, placing by Features, and where Slurm has it by Extra."""
    reason = unavailable() or placing.lacks(request.param)
    if reason:
        pytest.skip(reason)
    with placing.make(request.param) as made:
        yield made


@pytest.fixture
def cluster(placed: Cluster) -> Cluster:
    placed.reset()
    for node in NODES:
        publish(placed, node)
    return placed


def _why(cluster: Cluster, job: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(cluster.why(job, "--json"))
    return told


def test_a_job_that_is_held_is_told_where_it_fits(cluster: Cluster) -> None:
    """A requirement in the comment is not placed, so the prolog of the node asked by name finds it out."""
    job = cluster.lab.sbatch("true", "--comment=require: cuda>=12.4", "-w", "rocky1", "--gpus=1")
    assert cluster.wait_report(job)["action"]["kind"] == "hold"
    cluster.lab.wait_job(job, "PENDING")
    told = _why(cluster, job)
    assert (told["kind"], told["cause"]) == ("held-by-preflight", "node-by-name")
    assert told["evidence"][0] == "By the facts that nodes publish these fit: ubuntu1."
    assert any("rocky1" in line and "cuda" in line for line in told["evidence"][1:])


def test_a_job_whose_only_node_is_drained(cluster: Cluster) -> None:
    lab = cluster.lab
    with cluster.only("rocky1", "debian1"):
        job = lab.sbatch("true", "--require=cuda>=12.4")
        lab.wait_until(lambda: lab.job(job)["reason"].startswith(("ReqNode", "Constraints")), 60, "a reason")
        told = _why(cluster, job)
    # With Extra Slurm says either, as its two schedulers come by.
    assert told["kind"] == ("no-node-fits" if told["reason"] == "Constraints" else "waiting")
    assert told["evidence"] == ["ubuntu1 is idle+drain: test"]
    assert told["notes"] == []
    assert lab.wait_job(job, ("RUNNING", "COMPLETED", "COMPLETING"))["nodes"] == "ubuntu1"


def test_a_job_that_waits_for_constraints(cluster: Cluster) -> None:
    if "extra_constraints" not in cluster.extra:
        pytest.skip("with Features such a job is refused at submit")
    lab = cluster.lab
    job = lab.sbatch("true", "--require=ubuntu>=24.04|fedora>=40")
    lab.wait_until(lambda: lab.job(job)["reason"] == "Constraints", 60, "reason Constraints")
    told = _why(cluster, job)
    assert (told["kind"], told["cause"]) == ("no-node-fits", "Constraints")
    assert "--extra=" in told["sentence"]
    assert "os_version" in told["sentence"]
    assert "starts by itself when a node fits" in told["sentence"]
    commands = told["next"][1]["commands"]
    assert commands == [f"scancel {job}", "sbatch --require=… SCRIPT"]
    # Slurm takes no empty Extra, so nothing of the kind is advised.
    assert lab.run(["scontrol", "update", f"JobId={job}", "Extra="], user="pfalice").returncode != 0
    assert lab.run(shlex.split(commands[0]), user="pfalice").returncode == 0


def test_a_job_that_was_moved_off_the_only_node_that_met_the_rest(cluster: Cluster) -> None:
    """A mount is not published, so ubuntu1 seems to fit; with Features Slurm then holds the job (BadConstraints)."""
    lab = cluster.lab
    job = lab.sbatch("true", "--require=cuda>=12.4, mount=/nowhere", "--gpus=1")
    assert cluster.wait_report(job)["action"]["kind"] in ("requeue", "hold")
    lab.wait_until(lambda: lab.job(job)["state"] == "PENDING", 60, "the job in the queue again")
    lab.check_run(["scontrol", "update", f"JobId={job}", "StartTime=now"])
    lab.wait_until(lambda: lab.job(job)["reason"] in ("BadConstraints", "Constraints"), 60, "no node fits")
    told = _why(cluster, job)
    assert told["kind"] == "no-node-fits"
    assert told["sentence"].startswith(f"Job {job} was moved off ubuntu1: needs mount=/nowhere")
    said = json.dumps(told)
    assert "asks for no GPU" not in said
    assert "Features=" not in said
    assert "these fit" not in said
    assert "--constraint=" not in told["sentence"]  # what Preflight set is not the user's word
    assert told["next"][-1]["commands"][0] == f"scancel {job}"


def test_a_job_that_was_moved_where_no_node_left_fits(cluster: Cluster) -> None:
    """A requirement in the comment is not placed: Slurm would try one node after the other."""
    job = cluster.lab.sbatch("true", "--comment=require: fedora>=40")
    assert cluster.wait_report(job)["action"]["kind"] == "requeue"
    cluster.lab.wait_job(job, "PENDING")
    told = _why(cluster, job)
    assert (told["kind"], told["cause"]) == ("moved", "no-node-left")
    assert "None of the nodes left fits: " in told["sentence"]
    assert told["next"][0]["commands"][0] == f"scancel {job}"
