"""What several unit tests share: the simulated driver's library, and a node's site that uses it."""

from pathlib import Path

import pytest

from nvml import sim
from preflight.deploy.copy import copy_package
from unit.hook_site import Site


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The simulated libnvidia-ml.so.1, built once."""
    return str(sim.build(tmp_path_factory.mktemp("nvml")))


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Preflight with its libraries as installed, copied once: what the hooks run; its __main__.py."""
    lib = tmp_path_factory.mktemp("installed") / "lib"
    copy_package(str(lib))
    return str(lib / "preflight/__main__.py")


@pytest.fixture
def hooked(site: Site, package: str) -> Site:
    """The same, able to run hooks."""
    site.main = package
    return site


@pytest.fixture
def site(tmp_path: Path, nvml_library: str) -> Site:
    """A sound node with two H100s, and Slurm commands that only record that they were called."""
    return Site(tmp_path, nvml_library)
