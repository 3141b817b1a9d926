"""The node agent and its client: real daemon, real client, real hook behind it, the simulated driver beneath them."""

import json
import os
import random
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from campaign import agent as campaign
from nvml import sim
from preflight.agent import wire
from preflight.agent.child import Helper
from preflight.agent.connections import Connection, Connections
from preflight.agent.epilogs import GO, Epilogs
from preflight.agent.journal import Journal
from preflight.agent.server import Agent
from preflight.facts.stuck import StuckGuard
from preflight.hooks import answered
from preflight.report.schema import schema
from unit.agent_site import GPUS, AgentSite, build, comparable, spoken, until
from unit.hook_site import H100X2, JOB, REQUIRE

SICK = {"gpu.0.ecc.uncorrected.volatile": 2, "gpu.0.ecc.uncorrected.aggregate": 2}
CLAUSES = "cuda>=12.4, ubuntu>=22.04|rhel>=9, gpu=h100, gpu.memory>=80G"
PROLOGS = 80  # under a random killer; `make agent-campaign` plays 10,000


def valid(report: dict[str, Any]) -> dict[str, Any]:
    from jsonschema import Draft202012Validator

    Draft202012Validator(schema()).validate(report)
    return report


def test_a_prolog_that_has_nothing_to_do_is_answered_and_recorded(agent: AgentSite) -> None:
    way, done = agent.prolog(**GPUS, **{REQUIRE: CLAUSES})
    assert (way, done.returncode, done.stdout, done.stderr) == ("agent", 0, "", "")
    note = json.loads((agent.site.run_dir / "task/n1.7").read_text())  # there before the job's tasks are
    assert note["verdict"] == "ready"
    report = valid(agent.report())
    assert (report["source"], report["verdict"], report["job"]["gpus"]) == ("agent", "ready", [0, 1])
    assert report["ages_s"].keys() >= report["facts"].keys() | {"gpus.signals"}
    assert report["ages_s"]["gpus.signals"] <= 2.0
    until(lambda: agent.ask("status")["reports_waiting"] == 0, "an empty journal")
    assert agent.site.slurm_calls() == []


# What a node may be like, and what a job may ask of it: (driver, files, job, policy).
XID = "3,9001,5000000,-;NVRM: Xid (PCI:0000:10:00): {}, pid=1234, name=python\n"
NO_DRIVER = "no driver"
SCENES: dict[str, tuple[dict[str, Any], dict[str, str], dict[str, str], str]] = {
    "well": ({}, {}, {**GPUS, REQUIRE: CLAUSES}, ""),
    "no GPUs asked for": ({}, {}, {**JOB, REQUIRE: "ubuntu>=22.04, memory>=1M"}, ""),
    "a CPU job asks for a driver": ({}, {}, {**JOB, REQUIRE: "driver>=500"}, ""),
    "one of two": ({}, {}, {**JOB, "SLURM_JOB_GPUS": "1"}, ""),
    "ECC on the job's GPU": (SICK, {}, {**JOB, "SLURM_JOB_GPUS": "0"}, ""),
    "ECC on another GPU": (SICK, {}, {**JOB, "SLURM_JOB_GPUS": "1"}, ""),
    "ECC only warns": (SICK, {}, GPUS, '[checks."gpu.ecc.uncorrected"]\naction = "warn"\n'),
    "lost": ({"gpu.1.lost": 1}, {}, GPUS, ""),
    "needs a reset": ({"gpu.0.ret.nvmlDeviceGetMemoryInfo": 16}, {}, GPUS, ""),
    "a remap has failed": ({"gpu.0.remap.failure": 1}, {}, GPUS, ""),
    "does not fit": ({}, {}, {**GPUS, REQUIRE: "gpu=a100"}, ""),
    "no requirement": ({}, {}, {**GPUS, REQUIRE: "gpu="}, ""),
    "unknown": ({}, {}, {**GPUS, REQUIRE: "mount=/nowhere"}, ""),
    "in the comment": ({}, {}, {**GPUS, "SLURM_JOB_COMMENT": "require: rhel>=9; mine"}, ""),
    "too many GPUs": ({}, {}, {**JOB, "SLURM_JOB_GPUS": "0,1,2"}, ""),
    "the site expects more": ({}, {}, GPUS, '[[expect]]\nrequire = "gpu.count=8"\n'),
    "the site expects what is there": ({}, {}, GPUS, '[[expect]]\nrequire = "gpu.count=2, driver>=500"\n'),
    "observed": (SICK, {}, GPUS, '[checks."gpu.ecc.uncorrected"]\nmode = "observe"\n'),
    "an old Xid": ({}, {"dev/kmsg": XID.format(43)}, GPUS, ""),
    "a bad Xid": ({}, {"dev/kmsg": XID.format(79)}, GPUS, ""),
    NO_DRIVER: ({"ret.nvmlInitWithFlags": 9}, {}, GPUS, ""),
}


