"""Jobs on a cluster whose prologs ask the node agent. PREFLIGHT_LAB_AGENT=1 runs all other lab tests so, too."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.cluster import SICK, Cluster, sites_of
from nvml import sim

pytestmark = pytest.mark.lab
GPUS = ("--gres=gpu:2", "--require=cuda>=12.4, ubuntu>=22.04")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two nodes with an agent each."""
    with Cluster(list(sites_of("ubuntu1", "debian1")), agent=True) as one:
        yield one


@pytest.fixture(autouse=True)
def fresh(cluster: Cluster) -> None:
    cluster.reset()


def test_a_job_starts_by_the_agents_answer(cluster: Cluster) -> None:
    job = cluster.lab.sbatch("env | grep ^PREFLIGHT_ | sort", *GPUS)
    cluster.lab.wait_job(job, "COMPLETED")
    report = cluster.wait_report(job)
    assert (report["source"], report["verdict"], report["node"]) == ("agent", "ready", "ubuntu1")
    assert sorted(report["job"]["gpus"]) == [0, 1]
    assert report["ages_s"]["gpus.signals"] <= 2.0
    assert "PREFLIGHT_VERDICT=ready\n" in cluster.lab.output(job)
    assert cluster.wait_report(job, phase="epilog")["source"] == "agent"
    assert not [call for call in cluster.called() if str(job) in call]


def test_without_its_agent_a_node_judges_itself(cluster: Cluster) -> None:
    cluster.stop_agent("ubuntu1", signal.SIGKILL)
    try:
        job = cluster.lab.sbatch("true", *GPUS)
        cluster.lab.wait_job(job, "COMPLETED")
        report = cluster.wait_report(job)
        assert (report["source"], report["verdict"]) == ("one-shot", "ready")
    finally:
        cluster.start_agent("ubuntu1")


def test_what_asks_for_an_action_is_done_by_the_hook(cluster: Cluster) -> None:
    cluster.set_gpus("ubuntu1", sim.example("h100x2"), SICK)
    cluster.lab.wait_until(lambda: cluster.ask_agent("ubuntu1", "check").get("verdict") == "unhealthy", 30, "a look")
    job = cluster.lab.sbatch("true", *GPUS)
    report = cluster.wait_report(job)
    assert (report["source"], report["verdict"], report["action"]["kind"]) == ("one-shot", "unhealthy", "drain")
    cluster.lab.wait_nodes(("DRAINED", "IDLE"))
    assert str(cluster.lab.node_reason("ubuntu1")).startswith("preflight:gpu.ecc.uncorrected:")


def test_the_agent_publishes_what_changed(cluster: Cluster) -> None:
    """No health check, no timer: another driver is in the node's features; a controller that hangs is asked seldom."""
    cluster.write_policy('[publish]\nenabled = true\nvia = "features"\n[agent]\njitter_s = 0\n')

    def features(node: str) -> str:
        said = cluster.lab.check_run(["scontrol", "show", "node", node])
        return next(line for line in said.splitlines() if "AvailableFeatures=" in line)

    def publication(node: str) -> dict[str, Any]:
        state: dict[str, Any] = cluster.ask_agent(node, "status").get("upkeep", {}).get("publish", {})
        return state

    cluster.lab.wait_until(lambda: "driver_550" in features("ubuntu1"), 60, "the first publication")
    cluster.set_gpus("ubuntu1", sim.example("h100x2"), {"driver": "570.86.15"})
    cluster.lab.wait_until(lambda: "driver_570" in features("ubuntu1"), 60, "the driver that changed")
    Path(cluster.directory, "slurm-down").touch()
    cluster.set_gpus("ubuntu1", sim.example("h100x2"), {"driver": "575.51.03"})
    cluster.lab.wait_until(lambda: publication("ubuntu1").get("failures"), 120, "a failure")
    assert publication("ubuntu1")["well"] is False
    job = cluster.lab.sbatch("true", *GPUS)
    cluster.lab.wait_job(job, "COMPLETED")
    assert cluster.wait_report(job)["source"] == "agent"  # which answers as before
