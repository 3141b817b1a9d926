"""Installing over whatever is there: a new version beside the old one, then each path swapped by a rename.

A hook that runs meanwhile goes on in its own version's directory, which stays. Where nothing is new nothing is done.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from typing import NamedTuple

from preflight import __version__
from preflight.deploy import build, versions
from preflight.deploy.copy import copy_package, digest, files_below, runs_by, sources
from preflight.deploy.layout import CLIENTS, PROGRAMS, DeployError, Target, assets
from preflight.deploy.render import File, texts
from preflight.files import OWN
from preflight.hooks.rundir import ALIVE
from preflight.policy.files import drop_in_directory, drop_ins
from preflight.policy.load import PolicyError, load_policy
from preflight.policy.model import Policy

PLUGIN = "lib/slurm/preflight.so"


class Outcome(NamedTuple):
    """What an installation did. ``place``, ``before``: the version's directory now, and the former; "" none.

    ``changed``: the paths that are not as they were, () where nothing was to be done. ``removed``: old versions.
    ``back``: whether a rollback goes to ``before``.
    """

    place: str
    before: str
    changed: tuple[str, ...]
    removed: tuple[str, ...] = ()
    back: bool = False

    @property
    def version(self) -> str:
        """Return the version that is in use now."""
        manifest = versions.read(self.place)
        return manifest.version if manifest else ""


def install(
    target: Target, plugin: bool, cppflags: str = "", agent: bool = False, plugin_file: str | None = None
) -> Outcome:
    """Install to ``target`` and return what changed; raises DeployError or OSError, nothing swapped.

    ``plugin``: with the SPANK plugin, built here with ``cppflags``, or from ``plugin_file``. ``agent``: with the client
    that asks the node agent, and the agent's unit.
    """
    os.umask(0o022)  # users run the command and the task prolog from here
    source = assets()
    _stay_inside(target, *_written(target))
    policy = _policy(target)
    _stay_inside(target, policy.report.spool)
    if not target.destdir:
        runs_by(target.python)
    built = {f"libexec/{name}": File(data) for name, data in build.clients(source).items()} if agent else {}
    if plugin:
        built[PLUGIN] = File(build.given_plugin(plugin_file) if plugin_file else build.plugin(source, cppflags))
    with versions.only_one(target):
        before = versions.current(target)
        place, new = _version(target, source, policy, built)
        changed = [new] if new else []
        changed += _make_directories(target, policy, source)
        if place != before:
            versions.flush(target)
        changed += _activate(target, place)
        removed = versions.forget_old(target, place, before) if changed else []
        back = place != before and versions.history(target, place)[:1] == [before] and not versions.fault(before)
    return Outcome(place, before, tuple(changed), tuple(removed), back)


def rollback(target: Target) -> Outcome:
    """Go back to the version that was in use before the current one; raises DeployError, nothing swapped then.

    Further rollbacks go further back, and the next installation comes after where they ended: none of them leads to a
    version that was rolled back from.
    """
    os.umask(0o022)
    _stay_inside(target, *_written(target))
    if not os.path.isdir(target.at(target.versions)):
        raise DeployError(f"{target.prefix}: no Preflight is installed there (--prefix)")
    with versions.only_one(target):
        now = versions.current(target)
        if not now:
            raise DeployError(f"{target.program}: it names no version that is there: preflight install")
        place, *further = versions.history(target, now) or [""]
        manifest = versions.read(place) if place else None
        if manifest is None:
            raise DeployError(f"no version that was installed before {os.path.basename(now)} is kept")
        fault = versions.fault(place)
        if fault:
            past = f" (to go further back: rm -r {place})" if further else ""
            raise DeployError(f"{place} is not as it was installed: {fault}{past}")
        versions.write(place, manifest._replace(before=tuple(os.path.basename(one) for one in further)))
        versions.flush(target)
        return Outcome(place, now, tuple(_activate(target, place)))


def _version(target: Target, source: str, policy: Policy, built: dict[str, File]) -> tuple[str, str]:
    """Return the directory of a version made of all that is at hand, and again where it is new, else ""."""
    package = digest(sources())
    marks = {**texts(source, target, "@MAIN@", policy), **built}
    made_of = _made_of(package, marks)
    at = versions.next_time(target)
    kept = [place for place in versions.places(target) if _same(place, made_of) and not versions.fault(place)]
    now = versions.current(target)
    if now in kept:
        return now, ""
    if kept:  # it was installed before, and is now the latest again
        manifest = versions.read(kept[-1])
        assert manifest is not None
        names = versions.names_before(target, kept[-1])
        versions.write(kept[-1], manifest._replace(installed=at, before=names))
        return kept[-1], ""
    directory = target.at(target.versions)
    name = f"{__version__}-{time.strftime('%Y%m%d%H%M%S')}-{os.getpid()}"
    while os.path.lexists(f"{directory}/{name}"):  # two in one second
        name += "+"
    last = f"{target.versions}/{name}"
    staging = f"{directory}/{versions.STAGING}{os.getpid()}"
    try:
        copy_package(f"{staging}/lib", f"{last}/lib")
        files = {**texts(source, target, f"{last}/lib/preflight/__main__.py", policy), **built}
        for path, file in files.items():
            os.makedirs(os.path.dirname(f"{staging}/files/{path}"), exist_ok=True)
            with open(f"{staging}/files/{path}", "wb") as out:
                out.write(file.data)
            os.chmod(f"{staging}/files/{path}", file.mode)
        sums = {path: hashlib.sha256(file.data).hexdigest() for path, file in files.items()}
        lib = digest(files_below(f"{staging}/lib"))
        names = versions.names_before(target)
        versions.write(staging, versions.Manifest(__version__, made_of, lib, at, sums, names))
        os.rename(staging, f"{directory}/{name}")
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return f"{directory}/{name}", f"{directory}/{name}"


def _made_of(package: str, files: dict[str, File]) -> str:
    """Return one digest of package, files and what compiled it; the version's place is a mark in it."""
    compiler = f"{sys.implementation.cache_tag} {sys.hexversion:x}"
    total = hashlib.sha256(f"{__version__}\n{package}\n{compiler}\n".encode())
    for path, file in sorted(files.items()):
        total.update(f"{path}\0{file.mode:o}\0{hashlib.sha256(file.data).hexdigest()}\n".encode())
    return total.hexdigest()


