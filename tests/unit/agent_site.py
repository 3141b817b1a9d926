"""A node's site with an agent on it: the installed daemon, the built client, and the hook that it becomes."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from preflight import __version__
from preflight.agent import wire
from preflight.agent.client import AgentError, ask
from preflight.agent.wire import socket_path
from preflight.deploy.layout import assets
from preflight.hooks import answered
from unit.hook_site import JOB, Site

GPUS = {**JOB, "SLURM_JOB_GPUS": "0,1"}
PATIENCE_S = 60.0


def build(place: Path, *options: str) -> Path:
    """Build the two programs in ``place`` and return it."""
    source = Path(assets(), "client")
    place.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if file.suffix in (".c", ".h") or file.name == "Makefile":
            shutil.copy(file, place)
    patient = "CPPFLAGS=-DWAIT_MAX_MS=5000"  # this machine may be slow
    subprocess.run(["make", "-s", "-C", str(place), patient, *options], check=True)
    return place


def until(ready: Callable[[], Any], what: str) -> Any:
    """Wait until ``ready`` gives something and return that."""
    limit = time.monotonic() + PATIENCE_S
    while time.monotonic() < limit:
        found = ready()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {PATIENCE_S:g} s: {what}")


FREE = ("node.memory", "node.tmp", "node.shm")  # what others use up while we look
AGES = ("boot", "duration_ms", "id", "started", "source", "ages_s", "timings_ms")


def comparable(report: dict[str, Any]) -> dict[str, Any]:
    """Return what must be the same in both: all but times, and how much memory is free just now."""
    left = {key: value for key, value in report.items() if key not in AGES}
    free = {"observed": "", "message": ""}
    left["findings"] = [
        {**one, "duration_ms": 0, **(free if one["check"] in FREE or _of_room(one) else {})}
        for one in report["findings"]
    ]
    facts = json.loads(json.dumps(report["facts"]))
    for subject, key in (("memory", "available"), ("tmp", "free"), ("shm", "free"), ("kernel_log", "now_s")):
        facts.get(subject, {}).pop(key, None)
    left["facts"] = facts
    left["changes"] = [one for one in report.get("changes") or () if one["fact"] != "memory.available"]
    return left


def _of_room(finding: dict[str, Any]) -> bool:
    """Return whether it is about what users use up: an expectation of /tmp or /dev/shm."""
    return finding["check"] == "expectation" and finding["blame"] == "user"


class AgentSite:
    """``site`` with an agent; `prolog` runs the hook as slurmd does, and says which way it went."""

    def __init__(self, site: Site, programs: Path, wait_ms: int = 5000) -> None:
        self.site = site
        self.process: subprocess.Popen[bytes] | None = None
        self.hook, self.client = site.place / "one-shot-prolog", site.place / "client-prolog"
        for phase in ("prolog", "epilog"):
            command = f"{sys.executable} -I -S {site.main} hook {phase} --config {site.config} --run-dir {site.run_dir}"
            hook = site.place / f"one-shot-{phase}"
            hook.write_text(f"#!/bin/sh\necho one-shot $PREFLIGHT_BEGAN\nexec {command}\n")
            hook.chmod(0o755)
            self.write_client(programs / "preflight-client", wait_ms=wait_ms, phase=phase)

    def write_client(
        self,
        program: Path,
        version: str = __version__,
        wait_ms: int = 5000,
        otherwise: str = "",
        phase: str = "prolog",
    ) -> None:
        """Write the script that slurm.conf names for a phase."""
        client = self.site.place / f"client-{phase}"
        client.write_text(
            f"#!{program}\n# a line of words\nrun-dir {self.site.run_dir}\nversion {version}\n"
            f"wait-ms {wait_ms}\nphase {phase}\notherwise {otherwise or self.site.place / f'one-shot-{phase}'}\n"
        )
        client.chmod(0o755)

    def start(self, *before: str) -> None:
        """Start the daemon and wait until it can answer; ``before``: a command that starts it."""
        self.spawn(*before)
        until(self.ready, f"an agent that answers: {(self.site.place / 'agent.err').read_text()}")

    def spawn(self, *before: str) -> None:
        """Start the daemon and do not wait."""
        command = [*before, sys.executable, "-I", "-S", self.site.main, "agent"]
        command += ["--config", str(self.site.config), "--run-dir", str(self.site.run_dir)]
        with open(self.site.place / "agent.err", "ab") as errors:
            self.process = subprocess.Popen(command, env=self.site.environment(), cwd="/", stderr=errors)

    def ready(self) -> bool:
        """Return whether the agent has looked at all that a prolog asks for."""
        assert self.process is not None
        assert self.process.poll() is None, (self.site.place / "agent.err").read_text()
        try:
            return self.ask("check")["verdict"] is not None
        except AgentError:
            return False

    def ask(self, operation: str, **values: str) -> dict[str, Any]:
        """Return the agent's answer; raises AgentError."""
        return ask(str(self.site.run_dir), operation, values, socket_path(str(self.site.run_dir), "n1"))

    def prolog(self, **job: str) -> tuple[str, "subprocess.CompletedProcess[str]"]:
        """Run the hook; return ("agent" or "one-shot", how it ended)."""
        return self._run(self.client, job)

    def epilog(self, **job: str) -> tuple[str, "subprocess.CompletedProcess[str]"]:
        """Run the epilog as `prolog` runs the prolog."""
        return self._run(self.site.place / "client-epilog", job)

    def _run(self, client: Path, job: dict[str, str]) -> tuple[str, "subprocess.CompletedProcess[str]"]:
        done = subprocess.run(
            [str(client)], env=self.site.environment(**job), capture_output=True, text=True, check=False, cwd="/"
        )
        return ("one-shot" if "one-shot" in done.stdout else "agent"), done

    def seen(self) -> None:
        """Wait until the agent has looked at the GPUs since now: what is there now, it has seen."""
        begun = time.monotonic() + 0.02  # an age is told to the hundredth
        until(lambda: self._looked() > begun, "a look at the GPUs")

    def _looked(self) -> float:
        asked = time.monotonic()  # the answer may come late: the look was no earlier than this makes it
        age = self.ask("status")["nvml"]["signals_age_s"]
        return asked - age if age is not None else 0.0

    def report(self, job: int = 7, phase: str = "prolog") -> dict[str, Any]:
        """Return a hook's report, which may be on its way to the spool."""
        path = self.site.spool / f"reports/{job}/n1.0.{phase}.json"
        until(path.exists, f"a report of job {job}")
        loaded: dict[str, Any] = json.loads(path.read_text())
        return loaded

    def children(self) -> list[int]:
        """Return the pids of the agent's children."""
        assert self.process is not None
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End the agent and return its exit code; its children go with it."""
        assert self.process is not None
        children = self.children() if self.process.poll() is None else []
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(how)
        code = self.process.wait(PATIENCE_S)
        for pid in children:
            if how == signal.SIGKILL:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        self.process = None
        return code


def spoken(agent: AgentSite, job: dict[str, str]) -> bytes:
    """Ask as the client does, but do not take the answer; return it, and the report that the journal has of it."""
    journal = Path(answered.journal_path(str(agent.site.run_dir), "n1"))
    environment = {"SLURMD_NODENAME": "n1", **job}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(wire.socket_path(str(agent.site.run_dir), "n1"))
        connection.sendall(wire.request(__version__, "prolog", time.monotonic() + 60, environment))
        said = connection.recv(4096)
        if said == wire.PASS:
            lines = [json.loads(line) for line in journal.read_text().splitlines()]
            said += json.dumps([line["report"] for line in lines if "report" in line][-1]).encode()
    until(lambda: agent.ask("status")["reports_waiting"] == 0, "an answer that nobody took is forgotten")
    return said
