"""The lab's daemons: started in the foreground by us, stopped by the pid we kept."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Sequence

from lab import processes
from lab.release import Release
from lab.users import Account

_TERM_S = 8.0
_ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


# From a command line to the one that runs it in other surroundings (by exec), and the variables that it needs there.
Surroundings = Callable[[list[str]], tuple[list[str], dict[str, str]]]


class LabError(RuntimeError):
    """The lab could not do what it was asked."""


class Daemon:
    """One daemon; ``name`` is also that of its pid file in ``<directory>/run`` and of its output in ``log``."""

    def __init__(
        self,
        directory: str,
        name: str,
        release: Release,
        program: str,
        args: Sequence[str],
        account: Account | None,
        surroundings: Surroundings | None = None,
    ) -> None:
        self.directory, self.name = directory, name
        self._surroundings = surroundings
        self._release, self._program, self._args, self._account = release, program, list(args), account
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        """Start it unless it runs, in a process group of its own; ``more`` arguments for this time."""
        if self.pid is not None:
            return
        command, variables = self._release.argv(self._program, [*self._args, *more], self._account), _ENV
        if self._surroundings is not None:
            command, more = self._surroundings(command)
            variables = {**variables, **more}
        with open(os.path.join(self.directory, "log", f"{self.name}.out"), "ab") as out:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=variables,
                cwd=self.directory,
                start_new_session=True,
            )
        with open(_pid_file(self.directory, self.name), "w", encoding="ascii") as text:
            text.write(f"{self._process.pid}\n")

    @property
    def pid(self) -> int | None:
        """Its pid while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def ended(self) -> str | None:
        """Return what to say if it ended without being asked to, else None."""
        if self._process is None or self._process.poll() is None:
            return None
        return f"{self.name} ended with status {self._process.returncode}"

    def ask_to_stop(self) -> None:
        """Send SIGTERM and go on; ``stop`` waits."""
        if self._process is not None and self.pid is not None:
            self._process.terminate()

    def stop(self, below: bool = True) -> None:
        """End it: SIGTERM, then SIGKILL to its process group; with ``below`` also its children, such as hooks."""
        process = self._process
        if process is None:
            return
        left = processes.descendants(process.pid) if below and process.poll() is None else []
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_TERM_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for one in left:
            processes.kill(one)
        self._process = None
        _forget(self.directory, self.name)


def kill_stale(directory: str) -> list[int]:
    """Kill the daemons and steps that a crashed run left in ``directory``; return their pids.

    A pid from a file counts only if that process is a daemon whose command line names the directory: the number may
    long belong to another program.
    """
    run = os.path.join(directory, "run")
    killed = []
    for file in sorted(os.listdir(run)) if os.path.isdir(run) else []:
        name, ending = os.path.splitext(file)
        if ending != ".pid" or name.startswith("own-"):
            continue
        pid = _read_pid(os.path.join(run, file))
        process = processes.identify(pid) if pid else None
        if process and processes.is_daemon_of(process.pid, directory):
            for one in [process, *processes.descendants(process.pid)]:
                processes.kill(one)
                killed.append(one.pid)
        _forget(directory, name)
    return killed + kill_steps(directory)


def kill_steps(directory: str) -> list[int]:
    """Kill the job steps of the lab and all below them; return their pids."""
    killed = []
    for step in processes.steps(directory):
        # Listed first: once the step is dead its tasks have another parent.
        for one in [step, *processes.descendants(step.pid)]:
            processes.kill(one)
            killed.append(one.pid)
    return killed


def _read_pid(path: str) -> int:
    try:
        with open(path, encoding="ascii") as text:
            return max(0, int(text.read()))
    except (OSError, ValueError):
        return 0


def _pid_file(directory: str, name: str) -> str:
    return os.path.join(directory, "run", f"{name}.pid")


def _forget(directory: str, name: str) -> None:
    try:
        os.unlink(_pid_file(directory, name))
    except FileNotFoundError:
        return
