"""One cluster for the tests that can share it, brought back to its beginning before each."""

from collections.abc import Iterator

import pytest

from lab import unavailable
from lab.cluster import Cluster, sites_of


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[Cluster]:
    """Four nodes: two sound ones with H100s (shuffled minor numbers on the first), an old driver, no GPU."""
    reason = unavailable()
    if reason:
        pytest.skip(reason)
    with Cluster(list(sites_of("ubuntu1", "ubuntu2", "rocky1", "debian1"))) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Iterator[Cluster]:
    """The shared cluster, idle and as it was at first."""
    shared_cluster.reset()
    yield shared_cluster
    shared_cluster.lift_faults()
