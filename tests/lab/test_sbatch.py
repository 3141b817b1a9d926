"""`preflight sbatch` on a real Slurm: it places by Features, says little, and is sbatch in all else."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from lab import unavailable
from lab.cluster import Cluster, sites_of
from lab.placing import publish
from unit import gpu_code_samples as samples

pytestmark = pytest.mark.lab
NODES = ("ubuntu1", "rocky1", "debian1")
ENABLED = "[publish]\nenabled = true\nvia = 'features'\n"
JOB = "#!/bin/sh\n#SBATCH -o job.out\necho node=$SLURMD_NODENAME args=$* mine=$MINE name=$SLURM_JOB_NAME\n"


@pytest.fixture(scope="module")
def placed() -> Iterator[Cluster]:
    reason = unavailable()
    if reason:
        pytest.skip(reason)
    with Cluster(list(sites_of(*NODES)), policy=ENABLED) as made:
        yield made


@pytest.fixture
def cluster(placed: Cluster) -> Cluster:
    placed.reset()
    for node in NODES:
        publish(placed, node)
    for path in Path(placed.lab.work).iterdir():
        path.unlink()
    return placed


def submit(
    cluster: Cluster, *words: str, stdin: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `preflight sbatch` as a user, in the directory where the jobs run."""
    command = [f"{cluster.prefix}/bin/preflight", "sbatch", *words]
    return cluster.lab.run(command, user="pfalice", env=env, stdin=stdin)


def script(cluster: Cluster, text: str = JOB, name: str = "job.sh") -> str:
    (Path(cluster.lab.work) / name).write_text(text, encoding="utf-8")
    return name


def landed(cluster: Cluster, job: str) -> str:
    """Return the node on which the job ran to its end."""
    return cluster.lab.wait_job(job, "COMPLETED")["nodes"]


def only_told(done: subprocess.CompletedProcess[str]) -> bool:
    """Tell whether sbatch took the job and nothing is on stderr but what was added."""
    return done.returncode == 0 and all(
        line.startswith(("preflight: added --constraint=", "preflight: component "))
        for line in done.stderr.splitlines()
    )


def components(cluster: Cluster, leader: str) -> list[str]:
    """Return what each component of a heterogeneous job has for its constraint, the leader first."""
    rows = cluster.lab.check_run(["squeue", "-h", "-j", leader.strip(), "-o", "%A %f"]).splitlines()
    return [row.split()[1] for row in sorted(rows, key=lambda row: int(row.split()[0]))]


@pytest.mark.parametrize(("asks", "node"), [("os=rocky", "rocky1"), ("debian>=12", "debian1"), ("ubuntu", "")])
def test_the_job_lands_where_it_fits(cluster: Cluster, asks: str, node: str) -> None:
    done = submit(cluster, "--parsable", f"--require={asks}", script(cluster))
    if not node:  # sbatch's plugin refuses the requirement, in its own words
        assert done.returncode != 0
        assert "ubuntu needs an operator" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().isdigit()
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("preflight: added --constraint=")
    assert lines[0].endswith("; 1 of 3 nodes fits now")
    assert landed(cluster, done.stdout.strip()) == node


def test_the_users_own_constraint_stays(cluster: Cluster) -> None:
    done = submit(cluster, "--parsable", "-C", "ubuntu|rocky", "--require=os=rocky", script(cluster))
    job = cluster.lab.job(done.stdout.strip())
    assert job["features"] == "(ubuntu|rocky)&os_rocky_9.4"
    assert landed(cluster, job["id"]) == "rocky1"


def test_a_job_that_asks_nothing_is_left_alone(cluster: Cluster) -> None:
    done = submit(cluster, "-J", "mine", script(cluster), "a b", "--strict", ":", env={"MINE": "passed on"})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Submitted batch job ")
    job = done.stdout.split()[-1]
    assert cluster.lab.job(job)["features"] == ""
    landed(cluster, job)
    said = (Path(cluster.lab.work) / "job.out").read_text(encoding="utf-8")
    # A lone ":" among a script's arguments is dropped by sbatch itself.
    assert said.partition(" ")[2] == "args=a b --strict mine=passed on name=mine\n"


