"""Running Slurm's commands against a lab, waiting, and reading its logs."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from lab.daemons import Daemon, LabError
from lab.release import Release
from lab.users import account

T = TypeVar("T")
# A question costs a process of Slurm's and answers of its daemons: the longer the wait, the rarer it is asked.
_POLL_S, _POLL_OF_WAIT, _POLL_MOST_S = 0.1, 0.15, 0.5
_LOG_TAIL = 40


class LabTimeout(LabError):
    """Something did not happen in time."""


class Commands:
    """Runs commands as a user of the cluster; the attributes are Lab's."""

    directory: str
    work: str
    slurm_conf: str
    release: Release
    daemons: list[Daemon]

    def environment(self) -> dict[str, str]:
        """Return the variables that point any Slurm command at this lab."""
        return {"SLURM_CONF": self.slurm_conf}

    def run(
        self,
        cmd: Sequence[str],
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in ``work``, as root or with the ids of ``user``; ``timeout`` in seconds.

        Its environment is PATH, LANG, the user's names, HOME, SLURM_CONF and ``env``, nothing of the caller's.
        """
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
            shown = " ".join(cmd)
            shown = shown if len(shown) <= 200 else f"{shown[:200]}..."
            raise LabError(f"{shown}: status {done.returncode}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def wait_until(self, predicate: Callable[[], T], timeout: float, what: str) -> T:
        """Return the first true answer of ``predicate``, asked every 100 ms and less often the longer it takes.

        Raises LabTimeout after ``timeout`` seconds, LabError if a daemon ends meanwhile; both with the logs' tails.
        """
        began = time.monotonic()
        while True:
            answer = predicate()
            if answer:
                return answer
            dead = [daemon.ended() for daemon in self.daemons]
            if any(dead):
                raise LabError(f"while waiting for {what}: {'; '.join(filter(None, dead))}\n{self.logs()}")
            waited = time.monotonic() - began
            if waited >= timeout:
                raise LabTimeout(f"waited {timeout:g} s for {what}\n{self.logs()}")
            time.sleep(min(max(_POLL_S, _POLL_OF_WAIT * waited), _POLL_MOST_S))

    def logs(self, lines: int = _LOG_TAIL) -> str:
        """Return the last ``lines`` lines of every daemon's log."""
        folder = os.path.join(self.directory, "log")
        texts = []
        present = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        for file in sorted(present):
            # Once it has a log, a daemon in the foreground writes the same to both.
            if file.endswith(".out") and f"{file[:-4]}.log" in present:
                continue
            with open(os.path.join(folder, file), encoding="utf-8", errors="replace") as text:
                tail = text.read().splitlines()[-lines:]
            if tail:
                texts.append("\n".join([f"--- {file}", *tail]))
        return "\n".join(texts)
