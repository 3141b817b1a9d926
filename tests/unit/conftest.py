"""What several unit tests share: the simulated driver's library, and a node's site that uses it."""

from pathlib import Path

import pytest

from nvml import sim
from unit.hook_site import Site


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The simulated libnvidia-ml.so.1, built once."""
    return str(sim.build(tmp_path_factory.mktemp("nvml")))


@pytest.fixture
def site(tmp_path: Path, nvml_library: str) -> Site:
    """A sound node with two H100s, and Slurm commands that only record that they were called."""
    return Site(tmp_path, nvml_library)
