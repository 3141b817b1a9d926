"""`preflight why` on a real Slurm: right for each way a job can wait, move, be held, end; and what it says to type."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from lab.cluster import SICK, Cluster
from nvml import sim

pytestmark = pytest.mark.lab
CUDA = "--require=cuda>=12.4"
NEEDS = "needs cuda>=12.4"
COLUMNS = 80
FINAL = ("COMPLETED", "FAILED", "CANCELLED", "NODE_FAIL", "TIMEOUT", "OUT_OF_MEMORY")


def _why(cluster: Cluster, job: str, user: str | None = "pfalice") -> dict[str, Any]:
    """Return the explanation, the same for the terminal as for programs."""
    told: dict[str, Any] = json.loads(cluster.why(job, "--json", user=user))
    assert told["format"] == "preflight.why/1"
    return told


def _text(cluster: Cluster, job: str, user: str | None = "pfalice") -> str:
    text = cluster.why(job, user=user)
    for line in text.splitlines():  # what is to be typed stays on one line
        assert len(line) <= COLUMNS or line.startswith("      "), line
    return text


def _ended(cluster: Cluster, job: str) -> dict[str, str]:
    return cluster.lab.wait_job(job, FINAL)


def _commands(told: dict[str, Any], step: int = 0) -> list[str]:
    assert told["next"][step]["who"] == "user"
    return list(told["next"][step]["commands"])


def _type(cluster: Cluster, commands: list[str]) -> None:
    """Type what was told, as the job's user."""
    for command in commands:
        done = cluster.lab.run(shlex.split(command), user="pfalice")
        assert done.returncode == 0, f"{command}: {done.stderr}"


def _held(cluster: Cluster, *options: str) -> str:
    """Submit a job that Preflight holds on rocky1."""
    job = cluster.lab.sbatch("hostname", "--gpus=1", *options)
    assert cluster.wait_report(job)["action"]["kind"] == "hold"
    cluster.lab.wait_job(job, "PENDING")
    return job


def test_ready_and_ran(cluster: Cluster) -> None:
    job = cluster.lab.sbatch("sleep 2", CUDA, "--gpus=1", "-w", "ubuntu2")
    cluster.lab.wait_job(job, "RUNNING")
    cluster.wait_report(job)
    told = _why(cluster, job)
    assert (told["kind"], told["cause"], told["verdict"]) == ("running", "ready", "ready")
    assert f"Job {job} runs on ubuntu2" in told["sentence"]
    _ended(cluster, job)
    cluster.wait_report(job, phase="epilog")
    told = _why(cluster, job)
    assert (told["kind"], told["cause"], told["state"]) == ("completed", "ready", "COMPLETED")
    assert "ran to its end on ubuntu2" in told["sentence"]
    assert "exit code 0" in told["sentence"]
    assert _text(cluster, job).startswith(f"Job {job} ran to its end on ubuntu2")


def test_ran_with_a_warning(cluster: Cluster) -> None:
    cluster.set_gpus("ubuntu2", cluster.sites[1].scenario, {"driver": "535.183.01", "cuda": "12.2"})
    job = cluster.lab.sbatch("true", CUDA, "--gpus=1", "-w", "ubuntu2")
    _ended(cluster, job)
    told = _why(cluster, job)
    assert (told["kind"], told["cause"], told["verdict"]) == ("completed", "degraded", "degraded")
    assert "with a warning: cuda>=12.4 holds" in told["sentence"]


def test_failed_by_itself(cluster: Cluster) -> None:
    job = cluster.lab.sbatch("exit 7", "-w", "ubuntu2")
    _ended(cluster, job)
    told = _why(cluster, job)
    assert (told["kind"], told["cause"]) == ("failed", "ready")
    assert "failed with exit code 7 on ubuntu2" in told["sentence"]
    assert any("job's own output" in step["text"] for step in told["next"])