def test_agent_and_one_shot_give_the_same_answer(agent: AgentSite) -> None:
    site = agent.site
    answers, last = [], dict[str, Any]()
    for number, (name, (driver, files, job, policy)) in enumerate(SCENES.items(), 100):
        site.scenario(H100X2, driver)
        (site.place / "root/dev/kmsg").unlink(missing_ok=True)
        site.files(files)
        site.policy(policy)
        for path in (*site.run_dir.glob("kernel-log-*"), *site.spool.glob("streaks-*"), *site.run_dir.glob("gres-*")):
            path.unlink()
        if name == NO_DRIVER:
            until(lambda: agent.ask("status")["nvml"]["signals_age_s"] is None, "a driver that is gone")
        elif driver != last:
            agent.seen()
        last = driver
        job = {**job, "SLURM_JOB_ID": str(number)}
        before = agent.ask("status")["answers"]["pass"]
        said = spoken(agent, job)
        for path in (*site.spool.glob("streaks-*"), *site.run_dir.glob("kernel-log-*")):
            path.unlink()
        done = site.hook("prolog", **job)
        own = site.report(number)
        harmless = own["verdict"] in ("ready", "degraded") and own["action"]["kind"] == "none"
        answers.append(harmless)
        assert said.startswith(wire.PASS) is harmless, (name, own["verdict"], agent.ask("status")["one_shot_because"])
        assert agent.ask("status")["answers"]["pass"] == before + harmless
        if harmless:
            kept = json.loads(said[len(wire.PASS) :])
            left, right = comparable(kept), comparable(own)
            assert len(left["findings"]) == len(right["findings"]), name
            findings = list(zip(left.pop("findings"), right.pop("findings")))
            assert [pair for pair in findings if pair[0] != pair[1]] == [], name
            assert left == right, name
            assert done.returncode == 0
    assert answers.count(True) >= 6
    assert answers.count(False) >= 8


def test_a_gpu_that_breaks_is_found_by_the_next_prolog(agent: AgentSite) -> None:
    assert agent.prolog(**GPUS)[0] == "agent"
    agent.site.scenario(H100X2, SICK)
    agent.seen()
    way, done = agent.prolog(**{**GPUS, "SLURM_JOB_ID": "8"})
    assert way == "one-shot"
    assert agent.site.report(8)["verdict"] == "unhealthy"
    assert agent.site.report(8)["source"] == "one-shot"
    assert done.stdout.split()[1] <= f"{time.monotonic():.9f}"  # the wait counts towards its deadline


MIG = {"gpu.0.mig.mode": 1, "gpu.0.mig.0.gi": 1, "gpu.0.mig.0.uuid": "MIG-1111-aaaa", "gpu.0.mig.0.slices": 3}


def test_mig_devices_that_are_made_anew_are_found_by_the_next_prolog(agent: AgentSite) -> None:
    """The mode stays what it was: the devices themselves are looked at every second."""
    job = {**JOB, "SLURM_JOB_GPUS": "0", "CUDA_VISIBLE_DEVICES": "MIG-1111-aaaa"}
    agent.site.scenario(H100X2, MIG)
    agent.seen()
    assert agent.prolog(**job)[0] == "agent"
    agent.site.scenario(H100X2, {**MIG, "gpu.0.mig.0.uuid": "MIG-2222-bbbb"})
    agent.seen()
    way, _ = agent.prolog(**{**job, "SLURM_JOB_ID": "8"})
    assert (way, agent.site.report(8)["verdict"] == "ready") == ("one-shot", False)
    (agent.site.spool / "streaks-n1.json").unlink(missing_ok=True)
    assert agent.prolog(**{**job, "SLURM_JOB_ID": "9", "CUDA_VISIBLE_DEVICES": "MIG-2222-bbbb"})[0] == "agent"


@pytest.mark.parametrize("fault", ["absent", "stopped", "killed", "of another version", "hung driver"])
def test_whatever_befalls_the_agent_the_hook_judges_itself(agent: AgentSite, programs: Path, fault: str) -> None:
    agent.write_client(programs / "preflight-client", wait_ms=300 if fault == "stopped" else 5000)
    process = agent.process
    assert process is not None
    if fault == "absent":
        agent.stop()
    elif fault == "killed":
        agent.stop(signal.SIGKILL)
    elif fault == "stopped":
        process.send_signal(signal.SIGSTOP)
    elif fault == "of another version":
        agent.write_client(programs / "preflight-client", version="0.0.1")
    else:
        agent.site.scenario(H100X2, {"delay_ms.nvmlDeviceGetTotalEccErrors": 600000})
        until(lambda: agent.ask("status")["nvml"]["stuck_at"], "a call that is stuck")
        assert "nvmlDeviceGetTotalEccErrors" in agent.ask("status")["nvml"]["stuck_at"]
        child = agent.ask("status")["nvml"]["pid"]
        assert agent.prolog(**{**JOB, "SLURM_JOB_ID": "9"})[0] == "agent"  # a job without GPUs asks no NVML
        assert agent.ask("status")["nvml"]["pid"] == child
        agent.site.scenario(H100X2)
    way, done = agent.prolog(**GPUS)
    assert (way, done.returncode) == ("one-shot", 0)
    assert agent.site.report()["verdict"] == "ready"
    if fault == "of another version":
        assert process.wait(60) == 0  # what is installed now is to be started