def _same(place: str, made_of: str) -> bool:
    manifest = versions.read(place)
    return manifest is not None and manifest.made_of == made_of


def _policy(target: Target) -> Policy:
    """Return the policy that is there already; a broken one stops the installation before it begins."""
    path = target.at(target.config)
    if not os.path.exists(path):
        if os.path.islink(path):  # where it leads may be a file system that is not mounted now
            raise DeployError(
                f"{path}: a link to {os.readlink(path)}, which is not there: write that file, or rm the link"
            )
        return Policy()
    try:
        return load_policy(path, root=target.destdir)
    except PolicyError as error:
        raise DeployError(error.lines[0]) from error


def _written(target: Target) -> tuple[str, ...]:
    """Return the directories that an installation writes in, and the files of the policy, which it reads."""
    own = (target.prefix, target.versions, *_directories(target))
    more = [path[len(target.destdir) :] for path in drop_ins(target.at(target.config))]
    return (*own, os.path.dirname(target.config), target.config, drop_in_directory(target.config), *more)


def _directories(target: Target) -> tuple[str, ...]:
    """Return the directories below the prefix in which files are swapped."""
    return (target.libexec, f"{target.prefix}/bin", f"{target.prefix}/lib/slurm", target.share)


def _stay_inside(target: Target, *paths: str) -> None:
    """Refuse an image whose links lead out of it: what is read and written would be this host's. Raises DeployError."""
    root = os.path.realpath(target.destdir)
    for path in paths if target.destdir else ():
        real = os.path.realpath(target.at(path))
        if os.path.commonpath([root, real]) != root:
            inside = f"{path}: a link in {target.destdir} leads to {real}, out of it"
            fix = "name the place that it stands for in the image (--prefix, --config, [report] spool)"
            raise DeployError(f"{inside}; {fix}")