def test_moved_and_ran_elsewhere(cluster: Cluster) -> None:
    with cluster.only("rocky1"):
        job = cluster.lab.sbatch("sleep 2", CUDA, "--gpus=1", "-x", "ubuntu1")
        cluster.wait_report(job)
        cluster.lab.wait_job(job, "PENDING")
        told = _why(cluster, job)
    assert told["kind"] == "moved"
    assert f"Job {job} was moved off rocky1: {NEEDS}" in told["sentence"]
    assert "starts elsewhere" in told["sentence"]
    assert told["runs"][0]["outcome"] == "moved"
    assert told["evidence"] == ["It stays away from rocky1,ubuntu1."]
    _ended(cluster, job)
    told = _why(cluster, job)
    assert (told["kind"], told["cause"]) == ("completed", "ready")
    assert "on ubuntu2" in told["sentence"]
    assert "sent away once, from rocky1" in told["sentence"]
    assert [(run["run"], run["nodes"], run["outcome"]) for run in told["runs"]] == [
        (0, "rocky1", "moved"),
        (1, "ubuntu2", "ready"),
    ]
    text = _text(cluster, job)
    assert re.search(r"^  run 0 on rocky1, \d\d:\d\d: moved: needs cuda>=12\.4", text, re.MULTILINE)
    # Without its reports the marks in AdminComment tell the same.
    other = _why(cluster, job, user="pfbob")
    assert [(run["run"], run["nodes"], run["outcome"]) for run in other["runs"]] == [(0, "rocky1", "moved")]
    assert other["verdict"] is None


def test_two_nodes_at_once(cluster: Cluster) -> None:
    job = cluster.lab.sbatch("srun hostname", "--require=gpu=a100", "-N2", "--gpus-per-node=1", "-x", "rocky1,debian1")
    cluster.wait_report(job, "ubuntu1")
    cluster.wait_report(job, "ubuntu2")
    cluster.lab.wait_job(job, "PENDING")
    told = _why(cluster, job)
    assert (told["kind"], told["cause"]) == ("held-by-preflight", "too-few-nodes")
    outcomes = {run["outcome"] for run in told["runs"]}
    assert outcomes <= {"moved", "held"}
    assert "held" in outcomes
    assert "ubuntu1" in str(told["runs"]) or "ubuntu[1-2]" in str(told["runs"])


def test_held_for_a_node_asked_by_name_and_what_is_said_frees_it(cluster: Cluster) -> None:
    job = _held(cluster, CUDA, "-w", "rocky1")
    told = _why(cluster, job)
    assert (told["kind"], told["cause"]) == ("held-by-preflight", "node-by-name")
    assert f"Job {job} is held by Preflight: it asks for rocky1 by name (--nodelist)" in told["sentence"]
    assert NEEDS in told["sentence"]
    # pfbob may not read the reports: AdminComment is enough.
    assert _why(cluster, job, user="pfbob")["cause"] == "node-by-name"
    _type(cluster, _commands(told))
    told = _why(cluster, job)
    assert told["kind"] != "held-by-preflight"
    if told["kind"] == "moved":  # it may have started since
        assert "has been released" in told["sentence"]
    done = _ended(cluster, job)
    assert done["state"] == "COMPLETED"
    assert done["nodes"] in ("ubuntu1", "ubuntu2")


def test_held_since_too_few_nodes_are_left(cluster: Cluster) -> None:
    job = _held(cluster, "--require=gpu=b200", "-x", "ubuntu1,ubuntu2")
    told = _why(cluster, job)
    assert (told["kind"], told["cause"]) == ("held-by-preflight", "too-few-nodes")
    assert "no node is left that could fit" in told["sentence"]
    assert "gpu=b200" in told["sentence"]
    assert "--require is fixed at submission" in told["next"][0]["text"]
    assert _commands(told)[0] == f"scancel {job}"
    again = _commands(told, 2)
    # What the user excluded stays excluded.
    assert again[0] == f"scontrol update JobId={job} ExcNodeList=ubuntu[1-2]"
    cluster.set_gpus("rocky1", sim.example("h100x2"), {"gpu.*.name": "NVIDIA B200"})
    _type(cluster, again)
    cluster.lab.hurry(job)
    assert _ended(cluster, job)["nodes"] == "rocky1"


def test_a_requirement_in_the_comment_can_be_changed(cluster: Cluster) -> None:
    job = _held(cluster, "--comment=require: gpu=b200", "-x", "ubuntu1,ubuntu2")
    told = _why(cluster, job)
    assert (told["kind"], told["cause"]) == ("held-by-preflight", "too-few-nodes")
    assert "stands in the job's comment" in told["next"][0]["text"]
    commands = _commands(told)
    assert commands == [f'scontrol update JobId={job} Comment="require: …"', f"scontrol release {job}"]
    # rocky1 is still among the excluded nodes; the user's own are not given back.
    excluded = _commands(told, 2)[0]
    _type(cluster, [excluded, commands[0].replace("…", "gpu=a100"), commands[1]])
    cluster.lab.hurry(job)
    assert _ended(cluster, job)["nodes"] == "rocky1"


def test_held_after_max_requeues(cluster: Cluster) -> None:
    cluster.write_policy(hook="max_requeues = 1")
    lab = cluster.lab
    job = lab.sbatch("true", "--require=gpu=b200", "--gpus=1", "-x", "ubuntu1,debian1")
    lab.wait_until(lambda: len(cluster.reports(job)) == 2, 60, "the second try")
    lab.wait_job(job, "PENDING")
    told = _why(cluster, job)
    assert (told["kind"], told["cause"]) == ("held-by-preflight", "max-requeues")
    assert "it was moved 1 times already" in told["sentence"]
    assert {run["run"]: run["outcome"] for run in told["runs"]} == {0: "moved", 1: "held"}


def test_held_by_slurm_after_a_node_was_faulty(cluster: Cluster) -> None:
    cluster.set_gpus("ubuntu2", sim.example("h100x2"), SICK)
    lab = cluster.lab
    job = lab.sbatch("hostname", "--gpus=2", "-w", "ubuntu2")
    cluster.wait_report(job)
    lab.wait_job(job, "PENDING")
    lab.wait_until(lambda: lab.job(job)["priority"] == "0", 20, "Slurm to hold the job")
    told = _why(cluster, job)
    assert (told["kind"], told["cause"]) == ("held-after-node-failure", "node-unhealthy")
    assert "ubuntu2 was found faulty, not the job" in told["sentence"]
    assert "uncorrected ECC errors" in told["sentence"]
    assert any("nohold_on_prolog_fail" in step["text"] and step["who"] == "admin" for step in told["next"])
    assert any("preflight:gpu.ecc.uncorrected" in step["text"] for step in told["next"])
    assert _why(cluster, job, user="pfbob")["kind"] == "held-after-node-failure"
    _type(cluster, _commands(told))
    assert _ended(cluster, job)["nodes"] != "ubuntu2"
    told = _why(cluster, job)
    assert told["kind"] == "completed"
    assert "sent away once, from ubuntu2" in told["sentence"]


def test_an_interactive_job_ended_for_a_faulty_node(cluster: Cluster) -> None:
    cluster.set_gpus("ubuntu2", sim.example("h100x2"), SICK)
    done = cluster.lab.run(["srun", "--gpus=2", "-w", "ubuntu2", "true"], user="pfalice", timeout=90)
    assert done.returncode != 0
    reports = Path(cluster.directory, "nodes/ubuntu2/spool/reports").glob("*/ubuntu2.0.prolog.json")
    job = max((path.parent.name for path in reports), key=int)
    cluster.lab.wait_until(lambda: cluster.lab.job_state(job) in FINAL, 30, "the job to end")
    told = _why(cluster, job)
    assert told["kind"] == "stopped-node-unhealthy"
    assert "ubuntu2 was found faulty, not the job" in told["sentence"]