def test_a_hooks_probe_that_hangs_in_the_driver_leaves_its_gpus_to_the_hook(agent: AgentSite) -> None:
    with subprocess.Popen(["sleep", "120"]) as stuck:  # in place of one in D state
        StuckGuard(str(agent.site.run_dir), "nvml").remember(stuck.pid, "gpu 1 nvmlDeviceGetTemperature")
        way, _ = agent.prolog(**GPUS)
        assert (way, agent.site.report()["verdict"]) == ("one-shot", "unhealthy")
        assert agent.prolog(**{**JOB, "SLURM_JOB_ID": "8"})[0] == "one-shot"  # something has failed
        (agent.site.spool / "streaks-n1.json").unlink()
        assert agent.prolog(**{**JOB, "SLURM_JOB_ID": "9"})[0] == "agent"
        stuck.kill()
    until(lambda: agent.prolog(**{**GPUS, "SLURM_JOB_ID": "10"})[0] == "agent", "the agent's answer")


def test_nvml_is_released_and_opened_again(agent: AgentSite) -> None:
    child = agent.ask("status")["nvml"]["pid"]
    assert "libnvidia-ml" in Path(f"/proc/{child}/maps").read_text()
    assert "libnvidia-ml" not in Path(f"/proc/{agent.process.pid}/maps").read_text()  # type: ignore[union-attr]
    assert agent.ask("release", FOR="1h")["released"]
    assert not os.path.exists(f"/proc/{child}")
    assert agent.prolog(**GPUS)[0] == "one-shot"
    assert agent.prolog(**{**JOB, "SLURM_JOB_ID": "9"})[0] == "agent"
    agent.ask("resume")
    until(lambda: agent.prolog(**{**GPUS, "SLURM_JOB_ID": "10"})[0] == "agent", "the agent's answer")


def test_a_report_outlives_the_agent(agent: AgentSite) -> None:
    assert agent.prolog(**GPUS)[0] == "agent"
    agent.report()
    until(lambda: agent.ask("status")["reports_waiting"] == 0, "the first one on record")
    writer = agent.ask("status")["writer_pid"]
    os.kill(writer, signal.SIGSTOP)
    for job in (11, 12):
        assert agent.prolog(**{**GPUS, "SLURM_JOB_ID": str(job)})[0] == "agent"
    until(lambda: agent.ask("status")["reports_waiting"] == 2, "answers that were taken")
    agent.stop(signal.SIGKILL)
    assert not (agent.site.spool / "reports/11").exists()
    agent.site.hook("health")  # no agent is there any more
    assert [agent.report(job)["source"] for job in (11, 12)] == ["agent", "agent"]
    os.unlink(agent.site.spool / "reports/12/n1.0.prolog.json")
    agent.site.hook("health")
    assert not (agent.site.spool / "reports/12/n1.0.prolog.json").exists()  # once is enough


def test_the_epilog_knows_a_prolog_whose_report_is_still_to_be_written(agent: AgentSite) -> None:
    run = {**GPUS, "SLURM_RESTART_COUNT": "2"}
    agent.site.hook("prolog", **{**GPUS, "SLURM_RESTART_COUNT": "1"})  # the job's run before, on record
    assert agent.prolog(**JOB, SLURM_JOB_GPUS="0")[0] == "agent"
    until(lambda: agent.ask("status")["reports_waiting"] == 0, "a writer")
    os.kill(agent.ask("status")["writer_pid"], signal.SIGSTOP)
    assert agent.prolog(**run)[0] == "agent"
    until(lambda: b'{"taken":2}' in _journal(agent).read_bytes(), "an answer that was taken")
    assert not (agent.site.spool / "reports/7/n1.2.prolog.json").exists()
    agent.site.hook("epilog", **{**GPUS, "SLURM_RESTART_COUNT": "3"})  # by then it has been requeued
    assert agent.site.report(phase="epilog", run=2)["job"]["restart"] == 2


def _journal(agent: AgentSite) -> Path:
    return Path(answered.journal_path(str(agent.site.run_dir), "n1"))


def test_whatever_befalls_it_no_verdict_is_wrong_and_no_report_lost(idle: AgentSite) -> None:
    batch, wrong = campaign.play(idle, "16", PROLOGS)
    assert wrong == []
    assert {one.way for one in batch.prologs} == {"agent", "one-shot"}
    assert len({one.fault for one in batch.prologs}) > 5


ANSWERS = (
    b"",
    b"preflight-agent 1 pas",
    b"preflight-agent 1 pass",
    b"preflight-agent 1 pass\nx",
    b"preflight-agent 1 pass\n\n",
    b"preflight-agent 2 pass\n",
    b"preflight-agent 1 one-shot\n",
    b"PREFLIGHT-AGENT 1 PASS\n",
    b"\0" * 23,
    b"pass\n" * 5,
    b"x" * 50000,
    wire.WAIT,
    wire.WAIT * 3,
    wire.WAIT + b"preflight-agent 1 one-shot\n",
    wire.WAIT + wire.WAIT + wire.PASS,
    wire.PASS + wire.PASS,
)


