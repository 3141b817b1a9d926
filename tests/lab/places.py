"""The lab's directories: made, checked, and swept when their owner died."""

import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterable

from lab import daemons, processes
from lab.daemons import LabError
from lab.mounts import unmount_all
from lab.users import account

PARENT, PREFIX = "/tmp", "preflight-lab-"
_OWNER = "owner"


def temporary() -> str:
    """Make and return a new lab directory below /tmp (users must reach it, so it is not TMPDIR's)."""
    return tempfile.mkdtemp(prefix=PREFIX, dir=PARENT)


def make(directory: str, nodes: Iterable[str], slurm_user: str) -> None:
    """Make every directory of the lab and munge's key; raises LabError if users could not get in."""
    os.makedirs(directory, exist_ok=True)
    os.chmod(directory, 0o755)
    _must_be_reachable(directory)
    for name in ("dev", "log", "munge", "nodes", "run", "state", "work"):
        os.makedirs(os.path.join(directory, name), exist_ok=True)
        os.chmod(os.path.join(directory, name), 0o755)
    slurm, munge = account(slurm_user), account("munge")
    for name, owner in (("log", slurm), ("state", slurm), ("munge", munge)):
        os.chown(os.path.join(directory, name), owner.uid, owner.gid)
    os.chmod(os.path.join(directory, "work"), 0o1777)
    for node in nodes:
        for name in ("root", "spool", "reports", "slurmd"):
            os.makedirs(os.path.join(directory, "nodes", node, name), exist_ok=True)
    socket_path = os.path.join(directory, "munge", "munge.socket")
    if os.path.lexists(socket_path):
        os.unlink(socket_path)
    key = os.path.join(directory, "munge", "key")
    if not os.path.exists(key):
        with open(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as out:
            out.write(secrets.token_bytes(128))
        os.chown(key, munge.uid, munge.gid)
    own(directory)


def own(directory: str) -> None:
    """Note that this process has the directory: `sweep` removes it once the process has died."""
    os.makedirs(os.path.join(directory, "run"), exist_ok=True)
    me = processes.identify(os.getpid())
    with open(os.path.join(directory, "run", _OWNER), "w", encoding="ascii") as text:
        text.write(f"{me.pid} {me.started}\n" if me else "")


def sweep() -> list[str]:
    """End and remove the temporary labs whose owner died without stopping them; return their directories."""
    swept = []
    for name in os.listdir(PARENT):
        path = os.path.join(PARENT, name)
        if not name.startswith(PREFIX) or not _is_ours(path):
            continue
        try:
            with open(os.path.join(path, "run", _OWNER), encoding="ascii") as text:
                pid, started = map(int, text.read().split())
        except (OSError, ValueError):
            continue
        if not processes.is_alive(processes.Process(pid, started)):
            daemons.kill_stale(path)
            unmount_all(path)
            shutil.rmtree(path, ignore_errors=True)
            swept.append(path)
    return swept


def _is_ours(path: str) -> bool:
    """Whether it is a real directory of root: anyone may make names in /tmp."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == 0


def _must_be_reachable(directory: str) -> None:
    path = directory
    while path != "/":
        path = os.path.dirname(path)
        if not os.stat(path).st_mode & stat.S_IXOTH:
            raise LabError(f"lab directory {directory}: users cannot pass {path}; take a place below /tmp")
