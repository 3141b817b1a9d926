"""The versions that stand below a prefix: which one is in use, which may go, what each of them put in place.

versions/NAME/lib             the package and its libraries
versions/NAME/files           what is put into the prefix, as it is put there: libexec/prolog, bin/preflight …
versions/NAME/manifest.json   what it was made of, when it was installed, the digests of its files
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from preflight import bundle
from preflight.deploy.copy import digest, files_below
from preflight.deploy.layout import DeployError, Target
from preflight.digits import is_whole
from preflight.files import write_atomic

KEEP = 3
MANIFEST = "manifest.json"
FORMAT = 1
STAGING = ".new-"
_MAIN = re.compile(r"/versions/([^/\s\"']+)/lib/preflight/__main__\.py")


class Manifest(NamedTuple):
    """``made_of``: digest of all that the version was made of, but for the place where it stands. ``lib``: of lib.

    ``installed``: when it was last chosen by an installation, in ns since 1970; later than that of any other then.
    ``files``: path below the prefix -> SHA-256. ``before``: the versions that were in use before it came into use, by
    their directories' names, the latest first; None where an earlier Preflight installed it and did not write them.
    ``bundle``: SHA-256 of the file of compiled modules (`preflight.bundle`), "" as for ``before``.
    """

    version: str
    made_of: str
    lib: str
    installed: int
    files: dict[str, str]
    before: tuple[str, ...] | None = None
    bundle: str = ""


def places(target: Target) -> list[str]:
    """Return the directories of our versions, the one that was installed last at the end.

    A version is as old as its manifest says, one without as its directory. What else is there is not ours.
    """
    directory = target.at(target.versions)
    names = os.listdir(directory) if os.path.isdir(directory) else []
    found = [f"{directory}/{name}" for name in sorted(names) if not name.startswith(STAGING)]
    return sorted((place for place in found if _is_version(place)), key=_age)


def _is_version(place: str) -> bool:
    return os.path.isfile(f"{place}/lib/preflight/__main__.py") and not os.path.islink(place)


def _age(place: str) -> int:
    manifest = read(place)
    return manifest.installed if manifest else os.stat(place).st_mtime_ns


def current(target: Target) -> str:
    """Return the directory of the version that the command runs, "" where there is none."""
    try:
        with open(target.at(target.program), encoding="utf-8") as file:
            found = _MAIN.search(file.read())
    except (OSError, ValueError):
        return ""
    place = f"{target.at(target.versions)}/{found[1]}" if found else ""
    return place if place and os.path.isdir(place) else ""


def read(place: str) -> Manifest | None:
    """Return a version's manifest; None where it has none that can be read: it cannot be gone back to."""
    try:
        with open(f"{place}/{MANIFEST}", encoding="utf-8") as file:
            said: dict[str, Any] = json.load(file)
        one = Manifest(said["version"], said["made_of"], said["lib"], said["installed"], said["files"])
        before, its = said.get("before"), said.get("bundle")
    except (OSError, ValueError, KeyError, TypeError):
        return None
    good = said.get("format") == FORMAT and isinstance(one.installed, int) and isinstance(one.files, dict)
    if isinstance(before, list) and all(isinstance(name, str) for name in before):
        one = one._replace(before=tuple(before))
    if isinstance(its, str):
        one = one._replace(bundle=its)
    return one if good else None


def write(place: str, manifest: Manifest) -> None:
    """Write a version's manifest, on the disk when this returns; raises OSError."""
    text = json.dumps({"format": FORMAT, **manifest._asdict()}, indent=1)
    write_atomic(f"{place}/{MANIFEST}", text.encode(), 0o644, durable=True)


def history(target: Target, place: str) -> list[str]:
    """Return the versions that rollbacks from ``place`` go through, the next one first: those in use before it.

    Where its manifest does not name them they are those that were installed before it.
    """
    manifest = read(place)
    known = places(target)
    if manifest is not None and manifest.before is not None:
        found = [f"{target.at(target.versions)}/{name}" for name in manifest.before]
    else:
        age = _age(place)
        found = [one for one in reversed(known) if _age(one) < age]
    return [one for one in found if one in known and one != place and read(one)]


