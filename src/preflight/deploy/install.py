"""Installing over whatever is there: a new version beside the old one, then each path swapped by a rename.

A hook that runs meanwhile goes on in its own version's directory, which stays.
"""

import glob
import os
import shutil
import subprocess
import tempfile
import time

from preflight import __version__
from preflight.deploy.copy import copy_package, runs_by
from preflight.deploy.layout import CLIENTS, HOOKS, PROGRAMS, DeployError, Target, assets
from preflight.files import OWN
from preflight.hooks.rundir import ALIVE, FOLDERS, KEPT
from preflight.policy.load import PolicyError, load_policy
from preflight.policy.model import DEFAULT_PATH, Policy

KEEP = 3
PROGRAM = "/opt/preflight/bin/preflight"  # what cli_filter.lua calls where nothing says otherwise


def install(target: Target, plugin: bool, cppflags: str = "", agent: bool = False) -> str:
    """Install to ``target`` and return the new version's directory; raises DeployError or OSError, nothing swapped.

    ``agent``: with the client that asks the node agent, and the agent's unit.
    """
    os.umask(0o022)  # users run the command and the task prolog from here
    source = assets()
    policy = _policy(target)
    runs_by(target.python)
    os.makedirs(target.versions, mode=0o755, exist_ok=True)
    new = f"{target.versions}/{__version__}-{time.strftime('%Y%m%d%H%M%S')}-{os.getpid()}"
    staging = f"{target.versions}/.new-{os.getpid()}"
    try:
        copy_package(f"{staging}/lib")
        if plugin:
            _build_plugin(source, staging, cppflags)
        if agent:
            _build_clients(source, staging)
        os.rename(staging, new)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    _make_directories(target, policy)
    if not os.path.exists(target.config):
        os.makedirs(os.path.dirname(target.config), exist_ok=True)
        shutil.copyfile(f"{source}/site-config/preflight.toml", target.config)
    main = f"{new}/lib/preflight/__main__.py"
    for name in HOOKS:
        with open(f"{source}/prolog/{name}", encoding="utf-8") as file:
            _swap(f"{target.libexec}/{name}", filled(file.read(), target, main).encode())
    # Programs that are there stay, and ask in the new version's name: the agent answers no other.
    client = agent or (target.with_agent and all(os.path.isfile(f"{target.libexec}/{name}") for name in PROGRAMS))
    if agent:
        for name in PROGRAMS:
            with open(f"{new}/{name}", "rb") as built:
                _swap(f"{target.libexec}/{name}", built.read())
    if client:
        _put_client_scripts(source, target, policy)
    else:
        _put_hooks_in_their_place(target)
    _swap(target.program, wrapper(target, main).encode())
    if plugin:
        with open(f"{new}/preflight.so", "rb") as built:
            _swap(target.plugin, built.read())
    for path, text in _shared(source, target, client).items():
        _swap(path, text.encode(), 0o644)
    _forget_old(target, new)
    return new


def wrapper(target: Target, main: str) -> str:
    """Return the command's script; a policy that is elsewhere is known to it, as it is to the hooks."""
    known = ""
    if target.config != DEFAULT_PATH:
        known = f"PREFLIGHT_CONFIG=${{PREFLIGHT_CONFIG:-{target.config}}}\nexport PREFLIGHT_CONFIG\n"
    return f'#!/bin/sh\n{known}exec {target.python} -I -S {main} "$@"\n'


def _shared(source: str, target: Target, agent: bool) -> dict[str, str]:
    """Return what an admin copies or links from the prefix, path -> text."""
    files = {
        target.cli_filter: "slurm_plugin/cli_filter.lua",
        target.publish_unit: "site-config/preflight-publish.service",
    }
    if agent:
        files[target.agent_unit] = "site-config/preflight-agent.service"
    texts = {}
    for path, name in files.items():
        with open(f"{source}/{name}", encoding="utf-8") as file:
            text = file.read().replace(PROGRAM, target.program).replace("@PROGRAM@", target.program)
            texts[path] = text.replace("@RUN_DIR@", target.run_dir)
    return texts


def filled(text: str, target: Target, main: str) -> str:
    """Return a script of prolog/ with the paths written in."""
    values = {"@PYTHON@": target.python, "@MAIN@": main, "@CONFIG@": target.config, "@RUN_DIR@": target.run_dir}
    for mark, value in values.items():
        text = text.replace(mark, value)
    return text


def _policy(target: Target) -> Policy:
    """Return the policy that is there already; a broken one stops the installation before it begins."""
    if not os.path.exists(target.config):
        return Policy()
    try:
        return load_policy(target.config)
    except PolicyError as error:
        raise DeployError(error.lines[0]) from error


def _make_directories(target: Target, policy: Policy) -> None:
    for path in (target.libexec, f"{target.prefix}/bin", f"{target.prefix}/lib/slurm", target.share, target.run_dir):
        os.makedirs(path, mode=0o755, exist_ok=True)
    os.close(os.open(f"{target.run_dir}/{ALIVE}", os.O_RDONLY | os.O_CREAT | OWN, 0o600))
    if "%n" not in policy.report.spool:
        os.makedirs(policy.report.spool, exist_ok=True)
        os.chmod(policy.report.spool, 0o700)


