"""The lab's processes: started in the foreground by us, stopped by the pid we kept."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence

from lab.release import Release
from lab.users import Account

_TERM_S = 8.0
_POLL_S = 0.02


class LabError(RuntimeError):
    """The lab could not do what it was asked; the message holds the tail of the daemons' logs."""


class Daemon:
    """One daemon of the lab: ``name`` is also its pid file's name in ``<directory>/run``."""

    def __init__(
        self, directory: str, name: str, release: Release, program: str, args: Sequence[str], account: Account | None
    ) -> None:
        self.directory, self.name = directory, name
        self._release, self._program, self._args, self._account = release, program, list(args), account
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def output(self) -> str:
        """Path of what the daemon wrote to its terminal before it had a log."""
        return os.path.join(self.directory, "log", f"{self.name}.out")

    def start(self, env: dict[str, str]) -> None:
        """Start it unless it runs; ``env`` is its whole environment."""
        if self.alive():
            return
        with open(self.output, "ab") as out:
            self._process = subprocess.Popen(
                self._release.argv(self._program, self._args, self._account),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=env,
                cwd=self.directory,
                start_new_session=True,
            )
        with open(_pid_file(self.directory, self.name), "w", encoding="ascii") as out_pid:
            out_pid.write(f"{self._process.pid}\n")

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Its pid while it runs."""
        return self._process.pid if self._process is not None and self.alive() else None

    def check(self) -> None:
        """Raise LabError if it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise LabError(f"{self.name} ended with status {self._process.returncode}")

    def signal(self, number: int) -> None:
        """Send a signal to the daemon alone, if it runs."""
        if self._process is not None and self.alive():
            self._process.send_signal(number)

    def stop(self) -> None:
        """End it: SIGTERM, then SIGKILL to its process group."""
        process = self._process
        if process is not None:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(_TERM_S)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            self._process = None
        _forget(self.directory, self.name)


def kill_stale(directory: str) -> list[int]:
    """Kill what an earlier, crashed run left in ``directory``; return the pids.

    A pid from a file counts only if that process' command line names the directory: the number may long
    belong to another program.
    """
    run = os.path.join(directory, "run")
    killed = []
    for file in sorted(os.listdir(run)) if os.path.isdir(run) else []:
        name, ending = os.path.splitext(file)
        if ending != ".pid" or name.startswith("own-"):
            continue
        try:
            with open(os.path.join(run, file), encoding="ascii") as text:
                pid = int(text.read())
        except (OSError, ValueError):
            pid = 0
        if pid > 1 and _belongs(pid, directory):
            _kill(pid)
            killed.append(pid)
        _forget(directory, name)
    return killed + kill_steps(directory)


def kill_steps(directory: str) -> list[int]:
    """Kill the job steps of the lab (slurmstepd and all below them); return their pids.

    A slurmstepd is ours if it holds a file open below ``directory``: its command line is rewritten and it is
    no child of its slurmd.
    """
    killed = []
    for pid in _pids():
        if _comm(pid) == "slurmstepd" and _holds_open(pid, directory):
            below = _descendants(pid)
            for one in [pid, *below]:
                _kill(one)
                killed.append(one)
    return killed


def processes(directory: str) -> list[str]:
    """Return "pid command line" of the daemons and steps of the lab that run now."""
    found = []
    for pid in _pids():
        if _belongs(pid, directory) or (_comm(pid) == "slurmstepd" and _holds_open(pid, directory)):
            found.append(f"{pid} {' '.join(_cmdline(pid))}")
    return found


def _belongs(pid: int, directory: str) -> bool:
    words = _cmdline(pid)
    if not words or pid == os.getpid():
        return False
    daemon = any(os.path.basename(word) in ("munged", "slurmctld", "slurmd") for word in words)
    return daemon and any(directory + "/" in word for word in words)


def _holds_open(pid: int, directory: str) -> bool:
    try:
        links = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    for link in links:
        try:
            if os.readlink(f"/proc/{pid}/fd/{link}").startswith(directory + "/"):
                return True
        except OSError:
            continue
    return False


def _descendants(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for pid in _pids():
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as text:
                # The command in parentheses may hold spaces and parentheses.
                parents.setdefault(int(text.read().rpartition(")")[2].split()[1]), []).append(pid)
        except (OSError, IndexError, ValueError):
            continue
    found, queue = [], [root]
    while queue:
        children = parents.get(queue.pop(), [])
        found += children
        queue += children
    return found


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _comm(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as text:
            return text.read().strip()
    except OSError:
        return ""


def _cmdline(pid: int) -> list[str]:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as raw:
            return [word.decode(errors="replace") for word in raw.read().split(b"\0") if word]
    except OSError:
        return []


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    until = time.monotonic() + _TERM_S
    # A zombie has no command line; whoever started it reaps it.
    while _cmdline(pid) and time.monotonic() < until:
        time.sleep(_POLL_S)


def _pid_file(directory: str, name: str) -> str:
    return os.path.join(directory, "run", f"{name}.pid")


def _forget(directory: str, name: str) -> None:
    try:
        os.unlink(_pid_file(directory, name))
    except FileNotFoundError:
        return