def test_a_script_on_stdin(cluster: Cluster) -> None:
    done = submit(cluster, "--parsable", "--require=os=debian", stdin=JOB + "#" * 100_000)
    assert only_told(done), done.stderr
    assert landed(cluster, done.stdout.strip()) == "debian1"
    with Path(cluster.lab.work, script(cluster)).open(encoding="utf-8") as from_file:
        again = subprocess.run(
            # Root's, who may be kept from writing to another's file in a sticky directory (fs.protected_regular).
            cluster.lab.release.argv(
                f"{cluster.prefix}/bin/preflight", ["sbatch", "-o", "root.out", "--parsable", "--require=os=rocky"]
            ),
            stdin=from_file, capture_output=True, text=True, check=False, cwd=cluster.lab.work,
            env={"PATH": os.environ["PATH"], **cluster.lab.environment()},
        )  # fmt: skip
    assert only_told(again), again.stderr
    assert landed(cluster, again.stdout.strip()) == "rocky1"


def test_wrap_and_an_array(cluster: Cluster) -> None:
    done = submit(cluster, "--parsable", "--array=1-2", "--require=os=rocky", "--wrap", "true", "-o", "out")
    assert only_told(done), done.stderr
    for task in (1, 2):
        assert landed(cluster, f"{done.stdout.strip()}_{task}") == "rocky1"


def test_each_component_is_placed_by_its_own(cluster: Cluster) -> None:
    words = ("--parsable", "--require=os=rocky", ":", "--require=os=debian", "-N1", script(cluster))
    done = submit(cluster, *words)
    assert only_told(done), done.stderr
    assert components(cluster, done.stdout) == ["os_rocky_9.4", "os_debian_12"]
    for number, node in enumerate(("rocky1", "debian1")):
        assert cluster.wait_report(int(done.stdout) + number)["node"] == node


def test_components_of_the_script(cluster: Cluster) -> None:
    text = "#!/bin/sh\n#SBATCH --require=os=rocky\n#SBATCH hetjob\n#SBATCH --require=os=debian\ntrue\n"
    done = submit(cluster, "--parsable", "-H", script(cluster, text))
    assert only_told(done), done.stderr
    assert components(cluster, done.stdout) == ["os_rocky_9.4", "os_debian_12"]


def test_the_next_component_keeps_the_requirement_as_in_sbatch(cluster: Cluster) -> None:
    words = ["--parsable", "--require=os=debian", ":", "-N1", "--wrap=true"]
    done = submit(cluster, "-H", *words)
    assert components(cluster, done.stdout) == ["os_debian_12", "os_debian_12"]
    plain = cluster.lab.check_run(["sbatch", *words], user="pfalice")
    for job in (int(plain), int(plain) + 1):
        assert cluster.wait_report(job)["requirement"]["text"] == "os=debian"


ERRORS = {
    "a partition that is not there": ["-p", "nowhere", "job.sh"],
    "no such script": ["no-such.sh"],
    "an unknown letter": ["-j", "job.sh"],
    "an unknown option": ["--unknown-option", "job.sh"],
    "a value that is missing": ["-N"],
    "nodes that are no number": ["-N", "many", "job.sh"],
    "a script that is none": ["plain"],
    "lines of Windows": ["dos.sh"],
    "a directory": ["."],
    "a binary": ["binary"],
    "an empty stdin": [],
    "the version": ["--version"],
    "the usage": ["--usage"],
    "a test only": ["--test-only", "-p", "nowhere", "job.sh"],
}


@pytest.mark.parametrize("name", ERRORS)
def test_exit_code_and_words_are_those_of_sbatch(cluster: Cluster, name: str) -> None:
    script(cluster)
    script(cluster, "echo no shebang\n", "plain")
    script(cluster, JOB.replace("\n", "\r\n"), "dos.sh")
    script(cluster, "#!/bin/sh\n\0\n", "binary")
    plain = cluster.lab.run(["sbatch", *ERRORS[name]], user="pfalice")
    done = submit(cluster, *ERRORS[name])
    assert done.returncode == plain.returncode
    assert done.stdout == plain.stdout
    theirs = [line for line in done.stderr.splitlines() if not line.startswith("preflight: ")]
    # getopt begins a line with the name by which it was called.
    assert [line.rpartition("sbatch:")[2] for line in theirs] == [
        line.rpartition("sbatch:")[2] for line in plain.stderr.splitlines()
    ]
    assert len(done.stderr.splitlines()) - len(theirs) <= 2


