"""`make demo SERVE=1`: the dashboard of what the demonstration did, and lines that submit further jobs."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from lab import LabError
from lab.cluster import Cluster
from lab.demo_page import block, heading, say
from lab.users import account

PORT = 8470
PROGRAMS = ("sbatch", "srun", "squeue", "scancel", "sinfo", "scontrol")
TRIES = (
    'sbatch --require="cuda>=12.4" --gpus=1 train.sh',
    'sbatch --require="gpu=b200" --gpus=1 train.sh',
    'srun --require="cuda>=12.4" --gpus=1 -w rocky1 hostname',
    "squeue",
)


def _policy(cluster: Cluster) -> str:
    """Return the path of the lab's policy for a server outside the release's system, as a collector's host is."""
    programs = Path(cluster.directory, "serve-bin")
    programs.mkdir(exist_ok=True)
    for name in PROGRAMS:
        path = programs / name
        path.write_text(f'#!/bin/sh\nexec {shlex.join(cluster.release.argv(name, ()))} "$@"\n', encoding="utf-8")
        path.chmod(0o755)
    policy = Path(cluster.directory, "serve.toml")
    inside = Path(cluster.config).read_text(encoding="utf-8")
    policy.write_text(inside.replace(f"{cluster.directory}/slurm-bin", str(programs)), encoding="utf-8")
    return str(policy)


class Dashboard:
    """`preflight serve` on a store of the demonstration's own, and its nodes' reports brought there each second."""

    def __init__(self, cluster: Cluster, user: str) -> None:
        self.cluster, self.user = cluster, user
        self.store = f"sqlite:///{cluster.directory}/fleet.db"
        self.url = self.token = ""
        self._ended = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._carrier = threading.Thread(target=self._carry, daemon=True)

    def start(self) -> None:
        """Start both; raises LabError where the server does not come up."""
        self.bring()
        port = _free(PORT)
        listen = ["--listen", f"127.0.0.1:{port}", "--store", self.store, "--config", _policy(self.cluster)]
        with open(f"{self.cluster.directory}/serve.log", "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "preflight", "serve", *listen],
                env={name: value for name, value in os.environ.items() if name != "SLURM_CONF"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C is for the demonstration, which ends it
            )
        assert self._process.stdout is not None
        lines = []
        for line in self._process.stdout:
            lines.append(line)
            if found := re.search(r"(pfr1_\S+)", line):
                self.token = found[1]
                break
        else:
            raise LabError(f"preflight serve: {Path(log.name).read_text(encoding='utf-8')}")
        self.url = f"http://127.0.0.1:{port}"
        self._carrier.start()

    def stop(self) -> None:
        """End both."""
        self._ended.set()
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        if self._carrier.ident is not None:
            self._carrier.join()

    def bring(self) -> None:
        """Put what the nodes have recorded into the store, as a shipper would."""
        from preflight.fleet.folder import take
        from preflight.fleet.store.open import open_store

        store = open_store(self.store)
        try:
            for site in self.cluster.sites:
                take(store, str(self.cluster.node_dir(site.name) / "spool" / "reports"), {}, round(time.time() * 1000))
        finally:
            store.close()

    def _carry(self) -> None:
        from preflight.fleet.folder import take
        from preflight.fleet.store.interface import StoreError
        from preflight.fleet.store.open import open_store

        store = open_store(self.store)
        seen: dict[str, Any] = {site.name: {} for site in self.cluster.sites}
        while not self._ended.wait(1.0):
            for site in self.cluster.sites:
                folder = self.cluster.node_dir(site.name) / "spool" / "reports"
                try:
                    take(store, str(folder), seen[site.name], round(time.time() * 1000))
                except (StoreError, OSError):
                    continue
        store.close()

    def write_program(self) -> str:
        """Write the program that runs Slurm's commands as the user, and return its name."""
        cluster, who = self.cluster, account(self.user)
        cases = [
            f'{name}) shift; exec {shlex.join(cluster.release.argv(name, [], who))} "$@" ;;'
            for name in PROGRAMS
            if cluster.release.find(name)
        ]
        exports = [f"export {name}={shlex.quote(value)}" for name, value in cluster.lab.environment().items()]
        text = ["#!/bin/sh", *exports, f"cd {shlex.quote(cluster.lab.work)}", 'case "$1" in', *cases, "esac"]
        path = Path(cluster.directory, "alice")
        path.write_text("\n".join([*text, f'echo "alice: not one of {", ".join(PROGRAMS)}" >&2', "exit 2", ""]))
        path.chmod(0o755)
        return path.name


def serve(cluster: Cluster, user: str) -> None:
    """Show the dashboard until Ctrl-C."""
    dashboard = Dashboard(cluster, user)
    try:
        dashboard.start()
        program = dashboard.write_program()
        heading("The dashboard")
        say(f"    {dashboard.url}/")
        say("Log in with the token")
        say(f"    {dashboard.token}")
        say("The lab goes on. In another terminal, here:")
        block(f"export PREFLIGHT_STORE={dashboard.store}")
        block(".venv/bin/preflight fleet status")
        say("and, as root, jobs of an ordinary user, to watch them appear:")
        block(f"cd {cluster.directory}")
        for one in TRIES:
            block(f"./{program} {one}")
        say("Ctrl-C stops everything.")
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        say()
    finally:
        dashboard.stop()


def _free(port: int) -> int:
    """Return ``port`` where nobody listens there, else one that is free."""
    for wanted in (port, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise LabError("no port of the loopback is free")
