"""Jobs that come by slurmrestd, which runs no SPANK plugin and no cli_filter: the comment is verified in the prolog."""

from collections.abc import Iterator
from typing import Any

import pytest

from lab import placing, rest, unavailable
from lab.cluster import Cluster
from lab.placing import NODES, publish

pytestmark = pytest.mark.lab
SPEC = "ubuntu>=22.04|debian>=12"
PATIENCE_S = 120


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster with plugin and filter, for what they would do if they were run."""
    reason = unavailable()
    if reason:
        pytest.skip(reason)
    with placing.make("constraint") as made:
        missing = rest.unavailable(made.lab.release)
        if missing:
            pytest.skip(missing)
        for node in NODES:
            publish(made, node)
        yield made


@pytest.fixture
def slurmrestd(cluster: Cluster) -> Iterator[rest.Rest]:
    cluster.reset()
    for node in NODES:
        publish(cluster, node)
    with rest.Rest(cluster.lab) as running:
        yield running


SCRIPT = "#!/bin/sh\necho ran on $SLURMD_NODENAME\n"


def clauses(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return text, source and status of each clause that was judged."""
    return [(one["text"], one["source"], one["status"]) for one in report["requirement"]["clauses"]]


def test_a_comment_is_verified_and_the_job_moved_to_where_it_fits(cluster: Cluster, slurmrestd: rest.Rest) -> None:
    with cluster.only("rocky1"):
        job = slurmrestd.submit(SCRIPT, comment=f"from the portal; require: {SPEC}")
        report = cluster.wait_report(job, "rocky1", timeout=PATIENCE_S)
    assert clauses(report) == [(SPEC, "comment", "fail")]
    action = report["action"]
    assert (report["verdict"], action["kind"], action["enforced"]) == ("mismatch", "requeue", True), action
    cluster.lab.hurry(job, PATIENCE_S)
    done = cluster.lab.wait_job(job, "COMPLETED", PATIENCE_S)
    assert (done["nodes"] in ("ubuntu1", "debian1"), done["restarts"]) == (True, "1"), done
    assert done["features"] == ""  # the filter placed nothing
    assert clauses(cluster.wait_report(job, done["nodes"])) == [(SPEC, "comment", "pass")]
    assert f"ran on {done['nodes']}" in cluster.lab.output(job)


def test_without_a_requirement_in_the_comment_it_runs_anywhere(cluster: Cluster, slurmrestd: rest.Rest) -> None:
    with cluster.only("rocky1"):
        job = slurmrestd.submit(SCRIPT, comment="from the portal")
        done = cluster.lab.wait_job(job, "COMPLETED", PATIENCE_S)
    assert (done["nodes"], done["restarts"]) == ("rocky1", "0")
    assert cluster.wait_report(job)["requirement"] is None
