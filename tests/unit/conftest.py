"""What several unit tests share: the simulated driver's library, and a node's site that uses it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nvml import sim
from preflight.deploy import install
from preflight.deploy.copy import copy_package
from preflight.deploy.layout import Target
from preflight.hooks import spool
from unit.agent_site import AgentSite, build
from unit.hook_site import Site


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let nothing be kept in the cache of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def spool_again() -> Iterator[None]:
    """A spool that one test found frozen, or slow on a busy machine, is not so for the tests after it here."""
    yield
    spool._State.gone = False


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
def target(tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch) -> Target:
    """Where it is installed; copies by links: the copying itself is tested apart."""
    lib = os.path.dirname(os.path.dirname(package))

    def linked(to: str, named: str = "") -> None:
        os.makedirs(os.path.dirname(to))
        subprocess.run(["cp", "-al", lib, to], check=True)

    monkeypatch.setattr(install, "copy_package", linked)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/p.toml").write_text(
        f'version = 1\nmode = "observe"\n[report]\nspool = "{tmp_path}/spool"\n[agent]\nwait_ms = 400\n'
    )
    return Target(f"{tmp_path}/opt", f"{tmp_path}/etc/p.toml", f"{tmp_path}/run", os.path.realpath(sys.executable))


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Files such as spank.h makes of a plugin for a release of Slurm ("24.11"), built once each."""
    place, numbers = tmp_path_factory.mktemp("plugins"), {"22.05": "0x160508", "24.11": "0x180b05", "26.05": "0x1a0505"}

    def build(release: str) -> Path:
        made = place / f"{release}.so"
        if not made.exists():
            source = f'const char plugin_name[] = "preflight"; const unsigned plugin_version = {numbers[release]};'
            command = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(made)]
            subprocess.run(command, input=source, text=True, check=True)
        return made

    return build


@pytest.fixture
def hooked(site: Site, package: str) -> Site:
    """The same, able to run hooks."""
    site.main = package
    return site


@pytest.fixture
def site(tmp_path: Path, nvml_library: str) -> Site:
    """A sound node with two H100s, and Slurm commands that only record that they were called."""
    return Site(tmp_path, nvml_library)


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client, built once."""
    return build(tmp_path_factory.mktemp("client"))


@pytest.fixture
def idle(hooked: Site, programs: Path) -> Iterator[AgentSite]:
    """A site whose agent is not started."""
    (hooked.place / "reports").mkdir()
    one = AgentSite(hooked, programs)
    yield one
    if one.process is not None:
        one.stop(signal.SIGKILL)


@pytest.fixture
def agent(idle: AgentSite) -> AgentSite:
    """A site with an agent that answers."""
    idle.start()
    return idle
