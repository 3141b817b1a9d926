"""The lab with Preflight installed on it: simulated nodes of several kinds, hooks, plugin, policy.

Each node has its own root directory (its distribution), GPU scenario, spool and report directory.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lab import Lab, LabNode, Release, places, releases
from lab.driver import Driver
from nvml import devices, sim
from preflight.agent.client import AgentError, ask
from preflight.agent.wire import socket_path
from preflight.deploy.layout import CLIENTS
from preflight.report.schema import schema

SYSTEMS = {
    "ubuntu": 'NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"\nPRETTY_NAME="Ubuntu 22.04.4 LTS"\n',
    "rocky": 'NAME="Rocky Linux"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n'
    'PRETTY_NAME="Rocky Linux 9.4 (Blue Onyx)"\n',
    "debian": 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
}
AGENT = os.environ.get("PREFLIGHT_LAB_AGENT") == "1"  # the whole suite with a node agent on every node
COMMANDS = ("squeue", "scontrol", "scancel", "sinfo", "sacct")


# What they find is the machine's under the lab, not the simulated node's.
MACHINE = "\n".join(
    f'[checks."{name}"]\naction = "off"'
    for name in (
        *(
            "time.synchronised",
            "time.error",
            "node.zombies",
            "node.waiting",
            "node.threads",
            "slurm.cpus",
            "slurm.memory",
        ),
        *("cgroup.version", "cgroup.controllers", "kernel.taint", "numa.balance", "numa.memory", "cpu.offline"),
        *("disk.errors", "disk.state", "mount.readonly", "slurmd.open_files", "net.bond"),
    )
)


@dataclass(frozen=True)
class Site:
    """One simulated node: its system, the text of its GPU scenario (None: no driver), what Slurm knows of it.

    ``gres``: Gres= of slurm.conf, where Slurm's own NVML plugin is to find the GPUs (AutoDetect=nvml), or the
    cluster's own gres.conf names them. ``boots``: it has a boot id of its own, which a reboot changes.
    """

    name: str
    system: str = "ubuntu"
    scenario: str | None = None
    gpus: int = 0
    minors: tuple[int, ...] | None = None
    features: tuple[str, ...] = ()
    gres: str | None = None
    boots: bool = False

    @property
    def node(self) -> LabNode:
        """The node as slurm.conf describes it."""
        return LabNode(self.name, gpus=self.gpus, minors=self.minors, features=self.features, boots=self.boots)


@dataclass
class Cluster:
    """A lab whose nodes run Preflight. ``policy`` is TOML added to the lab's own; ``extra`` lines of slurm.conf.

    ``gres_conf``: gres.conf in place of the lab's, DEV standing for the directory of the device files; no slurmd
    detects GPUs then unless it says so. ``agent``: with a node agent on every node, which its prolog asks.
    """

    sites: list[Site]
    policy: str = ""
    extra: str = ""
    gres_conf: str | None = None
    health_interval: int = 0
    accounting: bool = False
    directory: str = field(default_factory=places.temporary)
    keep: bool = False
    checked: bool = True  # hold each report against the schema; the demonstration has no jsonschema
    release: Release = field(default_factory=releases.chosen)
    agent: bool = AGENT

    def __post_init__(self) -> None:
        os.chmod(self.directory, 0o755)
        self.release.prepare(self.directory)
        self.prefix = f"{self.directory}/opt/preflight"
        self.config = f"{self.directory}/etc/preflight.toml"
        self.run_dir = f"{self.directory}/run-preflight"
        self.calls = f"{self.directory}/slurm-calls"
        self.agents: dict[str, subprocess.Popen[bytes]] = {}
        for site in self.sites:
            self.set_system(site.name, site.system)
            self.set_gpus(site.name, site.scenario)
        self._library = str(sim.build(Path(self.directory, "nvml")))
        self._make_stand_in()
        self.write_policy(self.policy)
        self._install_kept()
        names = ("prolog", "epilog", "healthcheck", "taskprolog")
        hooks: Any = {name: self.hook(name) for name in names}
        self.lab = Lab(
            self.directory,
            [self._node(site) for site in self.sites],
            slurm_conf_extra=self.extra,
            plugstack=f"optional {self.prefix}/lib/slurm/preflight.so preflight={self.prefix}/bin/preflight\n",
            health_interval=self.health_interval,
            gres_conf=self.gres_conf and self.gres_conf.replace("DEV", f"{self.directory}/dev"),
            release=self.release,
            accounting=self.accounting,
            **hooks,
        )

    def __enter__(self) -> Cluster:
        try:
            if self.agent:
                for site in self.sites:
                    self.start_agent(site.name)
            self.lab.start()
        except BaseException:
            self._stop_agents()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the daemons and remove the directory."""
        self._stop_agents()
        self.lab.stop()
        if not self.keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _stop_agents(self) -> None:
        for node in list(self.agents):
            self.stop_agent(node)

    def hook(self, name: str) -> str:
        """Return the path that slurm.conf names for a hook: where agents run, of the client that asks them."""
        return f"{self.prefix}/libexec/{CLIENTS.get(name, name) if self.agent else name}"

    def start_agent(self, node: str) -> None:
        """Start the node's agent, as systemd would, and wait until it answers."""
        command = self.release.argv(f"{self.prefix}/bin/preflight", ["agent", "--run-dir", self.run_dir])
        environment = {"SLURMD_NODENAME": node, "PATH": "/usr/bin:/bin"}
        self.agents[node] = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, cwd="/")
        limit = time.monotonic() + 60
        while self.ask_agent(node, "check").get("verdict") is None:
            if time.monotonic() > limit or self.agents[node].poll() is not None:
                raise RuntimeError(f"the agent of {node} does not answer")
            time.sleep(0.1)

    def stop_agent(self, node: str, how: signal.Signals = signal.SIGTERM) -> None:
        """End the node's agent and wait for that."""
        process = self.agents.pop(node)
        process.send_signal(how)
        process.wait(60)

    def ask_agent(self, node: str, question: str) -> dict[str, Any]:
        """Return the answer of the node's agent, {} where none answers."""
        try:
            return ask(self.run_dir, question, path=socket_path(self.run_dir, node))
        except AgentError:
            return {}

    def refresh_agent(self, node: str) -> None:
        """Have the node's agent, where there is one, forget all that it read before now; its hooks judge meanwhile."""
        if node in self.agents:
            self.ask_agent(node, "refresh")

    def node_dir(self, node: str) -> Path:
        """Return a node's own directory: root, spool, reports."""
        return Path(self.directory, "nodes", node)

    def _node(self, site: Site) -> LabNode:
        if site.gres is None or site.scenario is None or self.gres_conf is not None:
            return replace(site.node, gres=site.gres)
        root = devices.write_root(self.node_dir(site.name) / "root", site.scenario)
        driver = Driver(self._library, str(self._scenario(site.name)), str(root))
        return replace(site.node, gres=site.gres, driver=driver)

    def _scenario(self, node: str) -> Path:
        return Path(self.directory, "nvml", "scenarios", f"{node}.scenario")

    def set_system(self, node: str, system: str) -> None:
        """Give the node another distribution."""
        etc = self.node_dir(node) / "root" / "etc"
        etc.mkdir(parents=True, exist_ok=True)
        (etc / "os-release").write_text(SYSTEMS[system], encoding="utf-8")
        self.refresh_agent(node)

    def set_gpus(self, node: str, *parts: str | Mapping[str, object] | None) -> None:
        """Give the node's driver another scenario; None: it has no driver at all."""
        path = self._scenario(node)
        path.parent.mkdir(parents=True, exist_ok=True)
        if parts == (None,):
            path.unlink(missing_ok=True)
        else:
            temporary = path.with_suffix(".new")
            sim.write(temporary, *(part for part in parts if part is not None))
            temporary.rename(path)
        self.refresh_agent(node)

    def write_policy(self, more: str = "", *, mode: str = "enforce", hook: str = "", drain: str = "") -> None:
        """Write the policy: the lab's own places; ``more`` are further tables, ``hook`` and ``drain`` keys of those."""
        self.write_raw_policy(f"""
version = 1
cluster = "lab"
mode = "{mode}"
[facts]
root = "{self.directory}/nodes/%n/root"
live = true
[nvml]
library = "{self.directory}/nvml/{sim.LIBRARY}"
[hook]
slurm_bin = "{self.directory}/slurm-bin"
slurm_conf = "{self.directory}/slurm.conf"
{hook}
[report]
spool = "{self.directory}/nodes/%n/spool"
dir = "{self.directory}/nodes/%n/reports"
search = ["{self.directory}/nodes/*/spool/reports", "{self.directory}/nodes/*/reports"]
[drain]
kill_switch = "{self.directory}/etc/off"
resume_after = 1
{drain or 'max_nodes = "50%"'}
{MACHINE}
{more}
""")

    def write_raw_policy(self, text: str) -> None:
        """Replace the policy file at once."""
        path = Path(self.config)
        path.parent.mkdir(exist_ok=True)
        temporary = path.with_suffix(".new")
        temporary.write_text(text, encoding="utf-8")
        settled = time.time() - 60  # hooks wait with a file that was written just now
        os.utime(temporary, (settled, settled))
        temporary.rename(path)

    def policy_text(self) -> str:
        """Return the policy as it stands."""
        return Path(self.config).read_text(encoding="utf-8")

    def preflight(
        self, *arguments: str, user: str | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run the installed command with the lab's policy."""
        return self.lab.run([f"{self.prefix}/bin/preflight", *arguments], user=user, timeout=timeout)

    def why(self, job: str, *options: str, user: str | None = "pfalice") -> str:
        """Return what `preflight why` prints, asked again where a busy machine's Slurm was too slow for it."""
        for _ in range(10):
            done = self.preflight("why", job, *options, "--config", self.config, user=user)
            if done.returncode == 0 or "did not answer within" not in done.stderr:
                break
        assert done.returncode == 0, done.stderr
        return done.stdout

    def install(self, *options: str) -> str:
        """Run `preflight install` of this checkout into the lab; return what it printed."""
        return self._run_install(["-m", "preflight"], *options)

    def _install_kept(self) -> None:
        """Install with what this process' first installation for the release has copied, compiled and built."""
        kept, here = (
            _kept_for(str(getattr(self.release, "suite", None) or getattr(self.release, "prefix", None))),
            f"{self.directory}/installing",
        )
        os.mkdir(here)
        _copy(kept, here)
        self._run_install([str(Path(__file__).with_name("installing.py")), here])
        _copy(here, kept)
        shutil.rmtree(here)

    def _run_install(self, program: list[str], *options: str) -> str:
        options = (*options, "--agent") if self.agent else options
        arguments = ["install", "--prefix", self.prefix, "--config", self.config, "--run-dir", self.run_dir, *options]
        command = self.release.python([*program, *arguments])
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"preflight install: {done.stderr}")
        return done.stdout

    def _make_stand_in(self) -> None:
        """Make slurm_bin: each command writes a line to ``calls``, then becomes the real one.

        The file slurm-down makes each of them hang and fail; slurm-stuck holds a shell pattern of arguments, and a
        command that fits does its work and then hangs; slurm-slow holds "LEAST MOST", seconds that each waits first.
        """
        directory = Path(self.directory, "slurm-bin")
        directory.mkdir(exist_ok=True)
        for name in COMMANDS:
            path = directory / name
            path.write_text(
                f'#!/bin/sh\necho "$(date +%s.%N) {name} $*" >>{self.calls}\n'
                f"if [ -e {self.directory}/slurm-slow ]; then read -r least most <{self.directory}/slurm-slow; sleep "
                '"$(awk -v s=$$ -v a="$least" -v b="$most" \'BEGIN { srand(s); print a + rand() * (b - a) }\')"; fi\n'
                f"[ -e {self.directory}/slurm-down ] && {{ sleep 30; exit 1; }}\n"
                f"stuck=$(cat {self.directory}/slurm-stuck 2>/dev/null)\n"
                f'case "$*" in $stuck) {self.release.find(name)} "$@"; sleep 30; exit 1 ;; esac\n'
                f'exec {self.release.find(name)} "$@"\n',
                encoding="utf-8",
            )
            path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)

    def called(self) -> list[str]:
        """Return the Slurm commands that hooks ran so far: "scontrol update JobId=…"."""
        try:
            lines = Path(self.calls).read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        return [line.partition(" ")[2] for line in lines]

    def forget_calls(self) -> None:
        """Begin a new record of commands."""
        Path(self.calls).unlink(missing_ok=True)

    def reports(self, job: str | int, phase: str | None = "prolog") -> list[dict[str, Any]]:
        """Return the job's reports from the spools, oldest first; each is held against the schema."""
        found = []
        for path in Path(self.directory, "nodes").glob(f"*/spool/reports/{job}/*.json"):
            report = json.loads(path.read_text(encoding="utf-8"))
            if self.checked:
                validate(report)
            if phase in (None, report["phase"]):
                found.append(report)
        return sorted(found, key=lambda report: report["started"])

    def wait_report(
        self, job: str | int, node: str | None = None, phase: str = "prolog", timeout: float = 30
    ) -> dict[str, Any]:
        """Wait for a report of the job (on ``node``) and return the latest."""

        def ready() -> bool:
            return bool(self._of(job, node, phase))

        self.lab.wait_until(ready, timeout, f"a {phase} report of job {job} on {node or 'any node'}")
        return self._of(job, node, phase)[-1]

    def _of(self, job: str | int, node: str | None, phase: str) -> list[dict[str, Any]]:
        return [one for one in self.reports(job, phase) if node in (None, one["node"])]

    def health(self, node: str) -> subprocess.CompletedProcess[str]:
        """Run the node's health check as slurmd does: SLURMD_NODENAME and nothing else."""
        script = self.release.argv(f"{self.prefix}/libexec/healthcheck", [])
        boots = any(site.name == node and site.boots for site in self.sites)
        return subprocess.run(
            self.lab.in_node(node, script) if boots else script,
            env={"SLURMD_NODENAME": node},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def health_report(self, node: str) -> dict[str, Any]:
        """Run the node's health check and return the report of it."""
        folder = self.node_dir(node) / "spool" / "reports" / "node"
        before = set(folder.glob("*.json"))
        done = self.health(node)
        if done.returncode:
            raise RuntimeError(f"the health check of {node} ended with {done.returncode}: {done.stderr}")
        written = sorted(set(folder.glob("*.json")) - before) or sorted(before)[-1:]  # one a second
        report: dict[str, Any] = json.loads(written[-1].read_text(encoding="utf-8"))
        validate(report)
        return report

    @contextmanager
    def only(self, *nodes: str) -> Iterator[None]:
        """Keep jobs from all other nodes for a while, so that they start on ``nodes``."""
        others = [site.name for site in self.sites if site.name not in nodes]
        for name in others:
            self.lab.check_run(["scontrol", "update", f"NodeName={name}", "State=DRAIN", "Reason=test"])
        yield
        for name in others:
            self.lab.check_run(["scontrol", "update", f"NodeName={name}", "State=RESUME"])

    def lift_faults(self) -> None:
        """End every fault that a test injected: scenarios, systems, the policy, the controller that is down."""
        for site in self.sites:
            self.set_system(site.name, site.system)
            self.set_gpus(site.name, site.scenario)
        self.write_policy(self.policy)
        for name in ("slurm-down", "slurm-stuck", "slurm-slow", "etc/off"):
            Path(self.directory, name).unlink(missing_ok=True)

    def reset(self) -> None:
        """Bring everything back to the beginning: no faults, no jobs, all nodes idle, nothing remembered."""
        self.lift_faults()
        self.lab.reset()
        for site in self.sites:
            for pattern in ("drain-*.json", "streaks-*.json", "recover-*.json", "pending/*", "released/*", "outbox/*"):
                for path in self.node_dir(site.name).glob(f"spool/{pattern}"):
                    path.unlink()
        for pattern in ("stuck-*.json", "drain-*.json"):
            for path in Path(self.run_dir).glob(pattern):
                path.unlink()
        self.forget_calls()
        for node, process in list(self.agents.items()):
            if process.poll() is not None:  # systemd would start another
                self.start_agent(node)
            self.lab.wait_until(lambda node=node: self.ask_agent(node, "check").get("verdict"), 60, f"{node}'s agent")


@functools.cache
def _kept_for(release: str) -> str:
    """Return the directory of what installations for a release have in common; it goes with this process."""
    place = tempfile.mkdtemp(prefix="preflight-install-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


def _copy(source: str, to: str) -> None:
    """Copy what is in a directory and not yet in the other one."""
    for name in set(os.listdir(source)) - set(os.listdir(to)):
        subprocess.run(["cp", "-a", f"{source}/{name}", to], check=True)


def validate(report: dict[str, Any]) -> None:
    """Raise ValidationError where a report breaks its schema."""
    from jsonschema import Draft202012Validator

    Draft202012Validator(schema()).validate(report)


def sites_of(*names: str) -> Iterable[Site]:
    """Return the demonstration's nodes by name."""
    return [SITES[name] for name in names]


SICK = {"gpu.0.ecc.uncorrected.volatile": 2, "gpu.0.ecc.uncorrected.aggregate": 2}
SITES = {
    "ubuntu1": Site("ubuntu1", "ubuntu", sim.example("h100x2"), 2, (1, 0), ("ubuntu",)),
    "rocky1": Site("rocky1", "rocky", sim.example("a100x2-old-driver"), 2, None, ("rocky",)),
    "ubuntu2": Site("ubuntu2", "ubuntu", sim.example("h100x2"), 2, None, ("ubuntu",)),
    "sick1": Site("sick1", "ubuntu", sim.scenario(sim.example("h100x2"), SICK), 2, None, ("ubuntu",)),
    "debian1": Site("debian1", "debian", None, 0, None, ("debian",)),
}
