"""How a program of one Slurm installation is run: the only module that knows where Slurm lives.

``HostRelease`` is the Slurm of this machine; ``lab.chroot.ChrootRelease`` is that of another Debian, in which the lab
directory is visible at the same path once it is prepared.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Protocol

from lab.users import Account

DAEMONS = ("munged", "slurmctld", "slurmd")
COMMANDS = ("scontrol", "squeue", "sinfo", "sbatch", "srun", "scancel")
SLURM = ("slurmctld", "slurmd", *COMMANDS, "salloc", "sacct", "slurmdbd", "slurmrestd")


class Release(Protocol):
    """One installed Slurm."""

    def argv(self, program: str, args: Sequence[str], account: Account | None = None) -> list[str]:
        """Return the full command line that execs ``program`` (name or absolute path), as ``account`` or as root.

        It must exec in the end, not fork: the lab signals the pid that it started.
        """
        ...

    def find(self, program: str) -> str | None:
        """Return the absolute path of ``program`` as that installation's processes see it, None if there is none."""
        ...

    def outside(self, path: str) -> str:
        """Return the path by which ``path`` of that installation's processes is reached from here; "" is its root."""
        ...

    def python(self, args: Sequence[str]) -> list[str]:
        """Return the command line of a Python that can import this checkout's Preflight, for its installation."""
        ...

    def interpreter(self) -> str:
        """Return the path of the Python that hooks and users run."""
        ...

    def missing(self) -> list[str]:
        """Return the names of needed programs that are not installed."""
        ...

    def version(self) -> tuple[int, ...]:
        """Return Slurm's version, such as (22, 5, 8)."""
        ...

    def prepare(self, directory: str) -> None:
        """Make the lab's ``directory`` reachable for the installation, before any program runs; may be called twice."""
        ...

    def release(self, directory: str) -> None:
        """Undo ``prepare``, after every program has ended."""
        ...


class HostRelease:
    """The Slurm of this machine: on PATH and in the sbin directories, or that in ``prefix``/{bin,sbin} alone."""

    def __init__(self, prefix: str | None = None) -> None:
        self.prefix = prefix
        # munged comes from the system even where Slurm is a build of one's own.
        system = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin")
        first = (os.environ.get("PATH", ""),) if prefix is None else (f"{prefix}/bin", f"{prefix}/sbin")
        self.path = os.pathsep.join((*first, *system))

    def argv(self, program: str, args: Sequence[str], account: Account | None = None) -> list[str]:
        found = program if program.startswith("/") else self.find(program)
        if found is None:
            raise FileNotFoundError(f"{program}: not installed (looked in {self.path})")
        command = [found, *args]
        if account is None:
            return command
        drop = [
            shutil.which("setpriv", path=self.path) or "setpriv",
            f"--reuid={account.uid}",
            f"--regid={account.gid}",
            "--init-groups",
            "--inh-caps=-all",
        ]
        return [*drop, "--", *command]

    def find(self, program: str) -> str | None:
        found = shutil.which(program, path=self.path)
        if self.prefix and found and program in SLURM and os.path.dirname(os.path.dirname(found)) != self.prefix:
            return None  # another release's would be taken for it
        return found

    def outside(self, path: str) -> str:
        return path

    def python(self, args: Sequence[str]) -> list[str]:
        return [sys.executable, *args]

    def interpreter(self) -> str:
        from preflight.deploy.layout import interpreter

        return interpreter(None)

    def missing(self) -> list[str]:
        needed = (*DAEMONS, *COMMANDS, "setpriv")
        where = f" (in {self.prefix})" if self.prefix else ""
        return [f"{name}{where if name in SLURM else ''}" for name in needed if self.find(name) is None]

    def version(self) -> tuple[int, ...]:
        text = subprocess.run(
            self.argv("slurmd", ["-V"]), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
        ).stdout
        return tuple(int(part) for part in text.split()[1].split("-")[0].split("."))

    def prepare(self, directory: str) -> None:
        return None

    def release(self, directory: str) -> None:
        return None
