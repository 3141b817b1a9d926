"""Slurm's NVML plugin: Debian's contrib has it, as slurm-wlm-nvml-plugin.

Only its file is taken, beside the cached systems: the package wants NVIDIA's own library, and where Slurm comes from is
left as it is. slurm.conf's PluginDir names the directory that it is copied to.
"""

import fcntl
import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from lab import debian
from lab.chroot import ChrootRelease
from lab.daemons import LabError
from lab.release import Release

NAME = "gpu_nvml.so"
_PACKAGE = "slurm-wlm-nvml-plugin"


def nvml_plugin(release: Release) -> Path:
    """Return the plugin of exactly this Slurm (another micro release is refused by slurmd); fetched when missing.

    Raises LabError where the archive has none, or another release's.
    """
    suite = release.suite if isinstance(release, ChrootRelease) else _own_suite()
    version = ".".join(str(part) for part in release.version())
    kept = debian.CACHE / "nvml-plugin" / f"{suite}-{version}" / NAME
    kept.parent.mkdir(parents=True, exist_ok=True)
    with open(kept.parent / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            _fetch(suite, version, kept)
    return kept


def plugin_dir(release: Release) -> str:
    """Return the directory of Slurm's own plugins, as its processes see it."""
    for outside in Path(release.outside("/usr/lib")).glob(f"{platform.machine()}*/slurm*/gpu_generic.so"):
        return f"/usr/lib/{outside.parent.parent.name}/{outside.parent.name}"
    raise LabError("no directory of Slurm's plugins below /usr/lib: AutoDetect is tried on Debian's Slurm only")


def add(release: Release, directory: Path) -> str:
    """Copy the plugin into ``directory``; return the line of slurm.conf that makes Slurm look there as well."""
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(nvml_plugin(release), directory / NAME)
    return f"PluginDir={plugin_dir(release)}:{directory}\n"


def _own_suite() -> str:
    names = platform.freedesktop_os_release()
    if names.get("ID") != "debian" or "VERSION_CODENAME" not in names:
        raise LabError(f"{_PACKAGE} is taken from Debian's contrib, and this machine is no Debian release")
    return names["VERSION_CODENAME"]


def _fetch(suite: str, version: str, kept: Path) -> None:
    """Download the package by apt with lists of its own, and unpack the plugin; nothing is installed."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for one in ("lists/partial", "cache/archives/partial", "parts", "unpacked"):
            (place / one).mkdir(parents=True)
        (place / "sources.list").write_text(
            f"deb [signed-by={debian.KEYRING}] {debian.mirror()} {suite} contrib\n", encoding="utf-8"
        )
        apt = [
            "apt-get", "-q",
            "-o", f"Dir::Etc::sourcelist={place}/sources.list", "-o", f"Dir::Etc::sourceparts={place}/parts",
            "-o", f"Dir::State::lists={place}/lists", "-o", f"Dir::Cache={place}/cache",
            "-o", "APT::Sandbox::User=root", "-o", "APT::Get::List-Cleanup=0",
        ]  # fmt: skip
        _run([*apt, "update"], place)
        _run([*apt, "download", _PACKAGE], place)
        package = next(place.glob("*.deb"))
        has = _run(["dpkg-deb", "-f", str(package), "Version"], place).strip()
        if _numbers(has) != _numbers(version):
            raise LabError(
                f"{suite} has {_PACKAGE} {has}, and the lab's Slurm of it is {version}: make that system anew "
                f"(remove {debian.CACHE / suite})"
            )
        _run(["dpkg-deb", "-x", str(package), f"{place}/unpacked"], place)
        found = next((place / "unpacked").rglob(NAME))
        shutil.copyfile(found, f"{kept}.new")
        os.replace(f"{kept}.new", kept)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.split(r"[-+~]", version)[0].split("."))


def _run(command: list[str], place: Path) -> str:
    done = subprocess.run(
        command, cwd=place, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=300,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise LabError(f"{' '.join(command[:1] + command[-2:])}: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout
