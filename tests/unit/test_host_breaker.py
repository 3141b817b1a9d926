"""A [[host]] row that is wrong for all of 40 nodes: at most the breaker's limit is drained, and all say *breaker*.

The nodes' prologs are the real ones, side by side; behind them stands a stand-in for slurmctld with 40 nodes.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from preflight.hooks import journal
from preflight.hooks.main import main
from unit.hook_site import JOB, Site, settle

NODES = [f"n{number:02d}" for number in range(40)]
LIMIT = 2  # 5% of 40
WRONG = '[[host]]\ncheck = "mount"\naction = "drain"\npath = "/scartch"\n'  # for /scratch
CONTROLLER = """#!{python} -ISE
import fcntl, os, sys, time
STATE = {state!r}
lock = open(STATE + "/lock", "a")
fcntl.flock(lock, fcntl.LOCK_EX)
program, words = os.path.basename(sys.argv[0]), sys.argv[1:]
if program == "sinfo":
    mark = words[-1].split(":0", 1)[1].split(",")[0]
    for name in {nodes!r}:
        try:
            with open(STATE + "/" + name) as file:
                row = [name, "idle+drain", *file.read().split("\\n")]
        except OSError:
            row = [name, "idle", "none", "Unknown", "Unknown"]
        print("".join(one + mark for one in row[:5]))
elif program == "scontrol" and words[0] == "update":
    values = dict(one.split("=", 1) for one in words[1:])
    place, state = STATE + "/" + values["NodeName"], values["State"].upper()
    if state == "RESUME":
        os.unlink(place)
    elif not os.path.exists(place):
        with open(place, "w") as file:
            file.write("\\n".join([values["Reason"], "root", time.strftime("%Y-%m-%dT%H:%M:%S")]))
else:
    sys.exit("not known: " + " ".join([program, *words]))
"""


@pytest.fixture
def cluster(site: Site) -> Site:
    """40 nodes with one policy, each with a spool of its own, and a controller that keeps their states."""
    state = site.place / "state"
    state.mkdir()
    for name in ("sinfo", "scontrol"):
        text = CONTROLLER.format(python=os.path.realpath(sys.executable), state=str(state), nodes=NODES)
        (site.place / "bin" / name).write_text(text)
    site.policy(WRONG)
    text = site.config.read_text().replace(f'spool = "{site.spool}"', f'spool = "{site.spool}/%n"')
    site.config.write_text(text)
    settle(site.config)
    return site


def hook(cluster: Site, node: str, phase: str, log: str) -> int:
    """Run a node's hook in a process of its own, with syslog at ``log``; return its exit code."""
    job = {**JOB, "SLURM_JOB_ID": str(100 + NODES.index(node))} if phase == "prolog" else {}
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            os.environ.clear()
            os.environ.update({**cluster.environment(), **job, "SLURMD_NODENAME": node})
            journal.PLACE = log
            code = main([phase, "--config", str(cluster.config), "--run-dir", f"{cluster.run_dir}/{node}"])
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def read_all(syslog: socket.socket, lines: list[str], over: threading.Event) -> None:
    """Take each line as it comes: the kernel keeps few (net.unix.max_dgram_qlen), and a hook does not wait."""
    while True:
        try:
            lines.append(syslog.recv(4096).decode())
        except (socket.timeout, TimeoutError):
            if over.is_set():
                return


def reports(cluster: Site, node: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((cluster.spool / node / "reports").rglob("*.json"))]


def test_of_40_nodes_with_a_wrong_row_the_limit_is_drained_and_the_jobs_run(cluster: Site, tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(log)
        syslog.settimeout(0.5)
        lines: list[str] = []
        over = threading.Event()
        reader = threading.Thread(target=read_all, args=(syslog, lines, over))
        reader.start()
        with ThreadPoolExecutor(20) as pool:
            codes = dict(zip(NODES, pool.map(lambda node: hook(cluster, node, "prolog", log), NODES)))
        over.set()
        reader.join()
        drained = sorted(path.name for path in (cluster.place / "state").glob("n*"))
        held = [node for node in NODES if node not in drained]
        assert 0 < len(drained) <= LIMIT
        assert {codes[node] for node in held} == {0}  # the jobs run
        said = {line for line in lines if "phase=prolog" in line and "action=drain(breaker)" in line}
        assert len(said) == len(held)
        assert not any("not enforced" in line for line in lines)
        for node in held:
            (report,) = reports(cluster, node)
            assert (report["verdict"], report["action"]["kind"], report["action"]["enforced"]) == (
                "unhealthy",
                "drain",
                False,
            )
            assert report["action"]["detail"].startswith("drain breaker:")
        assert hook(cluster, held[0], "health", log) == 0
    assert sorted(path.name for path in (cluster.place / "state").glob("n*")) == drained
    shown = cluster.run("doctor", SLURMD_NODENAME=held[0]).stdout
    assert "drain breaker: held at the latest health check" in " ".join(shown.split())
    assert "host.mount:/scartch" in shown
    page = cluster.run("report", str(100 + NODES.index(held[0])), SLURMD_NODENAME=held[0]).stdout
    assert "the drain breaker held" in " ".join(page.split())
