"""What needs no package: pip from a checkout and from wheels, and the one file; on Debian 11's Python 3.9, too.

In systems that have nothing but Python: no git, no compiler, and where it says so no network.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from packages.system import PREFIX, REPOSITORY, System, bare, base, layered, pip_options, put, way_out

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("debootstrap"), reason="needs root and debootstrap"
)
ALONE = ("unshare", "--net")


def checkout(system: System) -> None:
    """Put a checkout's files into /root/preflight: as an archive of them, without .git."""
    place = system.root / "root/preflight"
    place.mkdir()
    copy = 'git ls-files -z --cached --others --exclude-standard | xargs -0 tar -c | tar -x -C "$0"'
    subprocess.run(["bash", "-euo", "pipefail", "-c", copy, str(place)], cwd=REPOSITORY, check=True)


def shell(system: System, *lines: str, before: tuple[str, ...] = ()) -> str:
    """Run lines in /root/preflight as an admin who pastes them; ``before``: what each is run by."""
    words = [
        "env",
        *pip_options(),
        "HOME=/root",
        "LC_ALL=C.UTF-8",
        "sh",
        "-ec",
        "\n".join(["cd /root/preflight", *lines]),
    ]
    if before:
        done = subprocess.run(
            [*before, "/usr/sbin/chroot", str(system.root), *words],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr
    return system.run(*words)


def works(system: System) -> None:
    """Look whether what is installed judges, reports and answers without Slurm."""
    program = f"{PREFIX}/bin/preflight"
    assert system.prolog().returncode == 0
    (report,) = (system.root / "var/spool/preflight").glob("**/*.prolog.json")
    assert json.loads(report.read_text())["format"] == "preflight.report/1"
    assert "preflight.facts/1" in system.run(program, "facts", "--json")
    assert "cuda>=12.4" in system.run(program, "require", "cuda>=12.4")
    assert "550.54.15: native" in system.run(program, "support", "--cuda", "12.4", "--driver", "550.54.15")
    (system.root / "tmp/job.sh").write_text("#!/bin/bash\n#SBATCH --require=cuda>=12.4\npython3 train.py\n")
    assert "cuda>=12.4" in system.run(program, "plan", "/tmp/job.sh")
    assert ": fine (" in system.run(program, "config", "check")


@pytest.fixture(params=["bookworm", "trixie"])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    with layered(bare(request.param), tmp_path) as one:
        way_out(one)
        one.run("apt-get", "update")
        one.run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "python3", "python3-venv")
        yield one


def test_pip_installs_from_a_checkout_and_from_wheels_without_network(system: System, tmp_path: Path) -> None:
    for name in ("git", "cc", "gcc", "make"):
        assert not (system.root / "usr/bin" / name).exists()
    checkout(system)
    shell(
        system, "/usr/bin/python3 -m venv .venv", ".venv/bin/pip install .", ".venv/bin/preflight install --no-plugin"
    )
    works(system)
    shell(system, f"{PREFIX}/bin/preflight uninstall --all", "rm -r .venv /etc/preflight /var/spool/preflight")

    shell(
        system, "scripts/onefile", "mv dist /root/dist", "rm -rf /root/preflight /root/.cache", "mkdir /root/preflight"
    )
    shell(system, "mv /root/dist/wheelhouse /root/dist/preflight.pyz .", "ls")
    wheels = [
        "/usr/bin/python3 -m venv .venv",
        ".venv/bin/pip install --no-index --find-links wheelhouse slurm-preflight",
    ]
    shell(system, *wheels, ".venv/bin/preflight install --no-plugin", before=ALONE)
    works(system)
    said = shell(system, "./preflight.pyz install --python /usr/bin/python3 --no-plugin", before=ALONE)
    assert said.startswith("unchanged ") or "\ninstalled " in f"\n{said}"
    works_again = system.run(f"{PREFIX}/bin/preflight", "version")
    assert "preflight, version" in works_again


def test_the_one_file_runs_and_installs_on_python_3_9_without_network(tmp_path: Path) -> None:
    builder, node = tmp_path / "builder", tmp_path / "node"
    kept = tmp_path / "preflight.pyz"
    for one in (builder, node):
        one.mkdir()
    with layered(base("bullseye"), builder) as system:
        way_out(system)
        checkout(system)
        shell(system, "scripts/onefile")
        shutil.copy(system.root / "root/preflight/dist/preflight.pyz", kept)
    with layered(bare("bullseye"), node) as system:
        way_out(system)
        system.run("apt-get", "update")
        system.run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "python3")
        (system.root / "root/preflight").mkdir()
        there = put(system, kept)
        assert "3.9" in system.run("/usr/bin/python3", "--version")
        assert "driver" in shell(system, f"{there} check --phase health --json || [ $? -le 4 ]", before=ALONE)
        assert "Prolog=" in shell(system, f"{there} install --python /usr/bin/python3 --no-plugin", before=ALONE)
        works(system)
