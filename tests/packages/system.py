"""A Debian of its own to put packages into: another root directory, of which nothing stays."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PREFIX = "/opt/preflight"
SYSTEMS = Path("/var/cache/preflight-systems")
BUILDS = "python3,python3-venv,ca-certificates,gcc,libc6-dev,make,libslurm-dev"


class System:
    """A fresh Debian 12 in an overlay, with this machine's kernel file systems."""

    def __init__(self, place: Path) -> None:
        self.root = place / "root"

    def run(self, *command: str, check: bool = True) -> str:
        done = subprocess.run(
            ["/usr/sbin/chroot", str(self.root), *command],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def prolog(self, job: int = 1) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": "/usr/bin:/bin",
            "SLURM_JOB_ID": str(job),
            "SLURM_JOB_UID": "1000",
            "SLURMD_NODENAME": "n1",
        }
        command = ["/usr/sbin/chroot", str(self.root), f"{PREFIX}/libexec/prolog"]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    def versions(self) -> list[str]:
        return sorted(one.name for one in (self.root / "opt/preflight/versions").iterdir())


def base(suite: str) -> Path:
    """Return the root of a Debian that can build packages, made now if there is none."""
    return _made("bullseye-builds" if suite == "bullseye" else suite, BUILDS)  # bullseye: of scripts/test-oldest


def bare(suite: str) -> Path:
    """Return the root of a Debian with nothing on it, made now if there is none."""
    return _made(f"{suite}-bare", "ca-certificates")


def _made(name: str, include: str) -> Path:
    place = SYSTEMS / name
    stamp = place / ".packages"
    if not stamp.exists() or stamp.read_text(encoding="ascii") != include:
        new = f"{place}.new"
        for old in (new, place):
            shutil.rmtree(old, ignore_errors=True)
        SYSTEMS.mkdir(parents=True, exist_ok=True)
        suite = name.partition("-")[0]
        command = ["debootstrap", "--variant=minbase", f"--include={include}", suite, new]
        subprocess.run(command, check=True, capture_output=True)
        Path(new, stamp.name).write_text(include, encoding="ascii")
        os.rename(new, place)
    return place


def build(version: str = "", system: System | None = None) -> list[Path]:
    """Build the packages of this checkout and return their paths.

    ``version``: as another version than it is. ``system``: by the Python there, else by this machine's.
    """
    place = Path(tempfile.mkdtemp(prefix="preflight-packages-", dir=system and system.root / "tmp"))
    copy = 'git ls-files -z --cached --others --exclude-standard | xargs -0 tar -c | tar -x -C "$0"'
    subprocess.run(["bash", "-euo", "pipefail", "-c", copy, str(place)], cwd=REPOSITORY, check=True)
    if version:
        file = place / "src/preflight/__init__.py"
        file.write_text(re.sub(r'__version__ = ".*"', f'__version__ = "{version}"', file.read_text()))
    if system is None:
        done = subprocess.run([place / "scripts/packages"], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    else:
        way_out(system)
        here = f"/{place.relative_to(system.root)}"
        system.run("env", *pip_options(), "HOME=/root", f"{here}/scripts/packages")
    return sorted((place / "dist").glob("*.deb")) + sorted((place / "dist").glob("*.rpm"))


def way_out(system: System) -> None:
    """Let pip and apt find their way from there as they do here."""
    for known in filter(None, (os.environ.get("PIP_CERT"), "/etc/resolv.conf")):
        shutil.copy(known, f"{system.root}{known}")


def pip_options() -> list[str]:
    """Return what pip is told here by the environment."""
    return [f"{key}={value}" for key, value in os.environ.items() if key.startswith("PIP_") and key != "PIP_FIND_LINKS"]


@contextmanager
def layered(base: Path, place: Path) -> Iterator[System]:
    """Give a system whose files are those of ``base`` until it changes them; the changes are in memory, and go.

    ``place``: an empty directory for the mounts.
    """
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place)], check=True)
    mounted = [place]
    root = place / "root"
    try:
        for name in ("root", "upper", "work"):
            (place / name).mkdir()
        layers = f"lowerdir={base},upperdir={place}/upper,workdir={place}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(root)], check=True)
        mounted.append(root)
        for name in ("proc", "sys", "dev"):
            subprocess.run(["mount", "--bind", f"/{name}", str(root / name)], check=True)
            mounted.append(root / name)
        yield System(place)
    finally:
        for one in reversed(mounted):
            subprocess.run(["umount", str(one)], check=True)


def put(system: System, package: Path) -> str:
    """Copy a package into the system and return its path there."""
    shutil.copy(package, system.root / "tmp" / package.name)
    return f"/tmp/{package.name}"
