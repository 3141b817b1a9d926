"""What is compiled on the host: the SPANK plugin, for its Slurm, and the two small programs that ask the node agent."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from typing import NamedTuple

from preflight.deploy.doctor.elf import ElfError, plugin_release
from preflight.deploy.layout import PROGRAMS, DeployError
from preflight.deploy.slurm_release import written
from preflight.files import read_plain

LIMIT_S = 120
MAX_PLUGIN = 16 << 20
_HEADER = re.compile(r"fatal error: ([\w./-]+): No such file")
_NO_LIBRARY = re.compile(r"cannot find -l\w+|cannot find \w+\.o|unable to find library")
SMD = "/usr/share/doc/slurm-smd"  # SchedMD's own packages for Debian: docs of slurm.schedmd.com, quickstart_admin


class Packages(NamedTuple):
    """What the packages of a distribution are called, and the command that installs them."""

    command: str
    libc: str
    static: str
    slurm: str


APT = Packages("apt-get install", "libc6-dev", "libc6-dev", "libslurm-dev")
DNF = Packages("dnf install", "glibc-devel", "glibc-static", "slurm-devel")
ZYPPER = Packages("zypper install", "glibc-devel", "glibc-devel-static", "slurm-devel")


def packages() -> Packages:
    """Return the names of packages on this host; Debian's where its distribution is another."""
    import distro

    like = {distro.id(), *distro.like().split()}
    if like & {"rhel", "fedora", "centos", "rocky", "almalinux", "ol", "amzn"}:
        return DNF
    if like & {"suse", "opensuse", "sles", "opensuse-leap"}:
        return ZYPPER
    return APT._replace(slurm="slurm-smd-dev") if os.path.isdir(SMD) else APT


def has_compiler() -> bool:
    """Return whether there is what a build begins with."""
    return not _missing()


def plugin(source: str, cppflags: str = "") -> bytes:
    """Return the plugin, built for the Slurm whose headers are here; raises DeployError."""
    with tempfile.TemporaryDirectory() as build:
        _make(f"{source}/slurm_plugin", build, cppflags, "plugin", "--plugin FILE.so, or --no-plugin")
        return _bytes(f"{build}/preflight.so")


def given_plugin(path: str, slurm: tuple[int, ...] = (), where: str = "of this host") -> bytes:
    """Return the plugin in a file that was built on another host; raises DeployError for anything else.

    ``slurm``: the release that is to load it, () where it is not known; ``where``: where that Slurm is. Slurm takes a
    plugin of its own major and minor release.
    """
    try:
        made_for = plugin_release(path)
        data = read_plain(path, MAX_PLUGIN)
    except ElfError as error:
        raise DeployError(f"--plugin {error}") from error
    except OSError as error:
        raise DeployError(f"--plugin {path}: {error.strerror}") from error
    if b"preflight" not in data:
        raise DeployError(f"--plugin {path}: a plugin of Slurm's, and not Preflight's")
    if slurm and made_for[:2] != slurm[:2]:
        raise DeployError(
            f"--plugin {path}: built for Slurm {written(made_for)}, which {written(slurm)} {where} does not load: "
            "build it with the headers of that release"
        )
    machine = os.uname().machine
    asked = {"x86_64": 62, "aarch64": 183}.get(machine)  # elf.h: EM_X86_64, EM_AARCH64
    if asked is not None and int.from_bytes(data[18:20], "little") != asked:
        raise DeployError(f"--plugin {path}: built for another machine than this one ({machine})")
    return data


def clients(source: str) -> dict[str, bytes]:
    """Return the two programs, name -> file; raises DeployError where they are not built or do not run here.

    One that does not run would drain the node as a prolog.
    """
    found = {}
    with tempfile.TemporaryDirectory() as build:
        _make(f"{source}/client", build, "", "client", "--no-agent")
        for name in PROGRAMS:
            path = f"{build}/{name}"
            try:
                said = subprocess.run([path, "--version"], capture_output=True, timeout=10, check=False)
                good = said.returncode == 0 and bool(said.stdout)
            except (OSError, subprocess.TimeoutExpired):
                good = False
            if not good:
                raise DeployError(f"the client {name} was built and does not run here (--no-agent)")
            found[name] = _bytes(path)
    return found


def _make(source: str, build: str, cppflags: str, what: str, otherwise: str) -> None:
    """Run make on a copy of ``source`` in ``build``; the same source, compiler and headers make the same files."""
    missing = _missing()
    names = packages()
    if missing:
        text = " and ".join(missing)
        fix = f"{names.command} {' '.join(missing)}, or {otherwise}"
        raise DeployError(
            f"the {what} cannot be built: {text} {'is' if len(missing) == 1 else 'are'} not installed here ({fix})"
        )
    shutil.copytree(source, build, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.o", "*.so", *PROGRAMS))
    flags = f"{cppflags} -ffile-prefix-map={build}=."
    command = ["make", "-s", "-C", build, f"CPPFLAGS={flags.strip()}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeployError(f"the {what} cannot be built: {error} ({otherwise})") from error
    if done.returncode:
        raise DeployError(f"the {what} does not build: {_why(done.stderr, names)}, or {otherwise})")


def _missing() -> list[str]:
    """Return what a build begins with and is not here, as its package is called."""
    compiler = (os.environ.get("CC") or "cc").split()[0]
    return [name for name, program in (("gcc", compiler), ("make", "make")) if shutil.which(program) is None]


def _why(errors: str, names: Packages) -> str:
    """Return what a failed make said, and what to do, up to a ")" that the caller writes."""
    header = _HEADER.search(errors)
    if header and header[1].startswith("slurm/"):
        where = "where Slurm is elsewhere: --cppflags -I/opt/slurm/include"
        return f"Slurm's headers are not installed here ({names.command} {names.slurm}; {where}"
    if header:
        return f"{header[1]} is not installed here ({names.command} {names.libc}"
    line = next((one for one in errors.splitlines() if "error" in one.lower()), errors.strip()[:200])
    if _NO_LIBRARY.search(errors):
        return f"a static C library is not installed here ({names.command} {names.static}"
    return f"{line.strip()} (look at the compiler"


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