def test_held_by_user_and_admin(cluster: Cluster) -> None:
    lab = cluster.lab
    job = lab.sbatch("true", "--hold")
    told = _why(cluster, job)
    assert told["kind"] == "held-by-user"
    assert "Preflight has no part in it" in told["sentence"]
    _type(cluster, _commands(told))
    _ended(cluster, job)
    job = lab.sbatch("true", "--begin=now+1hour")
    lab.check_run(["scontrol", "hold", job])
    told = _why(cluster, job)
    assert told["kind"] == "held-by-admin"
    assert lab.run(["scontrol", "release", job], user="pfalice").returncode != 0
    assert told["next"][1] == {"who": "admin", "text": "To release it:", "commands": [f"scontrol release {job}"]}
    lab.check_run(["scontrol", "release", job])
    told = _why(cluster, job)
    assert (told["kind"], told["cause"]) == ("waiting", "BeginTime")
    assert "its earliest start time has not come" in told["sentence"]
    assert "in about 60 minutes" in told["sentence"]


def test_requeued_and_held_by_hand(cluster: Cluster) -> None:
    lab = cluster.lab
    job = lab.sbatch("sleep 300", "-w", "ubuntu2")
    lab.wait_job(job, "RUNNING")
    lab.check_run(["scontrol", "requeuehold", job])
    lab.wait_job(job, "PENDING")
    told = _why(cluster, job)
    assert (told["kind"], told["cause"]) == ("held-by-user", "requeuehold")
    assert "not by Preflight" in told["sentence"]


def test_requeued_by_hand_is_not_our_move(cluster: Cluster) -> None:
    lab = cluster.lab
    job = lab.sbatch("sleep 300", "-w", "ubuntu2")
    lab.wait_job(job, "RUNNING")
    cluster.wait_report(job)
    lab.check_run(["scontrol", "requeue", job])
    lab.wait_job(job, "PENDING")
    told = _why(cluster, job)
    assert told["kind"] == "waiting"
    assert "put it back into the queue once, last from ubuntu2, not Preflight" in told["sentence"]


def test_cancelled_by_us(cluster: Cluster) -> None:
    job = cluster.lab.sbatch("true", CUDA, "-w", "rocky1", "--no-requeue")
    _ended(cluster, job)
    told = _why(cluster, job)
    assert (told["kind"], told["cause"]) == ("cancelled-by-preflight", "no-requeue")
    assert f"{NEEDS}" in told["sentence"]
    assert "it could not be moved, since it was submitted with --no-requeue" in told["sentence"]
    done = cluster.lab.run(["srun", CUDA, "-w", "rocky1", "true"], user="pfalice", timeout=60)
    assert done.returncode != 0
    job = str(int(job) + 1)
    cluster.lab.wait_until(lambda: cluster.lab.job_state(job) in FINAL, 30, "the srun to end")
    told = _why(cluster, job)
    assert (told["kind"], told["cause"]) == ("cancelled-by-preflight", "interactive")
    assert "an interactive job cannot be moved" in told["sentence"]


def test_cancelled_by_the_user(cluster: Cluster) -> None:
    lab = cluster.lab
    job = lab.sbatch("sleep 300", "-w", "ubuntu2")
    lab.wait_job(job, "RUNNING")
    lab.check_run(["scancel", job], user="pfalice")
    lab.wait_job(job, "CANCELLED")
    told = _why(cluster, job)
    assert told["kind"] == "cancelled"
    assert "while it ran on ubuntu2" in told["sentence"]
    assert "not by Preflight" in told["sentence"]
    job = lab.sbatch("true", "--begin=now+1hour")
    lab.check_run(["scancel", job], user="pfalice")
    told = _why(cluster, job)
    assert told["kind"] == "cancelled"
    assert "while it waited" in told["sentence"]