def names_before(target: Target, place: str = "") -> tuple[str, ...]:
    """Return what an installation writes as `Manifest.before` of the version that it chooses, at ``place`` if any."""
    now = current(target)
    found = [now, *history(target, now)] if now else reversed(places(target))
    return tuple(os.path.basename(one) for one in found if one != place)


def sha256(path: str) -> str:
    """Return the SHA-256 of a file; raises OSError."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def fault(place: str) -> str:
    """Return what of a version is not as its installation left it; "" for one that is whole."""
    manifest = read(place)
    if manifest is None:
        return f"no {MANIFEST} that can be read"
    try:
        changed = [name for name, made in manifest.files.items() if sha256(f"{place}/files/{name}") != made]
        if changed:
            return f"files/{changed[0]} was changed"
        if digest(files_below(f"{place}/lib")) != manifest.lib:
            return "lib was changed"
        return bundle_fault(place, manifest)
    except OSError as error:
        return f"{error.filename}: {error.strerror}"


def bundle_fault(place: str, manifest: Manifest) -> str:
    """Return what is wrong with a version's file of compiled modules, "" where nothing is; raises OSError.

    Hooks do without a damaged one, slowly.
    """
    its = f"lib/preflight/{bundle.NAME}"
    return f"{its} was changed" if manifest.bundle and sha256(f"{place}/{its}") != manifest.bundle else ""


def next_time(target: Target) -> int:
    """Return an instant for a version that is chosen now, later than all others' though the clock were set back."""
    return max([time.time_ns(), *(_age(place) + 1 for place in places(target))])


def flush(target: Target) -> None:
    """Have the file system of the versions write to the disk all that it holds in memory; raises OSError.

    A script that names a version must not outlive a power cut that leaves the version's files empty. One call for
    2,000 files, and for this file system alone: another one may hang.
    """
    directory = target.at(target.versions)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)  # syncfs(2)
        if syncfs is not None and syncfs(descriptor) == 0:
            return
        failed = errno.ENOSYS if syncfs is None else ctypes.get_errno()
        if failed not in (errno.ENOSYS, errno.EPERM):  # EPERM: a container's filter of system calls
            raise OSError(failed, os.strerror(failed), directory)
        os.sync()
    finally:
        os.close(descriptor)


def forget_old(target: Target, place: str, before: str) -> list[str]:
    """Remove old versions and return them: with ``place`` in use now, and ``before`` until this second.

    What stays: the KEEP that were installed last; the KEEP that are in use or that rollbacks go through; ``before``,
    since a shell may have read its script and not started its Python yet; and what a process runs.
    """
    kept = {before, *[place, *history(target, place)][:KEEP]}
    old = [one for one in places(target)[:-KEEP] if one not in kept]
    running = _running() if old else None
    if old:
        flush(target)  # the scripts that name another version now
    removed = []
    for place in old:
        if running is None or f"/versions/{os.path.basename(place)}/".encode() in running:
            continue
        shutil.rmtree(place, ignore_errors=True)
        removed.append(place)
    return removed


def _running() -> bytes | None:
    """Return the command lines of this host's processes; None where they cannot be told (no /proc in a build)."""
    found = []
    for pid in os.listdir("/proc") if os.path.isdir("/proc") else []:
        if is_whole(pid):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    found.append(file.read())
            except OSError:
                continue  # it has ended
    return b"\n".join(found) if found else None


@contextmanager
def only_one(target: Target) -> Iterator[None]:
    """Let one command at a time change what stands below the prefix; raises DeployError where another does.

    What one that was killed left half copied is removed.
    """
    directory = target.at(target.versions)
    os.makedirs(directory, mode=0o755, exist_ok=True)
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(lock), os.stat(directory)):
                raise FileNotFoundError(directory)
        except (BlockingIOError, FileNotFoundError):  # the latter: an uninstallation has just removed it
            what = f"another installation into {target.prefix}, or its uninstallation,"
            raise DeployError(f"{what} is under way: wait for its end") from None
        for name in os.listdir(directory):
            if name.startswith(STAGING):
                shutil.rmtree(f"{directory}/{name}", ignore_errors=True)
        yield
    finally:
        os.close(lock)
