"""Debian systems below a cache directory, each with that release's Slurm and Python: made once, used by many labs.

The mirror is the one that this machine's apt uses. A system is made under another name and renamed when it is whole.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.daemons import LabError
from lab.mounts import unmount_all
from lab.users import USERS, ensure_users
from preflight import toml

CACHE = Path(os.environ.get("PREFLIGHT_LAB_CACHE", "/var/cache/preflight-lab"))
REPOSITORY = Path(__file__).parents[2]
# Where the libraries that Preflight runs on are, inside.
ENVIRONMENT = "/opt/preflight-lab"
_PACKAGES = (
    "slurmctld", "slurmd", "slurmrestd", "slurm-client", "munge", "python3", "python3-venv", "gcc", "libc6-dev", "make",
    "libslurm-dev", "ca-certificates",
)  # fmt: skip
# Put into a system that is whole as well, so that one more does not make it anew.
_ADDED = ("slurmdbd",)
_ACCOUNTS = ("slurm", "munge", *USERS)
_STAMP = ".preflight-lab"
# What debootstrap and apt say of a release or a package that the mirror does not have, or not as its index says.
_ABSENT = re.compile(
    r"release file|couldn't download|couldn't find|no such script|unable to (fetch|locate)|failed to fetch", re.I
)
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def system(suite: str) -> str:
    """Return the root directory of Debian ``suite`` (such as "trixie"), made now if it is missing or incomplete.

    Minutes the first time. Needs root, debootstrap and the mirror; raises LabError with the step that failed.
    """
    root = CACHE / suite
    CACHE.mkdir(parents=True, exist_ok=True)
    with _locked(suite, fcntl.LOCK_SH):
        if _is_whole(root):
            _add(suite, root)
            return str(root)
    with _locked(suite, fcntl.LOCK_EX):
        if not _is_whole(root):
            _make(suite, root)
        _add(suite, root)
    return str(root)


@contextmanager
def in_use(suite: str) -> Iterator[None]:
    """Keep others from making the system anew meanwhile."""
    with _locked(suite, fcntl.LOCK_SH):
        yield


def copy_accounts(root: str) -> None:
    """Give the lab's users the ids inside that they have outside; others of that name or id there are replaced."""
    ensure_users()
    # Without a shadow entry `su`, which packages call, refuses the account.
    for file, line in (("shadow", "{}:!:20000::::::"), ("gshadow", "{}:!::")):
        path = Path(root, "etc", file)
        text = path.read_text(encoding="utf-8")
        known = {entry.split(":")[0] for entry in text.splitlines()}
        added = "".join(line.format(name) + "\n" for name in _ACCOUNTS if name not in known)
        if added:
            _replace(path, text + added)
    for file in ("passwd", "group"):
        with open(f"/etc/{file}", encoding="utf-8") as text:
            ours = [line for line in text.read().splitlines() if line.split(":")[0] in _ACCOUNTS]
        taken = {line.split(":")[2] for line in ours}
        path = Path(root, "etc", file)
        kept = [
            line
            for line in path.read_text(encoding="utf-8").splitlines()
            if line.split(":")[0] not in _ACCOUNTS and line.split(":")[2] not in taken
        ]
        new = "\n".join([*kept, *ours]) + "\n"
        if new != path.read_text(encoding="utf-8"):
            _replace(path, new)


def _replace(path: Path, text: str) -> None:
    """Write the file anew with the mode and owner that it has."""
    was = path.stat()
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        out.write(text)
    os.chown(temporary, was.st_uid, was.st_gid)
    temporary.chmod(was.st_mode & 0o7777)
    temporary.rename(path)


def chroot_program() -> str:
    """Return the absolute path of chroot, which a user's PATH seldom reaches."""
    return shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin:/bin") or "/usr/sbin/chroot"


def dependencies() -> list[str]:
    """Return the requirements of the checkout's pyproject.toml."""
    with open(REPOSITORY / "pyproject.toml", "rb") as text:
        listed: list[str] = toml.loads(text.read().decode())["project"]["dependencies"]
    return listed


@contextmanager
def _locked(suite: str, how: int) -> Iterator[None]:
    with open(CACHE / f"{suite}.lock", "w", encoding="ascii") as file:
        fcntl.flock(file, how)
        yield


def _recipe() -> str:
    """Return what tells one way of making a system from another."""
    return hashlib.sha256("\n".join([*_PACKAGES, *dependencies()]).encode()).hexdigest()


def _is_whole(root: Path) -> bool:
    try:
        return (root / _STAMP).read_text(encoding="ascii") == _recipe()
    except OSError:
        return False