def test_slurms_own_reasons(cluster: Cluster) -> None:
    lab = cluster.lab
    first = lab.sbatch("sleep 300", "--exclusive", "-w", "ubuntu2")
    lab.wait_job(first, "RUNNING")
    waits = lab.sbatch("true", "--exclusive", "-w", "ubuntu2")
    depends = lab.sbatch("true", f"--dependency=afterok:{first}")
    lab.wait_until(lambda: lab.job(waits)["reason"] == "Resources", 60, "the reason Resources")
    told = {job: _why(cluster, job) for job in (waits, depends)}
    assert {one["kind"] for one in told.values()} == {"waiting"}
    assert "what it asks for is in use by other jobs" in told[waits]["sentence"]
    assert f"it depends on another job (afterok:{first}" in told[depends]["sentence"]
    _type(cluster, _commands(told[depends]))
    assert _ended(cluster, depends)["state"] == "COMPLETED"


def test_a_drained_node_asked_by_name(cluster: Cluster) -> None:
    lab = cluster.lab
    reason = "preflight:gpu.ecc.uncorrected:gpu0: 2 uncorrected ECC errors"
    lab.check_run(["scontrol", "update", "NodeName=ubuntu2", "State=DRAIN", f"Reason={reason}"])
    job = lab.sbatch("true", "-w", "ubuntu2")
    lab.wait_until(lambda: lab.job(job)["reason"].startswith("ReqNodeNotAvail"), 60, "the reason ReqNodeNotAvail")
    told = _why(cluster, job)
    assert told["kind"] == "waiting"
    assert "a node that it needs is not available now" in told["sentence"]
    assert told["evidence"] == [f"ubuntu2 is drained by Preflight: {reason.removeprefix('preflight:')}"]


def test_no_node_fits(cluster: Cluster) -> None:
    """A feature that a node had when the job was submitted, and that it lost."""
    lab = cluster.lab
    features = lab.check_run(["sinfo", "-h", "-N", "-n", "ubuntu2", "-o", "%f"]).strip()
    both = f"AvailableFeatures={features},old", f"ActiveFeatures={features},old"
    lab.check_run(["scontrol", "update", "NodeName=ubuntu2", *both])
    try:
        job = lab.sbatch("true", "--constraint=old", "--begin=now+1hour")
    finally:
        lab.check_run(
            ["scontrol", "update", "NodeName=ubuntu2", f"AvailableFeatures={features}", f"ActiveFeatures={features}"]
        )
    lab.check_run(["scontrol", "update", f"JobId={job}", "StartTime=now"])
    lab.wait_until(lambda: lab.job(job)["reason"] == "BadConstraints", 60, "the reason BadConstraints")
    told = _why(cluster, job)
    assert (told["kind"], told["reason"]) == ("no-node-fits", "BadConstraints")
    assert "--constraint=old" in told["sentence"] or "constraint" in told["sentence"]
    step = next(one for one in told["next"] if one["commands"] and "Features=" in one["commands"][0])
    _type(cluster, step["commands"])
    assert _ended(cluster, job)["state"] == "COMPLETED"


@pytest.mark.parametrize("how", ["observe", "switch", "controller"])
def test_a_misfit_that_was_not_moved(cluster: Cluster, how: str) -> None:
    if how == "observe":
        cluster.write_policy(mode="observe")
    elif how == "switch":
        Path(cluster.directory, "etc/off").touch()
    else:
        cluster.write_policy(hook="deadline_s = 3")
        Path(cluster.directory, "slurm-down").touch()
    lab = cluster.lab
    job = lab.sbatch("sleep 5; exit 3", "--require=gpu=a100", "-w", "ubuntu1", "--gpus=1")
    lab.wait_job(job, "RUNNING")
    cluster.wait_report(job)
    Path(cluster.directory, "slurm-down").unlink(missing_ok=True)
    told = _why(cluster, job)
    assert (told["kind"], told["cause"]) == ("running-unfit", "not-moved")
    said = {"observe": "observe mode", "switch": "kill switch is on", "controller": "moving the job failed"}[how]
    assert "although ubuntu1 does not fit: needs gpu=a100" in told["sentence"]
    assert said in told["sentence"]
    _ended(cluster, job)
    told = _why(cluster, job)
    assert (told["kind"], told["cause"]) == ("failed", "unfit")
    assert "failed with exit code 3" in told["sentence"]
    assert "ubuntu1 did not fit" in told["sentence"]
    assert any("likely cause" in step["text"] for step in told["next"])