def _serve(path: Path, answer: bytes) -> subprocess.Popen[bytes]:
    """Listen at ``path`` and give everybody the same answer."""
    code = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(8); print(flush=True)\n"
        "data = bytes.fromhex(sys.argv[2])\n"
        "while True:\n"
        "    c = s.accept()[0]; c.recv(65536)\n"
        "    c.settimeout(1)\n"
        "    try: c.sendall(data); c.recv(64)\n"
        "    except OSError: pass\n"
        "    c.close()\n"
    )
    process = subprocess.Popen(["/usr/bin/python3", "-c", code, str(path), answer.hex()], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_only_the_one_answer_lets_a_job_start(idle: AgentSite, tmp_path: Path) -> None:
    sanitized = build(
        tmp_path / "asan", "LINK=", "CFLAGS=-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all"
    )
    idle.write_client(sanitized / "preflight-client", wait_ms=2000, otherwise=_marker(tmp_path))
    wire.private_directory(str(idle.site.run_dir))
    path = Path(wire.socket_path(str(idle.site.run_dir), "n1"))
    chance = random.Random(3)
    mutated = []
    for _ in range(12):
        data = bytearray(wire.PASS)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        mutated.append(bytes(data))
    for answer in (*ANSWERS, *mutated):
        server = _serve(path, answer)
        try:
            way, done = idle.prolog(**GPUS)
        finally:
            server.kill()
            server.wait()
            path.unlink()
        assert (way, done.returncode, done.stderr) == ("one-shot", 0, ""), answer
    for answer in (wire.PASS, wire.WAIT + wire.PASS):  # the control: these do
        server = _serve(path, answer)
        try:
            assert idle.prolog(**GPUS)[0] == "agent"
        finally:
            server.kill()
            server.wait()
            path.unlink()


@pytest.mark.parametrize(("longest_ms", "way"), [(120000, "agent"), (400, "one-shot")])
def test_an_answer_in_time_counts_though_the_client_comes_late(
    idle: AgentSite, tmp_path: Path, longest_ms: int, way: str
) -> None:
    """On a node with a thousand jobs that start at once: what must not be late is the answer."""
    programs = build(tmp_path / "client", f"CPPFLAGS=-DWAIT_MAX_MS={longest_ms // 4}")
    idle.write_client(programs / "preflight-client", wait_ms=100, otherwise=_marker(tmp_path))
    wire.private_directory(str(idle.site.run_dir))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(wire.socket_path(str(idle.site.run_dir), "n1"))
        listener.listen()
        environment = idle.site.environment(**GPUS)
        client = subprocess.Popen([str(idle.client)], env=environment, stdout=subprocess.PIPE, text=True)
        connection, _ = listener.accept()
        with connection:
            os.kill(client.pid, signal.SIGSTOP)
            connection.sendall(wire.PASS)
            time.sleep(0.6)
            os.kill(client.pid, signal.SIGCONT)
            said, _ = client.communicate(timeout=60)
    assert ("one-shot" if "one-shot" in said else "agent", client.returncode) == (way, 0)


def test_a_client_that_is_told_to_wait_leaves_the_hook_its_time(idle: AgentSite, tmp_path: Path) -> None:
    """An agent that hangs then costs what the script says, which is half of the hook's deadline at most."""
    programs = build(tmp_path / "client", "CPPFLAGS=-DWAIT_MAX_MS=60000")
    idle.write_client(programs / "preflight-client", wait_ms=60000, otherwise=_marker(tmp_path))
    with open(idle.client, "a") as file:
        file.write("longest-ms 400\n")
    wire.private_directory(str(idle.site.run_dir))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(wire.socket_path(str(idle.site.run_dir), "n1"))
        listener.listen()
        environment = idle.site.environment(**GPUS)
        client = subprocess.Popen([str(idle.client)], env=environment, stdout=subprocess.PIPE, text=True)
        connection, _ = listener.accept()
        with connection:
            connection.sendall(wire.WAIT)
            said, _ = client.communicate(timeout=55)
    assert said == "one-shot\n"


def _marker(place: Path) -> str:
    script = place / "marker"
    script.write_text("#!/bin/sh\necho one-shot\n")
    script.chmod(0o755)
    return str(script)


@pytest.mark.parametrize(
    "job",
    [
        {"SLURM_JOB_COMMENT": "x" * 70000},
        {"SLURMD_NODENAME": "../../tmp/x"},
        {"SLURMD_NODENAME": ""},
        {"SLURMD_NODENAME": "n" * 300},
        {"SLURMD_NODENAME": "of-another-node"},
    ],
    ids=["too long", "a path", "none", "a long name", "another node"],
)
def test_what_cannot_be_asked_is_judged_by_the_hook(agent: AgentSite, tmp_path: Path, job: dict[str, str]) -> None:
    program = Path(agent.client.read_text().split("\n")[0][2:])
    agent.write_client(program, otherwise=_marker(tmp_path))
    way, done = agent.prolog(**{**GPUS, **job})
    assert (way, done.returncode, done.stderr) == ("one-shot", 0, "")


@pytest.mark.parametrize("text", ["", "run-dir /x\n", "\0\0\0", "x" * 9000, "wait-ms 99999\n", "otherwise /none\n"])
def test_a_client_without_its_settings_stops_no_job(programs: Path, tmp_path: Path, text: str) -> None:
    script = tmp_path / "script"
    script.write_text(text)
    done = subprocess.run([programs / "preflight-client", script], env={}, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_garbage_hurts_nothing(agent: AgentSite) -> None:
    chance = random.Random(5)
    path = wire.socket_path(str(agent.site.run_dir), "n1")
    good = wire.request("0", "prolog", 1e9, {"SLURM_JOB_ID": "7"})
    payloads = [
        b"",
        b"\0",
        b"\0\0\0\0",
        b"\xff" * 8,
        struct.pack(">I", 1 << 31) + b"x",
        struct.pack(">I", 5) + b"hello",
    ]
    payloads += [struct.pack(">I", 65536) + b"\0" * 65536, good + good, good[:-1], b"\x80" * 70000]
    for _ in range(150):
        data = bytearray(good)
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        payloads.append(bytes(data[: chance.randrange(len(data) + 1)]))
    for payload in payloads:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(path)
            connection.settimeout(30)
            with suppress(ConnectionError):
                connection.sendall(payload)
                connection.shutdown(socket.SHUT_WR)
                assert not connection.recv(4096).startswith(wire.PASS)
    slow = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(50)]
    for one in slow:
        one.connect(path)
        one.send(b"\0")
    assert agent.prolog(**GPUS)[0] == "agent"
    for one in slow:
        one.close()
    assert agent.ask("status")["answers"]["malformed"] > 10


def test_nobody_but_root_is_heard(agent: AgentSite) -> None:
    run_dir = agent.site.run_dir
    path = wire.socket_path(str(run_dir), "n1")
    assert (os.stat(path).st_mode & 0o777, os.stat(os.path.dirname(path)).st_mode & 0o777) == (0o600, 0o700)
    code = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(9))"
    nobody = ["setpriv", "--reuid=4242", "--regid=4242", "--clear-groups"]
    asks = ["/usr/bin/python3", "-c", code, path]
    assert b"PermissionError" in subprocess.run([*nobody, *asks], capture_output=True, check=False).stderr
    # Should somebody open the doors: who asks counts, and root of a user namespace is not root.
    place = agent.site.place
    while place != Path("/tmp") and place != Path("/"):
        os.chmod(place, os.stat(place).st_mode | 0o055)
        place = place.parent
    os.chmod(os.path.dirname(path), 0o755)
    os.chmod(path, 0o666)
    askers = [nobody, [*nobody, "unshare", "--user", "--map-root-user"]]
    if "PREFLIGHT_OLDEST" in os.environ:
        del askers[1]  # in a chroot there are no user namespaces: clone(2), EPERM
    for number, before in enumerate(askers, 1):
        done = subprocess.run([*before, *asks], capture_output=True, check=False)
        assert (done.stdout.strip(), done.returncode) == (b"b''", 0), done.stderr
        assert agent.ask("status")["answers"]["refused"] == number
    assert agent.prolog(**GPUS)[0] == "agent"


