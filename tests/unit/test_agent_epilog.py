"""Epilogs that the node agent answers: read anew by a child, by the hook's own functions, and never with an action."""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from preflight import __version__
from preflight.agent.epilogs import AT_ONCE, hurried, no_time
from preflight.agent.wire import longest_s, request, socket_path
from preflight.policy.model import AgentPolicy, HookPolicy, Policy
from unit.agent_site import GPUS, AgentSite, comparable, until
from unit.hook_site import H100X2, JOB, REQUIRE

SICK = {"gpu.0.ecc.uncorrected.volatile": 2, "gpu.0.ecc.uncorrected.aggregate": 2}
XID = "3,9001,5000000,-;NVRM: Xid (PCI:0000:01:00): {}, pid=1234, name=python\n"
ENDED = {"SLURM_JOB_EXIT_CODE2": "3:0"}


def test_an_epilog_with_nothing_to_do_is_answered_and_recorded(agent: AgentSite) -> None:
    site = agent.site
    agent.prolog(**GPUS, **{REQUIRE: "cuda>=12.4"})
    until(lambda: (site.run_dir / "task/n1.7").exists(), "the task prolog's note")
    site.files({"dev/kmsg": XID.format(13)})
    way, done = agent.epilog(**GPUS, **ENDED)
    assert (way, done.returncode, done.stdout, done.stderr) == ("agent", 0, "", "")
    report = agent.report(phase="epilog")
    assert (report["source"], report["verdict"], report["job"]["restart"]) == ("agent", "degraded", None)
    assert report["ages_s"].keys() == report["facts"].keys()
    assert [one["fact"] for one in report["changes"]] == ["gpu0.xid"]
    until(lambda: not (site.run_dir / "task/n1.7").exists(), "the note taken away")
    until((site.run_dir / "counters-n1.json").exists, "the GPUs' counters for the next one")
    until((site.spool / "ends-n1.json").exists, "how the job ended")
    until((site.run_dir / "kept-cuda.json").exists, "whether CUDA starts, for the next prologs")
    until(lambda: agent.ask("status")["reports_waiting"] == 0, "an empty journal")
    assert site.slurm_calls() == []


# What a job leaves and a node may be like: (driver, files, job, policy).
SCENES: dict[str, tuple[dict[str, Any], dict[str, str], dict[str, str], str]] = {
    "well": ({}, {}, GPUS, ""),
    "no GPUs": ({}, {}, JOB, ""),
    "one of two": ({}, {}, {**JOB, "SLURM_JOB_GPUS": "1"}, ""),
    "ECC on the job's GPU": (SICK, {}, {**JOB, "SLURM_JOB_GPUS": "0"}, ""),
    "ECC only warns": (SICK, {}, GPUS, '[checks."gpu.ecc.uncorrected"]\naction = "warn"\n'),
    "ECC is only noted": (SICK, {}, GPUS, '[checks."gpu.ecc.uncorrected"]\nmode = "observe"\n'),
    "a process is left": ({"gpu.0.processes": "4000001:1048576"}, {}, GPUS, ""),
    "lost": ({"gpu.1.lost": 1}, {}, GPUS, ""),
    "hot": ({"gpu.0.temperature": 95, "gpu.0.temperature.threshold.slowdown": 92}, {}, GPUS, ""),
    "more memory in use": ({"gpu.0.memory.used": 900 << 20}, {}, GPUS, ""),
    "a bad Xid": ({}, {"dev/kmsg": XID.format(79)}, GPUS, ""),
    "an Xid of the job's": ({}, {"dev/kmsg": XID.format(13)}, GPUS, ""),
    "[[host]] rows": ({}, {}, JOB, '[[host]]\ncheck = "mount"\npath = "/"\nphases = ["epilog"]\n'),
    "processes are to be ended": ({}, {}, JOB, "[epilog]\nend_processes = true\n"),
    "no driver": ({"ret.nvmlInitWithFlags": 9}, {}, GPUS, ""),
}
PATIENT = "[agent]\nwait_ms = 1000\n"  # so long may a client wait that it is told for an epilog: four seconds
BY_THE_AGENT = ("well", "no GPUs", "one of two", "ECC only warns", "hot", "more memory in use", "an Xid of the job's")


