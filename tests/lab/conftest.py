"""One cluster for the tests that can share it, brought back to its beginning before each; the longest files first."""

import os
from collections import Counter
from collections.abc import Iterator

import pytest

from lab import releases, unavailable
from lab.cluster import Cluster, sites_of

# Files that take minutes, so that none of them is the last when several processes share the files. The table at the end
# of scripts/test-labs says which they are. The others follow by their number of tests.
LONGEST = (
    *("breaker", "why_accounting", "faults", "place_jobs", "plan", "why", "plugin", "drain", "job", "sbatch", "health"),
    *("doctor", "lab", "recover", "reboot", "install", "autodetect", "demo"),
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the files, and nothing within one: all processes of a release must find the same order.

    Each release begins elsewhere among the longest: what is heavy is then not so in all labs at once.
    """
    name = os.environ.get(releases.VARIABLE) or "host"
    first = (releases.NAMES.index(name) if name in releases.NAMES else 0) * len(LONGEST) // len(releases.NAMES)
    places = {f"test_{stem}": (place - first) % len(LONGEST) for place, stem in enumerate(LONGEST)}
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (places.get(item.path.stem, len(places)), -tests[item.path], item.path))


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