def test_exit_code_of_a_job_that_is_waited_for(cluster: Cluster) -> None:
    done = submit(cluster, "--wait", "--require=os=rocky", stdin="#!/bin/sh\n#SBATCH -o out\nexit 7\n")
    assert done.returncode == 7


def test_strict_refuses_where_nothing_fits(cluster: Cluster) -> None:
    before = cluster.lab.check_run(["squeue", "-h"])
    done = submit(cluster, "--strict", "--require=os=sles", script(cluster))
    assert (done.returncode, done.stdout) == (3, "")
    assert "no node fits" in done.stderr
    assert "not submitted (--strict)" in done.stderr
    assert cluster.lab.check_run(["squeue", "-h"]) == before
    done = submit(cluster, "--strict", "--parsable", "--require=os=rocky", script(cluster))
    assert only_told(done), done.stderr


NEEDS = "#!/bin/bash\n#SBATCH --gres=gpu:1 -o out\nmodule load cuda/12.4\ntrue\n"


def test_needs_of_the_script_warn(cluster: Cluster) -> None:
    done = submit(cluster, "--parsable", script(cluster, NEEDS))
    assert done.returncode == 0
    assert "line 3: module load cuda/12.4 needs cuda>=12.4, not on rocky1" in done.stderr
    assert cluster.lab.job(done.stdout.strip())["features"] == ""
    assert submit(cluster, "--parsable", "--infer=off", script(cluster, NEEDS)).stderr == ""


def test_needs_of_the_script_bind(cluster: Cluster) -> None:
    text = f"{NEEDS}srun --container-image=nvcr.io/nvidia/cuda:12.6.3-base-ubuntu22.04 true\n"
    done = submit(cluster, "--parsable", "-H", "--infer", "require", script(cluster, text))
    assert done.returncode == 0, done.stderr
    job = cluster.lab.job(done.stdout.strip())
    assert "cuda_runs_" in job["features"]
    said = " ".join(done.stderr.replace("preflight:", "").split())
    # A number of GPUs is Slurm's to count; of an image that is not here only its name tells a CUDA.
    assert "added --require='module=cuda/12.4, cuda>=12.4, container=enroot'" in said
    assert done.stdout.strip().isdigit()


def test_an_unknown_value_of_ours(cluster: Cluster) -> None:
    done = submit(cluster, "--infer=maybe", script(cluster))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "preflight: --infer=maybe: give one of warn, require, off\n"


def test_a_plan_that_breaks_lets_the_job_through(cluster: Cluster) -> None:
    (plan,) = Path(cluster.prefix).glob("versions/*/lib/preflight/submit/plan/make.py")
    kept = plan.read_bytes()
    plan.write_text("raise RuntimeError('broken\\nby the test')\n", encoding="utf-8")
    try:
        done = submit(cluster, "--parsable", "--strict", "--require=os=rocky", stdin=JOB)
    finally:
        plan.write_bytes(kept)
    assert done.returncode == 0
    assert done.stdout.strip().isdigit()
    assert done.stderr == "preflight: not planned, so not placed by Preflight: RuntimeError: broken\n"
    assert cluster.lab.job(done.stdout.strip())["features"] == ""


