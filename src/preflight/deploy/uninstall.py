"""Taking Preflight off a node, without leaving slurmd a dead path, systemd a dangling unit or Slurm old facts."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

from preflight.deploy.activate import swap
from preflight.deploy.layout import CLIENTS, HOOKS, PROGRAMS, Target
from preflight.deploy.versions import only_one, places
from preflight.digits import is_whole
from preflight.hooks.rundir import ALIVE, FOLDERS, KEPT
from preflight.policy.load import node_name
from preflight.policy.model import Policy
from preflight.slurm.commands import Slurm, SlurmError, find
from preflight.slurm.publish import Publication, UnknownNode, clear

UNITS = "/etc/systemd/system"
BOOTED = "/run/systemd/system"  # sd_booted(3)
SYSTEMD_S, SLURM_S = 60.0, 20.0
_SCRIPT = b"#!/bin/sh\n# Preflight was uninstalled.\nexit 0\n"


def quiet(target: Target) -> None:
    """Make the hooks that slurm.conf names scripts that do nothing: a missing prolog drains nodes. Raises OSError."""
    for name in (*HOOKS, *CLIENTS.values()):
        if os.path.isfile(f"{target.libexec}/{name}"):
            swap(f"{target.libexec}/{name}", _SCRIPT)


def withdraw(policy: Policy) -> Publication | None:
    """Take back what this node published to Slurm; None where there is no Slurm, or it does not know this host.

    Raises SlurmError where it could not be done.
    """
    try:
        find(policy.hook.slurm_bin, "scontrol")
    except SlurmError:
        return None
    conf = policy.hook.slurm_conf or os.environ.get("SLURM_CONF", "")
    slurm = Slurm(policy.hook.slurm_bin, conf, time.monotonic() + SLURM_S, each_s=5.0)
    try:
        return clear(slurm, node_name())
    except UnknownNode:
        return None
    except SlurmError as error:
        if "configuration source" in str(error):  # commands without a slurm.conf: of no cluster
            return None
        raise


def units(target: Target, where: str = UNITS) -> list[str]:
    """Return the links below systemd's directory that lead to units of this prefix, dangling ones too."""
    ours = {os.path.realpath(path) for path in target.units}
    paths = (f"{place}/{name}" for place, directories, names in os.walk(where) for name in (*directories, *names))
    return sorted(path for path in paths if os.path.islink(path) and os.path.realpath(path) in ours)


def disable(target: Target, where: str = UNITS) -> list[str]:
    """Stop the units of this prefix and take their links out of systemd; return the links. Raises OSError."""
    links = units(target, where)
    names = sorted({os.path.basename(path) for path in links})
    systemctl = shutil.which("systemctl", path="/usr/bin:/bin") if links and os.path.isdir(BOOTED) else None
    if systemctl:  # else nothing runs by them: a chroot, a container
        _systemctl(systemctl, "disable", "--now", *names)
    for path in links:
        if os.path.islink(path):
            os.unlink(path)
    if systemctl:
        _systemctl(systemctl, "daemon-reload")
    return links


def _systemctl(*command: str) -> None:
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SYSTEMD_S, check=False)
    except subprocess.TimeoutExpired:
        return  # the links go all the same


def uninstall(target: Target, everything: bool) -> list[str]:
    """Take Preflight off the node and return what was removed.

    slurm.conf may still name the hooks, and a missing prolog drains nodes: they become scripts that exit with 0, until
    ``everything`` removes these too. Policy and spool stay. Raises DeployError beside an installation, and OSError.
    """
    with only_one(target):
        return remove(target, everything)


def remove(target: Target, everything: bool) -> list[str]:
    """Do the same for a caller that holds `only_one`."""
    quiet(target)
    removed = disable(target)
    shared = (target.cli_filter, *target.units)
    programs = (f"{target.libexec}/{name}" for name in PROGRAMS)  # no script is theirs any more
    scripts = [f"{target.libexec}/{name}" for name in (*HOOKS, *CLIENTS.values())]
    ours = places(target)
    for path in (*ours, target.program, target.plugin, *shared, *programs):
        removed += [*_remove(path), *_half_written(path)]
    for path in scripts:
        removed += [*(_remove(path) if everything else []), *_half_written(path)]
    removed += _empty(f"{target.prefix}/bin", f"{target.prefix}/lib/slurm", f"{target.prefix}/lib")
    removed += _empty(target.share, f"{target.prefix}/share")
    if everything:
        for path in _kept_between_runs(target):
            removed += _remove(path)
        removed += _empty(*(f"{target.run_dir}/{name}" for name in FOLDERS), target.run_dir, target.libexec)
    gone = _empty(target.versions)  # late, for it holds the lock: another installation may begin after it
    removed += gone if ours else []
    return removed + (_empty(target.prefix) if everything else [])


def _half_written(path: str) -> list[str]:
    """Remove what an installation that was killed left beside a file that it was to replace; return it."""
    directory, name = os.path.split(path)
    found = [
        f"{directory}/{one}"
        for one in _names(directory)
        if one.startswith(f".{name}.") and is_whole(one[len(name) + 2 :])
    ]
    return [gone for one in sorted(found) for gone in _remove(one)]


def _kept_between_runs(target: Target) -> list[str]:
    """Return the files that hooks keep in the runtime directory, half written ones of a hook that was killed too."""
    kept = tuple(start for name in KEPT for start in (f"{name}-", f".{name}-"))
    found = [one for one in _names(target.run_dir) if one.startswith(kept) or one in ("agent.sock", ALIVE)]
    found += [f"{name}/{one}" for name in FOLDERS for one in _names(f"{target.run_dir}/{name}")]
    return [f"{target.run_dir}/{one}" for one in sorted(found)]


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _remove(path: str) -> list[str]:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
    else:
        return []
    return [path]


def _empty(*directories: str) -> list[str]:
    """Remove directories that hold nothing more; others live on, with whatever is in them."""
    removed = []
    for path in directories:
        try:
            os.rmdir(path)
        except OSError:
            continue
        removed.append(path)
    return removed
