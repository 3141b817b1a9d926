"""The agent at odd moments: its first second, its upgrade, a clock that jumps, no driver; and asked from elsewhere."""

import os
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from campaign.world import build_shim
from preflight.agent import wire
from unit.agent_site import GPUS, AgentSite, until
from unit.hook_site import H100X2, JOB
from unit.test_agent import start_with

YEAR_S = 365 * 86400
REQUESTS = 200


def test_a_job_of_the_agents_first_second_is_judged(idle: AgentSite) -> None:
    """From the first instant of its process on, every job has one verdict and one record, whoever judged it."""
    idle.spawn()
    ways = []
    for job in range(100, 200):
        way, done = idle.prolog(**{**GPUS, "SLURM_JOB_ID": str(job)})
        assert (done.returncode, done.stderr) == (0, ""), way
        ways.append(way)
        if way == "agent" and job > 105:
            break
    assert (ways[0], ways[-1]) == ("one-shot", "agent")
    for job, way in enumerate(ways, 100):
        assert (idle.report(job)["verdict"], idle.report(job)["source"]) == ("ready", way)


def test_a_request_without_a_job_is_the_hooks(agent: AgentSite) -> None:
    for environment in ({}, {"SLURM_JOB_ID": ""}, {"SLURM_JOB_ID": "x"}, {"SLURM_JOB_GPUS": "0,1"}):
        way, done = agent.prolog(**environment)
        assert (way, done.returncode) == ("one-shot", 0), environment
    assert agent.prolog(**GPUS)[0] == "agent"
    assert "no job" in agent.ask("status")["one_shot_because"]


@pytest.mark.parametrize("seconds", [YEAR_S, -YEAR_S], ids=["forward", "back"])
def test_a_clock_that_jumps_changes_no_answer(
    idle: AgentSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    """The wall clock of the agent alone jumps: ages and due times are the monotonic clock's."""
    shim = build_shim(tmp_path)
    plain = idle.site.environment
    jumping = {"LD_PRELOAD": shim, "FAULT_CLOCK": f"{seconds}|400"}
    monkeypatch.setattr(idle.site, "environment", lambda **more: plain(**{**jumping, **more}))
    idle.start()
    monkeypatch.setattr(idle.site, "environment", plain)
    up_s = idle.ask("status")["up_s"]
    until(lambda: abs(idle.ask("status")["up_s"] - up_s) > YEAR_S / 2, "the jump")
    idle.seen()
    assert idle.prolog(**GPUS)[0] == "agent"
    report = idle.report()
    assert report["verdict"] == "ready"
    assert 0 <= report["ages_s"]["gpus.signals"] <= 2.0
    assert all(0 <= age <= 180 for age in report["ages_s"].values())
    state = idle.ask("status")["upkeep"]
    assert all((one["next_s"] or 0) < 7200 for one in state.values())


def test_a_driver_that_is_unloaded_and_loaded_again(agent: AgentSite) -> None:
    agent.site.scenario(H100X2, {"ret.nvmlInitWithFlags": 9})  # DRIVER_NOT_LOADED
    until(lambda: agent.prolog(**GPUS)[0] == "one-shot", "the hook's own look")
    assert agent.report()["verdict"] != "ready"
    assert agent.prolog(**{**JOB, "SLURM_JOB_ID": "8"})[1].returncode == 0
    agent.site.scenario(H100X2)

    def answers() -> bool:
        (agent.site.spool / "streaks-n1.json").unlink(missing_ok=True)
        return agent.prolog(**{**GPUS, "SLURM_JOB_ID": "9"})[0] == "agent"

    until(answers, "the agent's answer")
    assert agent.report(9)["verdict"] == "ready"


def test_an_upgrade_hands_over_without_a_gap(idle: AgentSite) -> None:
    """systemd keeps the socket: while one agent ends and the next begins, no request of hundreds falls to an error."""
    idle.start()
    assert idle.process is not None
    listener = _copy_of_the_listener(idle.process.pid, wire.socket_path(str(idle.site.run_dir), "n1"))

    def ask(job: int) -> tuple[int, str, str]:
        way, done = idle.prolog(**{**JOB, "SLURM_JOB_ID": str(job)})
        return done.returncode, done.stderr, way

    try:
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(ask, job) for job in range(1000, 1000 + REQUESTS)]
            until(lambda: sum(one.done() for one in asked) > REQUESTS // 10, "the first answers")
            idle.stop()
            start_with(idle, ["sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3<&0', "sh"], listener)
            ended = [one.result() for one in asked]
    finally:
        os.close(listener)
    assert {(code, errors) for code, errors, _ in ended} == {(0, "")}
    for job, (_, _, way) in enumerate(ended, 1000):
        assert (idle.report(job)["source"], idle.report(job)["verdict"]) == (way, "ready")
    assert sum(way == "agent" for _, _, way in ended) > REQUESTS // 2


def _copy_of_the_listener(pid: int, path: str) -> int:
    """Return a descriptor of our own for the socket on which process ``pid`` listens at ``path``: pidfd_getfd(2)."""
    import ctypes

    inodes = {
        line.split()[6]
        for line in Path("/proc/net/unix").read_text().splitlines()[1:]
        if len(line.split()) > 7 and os.path.basename(os.path.dirname(line.split()[7])) == "agent"
        if os.path.dirname(line.split()[7]) == os.path.dirname(path) and line.split()[3] == "00010000"
    }
    (number,) = [
        int(fd)
        for fd in os.listdir(f"/proc/{pid}/fd")
        if os.readlink(f"/proc/{pid}/fd/{fd}") in {f"socket:[{inode}]" for inode in inodes}
    ]
    opened = os.pidfd_open(pid)
    try:
        copied = ctypes.CDLL(None, use_errno=True).syscall(438, opened, number, 0)
    finally:
        os.close(opened)
    assert copied >= 0, os.strerror(ctypes.get_errno())
    return int(copied)


def test_who_is_not_of_the_agents_own_processes_is_not_heard(idle: AgentSite) -> None:
    """An agent in a container sees no pid of who asks from outside: no slurmd of its own is behind that."""
    idle.spawn("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    path = wire.socket_path(str(idle.site.run_dir), "n1")
    until(lambda: os.path.exists(path), "its socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.connect(path)
        one.settimeout(60)
        assert one.recv(1) == b""
    way, done = idle.prolog(**GPUS)
    assert (way, done.returncode) == ("one-shot", 0)
    assert idle.report()["source"] == "one-shot"
    container = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    code = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(9))"
    asks = [
        "setpriv",
        "--reuid=4242",
        "--regid=4242",
        "--clear-groups",
        *container,
        "/usr/bin/python3",
        "-c",
        code,
        path,
    ]
    refused = subprocess.run(asks, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "PermissionError" in refused.stderr
