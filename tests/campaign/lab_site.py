"""A real Slurm for the campaign: a cluster a worker, whose hooks' commands fail where a fault says so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.util import Finalize
from pathlib import Path

from campaign.fault import NotHere
from lab import unavailable
from lab.cluster import COMMANDS, Cluster, Site
from nvml import sim

H100, OLD = sim.example("h100x2"), sim.example("a100x2-old-driver")
NODES = ("a1", "b1", "b2", "c1")
REFUSED = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
FLEET = 64
FLEET_DEADLINE_S = 8.0  # the policy's default
LATE_S = 7.0  # what is carried out late has been by then
_cluster: list[Cluster] = []
_many: list[Cluster] = []
_pid = 0


def cluster() -> Cluster:
    """Return this process's cluster, started when it is first asked for, stopped when the process ends."""
    global _pid
    if _cluster and _pid == os.getpid():
        return _cluster[0]
    if reason := unavailable():
        raise NotHere(reason)
    renew()
    # The first node is the one that Slurm takes first, and does not fit.
    sites = [Site("a1", "rocky", OLD, 2), Site("b1", "ubuntu", H100, 2), Site("b2", "ubuntu", H100, 2), Site("c1")]
    made = Cluster(sites)
    made.__enter__()
    _cluster[:], _pid = [made], os.getpid()
    Finalize(made, made.stop, exitpriority=10)
    _commands(made)
    return made


def fleet() -> Cluster:
    """Return this process's cluster of many nodes, each with a slurmd; the other one is ended for it."""
    global _pid
    if _many and _pid == os.getpid():
        return _many[0]
    if reason := unavailable():
        raise NotHere(reason)
    renew()
    made = Cluster([Site(f"n{number}") for number in range(1, FLEET + 1)])
    made.__enter__()
    _many[:], _pid = [made], os.getpid()
    Finalize(made, made.stop, exitpriority=10)
    return made


def renew() -> None:
    """End the cluster, which did not come back to its beginning; the next fault gets another."""
    if _cluster:
        _cluster.pop().stop()
    if _many:
        _many.pop().stop()


def _commands(cluster: Cluster) -> None:
    """Put a fault before or after the command of hooks that the file "fault" names: "NUMBER HOW"."""
    for name in COMMANDS:
        real = cluster.release.find(name)
        path = Path(cluster.directory, "slurm-bin", name)
        path.write_text(
            f"""#!/bin/sh
cd {cluster.directory}
echo "$(date +%s.%N) {name} $*" >>{cluster.calls}
if read -r at how 2>/dev/null <fault; then
    n=$(($(cat count 2>/dev/null || echo 0) + 1)); echo $n >count
    if [ "$n" -eq "$at" ]; then
        echo "{name} $1 $2 $3" >struck
        case $how in
            kill-before) kill -9 $PPID; exit 1 ;;
            kill-after) {real} "$@"; kill -9 $PPID; exit 0 ;;
            fail) echo "{REFUSED}" >&2; exit 1 ;;
            fail-after) {real} "$@"; exit 1 ;;
            hang) exec sleep 30 ;;
            hang-after) {real} "$@"; exec sleep 30 ;;
            empty) {real} "$@" >/dev/null; exit 0 ;;
            nothing) exit 0 ;;
            success-late) (sleep 6; {real} "$@") >/dev/null 2>&1 & exit 0 ;;
            slow) sleep 1 ;;
            crash) kill -SEGV $$ ;;
            crash-after) {real} "$@"; kill -SEGV $$ ;;
            cut) {real} "$@" | head -c 40; exit 0 ;;
            twice) {real} "$@"; exec {real} "$@" ;;
            denied) echo "slurm_update error: Access/permission denied" >&2; exit 1 ;;
            ctld-restarted-after) {real} "$@"; status=$?; kill -TERM "$(cat run/slurmctld.pid)"; exit $status ;;
            ctld-killed) kill -9 "$(cat run/slurmctld.pid)" ;;
            ctld-killed-after) {real} "$@"; status=$?; kill -9 "$(cat run/slurmctld.pid)"; exit $status ;;
            ctld-stopped) kill -STOP "$(cat run/slurmctld.pid)" ;;
        esac
    fi
fi
exec {real} "$@"
"""
        )


@contextmanager
def failing(cluster: Cluster, at: int, how: str) -> Iterator[Path]:
    """Arm a fault; yields the file that appears when it has struck. A controller that died or stands comes back."""
    for name in ("count", "struck"):
        Path(cluster.directory, name).unlink(missing_ok=True)
    Path(cluster.directory, "fault").write_text(f"{at} {how}\n")
    struck = Path(cluster.directory, "struck")
    try:
        yield struck
    finally:
        Path(cluster.directory, "fault").unlink()
        if how == "success-late" and struck.exists():
            time.sleep(LATE_S)
        if how.startswith("ctld") and struck.exists():
            _bring_back(cluster, how)


def _bring_back(cluster: Cluster, how: str) -> None:
    pid = cluster.lab.pids().get("slurmctld")
    if how == "ctld-stopped" and pid:
        os.kill(pid, signal.SIGCONT)
    elif how == "ctld-restarted-after" or pid is None:  # killed, or on its way down
        cluster.lab.stop_slurmctld()
        cluster.lab.start_slurmctld()


def wait(what: object, seconds: float) -> bool:
    """Wait until a callable is true; return whether it came to be."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if what():  # type: ignore[operator]
            return True
        time.sleep(0.1)
    return False


def aged(cluster: Cluster, node: str) -> None:
    """Make what the node's hooks released, or sent, as old as the health check wants it, without waiting."""
    for path in cluster.node_dir(node).glob("spool/released/*.json"):
        os.utime(path, (time.time() - 30,) * 2)
    for path in cluster.node_dir(node).glob("spool/pending/*-sent.json"):
        with suppress(ValueError, KeyError):
            entry = json.loads(path.read_text())
            path.write_text(json.dumps({**entry, "at": entry["at"] - 600}))


def reasons(cluster: Cluster) -> dict[str, str]:
    """Return {node: reason} of the drained nodes."""
    text = cluster.lab.check_run(["sinfo", "-h", "-N", "-t", "drain", "-O", "NodeList:16,Reason:200"])
    return {row[:16].strip(): row[16:].strip() for row in text.splitlines()}


@contextmanager
def stopping(cluster: Cluster, stop_s: float) -> Iterator[None]:
    """Stop slurmctld for ``stop_s`` seconds, let it go on for half a second, and again; 0 leaves it alone."""
    pid, over = cluster.lab.pids()["slurmctld"], threading.Event()

    def beat() -> None:
        while stop_s and not over.is_set():
            os.kill(pid, signal.SIGSTOP)
            over.wait(stop_s)
            os.kill(pid, signal.SIGCONT)
            over.wait(0.5)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def everywhere(cluster: Cluster, script: str, at_once: int = FLEET, **variables: str) -> list[float]:
    """Run a hook on every node, ``at_once`` at a time; return the seconds of each, -1 where it stopped its job."""

    def one(node: str) -> float:
        began = time.monotonic()
        path = f"{cluster.prefix}/libexec/{script}"
        words = cluster.release.argv(path, [])
        done = subprocess.run(words, env={"SLURMD_NODENAME": node, **variables}, capture_output=True, check=False)
        return -1.0 if done.returncode else time.monotonic() - began

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(one, [site.name for site in cluster.sites]))
