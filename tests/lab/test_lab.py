"""The lab itself: what other tests rely on when they drive a real Slurm."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import USERS, Lab, LabError, LabNode, LabTimeout, places, processes, releases, unavailable
from lab.users import account

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(unavailable() is not None, reason=str(unavailable())),
]

TESTS = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def shared() -> Iterator[Lab]:
    nodes = [LabNode("n1", gpus=3, gpu_type="h100", minors=[7, 5, 2], features=("ubuntu", "fast")), LabNode("n2")]
    with Lab(nodes=nodes) as lab:
        yield lab


@pytest.fixture
def lab(shared: Lab) -> Iterator[Lab]:
    yield shared
    shared.reset()


def _running(lab: Lab, *options: str) -> str:
    job = lab.sbatch("sleep 300", *options)
    lab.wait_job(job, "RUNNING")
    return job


def _uid(pid: int) -> int:
    return os.stat(f"/proc/{pid}").st_uid


def test_daemons_run_as_their_users_and_listen_on_loopback_only(lab: Lab) -> None:
    pids = lab.pids()
    assert set(pids) == {"munged", "slurmctld", "slurmd-n1", "slurmd-n2"}
    assert _uid(pids["slurmctld"]) == account("slurm").uid
    assert _uid(pids["munged"]) == account("munge").uid
    assert _uid(pids["slurmd-n1"]) == 0
    inodes = {
        os.readlink(f"/proc/{pid}/fd/{fd}") for pid in pids.values() for fd in os.listdir(f"/proc/{pid}/fd")
    }  # fmt: skip
    rows = [line.split() for family in ("tcp", "tcp6") for line in _lines(f"/proc/net/{family}")[1:]]
    listening = [row[1].split(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes]
    assert listening == ["0100007F"] * 3


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if os.path.exists(path) else [""]


@pytest.mark.parametrize("user", USERS)
def test_batch_job_runs_as_its_user(lab: Lab, user: str) -> None:
    job = lab.sbatch('id -un; echo "$SLURM_CONF $SLURMD_NODENAME"; pwd', "-w", "n2", "--comment=a; b", user=user)
    fields = lab.wait_job(job, "COMPLETED")
    assert lab.output(job).split("\n")[:3] == [user, f"{lab.slurm_conf} n2", lab.work]
    assert fields["user"] == user
    assert fields["uid"] == str(account(user).uid)
    assert fields["comment"] == "a; b"
    assert (fields["nodes"], fields["required_nodes"], fields["requeue"], fields["batch"]) == ("n2", "n2", "1", "1")
    assert f"JobId={job} " in Path(lab.settings.path("state", "jobcomp")).read_text()


def test_script_text_keeps_its_directives(lab: Lab) -> None:
    job = lab.sbatch("#!/bin/sh\n#SBATCH -J named -C ubuntu&fast\necho ran\n")
    fields = lab.wait_job(job, "COMPLETED")
    assert (fields["name"], fields["features"], fields["nodes"]) == ("named", "ubuntu&fast", "n1")
    assert lab.output(job) == "ran\n"


def test_job_gets_gpus_by_their_place_in_gres_conf(lab: Lab) -> None:
    job = lab.sbatch('echo "$SLURM_JOB_GPUS"; sleep 300', "--gres=gpu:h100:2")
    lab.wait_job(job, "RUNNING")
    lab.wait_until(lambda: lab.output(job), 10, "the job's output")
    assert lab.output(job) == "0,1\n"
    second = lab.sbatch('echo "$SLURM_JOB_GPUS"', "--gres=gpu:1")
    lab.wait_job(second, "COMPLETED")
    assert lab.output(second) == "2\n"
    named = [line.split("File=")[1] for line in _lines(lab.settings.path("gres.conf")) if "File=" in line]
    assert [os.path.basename(path) for path in named] == ["nvidia7", "nvidia5", "nvidia2"]


def test_requeued_job_is_held_then_released_then_runs_again_in_a_hurry(lab: Lab) -> None:
    job = _running(lab, "-x", "n1")
    lab.check_run(["scontrol", "requeuehold", job])
    held = lab.wait_job(job, "PENDING")
    assert (held["priority"], held["restarts"], held["excluded_nodes"]) == ("0", "1", "n1")
    lab.check_run(["scontrol", "update", f"JobId={job}", "AdminComment=moved; x=y"])
    lab.check_run(["scontrol", "release", job])
    lab.hurry(job)
    again = lab.wait_job(job, "RUNNING")
    assert (again["restarts"], again["nodes"], again["admin_comment"]) == ("1", "n2", "moved; x=y")


def test_requeued_job_starts_again_by_itself_after_the_requeue_delay(lab: Lab) -> None:
    job = _running(lab)
    lab.check_run(["scontrol", "requeue", job])
    lab.wait_job(job, "PENDING")
    assert lab.wait_job(job, "RUNNING", timeout=30)["restarts"] == "1"


def test_urgent_partition_preempts_by_requeue(lab: Lab) -> None:
    victim = _running(lab, "-w", "n2", "--exclusive")
    winner = lab.sbatch("sleep 300", "-w", "n2", "-p", "urgent", user="pfbob")
    lab.wait_job(winner, "RUNNING")
    assert lab.wait_job(victim, "PENDING")["restarts"] == "1"


def test_hostile_names_keep_their_place(lab: Lab) -> None:
    name = "a\nb\x1fc Requeue=0 ExcNodeList=n[1-9]"
    job = lab.sbatch("true", "--hold", f"--job-name={name}", "--comment=x\x1fy\nz")
    fields = lab.job(job)
    assert (fields["name"], fields["comment"], fields["excluded_nodes"]) == (name, "x\x1fy\nz", "")
    assert fields["state"] == lab.job_state(job) == "PENDING"


def test_array_tasks_have_job_ids_of_their_own(lab: Lab) -> None:
    array = lab.sbatch("sleep 300", "--array=3,4")
    lab.wait_job(f"{array}_3", "RUNNING")
    lab.wait_job(f"{array}_4", "RUNNING")
    ids = lab.array_ids(array)
    assert set(ids) == {"3", "4"}
    assert len(set(ids.values())) == 2
    assert array in ids.values()
    assert lab.job(f"{array}_3")["id"] == ids["3"]


def test_unknown_job_and_refused_job(lab: Lab) -> None:
    assert lab.job(999999) == {}
    assert lab.job_state(999999) is None
    with pytest.raises(LabError, match=r"sbatch.*status 1"):
        lab.sbatch("true", "-p", "nowhere")


def test_drained_node_keeps_its_reason_until_reset(lab: Lab) -> None:
    assert lab.node_reason("n1") is None
    reason = "preflight:gpu.ecc:gpu3: 2 [x] errors"
    lab.check_run(["scontrol", "update", "NodeName=n1", "State=DRAIN", f"Reason={reason}"])
    assert lab.node_state("n1") == "IDLE+DRAIN"
    assert lab.node_reason("n1") == reason
    lab.reset()
    assert lab.node_state("n1") == "IDLE"


def test_controller_restart_keeps_jobs(lab: Lab) -> None:
    job = _running(lab)
    before = lab.pids()["slurmctld"]
    lab.restart_slurmctld()
    assert lab.pids()["slurmctld"] != before
    assert lab.job_state(job) == "RUNNING"
    lab.stop_slurmctld()
    assert "slurmctld" not in lab.pids()
    assert " is UP" not in lab.run(["scontrol", "ping"]).stdout
    lab.start_slurmctld()
    assert lab.job_state(job) == "RUNNING"


def test_node_restart_keeps_its_step(lab: Lab) -> None:
    job = _running(lab, "-w", "n2")
    lab.stop_node("n2")
    assert processes.steps(lab.directory)
    lab.start_node("n2")
    assert lab.job_state(job) == "RUNNING"


def test_reconfigure_sets_hooks_and_takes_them_back(lab: Lab) -> None:
    ran = Path(lab.work, "hook-ran")
    hook = Path(lab.directory, "hook")
    hook.write_text(f'#!/bin/sh\necho "$SLURM_SCRIPT_CONTEXT $SLURMD_NODENAME" >> {ran}\n')
    hook.chmod(0o755)
    lab.reconfigure("DebugFlags=NO_CONF_HASH", prolog=hook)
    try:
        lab.wait_job(lab.sbatch("true", "-w", "n2"), "COMPLETED")
        assert ran.read_text() == "prolog_slurmd n2\n"
    finally:
        lab.reconfigure("", prolog=None)
    lab.wait_job(lab.sbatch("true", "-w", "n2"), "COMPLETED")
    assert ran.read_text() == "prolog_slurmd n2\n"
    with pytest.raises(TypeError, match="unknown prologue"):
        lab.reconfigure(prologue=hook)


def test_failing_prolog_is_seen_on_node_and_job(lab: Lab) -> None:
    hook = Path(lab.directory, "failing")
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    lab.reconfigure(prolog=hook)
    try:
        job = lab.sbatch("true", "-w", "n2")
        lab.wait_until(lambda: "DRAIN" in lab.node_state("n2"), 30, "the node to drain")
        assert lab.node_reason("n2") == "Prolog error"
        assert lab.wait_job(job, "PENDING")["priority"] == "0"
    finally:
        lab.reconfigure(prolog=None)


def test_prolog_can_move_its_own_job(lab: Lab) -> None:
    hook = Path(lab.directory, "moving")
    hook.write_text(
        "#!/bin/sh\nPATH=/usr/bin:/bin\n[ $SLURMD_NODENAME = n1 ] || exit 0\nscontrol requeuehold $SLURM_JOB_ID &&\n"
        "scontrol update JobId=$SLURM_JOB_ID ExcNodeList=n1 Prefer= && scontrol release $SLURM_JOB_ID\n"
    )
    hook.chmod(0o755)
    lab.reconfigure(prolog=hook)
    try:
        job = lab.sbatch("hostname", "--prefer=fast")
        fields = lab.wait_job(job, "COMPLETED")
    finally:
        lab.reconfigure(prolog=None)
    assert (fields["nodes"], fields["restarts"], fields["excluded_nodes"]) == ("n2", "1", "n1")
    # Just reconfigured: slurmctld has not heard of the node yet, and calls it UNKNOWN.
    lab.wait_until(lambda: lab.node_state("n1") == "IDLE", 30, "n1 to be idle")


def test_waiting_too_long_shows_the_logs(lab: Lab) -> None:
    with pytest.raises(LabTimeout, match=r"waited 0 s for the impossible\n") as caught:
        lab.wait_until(lambda: False, 0, "the impossible")
    assert "--- slurmctld.log" in str(caught.value)
    assert "--- slurmd-n2.log" in str(caught.value)


def test_stop_leaves_no_process_and_no_directory() -> None:
    with Lab() as lab:
        # The second sleep has left the step's session, as a daemon of a user would.
        job = lab.sbatch("setsid sleep 300 & echo $!; sleep 300")
        lab.wait_job(job, "RUNNING")
        lab.wait_until(lambda: lab.output(job), 10, "the job's output")
        left = processes.identify(int(lab.output(job)))
        assert left is not None
        assert len(processes.of_lab(lab.directory)) == 4
        lab.stop()
        assert processes.of_lab(lab.directory) == []
        assert not processes.is_alive(left)
        assert not os.path.exists(lab.directory)


def test_dead_daemon_is_named_at_once() -> None:
    with Lab() as lab:
        os.kill(lab.pids()["slurmctld"], signal.SIGKILL)
        with pytest.raises(LabError, match="slurmctld ended with status -9"):
            lab.wait_until(lambda: False, 60, "anything")


def test_next_start_ends_what_a_crashed_run_left() -> None:
    code = "import os, lab; l = lab.Lab(); l.start(); print(l.directory, flush=True); os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", code], cwd=TESTS, capture_output=True, text=True, check=False)
    left = done.stdout.strip()
    assert done.returncode == -signal.SIGKILL
    assert len(processes.of_lab(left)) == 3
    places.sweep()
    assert processes.of_lab(left) == []
    assert not os.path.exists(left)


def test_stale_pid_file_of_another_program_harms_nobody() -> None:
    bystander = subprocess.Popen(["sleep", "300"])
    try:
        lab = Lab()
        os.makedirs(lab.settings.path("run"))
        Path(lab.settings.path("run", "slurmctld.pid")).write_text(f"{bystander.pid}\n")
        with lab:
            assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_directory_that_users_cannot_reach_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(LabError, match="users cannot pass"):
        Lab(tmp_path / "lab").start()


def test_command_line_prints_the_environment_and_stops_at_a_signal() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "lab", "--nodes", "1"],
        cwd=TESTS,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("export SLURM_CONF=")
        conf = line.strip().partition("=")[2]
        release = releases.chosen()
        release.prepare(os.path.dirname(conf))
        command = release.argv("sinfo", ["-h", "-o", "%N"])
        nodes = subprocess.run(command, env={**os.environ, "SLURM_CONF": conf}, capture_output=True, text=True)
        release.release(os.path.dirname(conf))
        assert nodes.stdout.split()[0] == "n1"
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert processes.of_lab(os.path.dirname(conf)) == []