def test_agent_and_one_shot_give_the_same_answer(agent: AgentSite) -> None:
    site = agent.site
    ways: dict[str, str] = {}
    for number, (name, (driver, files, job, policy)) in enumerate(SCENES.items(), 100):
        site.policy(f"{PATIENT}{policy}")
        reports = []
        for run in (agent.epilog, lambda **job: site.hook("epilog", **job)):
            forget(agent)
            site.files({"dev/kmsg": ""})
            site.scenario(H100X2)
            site.hook("prolog", **{**job, "SLURM_JOB_ID": str(number)})
            forget(agent)
            site.scenario(H100X2, driver)
            site.files(files)
            told = run(**{**job, "SLURM_JOB_ID": str(number), **ENDED})
            if isinstance(told, tuple):
                ways[name] = told[0]
            reports.append(agent.report(number, "epilog"))
            until(lambda: agent.ask("status")["reports_waiting"] == 0, "an empty journal")
            (site.spool / f"reports/{number}/n1.0.epilog.json").unlink()
        by_agent, own = reports
        assert by_agent["source"] == ways[name]
        harmless = own["verdict"] in ("ready", "degraded") and own["action"]["kind"] == "none"
        assert harmless or ways[name] == "one-shot", name
        left, right = comparable(by_agent), comparable(own)
        assert {key: (left[key], right[key]) for key in left if left[key] != right[key]} == {}, name
    answered = {name for name, way in ways.items() if way == "agent"}
    assert answered <= {*BY_THE_AGENT}
    assert len(answered) > 3  # on a machine that is slow some come too late


def forget(agent: AgentSite) -> None:
    """Let the node be as before any hook ran on it."""
    patterns = ("run/kernel-log-*", "run/counters-*", "run/kept-*", "spool/streaks-*", "spool/ends-*", "spool/drain-*")
    for pattern in patterns:
        for path in agent.site.place.glob(pattern):
            path.unlink()


def begun(agent: AgentSite, before: set[int]) -> tuple["subprocess.Popen[bytes]", int]:
    """Start an epilog whose child takes long; return its client and the child. ``before``: the children until now."""
    agent.site.scenario(H100X2, {"delay_ms.nvmlDeviceGetCount": 600})
    command, environment = [str(agent.site.place / "client-epilog")], agent.site.environment(**GPUS)
    client = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    child = until(lambda: [one for one in {*agent.children()} - before if is_epilogs(agent, one)], "a child")[0]
    agent.site.scenario(H100X2)
    return client, child