def test_a_full_table_of_descriptors_costs_the_answer_and_no_more(idle: AgentSite, programs: Path) -> None:
    idle.start("prlimit", "--nofile=40:40")
    path = wire.socket_path(str(idle.site.run_dir), "n1")
    idle.write_client(programs / "preflight-client", wait_ms=300)
    held = []
    for _ in range(60):
        one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        one.connect(path)
        held.append(one)
    assert idle.prolog(**GPUS)[1].returncode == 0
    assert idle.site.place.joinpath("agent.err").read_text() == ""
    assert idle.report()["verdict"] == "ready"
    for one in held:
        one.close()
    idle.write_client(programs / "preflight-client")
    until(lambda: idle.prolog(**{**GPUS, "SLURM_JOB_ID": "8"})[0] == "agent", "the agent's answer")


def test_without_descriptors_the_agent_takes_no_fact_for_missing(agent: AgentSite) -> None:
    assert agent.process is not None
    pid = agent.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    for more in range(1, 9):  # room for the client, and for some of what is read
        used = len(os.listdir(f"/proc/{pid}/fd"))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + more, before[1]))
        time.sleep(1.05)  # what is read for every job is read anew
        agent.prolog(**{**JOB, "SLURM_JOB_ID": str(100 + more)})
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        assert agent.report(100 + more)["verdict"] == "ready"
    assert agent.prolog(**JOB)[0] == "agent"


