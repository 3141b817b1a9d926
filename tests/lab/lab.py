"""The lab: one cluster, from its start to its end."""

from __future__ import annotations

import atexit
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from lab import conf, contrib, daemons, places, releases
from lab.accounting import Accounting
from lab.conf import LabNode, Scripts, Settings
from lab.daemons import Daemon, LabError, Surroundings
from lab.jobs import Jobs
from lab.release import Release
from lab.users import account, ensure_users
from preflight.facts.cache import BOOT_ID

_BOOT = ("unshare", "--mount", "--propagation", "slave", "/bin/sh", "-c")
_BOOT = (*_BOOT, 'mount --bind "$1" "$2" && shift 2 && exec "$@"', "lab-boot")  # of this slurmd and what it runs


def unavailable(release: Release | None = None) -> str | None:
    """Return why this machine cannot run a lab, or None if it can."""
    if os.geteuid() != 0:
        return "the lab needs root"
    missing = (release or releases.chosen()).missing()
    if missing:
        return f"the lab needs {', '.join(missing)}"
    for name in ("slurm", "munge"):
        try:
            account(name)
        except KeyError:
            return f"the lab needs a user {name}"
    return None


class Lab(Jobs):
    """A private Slurm in ``directory`` (default: a new one in /tmp, removed at the end unless ``keep``).

    Each node has ``<directory>/nodes/<name>/{root,spool,reports}`` for the tests and ``slurmd`` for its daemon. Users
    write in ``<directory>/work``. prolog, epilog, healthcheck, taskprolog, prologslurmctld: absolute paths for
    slurm.conf. ``plugstack``: the text of plugstack.conf. ``slurm_conf_extra``: lines of slurm.conf; a key replaces
    ours, Node and Partition lines are added. ``health_interval``: seconds between health checks, 0 for none.
    ``gres_conf``: the text of gres.conf in place of ours.
    ``accounting``: with slurmdbd and a database, to which slurmctld sends what jobs did.
    ``requeue_delay``: seconds a requeued job waits before it may start (Slurm's own default is 120).

    The hooks inherit nothing of the caller's environment: Slurm builds theirs from nothing.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        nodes: Iterable[LabNode] = (LabNode("n1"),),
        *,
        slurm_conf_extra: str = "",
        prolog: str | os.PathLike[str] | None = None,
        epilog: str | os.PathLike[str] | None = None,
        healthcheck: str | os.PathLike[str] | None = None,
        taskprolog: str | os.PathLike[str] | None = None,
        prologslurmctld: str | os.PathLike[str] | None = None,
        plugstack: str | None = None,
        health_interval: int = 0,
        requeue_delay: int = 5,
        gres_conf: str | None = None,
        release: Release | None = None,
        accounting: bool = False,
        keep: bool = False,
    ) -> None:
        self._removes = directory is None and not keep
        self.directory = os.path.realpath(places.temporary() if directory is None else directory)
        self.release = release or releases.chosen()
        placed, port = conf.with_ports(nodes)
        self.settings = Settings(
            directory=self.directory,
            nodes=placed,
            port=port,
            scripts=Scripts(prolog, epilog, healthcheck, taskprolog, prologslurmctld),
            extra=slurm_conf_extra,
            plugstack=plugstack,
            health_interval=health_interval,
            requeue_delay=requeue_delay,
            gres_conf=gres_conf,
        )
        self.accounting = Accounting(self.settings, self.release) if accounting else None
        if self.accounting is not None:
            self.settings = replace(self.settings, extra=f"{self.accounting.lines()}{self.settings.extra}")
        self._boots: dict[str, int] = {}
        self.slurm_conf = self.settings.path("slurm.conf")
        self.work = self.settings.path("work")
        daemon = ["-D", "-f", self.slurm_conf]
        self._munged = self._daemon("munged", "munged", _munge_args(self.settings), "munge")
        self._slurmctld = self._daemon("slurmctld", "slurmctld", daemon, self.settings.slurm_user)
        self._slurmds = {
            node.name: self._daemon(
                f"slurmd-{node.name}", "slurmd", [*daemon, "-N", node.name], None, self._surroundings(node)
            )
            for node in placed
        }
        kept = self.accounting.daemons if self.accounting is not None else []
        self.daemons = [self._munged, *kept, self._slurmctld, *self._slurmds.values()]
        atexit.register(self.stop)

    def __enter__(self) -> Lab:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start every daemon and wait until all nodes are idle; raises LabError and stops what it had started."""
        reason = unavailable(self.release)
        if reason:
            raise LabError(reason)
        try:
            ensure_users()
            places.sweep()
            daemons.kill_stale(self.directory)
            places.make(self.directory, self._slurmds, self.settings.slurm_user)
            self.release.prepare(self.directory)
            self.settings = replace(self.settings, version=self.release.version())
            if any(node.driver for node in self.settings.nodes):
                line = contrib.add(self.release, Path(self.settings.path("plugins")))
                self.settings = replace(self.settings, extra=f"{self.settings.extra}\n{line}")
            conf.write(self.settings)
            self._munged.start()
            self.wait_until(lambda: os.path.exists(self.settings.munge_socket), 10, "munged's socket")
            self._start_accounting()
            self.start_slurmctld()
            for slurmd in self._slurmds.values():
                slurmd.start()
            self.wait_nodes()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every job and daemon of the lab; remove a temporary directory. Safe to call twice."""
        atexit.unregister(self.stop)
        for slurmd in self._slurmds.values():
            slurmd.stop()
        daemons.kill_steps(self.directory)
        self._slurmctld.stop()
        if self.accounting is not None:
            self.accounting.stop()
        self._munged.stop()
        self.release.release(self.directory)
        conf.give_back([self.settings.port, *(node.port for node in self.settings.nodes)])
        if self._removes:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _start_accounting(self) -> None:
        """Start the database and slurmdbd, and make the cluster known: without it slurmctld does not start."""
        kept = self.accounting
        if kept is None:
            return
        kept.make()
        kept.start_database()
        self.wait_until(lambda: os.path.exists(kept.socket), 20, "the database's socket")
        kept.start()
        show = ["sacctmgr", "-n", "show", "cluster"]
        self.wait_until(lambda: self.run(show).returncode == 0, 30, "slurmdbd to answer")
        if "lab" not in self.check_run(show):
            self.check_run(["sacctmgr", "-i", "add", "cluster", "lab"])

    def start_slurmctld(self) -> None:
        """Start the controller on its saved state; wait until it answers and has heard of every running node."""
        self._slurmctld.start()
        self.wait_until(lambda: " is UP" in self.run(["scontrol", "ping"]).stdout, 20, "slurmctld to answer")
        for name, slurmd in self._slurmds.items():
            if slurmd.pid is not None:
                self.wait_until(partial(self._has_registered, name), 20, f"{name} to register")

    def stop_slurmctld(self) -> None:
        """Stop the controller, which saves its state; nodes and jobs go on."""
        self._slurmctld.stop()

    def restart_slurmctld(self) -> None:
        """Stop and start the controller."""
        self.stop_slurmctld()
        self.start_slurmctld()

    def start_node(self, name: str) -> None:
        """Start the slurmd of one node again; wait_nodes tells when it has registered."""
        self._slurmds[name].start()

    def boot_node(self, name: str) -> None:
        """Reboot a node that has ``boots``: what runs there ends, and its slurmd starts with another boot id.

        slurmd -b tells slurmctld that the node has just booted.
        """
        self._slurmds[name].stop()
        self._boots[name] = self._boots.get(name, 0) + 1
        self._slurmds[name].start("-b")

    def boot_id(self, name: str) -> str:
        """Return the boot id that the node has, where it has ``boots``."""
        return f"{name}-boot-{self._boots.get(name, 0)}"

    def in_node(self, name: str, command: list[str]) -> list[str]:
        """Return the command line that runs ``command`` where the node's slurmd has its boot id and its driver."""
        return ["nsenter", "--mount", "--target", str(self._slurmds[name].pid), *command]

    def stop_node(self, name: str) -> None:
        """Stop the slurmd of one node; its running steps go on, as on a real node."""
        self._slurmds[name].stop(below=False)

    def reconfigure(self, slurm_conf_extra: str | None = None, **changes: Any) -> None:
        """Write the configuration anew and wait until slurmctld and every slurmd have read it.

        ``changes``: prolog, epilog, healthcheck, taskprolog, prologslurmctld (a path or None), plugstack,
        health_interval. What is not named stays as it is.
        """
        allowed = {*Scripts.__dataclass_fields__, "plugstack", "health_interval"}
        unknown = sorted(set(changes) - allowed)
        if unknown:
            raise TypeError(f"reconfigure: unknown {', '.join(unknown)}; give {', '.join(sorted(allowed))}")
        scripts = {key: changes.pop(key) for key in list(changes) if key in Scripts.__dataclass_fields__}
        extra = self.settings.extra if slurm_conf_extra is None else slurm_conf_extra
        self.settings = replace(
            self.settings, extra=extra, scripts=replace(self.settings.scripts, **scripts), **changes
        )
        conf.write(self.settings)
        running = [daemon.name for daemon in self._slurmds.values() if daemon.pid is not None]
        logs = {name: self.settings.path("log", f"{name}.log") for name in running}
        marks = {name: os.path.getsize(path) for name, path in logs.items()}
        self.check_run(["scontrol", "reconfigure"])
        for name, path in logs.items():
            self.wait_until(partial(_reconfigured, path, marks[name]), 15, f"{name} to reconfigure")

    def pids(self) -> dict[str, int]:
        """Return the pid of each running daemon by name: munged, slurmctld, slurmd-<node>."""
        return {daemon.name: daemon.pid for daemon in self.daemons if daemon.pid is not None}

    def node_dir(self, name: str, *parts: str) -> str:
        """Return a path below ``<directory>/nodes/<name>``."""
        return self.settings.path("nodes", name, *parts)

    def _has_registered(self, name: str) -> bool:
        return not self.node_state(name).startswith("UNKNOWN")

    def _surroundings(self, node: LabNode) -> Surroundings | None:
        driver = node.driver
        if driver is None and not node.boots:
            return None

        def enter(command: list[str]) -> tuple[list[str], dict[str, str]]:
            variables: dict[str, str] = {}
            if driver is not None:
                variables = driver.environment(self.settings.path("driver"))
                command = driver.around(command, self.release.outside(""), self.node_dir(node.name, "dev"))
            if node.boots:
                path = self.node_dir(node.name, "boot_id")
                with open(path, "w", encoding="ascii") as text:
                    text.write(f"{self.boot_id(node.name)}\n")
                command = [*_BOOT, path, self.release.outside(BOOT_ID), *command]
            return command, variables

        return enter

    def _daemon(
        self, name: str, program: str, args: list[str], user: str | None, surroundings: Surroundings | None = None
    ) -> Daemon:
        try:
            who = account(user) if user else None
        except KeyError:
            who = None  # start() says what is missing
        return Daemon(self.directory, name, self.release, program, args, who, surroundings)


def _munge_args(settings: Settings) -> list[str]:
    return [
        "--foreground",
        "--num-threads=2",
        f"--key-file={settings.path('munge', 'key')}",
        f"--socket={settings.munge_socket}",
        f"--pid-file={settings.path('munge', 'munged.pid')}",
        f"--log-file={settings.path('munge', 'munged.log')}",
        f"--seed-file={settings.path('munge', 'seed')}",
    ]


def _reconfigured(path: str, mark: int) -> bool:
    with open(path, encoding="utf-8", errors="replace") as text:
        text.seek(mark)
        return re.search(r"(?i)reconfig|slurmd version", text.read()) is not None
