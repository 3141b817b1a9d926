"""Where things go below the prefix, and where they come from."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from preflight.facts.rootfs import Root

OLDEST = (3, 9)  # the Python that hooks need at least
HOOKS = ("prolog", "epilog", "healthcheck", "taskprolog")
# In their place, on a node with an agent: scripts of small programs, which become the hook where they must.
CLIENTS = {"prolog": "client-prolog", "epilog": "client-epilog", "taskprolog": "client-taskprolog"}
PROGRAMS = ("preflight-client", "preflight-task")
SLURM_KEYS = {"prolog": "Prolog", "epilog": "Epilog", "healthcheck": "HealthCheckProgram", "taskprolog": "TaskProlog"}


class DeployError(Exception):
    """What kept an installation from being made, in one line; nothing was changed."""


class Target(NamedTuple):
    """Where to install: absolute paths. ``python``: the interpreter that the hooks run.

    ``destdir``: the directory that all is written below, where it is for an image of a node; no file names it.
    """

    prefix: str
    config: str
    run_dir: str
    python: str
    destdir: str = ""

    def at(self, path: str) -> str:
        """Return where ``path`` is written now."""
        return f"{self.destdir}{path}"

    @property
    def libexec(self) -> str:
        """Return where slurm.conf's paths point."""
        return f"{self.prefix}/libexec"

    @property
    def program(self) -> str:
        """Return the command that users and the plugin call."""
        return f"{self.prefix}/bin/preflight"

    @property
    def plugin(self) -> str:
        """Return the SPANK plugin's path."""
        return f"{self.prefix}/lib/slurm/preflight.so"

    @property
    def share(self) -> str:
        """Return where the files are that an admin copies or links elsewhere."""
        return f"{self.prefix}/share/preflight"

    @property
    def cli_filter(self) -> str:
        """Return our cli_filter.lua; what Slurm runs is a copy beside slurm.conf."""
        return f"{self.share}/cli_filter.lua"

    @property
    def publish_unit(self) -> str:
        """Return the systemd unit that publishes the node's facts at boot."""
        return f"{self.share}/preflight-publish.service"

    @property
    def agent_unit(self) -> str:
        """Return the systemd unit of the node agent."""
        return f"{self.share}/preflight-agent.service"

    @property
    def agent_publish_unit(self) -> str:
        """Return the systemd unit that publishes for the node agent, which has no network."""
        return f"{self.share}/preflight-agent-publish.service"

    @property
    def units(self) -> tuple[str, ...]:
        """Return every systemd unit of an installation."""
        return self.publish_unit, self.agent_unit, self.agent_publish_unit

    @property
    def with_agent(self) -> bool:
        """Return whether the client that asks the node agent is installed."""
        return os.path.isfile(self.at(f"{self.libexec}/{CLIENTS['prolog']}"))

    @property
    def versions(self) -> str:
        """Return where each installation's package and libraries stand."""
        return f"{self.prefix}/versions"


def assets() -> str:
    """Return the directory that holds prolog/, slurm_plugin/ and site-config/: in the package, or of the checkout."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for place in (f"{package}/assets", os.path.dirname(os.path.dirname(package))):
        if os.path.isfile(f"{place}/prolog/prolog"):
            return place
    raise DeployError(f"{package}/assets is missing: reinstall the package slurm-preflight")


def interpreter(named: str | None, destdir: str = "") -> str:
    """Return the interpreter for the hooks; raises DeployError for one that users or slurmd could not run.

    The default is what this Python was made from: a virtual environment may be deleted, its base rarely is. Below
    ``destdir`` it is looked for there, where that is the root of a system.
    """
    path = named or getattr(sys, "_base_executable", "") or sys.executable
    path = os.path.realpath(path) if named is None and not destdir else os.path.abspath(path)
    if destdir:
        _of_the_image(path, destdir)
        return path
    if not os.access(path, os.X_OK):
        raise DeployError(f"--python {path}: not an executable file")
    place = path
    while place != "/":
        if not os.stat(place).st_mode & 0o001:
            raise DeployError(f"{path}: users cannot run it, {place} is closed to them; name another with --python")
        if os.stat(place).st_mode & 0o002 and not os.stat(place).st_mode & 0o1000:
            raise DeployError(
                f"{path}: anybody may write to {place}, and root is to run it; name another with --python"
            )
        if os.geteuid() == 0 and os.stat(place).st_uid != 0:
            raise DeployError(f"{path}: {place} is not root's, and root is to run it; name another with --python")
        place = os.path.dirname(place)
    return path


def _of_the_image(path: str, destdir: str) -> None:
    """Look whether a system below ``destdir`` has the interpreter, in the version that compiles; a bare tree passes."""
    if not os.path.isdir(f"{destdir}/usr/bin"):
        return
    there = Root(destdir).resolve(path)
    if there is None:
        raise DeployError(f"--python {path}: not in {destdir}")
    version = os.path.basename(there).removeprefix("python")
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if "." in version and version != own:
        raise DeployError(
            f"--python {path}: Python {version} in {destdir}, and this one is {own}: install with that one "
            f"(chroot {destdir}, or the one file made for it)"
        )
