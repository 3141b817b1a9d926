"""What `slurmd -G` of one release makes of a configuration: the node's GPUs in Slurm's order."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import NamedTuple, Optional

from gres.configs import NODE, Configuration
from lab import contrib, places
from lab.driver import Driver
from lab.release import Release
from nvml import devices, sim

# A position of SLURM_JOB_GPUS: the minors of the GPU and of the MIG device's capability files, () for a whole GPU.
# The GPU is None where a capability file stands alone.
Device = tuple[Optional[int], tuple[int, ...]]


class Answer(NamedTuple):
    """``devices``: None where slurmd ended with an error. ``types``: of each. ``text``: what slurmd printed."""

    devices: list[Device] | None
    types: list[str]
    text: str


class Slurmd:
    """Asks one release after another configuration; a context, for what a chroot mounts."""

    def __init__(self, release: Release) -> None:
        self.release = release
        self.directory = Path(places.temporary())
        self.directory.chmod(0o755)
        places.own(str(self.directory))

    def __enter__(self) -> Slurmd:
        self.release.prepare(str(self.directory))
        self.library = sim.build(self.directory / "nvml")
        self.plugins = contrib.add(self.release, self.directory / "plugins")
        self.version = ".".join(f"{part:02d}" for part in self.release.version()[:2])
        (self.directory / "cgroup.conf").write_text(
            "CgroupAutomount=no\n" if self.release.version() < (23, 11) else "CgroupPlugin=disabled\n"
        )
        for name in ("spool", "stage"):
            (self.directory / name).mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.release(str(self.directory))
        shutil.rmtree(self.directory, ignore_errors=True)

    def write(self, configuration: Configuration) -> None:
        """Write slurm.conf, gres.conf, the scenario and /proc/driver."""
        (self.directory / "slurm.conf").write_text(self.slurm_conf(configuration), encoding="utf-8")
        (self.directory / "gres.conf").write_text(configuration.gres_conf, encoding="utf-8")
        (self.directory / "gpus.conf").write_text(configuration.included, encoding="utf-8")
        self.scenario = sim.write(self.directory / "node.scenario", configuration.scenario)
        self.root = self.directory / "root"
        shutil.rmtree(self.root, ignore_errors=True)
        devices.write_root(self.root, configuration.scenario)

    def slurm_conf(self, configuration: Configuration) -> str:
        """Return a slurm.conf in which the node has these GRES; with auth/none no munged has to run."""
        gres = f"Gres={configuration.gres}"
        default = f"NodeName=DEFAULT {gres}\n" if configuration.by_default else ""
        host = socket.gethostname().split(".")[0]
        return (
            f"ClusterName=x\nSlurmctldHost={host}(127.0.0.1)\nAuthType=auth/none\nCredType=cred/none\n"
            f"GresTypes={configuration.gres_types}\n{self.plugins}SlurmdParameters=config_overrides\n"
            "ProctrackType=proctrack/linuxproc\n"
            f"TaskPlugin=task/none\nSlurmdSpoolDir={self.directory}/spool\nSlurmdPidFile={self.directory}/slurmd.pid\n"
            f"{default}NodeName={NODE} NodeAddr=127.0.0.1 NodeHostname={host} CPUs=4 "
            f"RealMemory=1000 {'' if default else gres}\n"
            "PartitionName=p Nodes=ALL\n"
        )

    def ask(self, configuration: Configuration) -> Answer:
        """Return what slurmd makes of it."""
        self.write(configuration)
        driver = Driver(str(self.library), str(self.scenario), str(self.root), configuration.files)
        words = ["-f", f"{self.directory}/slurm.conf", "-N", NODE, "-G"]
        command = driver.around(
            self.release.argv("slurmd", words), self.release.outside(""), str(self.directory / "stage")
        )
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={"PATH": os.defpath, "LANG": "C.UTF-8", **driver.environment(str(self.directory / "driver"))},
            cwd=self.directory,
            timeout=60,
            check=False,
        )
        if done.returncode < 0:
            # A node has no such files: a mistake in what was made up.
            raise RuntimeError(f"slurmd died of signal {-done.returncode} with {configuration}\n{done.stdout}")
        if done.returncode:
            return Answer(None, [], done.stdout)
        return parse(done.stdout)


def parse(text: str) -> Answer:
    """Return the GPUs that `slurmd -G` printed.

    On a node with shards 22.05 prints a MIG device file by file, GPU first. It is one position all the same: a job's
    CUDA_VISIBLE_DEVICES there has each UUID once (lab/test_autodetect.py).
    """
    found: list[Device] = []
    types: list[str] = []
    for line in text.splitlines():
        row = re.search(r"Gres Name=gpu Type=(\S+) Count=(\d+)", line)
        named = re.search(r" File=(\S+)", line)
        if row is None or named is None:
            continue
        paths = _expand(named[1])
        caps = tuple(int(path.rpartition("nvidia-cap")[2]) for path in paths if "nvidia-cap" in path)
        gpus = [int(re.sub(r".*\D", "", path)) for path in paths if "nvidia-cap" not in path]
        if caps and not gpus and found:
            found[-1] = (found[-1][0], found[-1][1] + caps)
            continue
        one = bool(caps) or (len(gpus) > 1 and int(row[2]) == 1)
        found += [(gpus[0] if gpus else None, caps)] if one else [(gpu, ()) for gpu in gpus]
        types += [row[1]] * (1 if one else len(gpus))
    return Answer(found, types, text)


def _expand(text: str) -> list[str]:
    """Split at commas outside of brackets, and write brackets out."""
    paths = []
    for part in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", text):
        row = re.fullmatch(r"([^\[]*)\[([^\]]*)\](.*)", part)
        if row is None:
            paths.append(part)
            continue
        for piece in row[2].split(","):
            low, _, high = piece.partition("-")
            paths += [f"{row[1]}{number}{row[3]}" for number in range(int(low), int(high or low) + 1)]
    return paths
