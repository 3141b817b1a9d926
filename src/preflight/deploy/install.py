"""Installing over whatever is there: a new version beside the old one, then each path swapped by a rename.

A hook that runs meanwhile goes on in its own version's directory, which stays. Where nothing is new nothing is done.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from contextlib import nullcontext
from typing import NamedTuple

from preflight import __version__, bundle
from preflight.deploy import build, versions
from preflight.deploy.activate import activate, swap
from preflight.deploy.copy import copy_package, digest, files_below, runs_by, sources
from preflight.deploy.layout import DeployError, Target, assets
from preflight.deploy.plugin import PLUGIN, brought, misfit
from preflight.deploy.render import File, texts
from preflight.files import OWN
from preflight.hooks.rundir import ALIVE
from preflight.policy.files import drop_in_directory, drop_ins
from preflight.policy.load import PolicyError, load_policy
from preflight.policy.model import Policy


class Outcome(NamedTuple):
    """What an installation did. ``place``, ``before``: the version's directory now, and the former; "" none.

    ``changed``: the paths that are not as they were, () where nothing was to be done. ``removed``: old versions.
    ``back``: whether a rollback goes to ``before``. ``notes``: what was left out and why, a line each.
    """

    place: str
    before: str
    changed: tuple[str, ...]
    removed: tuple[str, ...] = ()
    back: bool = False
    notes: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """Return the version that is in use now."""
        manifest = versions.read(self.place)
        return manifest.version if manifest else ""


def install(
    target: Target,
    plugin: bool,
    cppflags: str = "",
    agent: bool = False,
    plugin_file: str | None = None,
    dry_run: bool = False,
) -> Outcome:
    """Install to ``target`` and return what changed; raises DeployError or OSError, nothing swapped.

    ``plugin``: with the SPANK plugin, built here with ``cppflags``, or from ``plugin_file``. ``agent``: with the client
    that asks the node agent, and the agent's unit. ``dry_run``: return what would change, and change nothing.
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
        built[PLUGIN] = File(brought(source, target, policy, plugin_file, cppflags))
    if dry_run:
        return _would_install(target, source, policy, built)
    with versions.only_one(target):
        before = versions.current(target)
        place, new = _version(target, source, policy, built)
        changed = [new] if new else []
        changed += _make_directories(target, policy, source)
        if place != before:
            versions.flush(target)
        changed += activate(target, place)
        removed = versions.forget_old(target, place, before) if changed else []
        back = place != before and versions.history(target, place)[:1] == [before] and not versions.fault(before)
    return Outcome(place, before, tuple(changed), tuple(removed), back)


def _would_install(target: Target, source: str, policy: Policy, built: dict[str, File]) -> Outcome:
    """Return what an installation would come to; its place is "" where it would be a new version."""
    before = versions.current(target)
    place = _kept(target, _made_of(source, target, policy, built))
    files = activate(target, place, dry_run=True) if place else [target.at(target.versions)]
    changed = [*([place] if place != before and place else []), *_missing(target, policy), *files]
    return Outcome(place, before, tuple(changed))


def rollback(target: Target, dry_run: bool = False) -> Outcome:
    """Go back to the version that was in use before the current one; raises DeployError, nothing swapped then.

    Further rollbacks go further back, and the next installation comes after where they ended: none of them leads to a
    version that was rolled back from. A plugin that the Slurm of now does not load is left out, and named in the notes.
    ``dry_run``: return what would change, and change nothing.
    """
    os.umask(0o022)
    _stay_inside(target, *_written(target))
    if not os.path.isdir(target.at(target.versions)):
        raise DeployError(f"{target.prefix}: no Preflight is installed there (--prefix)")
    with nullcontext() if dry_run else versions.only_one(target):
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
        why = misfit(target, _policy_or_none(target), place)
        leave = (PLUGIN,) if why else ()
        if not dry_run:
            versions.write(place, manifest._replace(before=tuple(os.path.basename(one) for one in further)))
            versions.flush(target)
        changed = activate(target, place, dry_run, leave)
        return Outcome(place, now, tuple(changed), notes=(why,) if why else ())


def _version(target: Target, source: str, policy: Policy, built: dict[str, File]) -> tuple[str, str]:
    """Return the directory of a version made of all that is at hand, and again where it is new, else ""."""
    made_of = _made_of(source, target, policy, built)
    at = versions.next_time(target)
    kept = _kept(target, made_of)
    if kept and kept == versions.current(target):
        return kept, ""
    if kept:  # it was installed before, and is now the latest again
        manifest = versions.read(kept)
        assert manifest is not None
        names = versions.names_before(target, kept)
        versions.write(kept, manifest._replace(installed=at, before=names))
        return kept, ""
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
        compiled = versions.sha256(f"{staging}/lib/preflight/{bundle.NAME}")
        versions.write(staging, versions.Manifest(__version__, made_of, lib, at, sums, names, compiled))
        os.rename(staging, f"{directory}/{name}")
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return f"{directory}/{name}", f"{directory}/{name}"


def _kept(target: Target, made_of: str) -> str:
    """Return the version made of just that which is there and whole: the one in use before others; "" for none."""
    kept = [place for place in versions.places(target) if _same(place, made_of) and not versions.fault(place)]
    now = versions.current(target)
    return now if now in kept else kept[-1] if kept else ""


def _made_of(source: str, target: Target, policy: Policy, built: dict[str, File]) -> str:
    """Return one digest of package, files and what compiled it; the version's place is a mark in it."""
    files = {**texts(source, target, "@MAIN@", policy), **built}
    compiler = f"{sys.implementation.cache_tag} {sys.hexversion:x}"
    total = hashlib.sha256(f"{__version__}\n{digest(sources())}\n{compiler}\n".encode())
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


def _policy_or_none(target: Target) -> Policy:
    """Return the policy that is there, the defaults where it is broken: a rollback goes on."""
    try:
        return _policy(target)
    except DeployError:
        return Policy()


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


def _missing(target: Target, policy: Policy) -> list[str]:
    """Return what is not there of directories and policy; an image's /run is empty when it boots."""
    places = [target.at(one) for one in _directories(target)] + ([] if target.destdir else [target.run_dir])
    if "%n" not in policy.report.spool:
        places.append(target.at(policy.report.spool))
    found = [path for path in places if not os.path.isdir(path)]
    return found if os.path.exists(target.at(target.config)) else [*found, target.at(target.config)]


def _make_directories(target: Target, policy: Policy, source: str) -> list[str]:
    """Make what is missing of directories and policy, and return it."""
    missing = _missing(target, policy)
    config, spool = target.at(target.config), target.at(policy.report.spool)
    for path in missing:
        if path != config:
            os.makedirs(path, mode=0o755)
    if not target.destdir:
        os.close(os.open(f"{target.run_dir}/{ALIVE}", os.O_RDONLY | os.O_CREAT | OWN, 0o600))
    if os.path.isdir(spool):  # "%n" in it: the hooks make each node's
        os.chmod(spool, 0o700)
    if config in missing:
        os.makedirs(os.path.dirname(config), exist_ok=True)
        with open(f"{source}/site-config/preflight.toml", "rb") as file:
            swap(config, file.read(), 0o644)
    return missing