def is_epilogs(agent: AgentSite, pid: int) -> bool:
    """Return whether a child of the agent has one of its own: it asks NVML."""
    return bool(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def settled(agent: AgentSite) -> set[int]:
    """Have a prolog answered and on record; return the agent's children."""
    agent.prolog(**GPUS)
    agent.report()
    until(lambda: agent.ask("status")["reports_waiting"] == 0, "an empty journal")
    return {*agent.children()}


def test_what_the_client_does_not_take_changes_nothing(agent: AgentSite, programs: Path) -> None:
    before = settled(agent)
    agent.write_client(programs / "preflight-client", wait_ms=200, phase="epilog")  # two seconds
    client, child = begun(agent, before)
    os.kill(child, signal.SIGSTOP)
    said, _ = client.communicate(timeout=60)
    assert (client.returncode, said.split()[0]) == (0, b"one-shot")
    own = agent.site.report(phase="epilog")
    assert own["source"] == "one-shot"
    os.kill(child, signal.SIGCONT)
    until(lambda: child not in agent.children(), "its child's end")
    assert agent.site.report(phase="epilog") == own
    assert agent.ask("status")["reports_waiting"] == 0


def test_what_only_the_agents_child_has_read_is_kept_for_no_prolog(agent: AgentSite) -> None:
    """In its unit CUDA may not start where it does in slurmd's: that epilog is the hook's, and so is its answer."""
    settled(agent)
    kept = agent.site.run_dir / "kept-cuda.json"
    kept.unlink(missing_ok=True)
    agent.site.scenario(H100X2, SICK)
    nothing = agent.site.place / "nothing"
    nothing.write_text("#!/bin/sh\necho one-shot\n")
    nothing.chmod(0o755)
    program = Path((agent.site.place / "client-epilog").read_text().split("\n")[0][2:])
    agent.write_client(program, otherwise=str(nothing), phase="epilog")
    assert agent.epilog(**GPUS)[0] == "one-shot"
    assert "verdict unhealthy: drain" in agent.ask("status")["one_shot_because"]
    assert not kept.exists()


def test_an_epilog_whose_child_is_killed_is_the_hooks(agent: AgentSite) -> None:
    client, child = begun(agent, settled(agent))
    os.kill(child, signal.SIGKILL)
    said, _ = client.communicate(timeout=60)
    assert (client.returncode, said.split()[0]) == (0, b"one-shot")
    assert agent.site.report(phase="epilog")["verdict"] == "ready"


def test_a_report_of_an_epilog_outlives_the_agent(agent: AgentSite) -> None:
    agent.prolog(**GPUS)
    agent.report()
    until(lambda: agent.ask("status")["reports_waiting"] == 0, "the prolog's on record")
    os.kill(agent.ask("status")["writer_pid"], signal.SIGSTOP)
    assert agent.epilog(**GPUS)[0] == "agent"
    until(lambda: b'{"taken":2}' in (agent.site.run_dir / "agent/n1.journal").read_bytes(), "an answer that was taken")
    agent.stop(signal.SIGKILL)
    assert not (agent.site.spool / "reports/7/n1.0.epilog.json").exists()
    agent.site.hook("health")
    assert agent.report(phase="epilog")["source"] == "agent"


@pytest.mark.parametrize(("client", "context"), [("prolog", "epilog_slurmd"), ("epilog", "prolog_slurmd")])
def test_a_client_that_stands_for_another_script_answers_nothing(agent: AgentSite, client: str, context: str) -> None:
    run = agent.prolog if client == "prolog" else agent.epilog
    assert run(**GPUS, SLURM_SCRIPT_CONTEXT=f"{client}_slurmd")[0] == "agent"
    assert run(**{**GPUS, "SLURM_JOB_ID": "8"}, SLURM_SCRIPT_CONTEXT=context)[0] == "one-shot"


def test_many_epilogs_at_once_are_all_recorded(agent: AgentSite) -> None:
    agent.site.policy(PATIENT)
    jobs = range(3000, 3024)
    hooks = [
        subprocess.Popen(
            [str(agent.site.place / "client-epilog")], env=agent.site.environment(**{**JOB, "SLURM_JOB_ID": str(job)})
        )
        for job in jobs
    ]
    assert [hook.wait(60) for hook in hooks] == [0] * len(hooks)
    sources = [agent.report(job, "epilog")["source"] for job in jobs]
    assert sources.count("agent") > AT_ONCE, json.dumps(agent.ask("status")["one_shot_because"])  # on any machine


def test_a_node_that_is_not_read_in_the_clients_time_is_the_hooks(agent: AgentSite) -> None:
    """The hook waits longer: what the agent's child could not read in its time is not unknown."""
    settled(agent)
    agent.site.scenario(H100X2, {"delay_ms.nvmlDeviceGetCount": 1700})  # two thirds of 2.2 s are 1.5 s
    way, _ = agent.epilog(**GPUS)
    assert (way, agent.site.report(phase="epilog")["verdict"]) == ("one-shot", "ready")
    assert "not read in time" in str(agent.ask("status")["one_shot_because"])


def test_a_slow_driver_is_not_taken_for_hung_by_two_looks_of_one_epilog(agent: AgentSite) -> None:
    """The agent's child leaves its probe to the hook, which waits for it as for its own."""
    settled(agent)
    agent.write_client(client_program(agent), wait_ms=250, phase="epilog")
    agent.site.policy(deadline_s=6)
    agent.site.scenario(H100X2, {"delay_ms.nvmlDeviceGetCount": 12_000})  # never in time
    assert agent.epilog(**GPUS)[0] == "one-shot"
    report = agent.site.report(phase="epilog")
    assert report["facts"]["driver"]["nvml"] == "Late", report["findings"]
    assert (report["verdict"], report["action"]["kind"]) == ("degraded", "none")
    left = json.loads((agent.site.run_dir / "stuck-nvml.json").read_text())
    os.killpg(left["pid"], signal.SIGKILL)


def client_program(agent: AgentSite) -> Path:
    """Return the program that an agent's clients run."""
    return Path(agent.client.read_text().split("\n")[0][2:])


@pytest.mark.parametrize("deadline_s", [1, 1.5, 2, 4, 8, 60])
@pytest.mark.parametrize("wait_ms", [10, 60, 250, 1000])
def test_half_of_the_deadline_is_the_hooks(wait_ms: int, deadline_s: float) -> None:
    policy = Policy(agent=AgentPolicy(wait_ms), hook=HookPolicy()._replace(deadline_s=deadline_s))
    assert longest_s(wait_ms, deadline_s) <= deadline_s / 2
    assert hurried(policy).hook.deadline_s < deadline_s / 2
    if not no_time(policy, True):
        assert hurried(policy).hook.deadline_s >= 1


def test_a_child_that_hangs_is_given_up_before_its_client_gives_up(agent: AgentSite) -> None:
    client, child = begun(agent, settled(agent))
    os.kill(child, signal.SIGSTOP)
    said, _ = client.communicate(timeout=60)
    os.kill(child, signal.SIGCONT)
    assert (client.returncode, said.split()[0]) == (0, b"one-shot")
    assert "the epilog's child gave no answer in time" in agent.ask("status")["one_shot_because"]
    until(lambda: child not in agent.children(), "its child's end")


def test_no_child_is_begun_for_gpus_that_it_has_no_time_for(agent: AgentSite) -> None:
    agent.site.policy("[agent]\nwait_ms = 60\n")
    until(lambda: agent.epilog(**GPUS)[0] == "one-shot", "the policy in force")
    why = "[agent] wait_ms = 60 and [hook] deadline_s = 30 leave 0.3 s to read the node in"
    until(lambda: agent.epilog(**GPUS) and why in agent.ask("status")["one_shot_because"], "its reason")
    done = agent.site.run("config", "check")
    assert (done.returncode, done.stderr.splitlines()) == (
        0,
        [f"preflight: {why}: an agent leaves epilogs of jobs with GPUs to the hook (docs/agent.md)"],
    )


def test_a_client_that_hung_up_is_no_fault_of_the_agents(agent: AgentSite) -> None:
    """The agent was busy as long as a client waits; systemctl restart is as ordinary."""
    settled(agent)
    environment = agent.site.environment(**GPUS)
    assert agent.process is not None
    os.kill(agent.process.pid, signal.SIGSTOP)
    path = socket_path(str(agent.site.run_dir), "n1")
    names = {name: value for name, value in environment.items() if name.startswith("SLURM")}
    asked = request(__version__, "epilog", time.monotonic() + 60, names)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(path)
        client.sendall(asked)
    os.kill(agent.process.pid, signal.SIGCONT)
    until(lambda: agent.ask("status")["answers"]["one-shot"], "the request heard")
    assert agent.ask("status")["one_shot_because"] == {"its client has gone": 1}