def test_a_policy_that_changes_holds_for_the_next_prolog(agent: AgentSite) -> None:
    assert agent.prolog(**GPUS)[0] == "agent"
    agent.site.policy('[[expect]]\nrequire = "gpu=a100"\n')
    assert agent.prolog(**{**GPUS, "SLURM_JOB_ID": "8"})[0] == "one-shot"
    (agent.site.spool / "streaks-n1.json").unlink()
    agent.site.policy()
    assert agent.prolog(**{**GPUS, "SLURM_JOB_ID": "9"})[0] == "agent"
    reports = agent.site.place / "reports"
    text = agent.site.config.read_text().replace("[report]\n", f'[report]\ndir = "{reports}"\n')
    agent.site.config.write_text(text)
    os.utime(agent.site.config, (1, 1))
    assert agent.prolog(**{**GPUS, "SLURM_JOB_ID": "10"})[0] == "agent"
    copy = reports / "10/n1.0.prolog.json"
    until(copy.exists, "the user's copy")
    assert os.stat(copy).st_uid == 4242
    until(lambda: not any(_is_zombie(pid) for pid in agent.children()), "the earlier policies' writers waited for")


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def test_users_pass_through_the_runtime_directory_whatever_the_umask(idle: AgentSite) -> None:
    idle.start("sh", "-c", 'umask 077; exec "$@"', "sh")
    assert idle.prolog(**GPUS)[0] == "agent"
    modes = {name: (idle.site.run_dir / name).stat().st_mode & 0o777 for name in ("", "task", "agent")}
    assert modes == {"": 0o755, "task": 0o755, "agent": 0o700}


@pytest.mark.parametrize("taken", [True, False])
def test_what_was_taken_before_the_end_counts_though_nobody_had_read_it(taken: bool) -> None:
    ours, theirs = socket.socketpair()
    listener, listening = socket.socketpair()
    one, ends = Connection(ours, 1), list[bool]()  # type: ignore[arg-type]
    one.answered(3, "")
    if taken:
        theirs.send(wire.TAKEN)
    with select.epoll() as poll, listener, listening:
        clients = Connections(listener, poll, lambda one, request: None, lambda one, taken: ends.append(taken))  # type: ignore[arg-type]
        clients.close(one)
        clients.close(one)
    assert ends == [taken]
    with theirs, pytest.raises(BrokenPipeError):
        theirs.send(wire.TAKEN)


def test_a_number_that_comes_again_was_not_taken(tmp_path: Path) -> None:
    report = {"node": "n1", "phase": "prolog", "started": "", "job": {}, "action": {}}
    (tmp_path / "agent").mkdir()
    with open(answered.journal_path(str(tmp_path), "n1"), "wb") as file:
        for entry in ({"n": 1, "report": report}, {"taken": 1}, {"done": 1}, {"n": 1, "report": report}):
            file.write(answered.line(**entry))
    journal = Journal(str(tmp_path), "n1")
    assert [(one.number, one.taken) for one in journal.left] == [(1, False)]
    journal.done(1)
    journal.close()
    assert Journal(str(tmp_path), "n1").left == []
    assert os.stat(answered.journal_path(str(tmp_path), "n1")).st_size == 0


def test_a_client_that_has_a_childs_old_descriptor_is_heard() -> None:
    ours, theirs = socket.socketpair()
    helper = SimpleNamespace(socket=ours)
    agent: Any = SimpleNamespace(
        kept=SimpleNamespace(gpus=None), writer=SimpleNamespace(helper=helper, hungry=False), _registered={}
    )
    with select.epoll() as agent._poll, theirs:
        Agent._follow(agent)
        number = ours.fileno()
        ours.close()
        client = os.dup2(theirs.fileno(), number)
        agent._poll.register(client, 1)
        helper.socket = None
        Agent._follow(agent)
        agent._poll.modify(client, 1)  # it is still there
        os.close(client)


def test_a_driver_that_is_replaced_is_read_anew(agent: AgentSite) -> None:
    assert agent.prolog(**GPUS)[0] == "agent"
    child = agent.ask("status")["nvml"]["pid"]
    agent.site.scenario(H100X2, {"ret.nvmlInitWithFlags": 18})
    until(lambda: agent.ask("status")["nvml"]["pid"] != child, "another child")
    agent.site.scenario(H100X2, {"driver": "560.35.03"})
    until(lambda: agent.prolog(**{**GPUS, "SLURM_JOB_ID": "8"})[0] == "agent", "the agent's answer")
    assert agent.report(8)["facts"]["driver"]["version"] == "560.35.03"


