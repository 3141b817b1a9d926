"""A node's site for tests of the real hooks and commands: policy, simulated driver, gres.conf, recorded Slurm."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nvml import sim

H100X2 = sim.example("h100x2")


def settle(policy: Path) -> None:
    """Make the policy older than a file that somebody may still be writing."""
    written = time.time() - 60
    os.utime(policy, (written, written))


class Site:
    """Directories of one node "n1", and ways to run Preflight on it."""

    def __init__(self, place: Path, library: str, main: str = "") -> None:
        self.place, self.library, self.main = place, library, main
        self.config, self.run_dir, self.spool = place / "p.toml", place / "run", place / "spool"
        self.log = place / "slurm.log"
        for name in ("root", "bin"):
            (place / name).mkdir()
        self.files({"etc/os-release": 'ID=ubuntu\nVERSION_ID="22.04"\n', "proc/sys/kernel/osrelease": "5.15.0-1\n"})
        (place / "gres.conf").write_text("Name=gpu File=/dev/nvidia[0-1]\n")
        for name in ("squeue", "sinfo", "scontrol", "scancel"):
            script = place / "bin" / name
            script.write_text(
                f'#!/bin/sh\necho "{name} $*" >>{self.log}\necho "{name}: no controller here" >&2\nexit 1\n'
            )
            script.chmod(0o755)
        self.policy()
        self.scenario(H100X2)

    def files(self, files: Mapping[str, str]) -> None:
        """Write files below the node's root."""
        for name, text in files.items():
            (self.place / "root" / name).parent.mkdir(parents=True, exist_ok=True)
            (self.place / "root" / name).write_text(text)

    def policy(
        self, more: str = "", top: str = "", live: bool = True, deadline_s: float = 30, cluster: str = "lab"
    ) -> None:
        """Write the policy, as of a while ago; ``top`` are keys before the first table, ``more`` tables at the end."""
        mode = "" if "mode =" in top else 'mode = "enforce"\n'
        self.config.write_text(
            f'version = 1\ncluster = "{cluster}"\n{mode}{top}\n'
            f'[facts]\nroot = "{self.place}/root"\nlive = {str(live).lower()}\n'
            f'[nvml]\nlibrary = "{self.library}"\n[report]\nspool = "{self.spool}"\n'
            f'[hook]\ndeadline_s = {deadline_s}\nslurm_bin = "{self.place}/bin"\n'
            f'slurm_conf = "{self.place}/slurm.conf"\n'
            f'[drain]\nkill_switch = "{self.place}/off"\n{more}\n'
        )
        settle(self.config)

    def scenario(self, *parts: Any) -> None:
        """Write what the simulated driver answers."""
        sim.write(self.place / "node.scenario", *parts)

    def environment(self, **more: str) -> dict[str, str]:
        """Return an environment as slurmd's hooks have it: nearly empty."""
        return {"SLURMD_NODENAME": "n1", **sim.environment(self.place / "node.scenario"), **more}

    def run(self, *arguments: str, stdin: str = "", **more: str) -> "subprocess.CompletedProcess[str]":
        """Run `python -m preflight ARGUMENTS` with this site's policy where the command takes one."""
        command = [sys.executable, "-m", "preflight", *arguments]
        environment = self.environment(PREFLIGHT_CONFIG=str(self.config), PATH=os.environ["PATH"], **more)
        return subprocess.run(
            command, env=environment, input=stdin, capture_output=True, text=True, cwd=self.place, check=False
        )

    def hook(self, phase: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a hook as the scripts in prolog/ do: the installed package by its path, isolated."""
        command = [sys.executable, "-I", "-S", self.main, "hook", phase]
        command += ["--config", str(self.config), "--run-dir", str(self.run_dir)]
        return subprocess.run(
            command, env=self.environment(**environment), capture_output=True, text=True, check=False, cwd="/"
        )

    def report(self, job: int = 7, phase: str = "prolog", run: int = 0) -> dict[str, Any]:
        """Return the report in the spool."""
        loaded: dict[str, Any] = json.loads((self.spool / f"reports/{job}/n1.{run}.{phase}.json").read_text())
        return loaded

    def slurm_calls(self) -> list[str]:
        """Return the Slurm commands that were run."""
        return self.log.read_text().splitlines() if self.log.exists() else []


JOB = {"SLURM_JOB_ID": "7", "SLURM_JOB_UID": "4242", "SLURM_JOB_USER": "alice", "SLURM_JOB_PARTITION": "gpu"}
REQUIRE = "SPANK__SLURM_SPANK_OPTION_preflight_require"
