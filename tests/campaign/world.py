"""A node of its own, off the lab: real hooks run by the real scripts, a simulated driver, a stand-in for slurmctld."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from campaign.processes import Metronome, end_children
from nvml import sim
from preflight.deploy.copy import copy_package

HERE = Path(__file__).parent
PROLOG = HERE.parents[1] / "prolog"
COMMANDS = ("squeue", "sinfo", "scontrol", "scancel")
DEADLINE_S = 4
LIMIT = 2
GIVEN_UP_S = 45.0  # far past any deadline: what takes so long hangs
LATER_S = 320  # by how much the second health check is later: what was sent, or released, is looked at again
REQUIRE = "SPANK__SLURM_SPANK_OPTION_preflight_require"


@dataclass(frozen=True)
class Assets:
    """What all worlds share: the installed package's __main__.py, the simulated driver, shim.c built."""

    main: str
    library: str
    shim: str


def assets(place: Path) -> Assets:
    """Build what worlds share in ``place``, or find it there."""
    main = place / "lib/preflight/__main__.py"
    if not main.exists():
        copy_package(str(place / "lib"))
    library = str(sim.build(place / "nvml"))
    return Assets(str(main), library, build_shim(place))


def build_shim(place: Path) -> str:
    """Compile shim.c into ``place`` unless it is there; return its path."""
    shim, source = place / "shim.so", HERE / "shim.c"
    if not shim.exists() or shim.stat().st_mtime < source.stat().st_mtime:
        made = place / f".shim.{os.getpid()}"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-w", "-o", made, source, "-ldl"], check=True)
        made.rename(shim)
    return str(shim)


@dataclass
class Ran:
    """One hook that ran: its script's exit status, what it said, how long it took, how late this machine was then."""

    phase: str
    job: int | None
    status: int
    said: str
    log: list[str]
    seconds: float
    late_s: float
    struck: bool
    hung: bool = False

    @property
    def raw(self) -> str:
        """Return the status of the hook itself where the script named it, "" where it was 0 or 10."""
        marks = [line.partition("hook ended with status ")[2] for line in self.log]
        return next((mark.partition(":")[0] for mark in marks if mark), "")


