"""The SPANK plugin that an installation brings: Slurm loads none that was built for another release than its own."""

from __future__ import annotations

import os
import shutil
import time

from preflight.deploy import build
from preflight.deploy.doctor.elf import ElfError, plugin_release, release_in
from preflight.deploy.layout import DeployError, Target
from preflight.deploy.slurm_release import here, written
from preflight.facts.rootfs import Root
from preflight.policy.model import Policy
from preflight.slurm.commands import Slurm
from preflight.slurm.gres.installed import BELOW_A_PREFIX, PREFIXES, WITNESS

PLUGIN = "lib/slurm/preflight.so"
ASK_S = 10.0  # for `scontrol -V`


def brought(source: str, target: Target, policy: Policy, file: str | None, cppflags: str) -> bytes:
    """Return the plugin: what is in ``file``, or what is built here of ``source`` with ``cppflags``.

    Raises DeployError, also where it is of another release than the Slurm that is to load it.
    """
    slurm = release(target, policy)
    if file:
        return build.given_plugin(file, slurm, _where(target))
    data = build.plugin(source, cppflags)
    try:
        made_for = release_in(data, "the plugin")
    except ElfError as error:
        raise DeployError(f"{error} (--plugin FILE.so, or --no-plugin)") from error
    if not _loads(slurm, made_for):
        raise DeployError(
            f"the plugin comes out for Slurm {written(made_for)}, whose headers are here, and {written(slurm)} "
            f"{_where(target)} does not load it: --cppflags -I/opt/slurm/include, --plugin FILE.so, or --no-plugin; "
            "where another Slurm is meant: [hook] slurm_bin"
        )
    return data


def misfit(target: Target, policy: Policy, version: str) -> str:
    """Return why a kept version's plugin is not to come back, one line; "" where it may, or the version has none.

    ``version``: its directory. A rollback is for the hooks: they go back whatever the plugin is.
    """
    path = f"{version}/files/{PLUGIN}"
    if not os.path.exists(path):
        return ""
    try:
        made_for = plugin_release(path)
    except (OSError, ElfError) as error:
        return f"that version's plugin: {error}"
    slurm = release(target, policy)
    if _loads(slurm, made_for):
        return ""
    stays = "the one that is there stays" if os.path.exists(target.at(target.plugin)) else "none is put there"
    return (
        f"that version's plugin was built for Slurm {written(made_for)}, and {written(slurm)} {_where(target)} "
        f"does not load it: {stays}"
    )


def release(target: Target, policy: Policy) -> tuple[int, ...]:
    """Return the release of the Slurm that is to load the plugin, (22, 5, 8) or (22, 5); () where it can't be told.

    On a host by Slurm's programs: those of the policy's slurm_bin, in the usual places, or on root's own PATH. Else,
    and in an image, whose programs may not run here, by Slurm's plugins.
    """
    if target.destdir:
        return _by_plugins(target.destdir)
    hook = policy.hook
    found = here(Slurm(hook.slurm_bin, hook.slurm_conf, time.monotonic() + ASK_S))
    on_path = "" if found or hook.slurm_bin else shutil.which("scontrol")
    if on_path:
        found = here(Slurm(os.path.dirname(os.path.abspath(on_path)), hook.slurm_conf, time.monotonic() + ASK_S))
    return found or (() if hook.slurm_bin else _by_plugins("/"))


def _by_plugins(root: str) -> tuple[int, ...]:
    """Return the release of the one Slurm whose plugins are below a root directory; () for none, or for several."""
    system = Root(root)
    found = set()
    for place in (f"{prefix}/{below}/{WITNESS}" for prefix in PREFIXES for below in BELOW_A_PREFIX):
        try:
            inside = system.resolve(place)
            if inside is not None:
                found.add(plugin_release(f"{root.rstrip('/')}{inside}")[:2])
        except (OSError, ElfError):
            continue
    return found.pop() if len(found) == 1 else ()


def _loads(slurm: tuple[int, ...], made_for: tuple[int, ...]) -> bool:
    """Tell whether a Slurm takes a plugin: of the same major and minor release, whatever the micro (seen)."""
    return not slurm or slurm[:2] == made_for[:2]


def _where(target: Target) -> str:
    return f"in {target.destdir}" if target.destdir else "of this host"