def test_what_was_put_right_by_hand_is_read_anew(agent: AgentSite) -> None:
    site = agent.site
    site.files({"etc/os-release": 'ID=debian\nVERSION_ID="12"\n'})  # looked at every 15 s
    site.scenario(H100X2, {"gpu.*.name": "NVIDIA A100-SXM4-80GB"})  # no signal: read every 10 s
    assert agent.ask("refresh")["refreshed"]
    job = {**GPUS, REQUIRE: "debian>=12, gpu=a100"}
    for number in (7, 8):  # at once by the hook, soon by the agent
        assert agent.prolog(**{**job, "SLURM_JOB_ID": str(number)})[1].returncode == 0
        assert agent.report(number)["verdict"] == "ready"
        until(agent.ready, "all read anew")
    assert agent.report(8)["source"] == "agent"
    site.scenario(H100X2, {"delay_ms.nvmlDeviceGetTotalEccErrors": 600000})
    until(lambda: agent.ask("status")["nvml"]["stuck_at"], "a call that is stuck")
    site.scenario(H100X2)
    agent.ask("refresh")  # or the child would be ended after half a minute
    until(lambda: agent.prolog(**{**GPUS, "SLURM_JOB_ID": "9"})[0] == "agent", "the agent's answer")


def test_a_library_that_is_taken_away_is_not_asked_any_more(agent: AgentSite) -> None:
    library = Path(agent.site.library)
    child = agent.ask("status")["nvml"]["pid"]
    away = library.rename(library.with_suffix(".away"))
    try:
        until(lambda: agent.ask("status")["nvml"]["pid"] != child, "the child's end")
        assert agent.prolog(**GPUS)[0] == "one-shot"
    finally:
        away.rename(library)


def test_the_command_says_what_the_agent_knows(agent: AgentSite) -> None:
    run_dir = str(agent.site.run_dir)
    agent.prolog(**GPUS)
    status = agent.site.run("agent", "status", "--run-dir", run_dir)
    assert status.returncode == 0, status.stderr
    assert "passed    1 prologs and epilogs" in status.stdout
    assert max(map(len, status.stdout.splitlines())) <= 80 or "tmp" in status.stdout
    facts = json.loads(agent.site.run("agent", "facts", "--json", "--run-dir", run_dir).stdout)
    assert facts["document"]["facts"]["gpus"]["count"] == 2
    assert facts["missing"] == {}
    good = agent.site.run("agent", "check", "--run-dir", run_dir)
    assert (good.returncode, good.stdout.split(",")[0]) == (0, "ready")
    assert agent.site.run("agent", "check", "--require", "gpu=a100", "--run-dir", run_dir).returncode == 3
    assert "NVML is closed" in agent.site.run("agent", "--release", "--run-dir", run_dir).stdout
    assert agent.site.run("agent", "check", "--run-dir", run_dir).returncode == 4
    assert agent.site.run("agent", "--resume", "--run-dir", run_dir).returncode == 0
    agent.stop()
    gone = agent.site.run("agent", "status", "--run-dir", run_dir)
    assert (gone.returncode, gone.stderr.count("\n")) == (2, 1)
    assert "systemctl restart preflight-agent" in gone.stderr


