"""The packages in fresh systems: installed, upgraded under running prologs, removed (`make test-packages`)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from packages.system import PREFIX, REPOSITORY, System, base, build, layered, put

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("debootstrap"), reason="needs root and debootstrap"
)


@pytest.fixture(scope="module")
def packages() -> list[Path]:
    """Build the packages of this checkout, and those of a later version of it."""
    return [package for version in ("", "0.1.1") for package in build(version)]


def debs(packages: list[Path], name: str = "preflight") -> list[Path]:
    """Return the .debs of that package, the later version at the end."""
    return [one for one in packages if one.suffix == ".deb" and one.name.startswith(f"{name}_")]


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with layered(base("bookworm"), tmp_path) as one:
        yield one


def test_debian_13_builds_installs_goes_back_and_removes(tmp_path: Path) -> None:
    with layered(base("trixie"), tmp_path) as system:
        first, second = (debs(build(version, system))[0] for version in ("", "0.1.1"))
        assert "~debian13_" in first.name
        assert f"Prolog={PREFIX}/libexec/prolog" in system.run("dpkg", "-i", put(system, first))
        assert (system.root / "opt/preflight/lib/slurm/preflight.so").read_bytes()[:4] == b"\x7fELF"
        assert system.prolog().returncode == 0
        assert "preflight.facts/1" in system.run("preflight", "facts", "--json")
        system.run("dpkg", "-i", put(system, second))
        assert "0.1.1" in system.run("preflight", "version")
        system.run("preflight", "install", "--rollback")
        assert "0.1.0" in system.run("preflight", "version")
        assert system.prolog().returncode == 0
        system.run("dpkg", "-P", "preflight")
        assert not (system.root / "opt/preflight").exists()


def test_a_package_is_installed_upgraded_under_running_prologs_and_removed(
    packages: list[Path], system: System
) -> None:
    first, second = debs(packages)
    shown = system.run("dpkg", "-i", put(system, first))
    assert f"Prolog={PREFIX}/libexec/prolog" in shown
    assert (system.root / "opt/preflight/lib/slurm/preflight.so").read_bytes()[:4] == b"\x7fELF"
    assert "0.1.0" in system.run("/usr/bin/preflight", "--version")
    assert system.prolog().returncode == 0

    ends: list[int] = []
    done = threading.Event()

    def submit(first_job: int) -> None:
        job = first_job
        while not done.is_set() or job < first_job + 50:
            ends.append(system.prolog(job).returncode)
            job += 1

    threads = [threading.Thread(target=submit, args=(number * 1000,)) for number in range(4)]
    for one in threads:
        one.start()
    try:
        system.run("dpkg", "-i", put(system, second))
    finally:
        done.set()
        for one in threads:
            one.join()
    assert len(ends) >= 200
    assert set(ends) == {0}
    assert "0.1.1" in system.run("/usr/bin/preflight", "--version")
    assert len(system.versions()) == 2

    system.run("dpkg", "-i", put(system, first))  # apt install preflight=0.1.0-1: the way back
    assert "0.1.0" in system.run("/usr/bin/preflight", "--version")

    system.run("dpkg", "-r", "preflight")
    ended = system.prolog()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")  # slurm.conf names it still
    assert (system.root / "etc/preflight/preflight.toml").exists()
    system.run("dpkg", "-P", "preflight")
    assert not (system.root / "opt/preflight").exists()
    assert not (system.root / "etc/preflight").exists()
    assert (system.root / "var/spool/preflight").exists()


def test_a_node_without_a_compiler_gets_all_but_the_plugin(packages: list[Path], system: System) -> None:
    (system.root / "usr/bin/make").unlink()
    shown = system.run("dpkg", "-i", put(system, debs(packages)[0]))
    assert "no plugin for sbatch --require: install the package preflight-slurm-plugin for your Slurm; or gcc" in shown
    assert not (system.root / "opt/preflight/lib/slurm/preflight.so").exists()
    assert system.prolog().returncode == 0


def test_the_plugin_is_a_package_of_its_own_for_one_slurm(packages: list[Path], system: System) -> None:
    main, plugin = debs(packages)[0], debs(packages, "preflight-slurm-plugin")[0]
    release = re.search(r"~slurm(\d+\.\d+)_", plugin.name)
    assert release
    asked = subprocess.run(["dpkg-deb", "-f", plugin, "Depends"], capture_output=True, text=True, check=True).stdout
    major, minor = release[1].split(".")
    assert f"slurm-wlm-basic-plugins (>= {release[1]})" in asked
    assert f"slurm-wlm-basic-plugins (<< {major}.{int(minor) + 1:02}~)" in asked
    said = system.run("dpkg", "-i", put(system, main), put(system, plugin), check=False)
    assert (
        "slurm-wlm-basic-plugins" in said
    )  # there is no Slurm here: dpkg names what is missing and configures the rest
    installed = system.root / "opt/preflight/lib/slurm/preflight.so"
    (system.root / "usr/bin/make").unlink()
    assert said.count("Add to slurm.conf, ") == 1
    said = system.run("dpkg", "--force-depends", "-i", put(system, plugin))  # a Slurm that dpkg knows nothing of
    assert "Add to " not in said  # the first package has put it there, and has printed its line
    assert installed.read_bytes() == (system.root / "usr/lib/preflight/preflight.so").read_bytes()
    # A Slurm of another release: the plugin is named, and everything else is upgraded.
    other = system.root / "usr/bin/scontrol"
    other.write_text("#!/bin/sh\necho slurm 99.11.0\n")
    other.chmod(0o755)
    said = system.run("dpkg", "-i", put(system, debs(packages)[1]))
    assert f"built for Slurm {release[1]}" in said
    assert "which 99.11.0 of this host does not load" in said
    assert "0.1.1" in system.run("preflight", "version")
    assert "take its line out of plugstack.conf" in system.run("dpkg", "-r", "preflight-slurm-plugin")
    assert not installed.exists()
    assert system.prolog().returncode == 0


@pytest.mark.skipif(not shutil.which("rpm"), reason="needs rpm")
def test_an_rpm_is_installed_upgraded_put_back_and_erased(packages: list[Path], system: System) -> None:
    """By rpm of this machine into that root, where the packages' scripts run; of what is there rpm knows nothing."""
    first, second = (one for one in packages if one.suffix == ".rpm" and "plugin" not in one.name)
    plugin = [one for one in packages if one.suffix == ".rpm" and "plugin" in one.name][-1]

    def rpm(*words: str) -> str:
        done = subprocess.run(["rpm", "--root", str(system.root), *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return re.sub(
            "^rpm: .*\n|^\n", "", done.stdout + done.stderr, flags=re.MULTILINE
        )  # Debian's says who it is for

    (system.root / "usr/bin/make").unlink()
    for path in ("opt/preflight/libexec/ours.sh", "etc/preflight/preflight.d/10-ours.toml"):
        (system.root / path).parent.mkdir(parents=True, exist_ok=True)
        (system.root / path).write_text("")
    before = files(system)
    shown = rpm("-i", "--nodeps", str(first))
    assert f"Prolog={PREFIX}/libexec/prolog" in shown
    assert "no plugin for sbatch --require: install the package preflight-slurm-plugin" in shown
    assert re.search(r"^python3 >= 3\.\d+$", rpm("-q", "--requires", "preflight"), re.MULTILINE)
    assert "0.1.0" in system.run("preflight", "version")
    assert system.prolog().returncode == 0

    shown = rpm("-U", "--nodeps", str(second))  # its %post gets 2, and then the old one's %preun 1
    assert "0.1.1" in system.run("preflight", "version")
    assert system.prolog().returncode == 0
    assert system.versions()[0].startswith("0.1.0-")
    assert rpm("-V", "--nodeps", "preflight") == ""

    said = rpm("-i", "--nodeps", str(plugin))
    assert "Add to plugstack.conf " in said
    assert "Add to slurm.conf, " not in said
    installed = system.root / "opt/preflight/lib/slurm/preflight.so"
    assert installed.read_bytes() == (system.root / "usr/lib/preflight/preflight.so").read_bytes()
    assert "take its line out of plugstack.conf" in rpm("-e", "--nodeps", "preflight-slurm-plugin")
    assert not installed.exists()

    rpm("-U", "--nodeps", "--oldpackage", str(first))
    assert "0.1.0" in system.run("preflight", "version")
    rpm("-e", "--nodeps", "preflight")
    ended = system.prolog()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")  # slurm.conf names it still
    left = {re.sub("^(run/preflight|var/spool/preflight)(/.*)?$", r"\1", one) for one in files(system) - before}
    hooks = {f"opt/preflight/libexec/{name}" for name in ("prolog", "epilog", "healthcheck", "taskprolog")}
    assert left == {*hooks, "etc/preflight/preflight.toml", "run/preflight", "var/spool/preflight"}
    assert before <= files(system)
    rpm("-i", "--nodeps", str(second))
    assert system.prolog().returncode == 0
    assert "0.1.1" in system.run("preflight", "version")


def files(system: System) -> set[str]:
    """Return the files of a system but for rpm's own and what the kernel shows."""
    found = set()
    for place, directories, names in os.walk(system.root):
        inside = os.path.relpath(place, system.root)
        if inside == ".":
            directories[:] = [one for one in directories if one not in ("proc", "sys", "dev", "tmp")]
        if not inside.startswith(("var/lib/rpm", "root/.rpmdb")) and "__pycache__" not in inside:
            found |= {os.path.normpath(f"{inside}/{name}") for name in names}
    return found


def test_a_package_whose_python_is_gone_can_be_removed(packages: list[Path], system: System) -> None:
    system.run("dpkg", "-i", put(system, debs(packages)[0]))
    mine = system.root / "opt/preflight/libexec/ours.sh"
    mine.write_text("")
    for one in (system.root / "usr/bin").glob("python3*"):
        one.unlink()
    said = system.run("dpkg", "-r", "preflight")
    assert "uninstall ended with 127: the hooks do nothing now" in said
    ended = system.prolog()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    system.run("dpkg", "-P", "preflight")
    assert [one.name for one in (system.root / "opt/preflight/libexec").iterdir()] == ["ours.sh"]
    assert not (system.root / "opt/preflight/versions").exists()


def later(packages: list[Path]) -> Path:
    """Return the one file of the later version."""
    return next(one.parent / "preflight.pyz" for one in packages if "0.1.1" in one.name)


def test_the_ansible_role_installs_once_and_changes_nothing_again(
    packages: list[Path], system: System, tmp_path: Path
) -> None:
    tools = Path(tempfile.mkdtemp(prefix="preflight-ansible-"))
    subprocess.run(["/usr/bin/python3", "-m", "venv", str(tools)], check=True)
    subprocess.run([tools / "bin/pip", "install", "-q", "ansible-core", "ansible-lint"], check=True)
    site = REPOSITORY / "site-config/ansible"
    clean = {**os.environ, "PATH": f"{tools}/bin:{os.environ['PATH']}", "ANSIBLE_HOME": str(tmp_path / "home")}
    lint = [tools / "bin/ansible-lint", "--offline", "--profile", "production", "roles/preflight"]
    done = subprocess.run(lint, cwd=site, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    # In the fresh system, by the Python that both have.
    inside = system.root / str(tools).lstrip("/")
    shutil.copytree(tools, inside, symlinks=True)
    shutil.copytree(site / "roles", system.root / "play/roles")
    shutil.copy(packages[0].parent / "preflight.pyz", system.root / "play/preflight.pyz")
    (system.root / "play/policy.toml").write_text('version = 1\nmode = "observe"\n')
    (system.root / "play/10-gpu.toml").write_text("[drain]\nmax_nodes = 3\n")

    def play(*options: str, **variables: object) -> str:
        book = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "roles": ["preflight"]}]
        book[0]["vars"] = {
            "preflight_policy": "/play/policy.toml",
            "preflight_file": "/play/preflight.pyz",
            "preflight_drop_ins": ["/play/10-gpu.toml"],
            "ansible_python_interpreter": "/usr/bin/python3",
            **variables,
        }
        (system.root / "play/book.yml").write_text(json.dumps(book))
        said = system.run(
            "env",
            "HOME=/root",
            "LC_ALL=C.UTF-8",
            f"{tools}/bin/ansible-playbook",
            "-i",
            "localhost,",
            *options,
            "/play/book.yml",
            check=False,
        )
        assert "failed=0" in said or variables.get("broken"), said
        found = re.search(r"changed=(\d+)", said)
        assert found, said
        return said if variables.get("broken") else found[1]

    def version() -> str:
        return system.run(f"{PREFIX}/bin/preflight", "version").split()[-1]

    try:
        assert play("--check") == "1"  # all of it is new
        assert not (system.root / PREFIX.lstrip("/")).exists()
        assert int(play()) > 3
        assert play("--check") == "0"
        assert system.prolog().returncode == 0
        assert "max_nodes" in system.run(f"{PREFIX}/bin/preflight", "config", "show")
        assert play() == "0"
        (system.root / "opt/preflight/libexec/epilog").unlink()
        assert play("--check") == "1"
        assert not (system.root / "opt/preflight/libexec/epilog").exists()
        assert play() == "1"
        shutil.copy(later(packages), system.root / "play/preflight.pyz")
        assert play("--check") == "2"  # the file, and that it is installed
        assert version() == "0.1.0"
        assert play() == "2"
        assert version() == "0.1.1"
        assert play("--check", preflight_state="rolled_back") == "1"
        assert version() == "0.1.1"
        assert play(preflight_state="rolled_back") == "1"
        assert version() == "0.1.0"
        assert system.prolog().returncode == 0
        policy = (system.root / "etc/preflight/preflight.toml").read_bytes()
        (system.root / "play/policy.toml").write_text("mode = 4\n")
        assert "mode: " in play(broken=True)
        assert (system.root / "etc/preflight/preflight.toml").read_bytes() == policy
        assert play("--check", preflight_state="absent") == "2"
        assert play(preflight_state="absent") == "2"
        assert system.prolog().returncode == 0
        assert play(preflight_state="absent") == "0"
    finally:
        shutil.rmtree(tools)