def test_a_faulty_node_that_the_breaker_spared(cluster: Cluster) -> None:
    cluster.write_policy(drain="max_nodes = 0")
    cluster.set_gpus("ubuntu2", sim.example("h100x2"), SICK)
    job = cluster.lab.sbatch("true", "--gpus=2", "-w", "ubuntu2")
    _ended(cluster, job)
    told = _why(cluster, job)
    assert (told["kind"], told["cause"], told["verdict"]) == ("completed", "unhealthy", "unhealthy")
    assert "ubuntu2 was faulty (the drain breaker held" in told["sentence"]


def test_what_the_epilog_found(cluster: Cluster) -> None:
    lab = cluster.lab
    job = lab.sbatch("sleep 3", "--gpus=2", "-w", "ubuntu2")
    assert cluster.wait_report(job)["verdict"] == "ready"
    cluster.set_gpus("ubuntu2", sim.example("h100x2"), SICK)
    cluster.wait_report(job, phase="epilog")
    _ended(cluster, job)
    told = _why(cluster, job)
    assert told["kind"] == "completed"
    assert told["evidence"][0].startswith("ubuntu2 was faulty when the job had ended and was drained: gpu0: ")
    assert any(
        "ecc_uncorrected_aggregate went from 0 to 2" in line and "the node's" in line for line in told["evidence"]
    )
    assert any("Check its output" in step["text"] for step in told["next"])


def test_an_array_by_groups(cluster: Cluster) -> None:
    lab = cluster.lab
    script = "#!/bin/bash\n#SBATCH --array=0-5%2\n#SBATCH -w ubuntu2\nsleep 300\n"
    job = lab.sbatch(script)
    states = lambda: [lab.job_state(f"{job}_{task}") for task in range(6)]  # noqa: E731
    lab.wait_until(lambda: states().count("RUNNING") == 2, 30, "two tasks to run")
    told = _why(cluster, job)
    assert told["kind"] == "several"
    assert f"Array {job}, 6 tasks" in told["sentence"]
    kinds = {part["job"]: part["kind"] for part in told["parts"]}
    running = [name for name, kind in kinds.items() if kind == "running"]
    assert running == [f"{job}_[0-1]"]
    waiting = next(part for part in told["parts"] if part["kind"] == "waiting")
    assert waiting["job"] == f"{job}_[2-5]"
    assert "as many tasks of its array run as the array lets run at once" in waiting["sentence"]
    one = _why(cluster, f"{job}_2")
    assert one["job"] == f"{job}_2"
    assert one["reason"] == "JobArrayTaskLimit"
    _type(cluster, [command.replace("=N", "=3") for command in _commands(one)])
    lab.wait_until(lambda: states().count("RUNNING") == 3, 30, "a third task to run")


def test_one_task_moved(cluster: Cluster) -> None:
    lab = cluster.lab
    script = "#!/bin/bash\n#SBATCH --array=0-1\n#SBATCH --gpus=2\nsleep 60\n"
    with cluster.only("rocky1", "ubuntu2"):
        job = lab.sbatch(script, CUDA)
        asked = ["squeue", "-h", "-r", "-j", job, "-O", "admin_comment:99"]
        lab.wait_until(lambda: "moved" in lab.check_run(asked), 40, "a task to be moved")
        told = _why(cluster, job)
    moved = next(part for part in told["parts"] if part["kind"] in ("moved", "leaving"))
    assert NEEDS in moved["sentence"]
    assert moved["job"] in (f"{job}_0", f"{job}_1")


