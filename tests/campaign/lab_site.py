"""A real Slurm for the campaign: a cluster a worker, whose hooks' commands fail where a fault says so."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
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
_cluster: list[Cluster] = []
_pid = 0


def cluster() -> Cluster:
    """Return this process's cluster, started when it is first asked for, stopped when the process ends."""
    global _pid
    if _cluster and _pid == os.getpid():
        return _cluster[0]
    if reason := unavailable():
        raise NotHere(reason)
    # The first node is the one that Slurm takes first, and does not fit.
    sites = [Site("a1", "rocky", OLD, 2), Site("b1", "ubuntu", H100, 2), Site("b2", "ubuntu", H100, 2), Site("c1")]
    made = Cluster(sites)
    made.__enter__()
    _cluster[:], _pid = [made], os.getpid()
    Finalize(made, made.stop, exitpriority=10)
    _commands(made)
    return made


def renew() -> None:
    """End the cluster, which did not come back to its beginning; the next fault gets another."""
    if _cluster:
        _cluster.pop().stop()


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
        if how.startswith("ctld") and struck.exists():
            _bring_back(cluster, how)


def _bring_back(cluster: Cluster, how: str) -> None:
    pid = cluster.lab.pids().get("slurmctld")
    if how == "ctld-stopped" and pid:
        os.kill(pid, signal.SIGCONT)
    elif pid is None:
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
        os.utime(path, (time.time() - 60,) * 2)
    for path in cluster.node_dir(node).glob("spool/pending/*-sent.json"):
        with suppress(ValueError, KeyError):
            entry = json.loads(path.read_text())
            path.write_text(json.dumps({**entry, "at": entry["at"] - 600}))


def reasons(cluster: Cluster) -> dict[str, str]:
    """Return {node: reason} of the drained nodes."""
    text = cluster.lab.check_run(["sinfo", "-h", "-N", "-t", "drain", "-O", "NodeList:16,Reason:200"])
    return {row[:16].strip(): row[16:].strip() for row in text.splitlines()}
