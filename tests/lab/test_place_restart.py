"""A real restart of slurmctld: Features that were told it are forgotten, Extra is kept, and jobs start all the same."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import placing, unavailable
from lab.cluster import Cluster
from lab.placing import NODES, extra, features, publish

pytestmark = pytest.mark.lab
PATIENCE_S = 120


@contextmanager
def published(way: str) -> Iterator[Cluster]:
    """A cluster of its own, whose nodes have published."""
    reason = unavailable() or placing.lacks(way)
    if reason:
        pytest.skip(reason)
    with placing.make(way) as made:
        for node in NODES:
            publish(made, node)
        yield made


def ran(cluster: Cluster, job: str) -> str:
    """Return where the job ran, at the first try."""
    done = cluster.lab.wait_job(job, "COMPLETED", PATIENCE_S)
    assert done["restarts"] == "0", done
    return done["nodes"]


def _waits(cluster: Cluster, job: str, reason: str) -> None:
    cluster.lab.wait_until(
        lambda: cluster.lab.job(job)["reason"] == reason, PATIENCE_S, f"job {job} to wait with {reason}"
    )


def _restart_while_it_waits(cluster: Cluster) -> str:
    """Submit a job that only rocky1 fits, keep it waiting, and restart the controller; return the job."""
    with cluster.only("debian1"):
        job = cluster.lab.sbatch("true", "--require=rhel>=9")
        cluster.lab.restart_slurmctld()
    return job


def test_features_are_forgotten_and_told_again_by_the_health_check() -> None:
    with published("constraint") as cluster:
        job = _restart_while_it_waits(cluster)
        assert features(cluster, "rocky1") == {"rocky"}
        # Slurm holds it: no node has the feature. It lets go by itself when one has.
        _waits(cluster, job, "BadConstraints")
        for node in NODES:
            assert cluster.health(node).returncode == 0
        assert "os_rocky_9.4" in features(cluster, "rocky1")
        assert ran(cluster, job) == "rocky1"
        assert ran(cluster, cluster.lab.sbatch("true", "--require=rhel>=9")) == "rocky1"


def test_extra_is_kept() -> None:
    with published("extra") as cluster:
        unfit = cluster.lab.sbatch("true", "--require=fedora>=40")
        _waits(cluster, unfit, "Constraints")
        before = extra(cluster, "rocky1")
        job = _restart_while_it_waits(cluster)
        assert extra(cluster, "rocky1") == before
        assert before["os"] == "rocky"
        assert ran(cluster, job) == "rocky1"
        _waits(cluster, unfit, "Constraints")


def test_features_are_forgotten_at_a_reconfigure_too_and_the_user_is_told() -> None:
    with published("constraint") as cluster:
        cluster.lab.check_run(["scontrol", "reconfigure"])
        cluster.lab.wait_until(lambda: features(cluster, "rocky1") == {"rocky"}, PATIENCE_S, "features to be forgotten")
        done = cluster.lab.run(["sbatch", "--require=rhel>=9", "--wrap=true", "-w", "rocky1"], user="pfalice")
        assert done.returncode == 0, done.stderr
        assert "preflight: the prolog verifies rhel>=9: no node publishes rhel" in done.stderr
        assert "no node publishes" not in cluster.lab.run(["sbatch", "--wrap=true"], user="pfalice").stderr
        for node in NODES:
            assert cluster.health(node).returncode == 0
        assert "os_rocky_9.4" in features(cluster, "rocky1")