def _build_plugin(source: str, staging: str, cppflags: str) -> None:
    with tempfile.TemporaryDirectory() as build:
        shutil.copytree(f"{source}/slurm_plugin", f"{build}/plugin", ignore=shutil.ignore_patterns("*.o", "*.so"))
        command = ["make", "-s", "-C", f"{build}/plugin", f"CPPFLAGS={cppflags}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DeployError(f"the plugin cannot be built: {error} (install make and gcc, or --no-plugin)") from error
        if done.returncode:
            line = next((one for one in done.stderr.splitlines() if "error" in one.lower()), done.stderr.strip()[:200])
            raise DeployError(f"the plugin does not build: {line} (Slurm's headers: libslurm-dev, or --no-plugin)")
        shutil.copyfile(f"{build}/plugin/preflight.so", f"{staging}/preflight.so")


def _build_clients(source: str, staging: str) -> None:
    """Build the two programs, and run each: one that does not run here would drain the node as a prolog."""
    with tempfile.TemporaryDirectory() as build:
        shutil.copytree(f"{source}/client", f"{build}/client", ignore=shutil.ignore_patterns("*.o", *PROGRAMS))
        command = ["make", "-s", "-C", f"{build}/client"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DeployError(f"the client cannot be built: {error} (install make and gcc, or --no-agent)") from error
        if done.returncode:
            line = next((one for one in done.stderr.splitlines() if "error" in one.lower()), done.stderr.strip()[:200])
            raise DeployError(f"the client does not build: {line} (a static libc: glibc-static; or --no-agent)")
        for name in PROGRAMS:
            shutil.copyfile(f"{build}/client/{name}", f"{staging}/{name}")
            os.chmod(f"{staging}/{name}", 0o755)
            said = subprocess.run([f"{staging}/{name}", "--version"], capture_output=True, timeout=10, check=False)
            if said.returncode or not said.stdout:
                raise DeployError(f"the client {name} was built and does not run here (--no-agent)")


def _put_client_scripts(source: str, target: Target, policy: Policy) -> None:
    """Swap in the scripts that the two programs interpret."""
    values = {
        "@LIBEXEC@": target.libexec,
        "@RUN_DIR@": target.run_dir,
        "@VERSION@": __version__,
        "@WAIT_MS@": str(policy.agent.wait_ms),
    }
    for name in CLIENTS.values():
        with open(f"{source}/client/{name}", encoding="utf-8") as file:
            text = file.read()
        for mark, value in values.items():
            text = text.replace(mark, value)
        _swap(f"{target.libexec}/{name}", text.encode())


def _put_hooks_in_their_place(target: Target) -> None:
    """Let client scripts that are left of an earlier installation, and slurm.conf may name, be the hooks again."""
    for hook, name in CLIENTS.items():
        if os.path.isfile(f"{target.libexec}/{name}"):
            text = f"#!/bin/sh\n# The node agent's client is not installed.\nexec {target.libexec}/{hook}\n"
            _swap(f"{target.libexec}/{name}", text.encode())


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


def _forget_old(target: Target, new: str) -> None:
    """Remove all but the latest KEEP versions; a hook of an older one would have to run for days."""
    places = _versions(target)
    places.sort(key=lambda place: os.stat(place).st_mtime_ns)
    for place in places[:-KEEP]:
        if place != new:
            shutil.rmtree(place, ignore_errors=True)


def uninstall(target: Target, everything: bool) -> list[str]:
    """Take Preflight off the node and return what was removed.

    slurm.conf may still name the hooks, and a missing prolog drains nodes: they become scripts that exit with 0, until
    ``everything`` removes these too. Policy and spool stay.
    """
    removed = []
    for name in (*HOOKS, *CLIENTS.values()):
        if os.path.isfile(f"{target.libexec}/{name}"):
            _swap(f"{target.libexec}/{name}", b"#!/bin/sh\n# Preflight was uninstalled.\nexit 0\n")
    shared = (target.cli_filter, target.publish_unit, target.agent_unit)
    programs = (f"{target.libexec}/{name}" for name in PROGRAMS)  # no script is theirs any more
    for path in (*_versions(target), target.program, target.plugin, *shared, *programs):
        removed += _remove(path)
    removed += _empty(target.versions, f"{target.prefix}/bin", f"{target.prefix}/lib/slurm", f"{target.prefix}/lib")
    removed += _empty(target.share, f"{target.prefix}/share")
    if everything:
        scripts = (f"{target.libexec}/{name}" for name in (*HOOKS, *CLIENTS.values()))
        for path in (*scripts, *_kept_between_runs(target)):
            removed += _remove(path)
        removed += _empty(*(f"{target.run_dir}/{name}" for name in FOLDERS), target.run_dir)
        removed += _empty(target.libexec, target.prefix)
    return removed


def _versions(target: Target) -> list[str]:
    """Return the directories of our versions; what else stands beside them is not ours."""
    names = os.listdir(target.versions) if os.path.isdir(target.versions) else []
    places = [f"{target.versions}/{name}" for name in sorted(names)]
    return [place for place in places if os.path.isfile(f"{place}/lib/preflight/__main__.py")]


def _kept_between_runs(target: Target) -> list[str]:
    """Return the files that hooks keep in the runtime directory."""
    kinds = (*(f"{name}-*.json" for name in KEPT), *(f"{name}/*" for name in FOLDERS), "agent.sock", ALIVE)
    return [path for kind in kinds for path in sorted(glob.glob(f"{glob.escape(target.run_dir)}/{kind}"))]


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