def test_who_asks_beside_others_gets_the_answer(agent: AgentSite) -> None:
    assert agent.process is not None
    agent.process.send_signal(signal.SIGSTOP)
    said: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: said.append(agent.ask("status"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: _queued(agent) == len(threads), "all in the socket's queue")
    agent.process.send_signal(signal.SIGCONT)
    for thread in threads:
        thread.join()
    assert [one["node"] for one in said] == ["n1"] * len(threads)


def _queued(agent: AgentSite) -> int:
    """Return how many clients are connected to the agent's socket, or wait for it (state 02)."""
    path = wire.socket_path(str(agent.site.run_dir), "n1")
    name = f"/.{agent.process.pid}" if agent.process else ""
    lines = Path("/proc/net/unix").read_text().splitlines()
    return sum(1 for line in lines if line.endswith((path, name)) and line.split()[5] in ("02", "03")) if path else 0


def test_a_second_agent_of_a_node_is_refused(agent: AgentSite) -> None:
    second = agent.site.run("agent", "--run-dir", str(agent.site.run_dir))
    assert (second.returncode, second.stderr) == (2, "preflight agent: another agent of n1 runs\n")
    assert agent.prolog(**GPUS)[0] == "agent"


def test_systemd_keeps_the_socket_while_the_agent_is_restarted(
    idle: AgentSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(60)
    told = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    plain = idle.site.environment
    monkeypatch.setattr(idle.site, "environment", lambda **more: plain(**{**told, **more}))
    idle.start()
    said = [socket.recv_fds(manager, 4096, 4) for _ in range(2)]
    assert [one[0] for one in said] == [b"READY=1", b"FDSTORE=1\nFDNAME=agent"]
    (kept,) = said[1][1]
    idle.stop()
    hook = subprocess.Popen([str(idle.client)], env=plain(**GPUS), stdout=subprocess.PIPE)
    time.sleep(0.2)
    assert hook.poll() is None  # it waits in the queue of a socket that nobody reads
    start_with(idle, ["sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3<&0', "sh"], kept)
    assert (hook.communicate(timeout=60)[0], hook.returncode) == (b"", 0)
    assert idle.report()["source"] == "agent"
    os.close(kept)
    manager.close()


def start_with(idle: AgentSite, before: list[str], kept: int) -> None:
    """Start the agent with the kept socket as descriptor 3, as systemd does."""
    command = [*before, sys.executable, "-I", "-S", idle.site.main, "agent"]
    command += ["--config", str(idle.site.config), "--run-dir", str(idle.site.run_dir)]
    with open(idle.site.place / "agent.err", "ab") as errors:
        idle.process = subprocess.Popen(command, env=idle.site.environment(), cwd="/", stdin=kept, stderr=errors)


def test_at_rest_the_agent_is_small(agent: AgentSite) -> None:
    agent.site.scenario(sim.example("h100x8"))
    agent.seen()
    agent.prolog(**GPUS)
    assert agent.process is not None
    agent.report()
    assert sum(map(_pss_kib, [agent.process.pid, *agent.children()])) <= 40 << 10


def _pss_kib(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/smaps_rollup").read_text().split("Pss:")[1].split()[0])
    except ProcessLookupError:  # one that read a fact has ended
        return 0


def test_many_prologs_at_once_are_all_answered_and_recorded(agent: AgentSite) -> None:
    jobs = range(3000, 3040)
    agent.write_client(Path(agent.client.read_text().split("\n")[0][2:]), wait_ms=5000)
    hooks = [
        subprocess.Popen([str(agent.client)], env=agent.site.environment(**{**GPUS, "SLURM_JOB_ID": str(job)}))
        for job in jobs
    ]
    assert [hook.wait(60) for hook in hooks] == [0] * len(hooks)
    assert {agent.report(job)["source"] for job in jobs} == {"agent"}
    assert agent.ask("status")["answers"]["one-shot"] == 0


def test_reports_are_on_record_where_the_unit_may_not_come_before_others(idle: AgentSite) -> None:
    """An admin's drop-in says Nice=10; the unit has no CAP_SYS_NICE, with which one may go back to 5."""
    idle.start("nice", "-n", "10", "setpriv", "--bounding-set", "-sys_nice", "--inh-caps", "-sys_nice")
    assert idle.prolog(**GPUS)[0] == "agent"
    assert idle.report()["source"] == "agent"
    until(lambda: idle.ask("status")["reports_waiting"] == 0, "an empty journal")


REPORT = {"node": "n1", "phase": "prolog", "started": "2026-11-30T10:00:00Z", "action": {"kind": "none"}}


def _journal_of(place: Path, jobs: int, more: str = "") -> int:
    """Return a journal of ``jobs`` reports, every third of which was taken and every fifth is on record."""
    path = place / "journal"
    with open(path, "wb") as file:
        for job in range(1, jobs + 1):
            file.write(answered.line(n=job, report={**REPORT, "job": {"id": job, "restart": 0}, "facts": more}))
            file.write(answered.line(taken=job) if job % 3 == 0 else b"")
            file.write(answered.line(done=job) if job % 5 == 0 else b"")
    return os.open(path, os.O_RDONLY)


@pytest.mark.parametrize("part", [1, 7, 100, answered.PART])
def test_a_journal_is_read_whole_in_parts_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    monkeypatch.setattr(answered, "PART", part)
    descriptor = _journal_of(tmp_path, 20)
    found = [(one.number, one.taken) for one in answered.read(descriptor)]
    assert found == [(job, job % 3 == 0) for job in range(1, 21) if job % 5]
    for job, expected in ((9, [(9, True)]), (10, []), (11, [(11, False)]), (21, [])):
        assert [(one.number, one.taken) for one in answered.read(descriptor, job)] == expected
    os.close(descriptor)


def test_one_jobs_report_is_found_without_the_whole_journal_in_memory(tmp_path: Path) -> None:
    """Four epilogs at once look into it, in the memory that the agent's unit has."""
    descriptor = _journal_of(tmp_path, 700, "x" * 14_000)
    size = os.fstat(descriptor).st_size
    tracemalloc.start()
    try:
        assert [one.number for one in answered.read(descriptor, 699)] == [699]
        assert tracemalloc.get_traced_memory()[1] < size / 4
    finally:
        tracemalloc.stop()
        os.close(descriptor)


def test_what_follows_an_answer_that_was_taken_is_done_though_the_agent_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "counters"

    def child(theirs: socket.socket) -> None:
        if theirs.recv(1) == GO:
            time.sleep(0.5)
            path.write_text("kept")

    epilogs, one = Epilogs(select.epoll()), object()
    pending: Any = SimpleNamespace(one=one, helper=Helper("epilog", child, 0))
    assert pending.helper.start()
    pid = pending.helper.pid
    epilogs._answered[one] = pending  # type: ignore[index]

    def stop() -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # as systemd ends what is left in the unit

    agent: Any = SimpleNamespace(
        writer=SimpleNamespace(waiting=0, stop=lambda: None),
        _clients=SimpleNamespace(end=lambda: epilogs.settled(one, True)),  # type: ignore[arg-type]
        _epilogs=epilogs,
        kept=SimpleNamespace(stop=lambda: None),
        upkeep=SimpleNamespace(stop=lambda: None),
        journal=SimpleNamespace(close=stop),
    )
    Agent.stop(agent)
    assert path.read_text() == "kept"