@dataclass
class World:
    """One node n1 of four, in ``place``; ``struck``: variables of the hooks that a fault befalls."""

    place: Path
    assets: Assets
    struck: dict[str, str] = field(default_factory=dict)
    runs: list[Ran] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what was struck
    violations: list[str] = field(default_factory=list)  # what an injection itself saw go wrong
    library: str = ""
    deadline_s: float = DEADLINE_S
    timed: bool = True  # whether the machine is quiet enough for times to be judged

    def __post_init__(self) -> None:
        self.config, self.run_dir = self.place / "p.toml", self.place / "run"
        self.spool, self.reports = self.place / "spool", self.place / "reports"
        self.control = self.place / "ctl"
        self.library = self.library or self.assets.library

    def make(self) -> None:
        """Make everything anew, sound and idle."""
        shutil.rmtree(self.place, ignore_errors=True)
        for folder in ("root/etc", "root/proc/sys/kernel", "root/sys", "libexec", "ctl/bin", "reports", "p.d"):
            (self.place / folder).mkdir(parents=True)
        os.chmod(self.reports, 0o755)
        (self.place / "root/etc/os-release").write_text('ID=ubuntu\nVERSION_ID="22.04"\n')
        (self.place / "root/proc/sys/kernel/osrelease").write_text("5.15.0-1\n")
        (self.place / "gres.conf").write_text("Name=gpu File=/dev/nvidia[0-1]\n")
        (self.place / "slurm.conf").write_text("GresTypes=gpu\nNodeName=n[1-4] Gres=gpu:2\n")
        for name in COMMANDS:
            path = self.control / "bin" / name
            path.write_text(f"#!{sys.executable} -IS\n{(HERE / 'controller.py').read_text()}")
            path.chmod(0o755)
        (self.place / "p.d/10-site.toml").write_text("[report]\nkeep_days = 30\n")
        settle(self.place / "p.d/10-site.toml")
        self.policy()
        self.driver()
        self.set_state(nodes={f"n{one}": SOUND for one in range(1, 5)}, jobs={}, drains=[], calls=0)
        self.scripts(self.assets.main)

    def scripts(self, main: str) -> None:
        """Write the scripts that slurmd runs, as `preflight install` writes them."""
        words = {"PYTHON": sys.executable, "MAIN": main, "CONFIG": str(self.config), "RUN_DIR": str(self.run_dir)}
        for name in ("prolog", "epilog", "healthcheck", "taskprolog"):
            text = (PROLOG / name).read_text()
            for word, value in words.items():
                text = text.replace(f"@{word}@", value)
            script = self.place / "libexec" / name
            script.write_text(text)
            script.chmod(0o755)

    def policy(self, more: str = "", top: str = 'mode = "enforce"') -> None:
        """Write the policy, as of a while ago."""
        self.config.write_text(self.policy_text(more, top))
        settle(self.config)

    def policy_text(self, more: str = "", top: str = 'mode = "enforce"') -> str:
        """Return the policy."""
        return (
            f'version = 1\ncluster = "lab"\n{top}\n[facts]\nroot = "{self.place}/root"\nlive = true\n'
            f'[nvml]\nlibrary = "{self.library}"\n'
            f'[report]\nspool = "{self.spool}"\ndir = "{self.reports}"\n'
            f'[hook]\ndeadline_s = {self.deadline_s}\nslurm_bin = "{self.control}/bin"\n'
            f'slurm_conf = "{self.place}/slurm.conf"\n'
            f'[drain]\nmax_nodes = {LIMIT}\nkill_switch = "{self.place}/off"\n{more}\n'
        )

    def driver(self, *parts: str | Mapping[str, object]) -> None:
        """Write what the simulated driver answers: two H100s, and ``parts``."""
        sim.write(self.place / "node.scenario", sim.example("h100x2"), *parts)

    def state(self) -> dict[str, Any]:
        """Return what the stand-in for slurmctld knows."""
        loaded: dict[str, Any] = json.loads((self.control / "state.json").read_text())
        return loaded

    def set_state(self, **changes: Any) -> None:
        """Change what the stand-in for slurmctld knows."""
        path = self.control / "state.json"
        now = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**now, **changes}))

    def submit(self, number: int, **values: Any) -> None:
        """Have a job run on n1."""
        jobs = self.state()["jobs"]
        jobs[str(number)] = {**JOB, "id": number, "array": number, **values}
        self.set_state(jobs=jobs)

    def hook(self, name: str, struck: bool = False, later_s: int = 0, **variables: str) -> Ran:
        """Run one of the scripts as slurmd does, to the end of its output."""
        environment = {
            "SLURMD_NODENAME": "n1",
            **sim.environment(self.place / "node.scenario"),
            "LD_PRELOAD": self.assets.shim,
            "FAULT_LOG": str(self.place / "log"),
            "FAULT_HIT": str(self.place / "hit"),
            **({"FAULT_CLOCK": f"{later_s}|0"} if later_s else {}),
            **variables,
            **(self.struck if struck else {}),
        }
        prefix = json.loads(environment.pop("PREFIX", "[]"))  # a limit or a namespace around the script
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log, Metronome() as metronome:
            log.bind(environment["FAULT_LOG"])
            began = time.monotonic()
            process = subprocess.Popen(
                [*prefix, str(self.place / "libexec" / name)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
            )
            hung = False
            try:
                said, _ = process.communicate(timeout=GIVEN_UP_S)
            except subprocess.TimeoutExpired:
                hung = True
                os.killpg(process.pid, 9)
                said = _rest(process)
            seconds = time.monotonic() - began
            lines = _lines(log)
        os.unlink(environment["FAULT_LOG"])
        job = int(variables["SLURM_JOB_ID"]) if "SLURM_JOB_ID" in variables else None
        text = said.decode(errors="replace")
        ran = Ran(name, job, process.returncode, text, lines, seconds, metronome.late_s, struck, hung)
        self.runs.append(ran)
        return ran

    def end(self) -> None:
        """End what is left of its processes and remove the directory."""
        end_children()
        shutil.rmtree(self.place, ignore_errors=True)


SOUND = {"state": "mixed", "reason": "none", "user": "Unknown", "time": "Unknown"}
JOB: dict[str, Any] = {
    "task": "",
    "state": "RUNNING",
    "required": "",
    "excluded": "",
    "priority": 4294901750,
    "partition": "main",
    "uid": 4242,
    "nodes": "n1",
    "count": 1,
    "batch": 1,
    "requeue": 1,
    "restarts": 0,
    "admin_comment": "",
    "prefer": "",
    "requeued_held": False,
}


def settle(path: Path) -> None:
    """Make a file older than one that somebody may still be writing."""
    written = time.time() - 60
    os.utime(path, (written, written))


def job_variables(number: int = 7, require: str = "gpu=h100", **more: str) -> dict[str, str]:
    """Return what slurmd tells the prolog of a GPU job."""
    return {
        "SLURM_JOB_ID": str(number),
        "SLURM_JOB_UID": "4242",
        "SLURM_JOB_USER": "alice",
        "SLURM_JOB_PARTITION": "main",
        "SLURM_JOB_NODELIST": "n1",
        "SLURM_JOB_GPUS": "0,1",
        "SLURM_JOB_RESTART_COUNT": "0",
        **({REQUIRE: require} if require else {}),
        **more,
    }


def _rest(process: subprocess.Popen[bytes]) -> bytes:
    """Return what a killed hook said; one that no signal ends, in a frozen file system, is left."""
    try:
        return process.communicate(timeout=5)[0]
    except subprocess.TimeoutExpired as late:
        assert process.stdout is not None
        process.stdout.close()
        return late.output or b""


def _lines(log: socket.socket) -> list[str]:
    log.setblocking(False)
    lines = []
    try:
        while True:
            lines.append(log.recv(65536).decode(errors="replace"))
    except BlockingIOError:
        return lines
