"""A node that Preflight drained, rebooted past SlurmdTimeout and found well, is back in service without a hand."""

from collections.abc import Iterator

import pytest

from lab import unavailable
from lab.cluster import SICK, SITES, Cluster
from nvml import sim

pytestmark = pytest.mark.lab
NODE = "ubuntu2"
ECC = "preflight:gpu.ecc.uncorrected:gpu0:"
EXTRA = "SlurmdTimeout=10\nReturnToService={}\n"


@pytest.fixture(scope="module")
def small() -> Iterator[Cluster]:
    """Two nodes whose health check slurmd runs every few seconds."""
    reason = unavailable()
    if reason:
        pytest.skip(reason)
    sites = [SITES["ubuntu1"], SITES[NODE]]
    with Cluster(sites, "", EXTRA.format(2), health_interval=3) as cluster:
        yield cluster


def _drained_and_away(cluster: Cluster) -> None:
    """Have the node drained by its own health check, then away until Slurm gives it up."""
    lab = cluster.lab
    cluster.set_gpus(NODE, sim.example("h100x2"), SICK)
    lab.wait_until(lambda: (lab.node_reason(NODE) or "").startswith(ECC), 60, "the drain")
    lab.stop_node(NODE)
    lab.wait_until(lambda: "DOWN" in lab.node_state(NODE), 90, "the node to be given up")


@pytest.mark.parametrize("return_to_service", [0, 1, 2])
def test_rebooted_and_well_it_comes_back(small: Cluster, return_to_service: int) -> None:
    lab = small.lab
    lab.reconfigure(EXTRA.format(return_to_service))
    _drained_and_away(small)
    small.set_gpus(NODE, sim.example("h100x2"))
    lab.start_node(NODE)
    lab.wait_until(lambda: lab.node_state(NODE) == "IDLE", 60, "the node to be back")
    assert not list((small.node_dir(NODE) / "spool").glob("drain-*.json"))
    job = lab.sbatch("hostname", "--gpus=2", "-w", NODE)
    assert lab.wait_job(job, ("COMPLETED", "FAILED"))["state"] == "COMPLETED"


def test_rebooted_and_still_sick_it_stays_away(small: Cluster) -> None:
    lab = small.lab
    lab.reconfigure(EXTRA.format(0))
    _drained_and_away(small)
    lab.start_node(NODE)
    lab.wait_until(lambda: "NOT_RESPONDING" not in lab.node_state(NODE), 30, "the node to answer")
    for _ in range(2):
        assert small.health_report(NODE)["verdict"] == "unhealthy"
    assert lab.node_state(NODE) == "DOWN+DRAIN"
    small.set_gpus(NODE, sim.example("h100x2"))
    lab.wait_until(lambda: lab.node_state(NODE) == "IDLE", 60, "the node to be back")


def test_an_admins_word_over_it_keeps_the_node_away(small: Cluster) -> None:
    lab = small.lab
    lab.reconfigure(EXTRA.format(1))
    _drained_and_away(small)
    lab.check_run(["scontrol", "update", f"NodeName={NODE}", "State=DRAIN", "Reason=new board ordered"])
    small.set_gpus(NODE, sim.example("h100x2"))
    lab.start_node(NODE)
    lab.wait_until(lambda: "NOT_RESPONDING" not in lab.node_state(NODE), 30, "the node to answer")
    for _ in range(2):
        assert small.health_report(NODE)["action"]["kind"] == "none"
    assert "DRAIN" in lab.node_state(NODE)
    assert (lab.node_reason(NODE) or "").startswith("new board ordered")
    lab.check_run(["scontrol", "update", f"NodeName={NODE}", "State=RESUME"])
    lab.wait_until(lambda: lab.node_state(NODE) == "IDLE", 30, "the node to be back")


def test_the_reason_that_a_resumed_node_keeps_is_no_drain(small: Cluster) -> None:
    """24.11 keeps it; another node may be drained up to the limit all the same."""
    lab = small.lab
    small.write_policy(drain="max_nodes = 1")
    small.set_gpus("ubuntu1", sim.example("h100x2"), SICK)
    lab.wait_until(lambda: (lab.node_reason("ubuntu1") or "").startswith(ECC), 60, "the drain")
    small.set_gpus("ubuntu1", sim.example("h100x2"))
    lab.wait_until(lambda: lab.node_state("ubuntu1") == "IDLE", 60, "the node to be back")
    small.set_gpus(NODE, sim.example("h100x2"), SICK)
    lab.wait_until(lambda: "DRAIN" in lab.node_state(NODE), 60, "the other drain")
    assert (lab.node_reason(NODE) or "").startswith(ECC)
    assert small.health_report("ubuntu1")["action"]["kind"] == "none"
    small.set_gpus(NODE, sim.example("h100x2"))
    lab.wait_until(lambda: lab.node_state(NODE) == "IDLE", 60, "the node to be back")