def _make_directories(target: Target, policy: Policy, source: str) -> list[str]:
    """Make what is missing of directories and policy, and return it; an image's /run is empty when it boots."""
    made = []
    for path in [target.at(one) for one in _directories(target)] + ([] if target.destdir else [target.run_dir]):
        if not os.path.isdir(path):
            os.makedirs(path, mode=0o755)
            made.append(path)
    if not target.destdir:
        os.close(os.open(f"{target.run_dir}/{ALIVE}", os.O_RDONLY | os.O_CREAT | OWN, 0o600))
    if "%n" not in policy.report.spool:
        spool = target.at(policy.report.spool)
        if not os.path.isdir(spool):
            os.makedirs(spool)
            made.append(spool)
        os.chmod(spool, 0o700)
    config = target.at(target.config)
    if not os.path.exists(config):
        os.makedirs(os.path.dirname(config), exist_ok=True)
        with open(f"{source}/site-config/preflight.toml", "rb") as file:
            _swap(config, file.read(), 0o644)
        made.append(config)
    return made


def _activate(target: Target, place: str) -> list[str]:
    """Put a version's files into the prefix, those that are not there as they should be; return these."""
    inside = files_below(f"{place}/files")
    own = all(f"libexec/{name}" in inside for name in PROGRAMS)
    # Programs that are there stay, and ask in the new version's name: the agent answers no other.
    there = target.with_agent and all(os.path.isfile(f"{target.at(target.libexec)}/{name}") for name in PROGRAMS)
    clients = {f"libexec/{name}": hook for hook, name in CLIENTS.items()}
    unit = os.path.relpath(target.agent_unit, target.prefix)
    changed = []
    for name in sorted(inside, key=_order):
        path = f"{target.at(target.prefix)}/{name}"
        with open(inside[name], "rb") as file:
            data, mode = file.read(), os.fstat(file.fileno()).st_mode & 0o777
        if (name in clients or name == unit) and not (own or there):
            if name == unit or not os.path.isfile(path):
                continue
            # Left of an earlier installation, and slurm.conf may name it: it is the hook again.
            text = f"#!/bin/sh\n# The node agent's client is not installed.\nexec {target.libexec}/{clients[name]}\n"
            data = text.encode()
        if not _is(path, data, mode):
            _swap(path, data, mode)
            changed.append(path)
    return changed


def _order(name: str) -> tuple[int, str]:
    """The hooks first; a script of the client's after the program that it names; then the command."""
    steps = [*(f"libexec/{one}" for one in PROGRAMS), *(f"libexec/{one}" for one in CLIENTS.values()), "bin/preflight"]
    if name in steps:
        return steps.index(name) + 1, name
    return (0 if name.startswith("libexec/") else len(steps) + 1), name


def _is(path: str, data: bytes, mode: int) -> bool:
    """Tell whether a path is a file of that content and mode."""
    try:
        descriptor = os.open(path, os.O_RDONLY | OWN)
    except OSError:
        return False
    with open(descriptor, "rb") as file:
        return os.fstat(descriptor).st_mode & 0o7777 == mode and file.read(len(data) + 1) == data


def _swap(path: str, data: bytes, mode: int = 0o755) -> None:
    """Replace a file by a rename: a shell that reads the old one goes on reading it."""
    temporary = f"{os.path.dirname(path)}/.{os.path.basename(path)}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with open(descriptor, "wb") as file:
        file.write(data)
        os.fchmod(descriptor, mode)
        file.flush()
        os.fsync(descriptor)  # an empty script after a power cut would fail each prolog
    os.rename(temporary, path)
