"""The lab: one cluster, from its directory to its jobs."""

import atexit
import os
import re
import secrets
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TypeVar

from lab import conf, daemons, jobs
from lab.conf import LabNode, Scripts, Settings
from lab.daemons import Daemon, LabError
from lab.release import HostRelease, Release
from lab.users import account, ensure_users

T = TypeVar("T")
_POLL_S = 0.05
_LOG_TAIL = 40


class LabTimeout(LabError):
    """Something did not happen in time."""


def unavailable(release: Release | None = None) -> str | None:
    """Return why this machine cannot run a lab, or None if it can."""
    if os.geteuid() != 0:
        return "the lab needs root"
    missing = (release or HostRelease()).missing()
    if missing:
        return f"the lab needs {', '.join(missing)}"
    for name in ("slurm", "munge"):
        try:
            account(name)
        except KeyError:
            return f"the lab needs a user {name}"
    return None


class Lab(jobs.Jobs):
    """A private Slurm in ``directory`` (default: a new one in /tmp, removed at the end).

    Each node has ``<directory>/nodes/<name>/{root,spool,reports}`` for the tests and ``slurmd`` for its daemon. Users
    write in ``<directory>/work``. The script paths go to slurm.conf; ``plugstack`` is the text of plugstack.conf;
    ``slurm_conf_extra`` is lines of slurm.conf that replace ours. ``requeue_delay`` is the seconds a requeued job
    waits (Slurm's own default is 120); ``daemon_env`` is added to the environment of the daemons, which their hooks inherit.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        nodes: Iterable[LabNode] = (LabNode("n1"),),
        *,
        slurm_conf_extra: str = "",
        prolog: str | None = None,
        epilog: str | None = None,
        healthcheck: str | None = None,
        taskprolog: str | None = None,
        prologslurmctld: str | None = None,
        plugstack: str | None = None,
        health_interval: int = 0,
        requeue_delay: int = 5,
        release: Release | None = None,
        daemon_env: Mapping[str, str] | None = None,
        keep: bool = False,
    ) -> None:
        self._temporary = directory is None and not keep
        self.directory = tempfile.mkdtemp(prefix="preflight-lab-", dir="/tmp") if directory is None else str(directory)
        self.release = release or HostRelease()
        self.daemon_env = dict(daemon_env or {})
        placed, port = conf.with_ports(nodes)
        self.settings = Settings(
            directory=os.path.realpath(self.directory),
            nodes=placed,
            port=port,
            scripts=Scripts(prolog, epilog, healthcheck, taskprolog, prologslurmctld),
            extra=slurm_conf_extra,
            plugstack=plugstack,
            health_interval=health_interval,
            requeue_delay=requeue_delay,
        )
        self.directory = self.settings.directory
        self.slurm_conf = self.settings.path("slurm.conf")
        self.work = self.settings.path("work")
        self._munged = self._daemon("munged", "munged", self._munge_args(), "munge")
        self._slurmctld = self._daemon("slurmctld", "slurmctld", ["-D", "-f", self.slurm_conf], "slurm")
        self._slurmds = {
            node.name: self._daemon(f"slurmd-{node.name}", "slurmd", ["-D", "-N", node.name, "-f", self.slurm_conf], None)
            for node in placed
        }

    def __enter__(self) -> "Lab":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- the cluster ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start every daemon and wait until all nodes are idle; raises LabError and stops what it had started."""
        reason = unavailable(self.release)
        if reason:
            raise LabError(reason)
        ensure_users()
        atexit.register(self.stop)
        try:
            daemons.kill_stale(self.directory)
            self._make_directories()
            self.release.prepare(self.directory)
            conf.write(self.settings)
            self._munged.start(self._daemon_environment())
            self.wait_until(lambda: os.path.exists(self._munge_path("munge.socket")), 10, "munged's socket")
            # Together: slurmd registers again until slurmctld answers, but a first try that fails costs a second.
            self._slurmctld.start(self._daemon_environment())
            self._wait_for_slurmctld()
            for name in self._slurmds:
                self._slurmds[name].start(self._daemon_environment(name))
            self.wait_nodes()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every job and daemon of the lab; remove a temporary directory. Safe to call twice."""
        atexit.unregister(self.stop)
        for slurmd in self._slurmds.values():
            slurmd.signal(15)
        self._slurmctld.signal(15)
        for daemon in (*self._slurmds.values(), self._slurmctld):
            daemon.stop()
        daemons.kill_steps(self.directory)
        self._munged.stop()
        self.release.release(self.directory)
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def stop_slurmctld(self) -> None:
        """Stop the controller; nodes and jobs go on."""
        self._slurmctld.stop()

    def start_slurmctld(self) -> None:
        """Start the controller on its saved state and wait until it answers."""
        self._slurmctld.start(self._daemon_environment())
        self._wait_for_slurmctld()

    def restart_slurmctld(self) -> None:
        """Stop and start the controller."""
        self.stop_slurmctld()
        self.start_slurmctld()

    def stop_node(self, name: str) -> None:
        """Stop one slurmd; its running steps go on, as on a real node."""
        self._slurmds[name].stop()

    def start_node(self, name: str) -> None:
        """Start one slurmd again."""
        self._slurmds[name].start(self._daemon_environment(name))

    def reconfigure(self, slurm_conf_extra: str | None = None, **changes: str | int | None) -> None:
        """Write the configuration anew and have the daemons read it.

        ``changes``: prolog, epilog, healthcheck, taskprolog, prologslurmctld (a path or None), plugstack, health_interval,
        requeue_delay. What is not named stays. Waits until every slurmd has read it.
        """
        settings = self.settings
        if slurm_conf_extra is not None:
            settings = replace(settings, extra=slurm_conf_extra)
        scripts = {key: changes.pop(key) for key in list(changes) if key in Scripts.__dataclass_fields__}
        self.settings = replace(settings, scripts=replace(settings.scripts, **scripts), **changes)
        conf.write(self.settings)
        marks = {name: os.path.getsize(self._log(f"slurmd-{name}")) for name in self._slurmds}
        self.check_run(["scontrol", "reconfigure"])
        for name, mark in marks.items():
            if self._slurmds[name].alive():
                self.wait_until(
                    lambda name=name, mark=mark: _reconfigured(self._log(f"slurmd-{name}"), mark), 15, f"{name} to reconfigure"
                )

    def environment(self) -> dict[str, str]:
        """Return the variables that point any Slurm command at this lab."""
        return {"SLURM_CONF": self.slurm_conf}

    def pids(self) -> dict[str, int]:
        """Return the pid of each running daemon by name: munged, slurmctld, slurmd-<node>."""
        every = (self._munged, self._slurmctld, *self._slurmds.values())
        return {daemon.name: daemon.pid for daemon in every if daemon.pid is not None}

    def node_dir(self, name: str, *parts: str) -> str:
        """Return a path below ``<directory>/nodes/<name>``."""
        return self.settings.path("nodes", name, *parts)

    # -- commands ------------------------------------------------------------------------------------------

    def run(
        self,
        cmd: Sequence[str],
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in ``work``, as root or as ``user``, with only PATH, the user's names, SLURM_CONF and ``env`` set."""
        who = account(user or "root")
        variables = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "LANG": "C.UTF-8",
            "USER": who.name,
            "LOGNAME": who.name,
            "HOME": self.work if user else who.home,
            **self.environment(),
            **(env or {}),
        }
        return subprocess.run(
            self.release.argv(cmd[0], list(cmd[1:]), who if user else None),
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            env=variables,
            cwd=self.work,
            timeout=timeout,
            check=False,
        )

    def check_run(
        self,
        cmd: Sequence[str],
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
        stdin: str = "",
    ) -> str:
        """As ``run``, but return the output and raise LabError if the command fails."""
        done = self.run(cmd, user, env, timeout, stdin)
        if done.returncode != 0:
            raise LabError(f"{' '.join(cmd)}: status {done.returncode}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    # -- waiting and logs ----------------------------------------------------------------------------------

    def wait_until(self, predicate: Callable[[], T], timeout: float, what: str) -> T:
        """Return the first true answer of ``predicate``; raise LabTimeout with the logs' tails after ``timeout`` seconds."""
        until = time.monotonic() + timeout
        while True:
            answer = predicate()
            if answer:
                return answer
            try:
                for daemon in (self._munged, self._slurmctld, *self._slurmds.values()):
                    daemon.check()
            except LabError as error:
                raise LabError(f"while waiting for {what}: {error}\n{self.logs()}") from None
            if time.monotonic() >= until:
                raise LabTimeout(f"waited {timeout:g} s for {what}\n{self.logs()}")
            time.sleep(_POLL_S)

    def logs(self, lines: int = _LOG_TAIL) -> str:
        """Return the last ``lines`` lines of every log."""
        folder = self.settings.path("log")
        texts = []
        for file in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            if os.path.exists(os.path.join(folder, file.removesuffix(".out") + ".log")) and file.endswith(".out"):
                continue  # the daemon writes the same to both
            with open(os.path.join(folder, file), encoding="utf-8", errors="replace") as text:
                tail = text.read().splitlines()[-lines:]
            if tail:
                texts.append("\n".join([f"--- {file}", *tail]))
        return "\n".join(texts)

    # -- inside --------------------------------------------------------------------------------------------

    def _daemon(self, name: str, program: str, args: list[str], user: str | None) -> Daemon:
        try:
            who = account(user) if user else None
        except KeyError:
            who = None  # start() says what is missing
        return Daemon(self.directory, name, self.release, program, args, who)

    def _munge_path(self, name: str) -> str:
        return self.settings.path("munge", name)

    def _munge_args(self) -> list[str]:
        return [
            "--foreground",
            "--num-threads=2",
            f"--key-file={self._munge_path('key')}",
            f"--socket={self._munge_path('munge.socket')}",
            f"--pid-file={self._munge_path('munged.pid')}",
            f"--log-file={self._munge_path('munged.log')}",
            f"--seed-file={self._munge_path('seed')}",
        ]

    def _daemon_environment(self, node: str | None = None) -> dict[str, str]:
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", **self.daemon_env}

    def _make_directories(self) -> None:
        os.makedirs(self.directory, exist_ok=True)
        os.chmod(self.directory, 0o755)
        _must_be_reachable(self.directory)
        for name in ("dev", "log", "munge", "nodes", "run", "state", "work"):
            os.makedirs(self.settings.path(name), exist_ok=True)
        slurm, munge = account(self.settings.slurm_user), account("munge")
        for name, owner in (("log", slurm), ("state", slurm), ("munge", munge)):
            os.chown(self.settings.path(name), owner.uid, owner.gid)
        os.chmod(self.work, 0o1777)
        for node in self.settings.nodes:
            for name in ("root", "spool", "reports", "slurmd"):
                os.makedirs(self.node_dir(node.name, name), exist_ok=True)
        socket_path = self._munge_path("munge.socket")
        if os.path.lexists(socket_path):
            os.unlink(socket_path)
        key = self._munge_path("key")
        if not os.path.exists(key):
            with open(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as out:
                out.write(secrets.token_bytes(128))
            os.chown(key, munge.uid, munge.gid)

    def _wait_for_slurmctld(self) -> None:
        self.wait_until(lambda: "UP" in self.run(["scontrol", "ping"]).stdout, 20, "slurmctld to answer")

    def _log(self, name: str) -> str:
        return self.settings.path("log", f"{name}.log")


def _reconfigured(path: str, mark: int) -> bool:
    with open(path, encoding="utf-8", errors="replace") as text:
        text.seek(mark)
        return re.search(r"(?i)slurmd version|reconfig", text.read()) is not None


def _must_be_reachable(directory: str) -> None:
    """Raise LabError if a user could not enter the directory, as below pytest's tmp_path or /root."""
    path = directory
    while path != "/":
        path = os.path.dirname(path)
        if not os.stat(path).st_mode & stat.S_IXOTH:
            raise LabError(f"lab directory {directory}: users cannot pass {path}; take a place below /tmp")
