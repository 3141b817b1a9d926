"""This host, gathered once: what it is in the cluster, what is installed on it, policy and Slurm's configuration."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import NamedTuple

from preflight.deploy.doctor.conf import Conf, conf_path, read_conf
from preflight.deploy.doctor.script import Script, read_script
from preflight.deploy.layout import HOOKS, Target
from preflight.deploy.slurm_release import here
from preflight.digits import is_whole
from preflight.hooks.notes import RUN_DIR
from preflight.policy.load import PolicyError, load_policy, node_name
from preflight.policy.model import DEFAULT_PATH, Policy
from preflight.slurm.commands import Slurm, SlurmError

NODE, LOGIN, CONTROLLER = "node", "login", "controller"
ROLES = (NODE, LOGIN, CONTROLLER)
ASK_S = 30.0


class Host(NamedTuple):
    """``roles``: some of ROLES. ``target``: where things are installed; its python is the hooks' interpreter or "".

    ``scripts``: the hooks' scripts by name, as far as they are ours and readable. ``policy``: that of the hooks;
    the defaults where ``policy_errors`` says what is wrong with it. ``release``: of Slurm's commands here, (22, 5, 8),
    () unknown. ``root``: whether we may look everywhere.
    """

    node: str
    roles: frozenset[str]
    target: Target
    scripts: dict[str, Script]
    policy: Policy
    policy_errors: tuple[str, ...]
    conf: Conf
    slurm: Slurm
    release: tuple[int, ...]
    root: bool

    def has(self, *roles: str) -> bool:
        """Return whether the host is one of ``roles``."""
        return bool(self.roles & set(roles))

    @property
    def again(self) -> str:
        """Return the command that installs over what is here, with the same places."""
        places = {"--prefix": "/opt/preflight", "--config": DEFAULT_PATH, "--run-dir": RUN_DIR}
        used = (self.target.prefix, self.target.config, self.target.run_dir)
        more = [f" {option} {path}" for (option, usual), path in zip(places.items(), used) if path != usual]
        return f"preflight install{''.join(more)}"

    def in_conf(self, line: str) -> str:
        """Return what to do for ``line`` to be in force: slurm.conf as the controller names it, else as it is here."""
        path = self.conf.get("SLURM_CONF") or self.conf.path or "slurm.conf"
        return f"write {line} into {path}, then: scontrol reconfigure"

    @property
    def installed(self) -> bool:
        """Return whether anything of ours is at the prefix."""
        return os.path.isdir(self.target.libexec) or os.path.lexists(self.target.program)


def gather(
    node: str, prefix: str, config: str | None = None, run_dir: str | None = None, roles: frozenset[str] = frozenset()
) -> Host:
    """Return this host, seen as ``node``; never raises. What is None or empty is found out.

    Asks Slurm for its configuration and, where no role is given, whether it knows the node.
    """
    scripts = dict(_scripts(f"{prefix}/libexec"))
    hook = scripts.get("prolog") or scripts.get("epilog") or scripts.get("healthcheck")
    config = config or (hook.config if hook else "") or os.environ.get("PREFLIGHT_CONFIG", "")
    run_dir = run_dir or used_run_dir(prefix)
    policy, errors = _policy(config, node)
    config = config or DEFAULT_PATH
    named = policy.hook.slurm_conf or os.environ.get("SLURM_CONF", "")
    path = conf_path(named)
    slurm = Slurm(policy.hook.slurm_bin, path or named, time.monotonic() + ASK_S, each_s=10.0)
    conf = read_conf(slurm, path)
    target = Target(prefix, config, run_dir, hook.python if hook else "")
    return Host(
        node,
        roles or _roles(node, conf, slurm, os.path.lexists(target.program)),
        target,
        scripts,
        policy,
        errors,
        conf,
        slurm,
        here(slurm._replace(deadline=time.monotonic() + ASK_S)),
        os.geteuid() == 0,
    )


def installed_prefix() -> str:
    """Return the prefix that this very program is installed below, else the usual one."""
    lib = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    versions = os.path.dirname(os.path.dirname(lib))
    return os.path.dirname(versions) if os.path.basename(versions) == "versions" else "/opt/preflight"


def used_run_dir(prefix: str) -> str:
    """Return the runtime directory of the hooks that are installed below ``prefix``, else the usual one."""
    scripts = dict(_scripts(f"{prefix}/libexec"))
    hook = scripts.get("prolog") or scripts.get("epilog") or scripts.get("healthcheck")
    return (hook.run_dir if hook else "") or RUN_DIR


def used_policy(prefix: str) -> Policy:
    """Return the policy of the hooks that are installed below ``prefix``, as far as it can be read."""
    scripts = dict(_scripts(f"{prefix}/libexec"))
    hook = scripts.get("prolog") or scripts.get("epilog") or scripts.get("healthcheck")
    return _policy(hook.config if hook else os.environ.get("PREFLIGHT_CONFIG", ""), node_name())[0]


def _scripts(libexec: str) -> Iterator[tuple[str, Script]]:
    for name in HOOKS:
        try:
            script = read_script(f"{libexec}/{name}")
        except OSError:
            continue
        if script:
            yield name, script


def _policy(config: str, node: str) -> tuple[Policy, tuple[str, ...]]:
    """Return the policy as `config check` reads it. A missing file is an error where it is named, as by the hooks."""
    try:
        return load_policy(config or None, node), ()
    except PolicyError as error:
        from preflight.policy.load import for_node

        return for_node(Policy(), node), tuple(error.lines)


def _roles(node: str, conf: Conf, slurm: Slurm, command: bool) -> frozenset[str]:
    """``command``: whether our command is installed, which a controller has where users submit from it."""
    found = set()
    hosts = {one.partition("(")[0].split(".")[0] for one in (*conf.all("SlurmctldHost"), *conf.all("ControlMachine"))}
    if os.uname().nodename.split(".")[0] in hosts:
        found.add(CONTROLLER)
    if os.environ.get("SLURMD_NODENAME") == node or _is_node(node, conf, slurm):
        found.add(NODE)
    elif command and CONTROLLER in found:
        found.add(LOGIN)
    return frozenset(found or {LOGIN})


def _is_node(node: str, conf: Conf, slurm: Slurm) -> bool:
    """Return whether Slurm knows the node: by the controller, else by slurm.conf, else by a slurmd that runs here."""
    if conf.asked:
        try:
            said = slurm._replace(deadline=time.monotonic() + ASK_S).run("sinfo", "-h", "-N", "-n", node, "-o", "%N")
            return node in said.split()
        except SlurmError:
            pass
    lines = conf.values.get("nodename", ())
    if lines:
        from preflight.hostlist import HostlistError, contains

        for line in lines:
            try:
                if contains(line.split()[0], node):
                    return True
            except (HostlistError, IndexError):
                continue
        return False
    return "slurmd" in _running()


def _running() -> set[str]:
    names = set()
    for pid in os.listdir("/proc"):
        if is_whole(pid):
            try:
                with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                    names.add(file.read().strip())
            except OSError:
                continue
    return names