def _make(suite: str, root: Path) -> None:
    print(f"lab: making Debian {suite} in {root}; this takes some minutes", file=sys.stderr, flush=True)
    new = root.with_name(f"{suite}.new")
    for old in (new, root):
        _remove(old)
    tool = shutil.which("debootstrap", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if tool is None:
        raise LabError(f"making Debian {suite} needs debootstrap: apt-get install debootstrap")
    command = [tool, "--variant=minbase", f"--keyring={KEYRING}", "--include=ca-certificates"]
    address = mirror()
    with _archive(suite, address):
        _run(f"debootstrap {suite}", [*command, suite, str(new), address])
    _refuse_services(new)
    copy_accounts(str(new))
    for name in ("hosts", "resolv.conf"):
        if os.path.exists(f"/etc/{name}"):
            shutil.copyfile(f"/etc/{name}", new / "etc" / name)
    _install(suite, new, _PACKAGES)
    _make_environment(suite, new)
    (new / _STAMP).write_text(_recipe(), encoding="ascii")
    new.rename(root)


def _add(suite: str, root: Path) -> None:
    """Install what was asked for after the system was made; what is in it stays as it is, so it may be in use."""
    with _locked(f"{suite}.added", fcntl.LOCK_EX):
        missing = [name for name in _ADDED if not (root / f"var/lib/dpkg/info/{name}.list").exists()]
        if missing:
            _install(suite, root, ["--no-upgrade", *missing])


def _install(suite: str, root: Path, packages: Sequence[str]) -> None:
    """Install packages with the lists that debootstrap got: apt would refuse a mirror whose sid stands still."""
    install = ["apt-get", "-q", "install", "-y", "--no-install-recommends", *packages]
    environment = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    with _archive(suite, mirror()):
        _run(f"apt-get install in {suite}", _inside(root, install), environment)
    _run(f"apt-get clean in {suite}", _inside(root, ["apt-get", "clean"]), environment)


@contextmanager
def _archive(suite: str, mirror: str) -> Iterator[None]:
    """Say where a file that is not to be had comes from: debootstrap and apt say only which file it is."""
    try:
        yield
    except LabError as error:
        if not _ABSENT.search(str(error)):
            raise
        raise LabError(
            f"{mirror} does not give Debian {suite}: it is out of reach, or the archive has moved (old releases go to "
            f"archive.debian.org; sid may change while it is read: try again; tests/lab/releases.py names the "
            f"releases): {error}"
        ) from None


def _make_environment(suite: str, root: Path) -> None:
    """Put the libraries into a virtual environment, and Preflight's own metadata beside them."""
    _trust_what_we_trust(root)
    _run(f"python3 -m venv in {suite}", _inside(root, ["python3", "-m", "venv", ENVIRONMENT]))
    pip = [f"{ENVIRONMENT}/bin/python", "-m", "pip", "install", "-q", "--no-cache-dir", "--disable-pip-version-check"]
    _run(f"pip install in {suite}", _inside(root, [*pip, *dependencies()]))
    place = next(root.joinpath(ENVIRONMENT[1:], "lib").glob("python3*/site-packages"))
    metadata = place / "slurm_preflight-0.dist-info"
    metadata.mkdir()
    needs = "".join(f"Requires-Dist: {one}\n" for one in dependencies())
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: slurm-preflight\nVersion: 0\n{needs}", encoding="utf-8"
    )


def _trust_what_we_trust(root: Path) -> None:
    """Take this machine's certificate authorities over: pip may have to go through a proxy that has its own."""
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    if os.path.exists(bundle):
        shutil.copyfile(bundle, f"{root}{bundle}")


def _refuse_services(root: Path) -> None:
    """Keep packages from starting daemons, and dpkg from syncing each file."""
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    policy.chmod(0o755)
    (root / "etc/dpkg/dpkg.cfg.d/lab").write_text("force-unsafe-io\n", encoding="ascii")


def mirror() -> str:
    """Return the address from which this machine's apt takes Debian itself."""
    words = ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(REPO_URI)|$(SUITE)", "Created-By: Packages"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        origin, address, suite = [*line.split("|"), "", ""][:3]
        # The security archive has other suites.
        if origin == "Debian" and re.match(r"https?://", address) and not re.search(r"security|updates", suite):
            return address.rstrip("/")
    raise LabError("apt names no mirror of Debian here (apt-get indextargets); run apt-get update first")


def _inside(root: Path, command: Sequence[str]) -> list[str]:
    return [chroot_program(), str(root), *command]


def _run(what: str, command: Sequence[str], environment: dict[str, str] | None = None) -> None:
    variables = {**os.environ, "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    for name in ("PYTHONPATH", "VIRTUAL_ENV", "TMPDIR"):
        variables.pop(name, None)
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**variables, **(environment or {})},
        check=False,
    )
    if done.returncode:
        tail = " / ".join(done.stdout.strip().splitlines()[-5:])
        raise LabError(f"{what}: status {done.returncode}: {tail}")


def _remove(root: Path) -> None:
    """Remove a system; never what is mounted below it."""
    unmount_all(str(root))
    subprocess.run(["rm", "-rf", "--one-file-system", str(root)], check=True)