def test_a_heterogeneous_job_by_components(cluster: Cluster) -> None:
    lab = cluster.lab
    job = lab.sbatch("#!/bin/bash\n#SBATCH -n1 -w debian1\n#SBATCH hetjob\n#SBATCH -n1 -w ubuntu1\nsleep 30\n")
    lab.wait_until(lambda: lab.job_state(f"{job}+1") == "RUNNING", 40, "the components to run")
    told = _why(cluster, job)
    assert told["kind"] == "several"
    assert told["sentence"].startswith(f"Heterogeneous job {job}, 2 components")
    assert [part["job"] for part in told["parts"]] == [f"{job}+0", f"{job}+1"]
    one = _why(cluster, f"{job}+1")
    assert one["job"] == f"{job}+1"
    assert "runs on ubuntu1" in one["sentence"]


def test_from_the_reports_where_slurm_cannot_be_asked(cluster: Cluster) -> None:
    job = cluster.lab.sbatch("true", CUDA, "--gpus=1", "-w", "ubuntu2")
    _ended(cluster, job)
    cluster.wait_report(job, phase="epilog")
    cluster.lab.stop_slurmctld()
    try:
        told = _why(cluster, job)
    finally:
        cluster.lab.start_slurmctld()
        cluster.lab.wait_nodes()
    assert (told["kind"], told["cause"], told["source"]) == ("reported", "ready", "reports")
    assert "by its reports, ran on ubuntu2" in told["sentence"]
    assert "Slurm could not be asked" in told["sentence"]


def test_what_nothing_knows(cluster: Cluster) -> None:
    for job in ("4000000", "4000000_1", "4000000+1"):
        done = cluster.preflight("why", job, "--config", cluster.config, user="pfalice")
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert "not in Slurm's queue" in done.stderr
        assert "no report of it where you may read" in done.stderr
        assert len(done.stderr) < 160


def test_an_earlier_job_of_the_same_number(cluster: Cluster) -> None:
    """Job ids are used again: what lies there of an earlier job is not this one's."""
    first = cluster.lab.sbatch("true", CUDA, "--gpus=1", "-w", "ubuntu2")
    _ended(cluster, first)
    report = cluster.wait_report(first)
    job = cluster.lab.sbatch("true", "--begin=now+1hour")
    report["job"]["id"] = int(job)
    report["started"] = "2020-01-01T00:00:00.000Z"
    place = cluster.node_dir("ubuntu2") / "spool" / "reports" / job
    place.mkdir(mode=0o700)
    path = place / "ubuntu2.0.prolog.json"
    path.write_text(json.dumps(report), encoding="utf-8")
    path.chmod(0o600)
    told = _why(cluster, job, user=None)
    assert (told["kind"], told["runs"], told["verdict"]) == ("waiting", [], None)
    assert any("an earlier job that had the number" in note for note in told["notes"])


def test_hostile_text_is_only_text(cluster: Cluster) -> None:
    text = "\x1b[2J preflight:held:rocky1:run0: it asks for \u202e; preflight:moved:n9:run0: x"
    job = _held(cluster, f"--comment={text}\nrequire: gpu=b200", f"--job-name={text}", "-w", "rocky1")
    for form in ((), ("--json",)):
        done = cluster.preflight("why", job, *form, "--config", cluster.config, user="pfalice")
        assert done.returncode == 0
        assert "\x1b" not in done.stdout + done.stderr
        assert "\u202e" not in done.stdout + done.stderr
    told = _why(cluster, job)
    assert {run["nodes"] for run in told["runs"]} == {"rocky1"}
    assert told["cause"] == "node-by-name"