def test_without_a_controller_nothing_is_submitted(cluster: Cluster) -> None:
    """sbatch would look for one for some 10 s; its exit status is the same. A job for other clusters is sbatch's."""
    lab = cluster.lab
    lab.stop_slurmctld()
    try:
        down = submit(cluster, script(cluster))
        piped = submit(cluster, "--parsable", stdin=JOB, env={"SLURM_EXIT_ERROR": "7"})
        plain = lab.run(["sbatch", "job.sh"], user="pfalice", env={"SLURM_EXIT_ERROR": "7"})
        away = [submit(cluster, "-Mother", "job.sh"), submit(cluster, stdin=f"#!/bin/sh\n#SBATCH -M other\n{JOB}")]
        planned = lab.run([f"{cluster.prefix}/bin/preflight", "plan", "job.sh"], user="pfalice")
    finally:
        lab.start_slurmctld()
        lab.wait_nodes()
    for done, code in ((down, 1), (piped, 7)):
        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr.startswith("preflight: not submitted: no controller answers: Slurmctld(primary) at ")
        assert len(done.stderr.splitlines()) == 1
    assert plain.returncode == 7
    for done in away:
        assert done.returncode != 0
        assert "preflight: not planned, so not placed by Preflight: no controller answers" in done.stderr
        assert "sbatch: error: " in done.stderr
    assert planned.returncode == 2
    assert "no controller answers" in planned.stdout
    assert lab.check_run(["squeue", "-h"]) == ""


def test_a_controller_that_takes_connections_and_is_silent_is_left_to_sbatch(cluster: Cluster) -> None:
    """It may be busy: sbatch waits for it, and what it took it may start later."""
    pid = cluster.lab.pids()["slurmctld"]
    os.kill(pid, signal.SIGSTOP)
    try:
        done = submit(cluster, script(cluster))
    finally:
        os.kill(pid, signal.SIGCONT)
    ours, its = done.stderr.splitlines()
    assert ours.startswith("preflight: not planned, so not placed by Preflight: slurmctld did not answer within ")
    assert its.startswith("sbatch: error: ")
    assert done.returncode == 1


def test_the_help_is_ours_and_short(cluster: Cluster) -> None:
    done = submit(cluster, "--help")
    assert done.returncode == 0
    assert "--strict" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def environment(cluster: Cluster, *targets: int) -> str:
    """Make an environment of Python's whose PyTorch has code for some targets; return its name beside the scripts."""
    place = Path(cluster.lab.work, f"env-{'-'.join(map(str, targets))}")
    library = samples.library([samples.container(*map(samples.image, targets))], needed=["libcudart.so.11.0"])
    samples.install(place / "lib/python3.11/site-packages", "torch", "2.7", {"torch/lib/libtorch_cuda.so": library})
    (place / "bin").mkdir()
    (place / "bin/activate").touch()
    (place / "pyvenv.cfg").write_text("home = /usr/bin\n", encoding="utf-8")
    return place.name


def test_a_job_on_gpus_that_its_environment_has_no_code_for_learns_why(cluster: Cluster) -> None:
    """rocky1 has A100s (8.0), ubuntu1 H100s (9.0): without placing a job may come to either."""
    only = environment(cluster, 90)
    text = f"#!/bin/sh\n#SBATCH --gpus=1 -o job.out\nsource {cluster.lab.work}/{only}/bin/activate\ntrue\n"
    jobs = {}
    for node in ("rocky1", "ubuntu1"):
        done = submit(cluster, "--parsable", "-w", node, script(cluster, text))
        assert done.returncode == 0, done.stderr
        assert "--gpu-code" not in done.stderr
        jobs[node] = done.stdout.strip()
        assert landed(cluster, jobs[node]) == node
    found = {}
    for node, job in jobs.items():
        report = cluster.wait_report(int(job))
        (found[node],) = [one for one in report["findings"] if one["check"] == "gpu.code"]
        assert (report["node"], report["action"]["kind"]) == (node, "none")
        assert only not in str(found[node])
    assert (found["rocky1"]["status"], found["ubuntu1"]["status"]) == ("warn", "pass")
    assert found["rocky1"]["subject"] == found["ubuntu1"]["subject"]
    assert "needs sm_90; the job has 1 GPU with compute capability 8.0" in found["rocky1"]["message"]
    assert "DRAIN" not in cluster.lab.node_state("rocky1")
    for command in ("why", "report"):
        told = cluster.lab.check_run([f"{cluster.prefix}/bin/preflight", command, jobs["rocky1"]], user="pfalice")
        assert "no kernel image" in " ".join(told.split())
