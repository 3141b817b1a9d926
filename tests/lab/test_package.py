"""One life of the .deb on this machine's own Debian, in a layer over it: installed, installed again, removed, purged.

Upgrades under running prologs, other systems and the .rpm: `make test-packages`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import releases, unavailable
from lab.release import HostRelease
from packages.system import PREFIX, System, build, layered, put

pytestmark = pytest.mark.lab
NAMES = ("preflight", "preflight-slurm-plugin")


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """This machine with nothing of Preflight's on it."""
    if unavailable() or not isinstance(releases.chosen(), HostRelease) or not shutil.which("dpkg-deb"):
        pytest.skip("once, on the machine's own Slurm")
    try:
        made = layered(Path("/"), tmp_path)
        one = made.__enter__()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no layer over this system: {error}")
    try:
        for path in (PREFIX, "/etc/preflight", "/var/spool/preflight"):
            shutil.rmtree(f"{one.root}{path}", ignore_errors=True)
        (one.root / "tmp").mkdir(exist_ok=True)
        yield one
    finally:
        made.__exit__(None, None, None)


def test_a_package_lives_on_this_debian(system: System) -> None:
    built = build()
    package, plugin = (next(one for one in built if one.name.startswith(f"{name}_")) for name in NAMES)
    there = [put(system, package), put(system, plugin)]
    shutil.rmtree(package.parents[1])
    shown = system.run("dpkg", "-i", *there)
    assert "\ninstalled " in f"\n{shown}"
    assert f"Prolog={PREFIX}/libexec/prolog" in shown
    installed = system.root / "opt/preflight/lib/slurm/preflight.so"
    assert installed.read_bytes() == (system.root / "usr/lib/preflight/preflight.so").read_bytes()
    assert os.path.exists(f"{system.root}/usr/share/man/man1/preflight-install.1.gz")
    assert os.path.exists(f"{system.root}/usr/share/bash-completion/completions/preflight")
    assert "preflight, version" in system.run("/usr/bin/preflight", "version")
    assert system.prolog().returncode == 0

    shown = system.run("dpkg", "-i", *there)
    assert "\nunchanged " in f"\n{shown}"
    assert len(system.versions()) == 1

    assert "take its line out of plugstack.conf" in system.run("dpkg", "-r", "preflight-slurm-plugin")
    assert not installed.exists()
    system.run("dpkg", "-r", "preflight")
    ended = system.prolog()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")  # slurm.conf names it still
    system.run("dpkg", "-P", "preflight")
    assert not (system.root / "opt/preflight").exists()
    assert not (system.root / "etc/preflight").exists()
    assert (system.root / "var/spool/preflight").exists()
