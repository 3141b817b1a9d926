"""`preflight sbatch` beside the two other ways of placing: node Extra (24.11, 26.05), and cli_filter.lua."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import placing, unavailable
from lab.cluster import Cluster, sites_of
from lab.placing import NODES, publish

pytestmark = pytest.mark.lab
NEEDS = "#!/bin/bash\n#SBATCH -o out\n#SBATCH --gres=gpu:1\nmodule load cuda/12.4\ntrue\n"


@pytest.fixture(scope="module")
def by_extra() -> Iterator[Cluster]:
    reason = unavailable() or placing.lacks("extra")
    if reason:
        pytest.skip(reason)
    parameters = "batch_sched_delay=0,sched_interval=1,bf_interval=1,bf_resolution=1,extra_constraints"
    made = Cluster(list(sites_of(*NODES)), "[publish]\nenabled = true\n", f"SchedulerParameters={parameters}")
    with made as cluster:
        for node in NODES:
            publish(cluster, node)
        yield cluster


@pytest.fixture(scope="module")
def filtered() -> Iterator[Cluster]:
    reason = unavailable()
    if reason:
        pytest.skip(reason)
    with placing.make("constraint") as cluster:
        for node in NODES:
            publish(cluster, node)
        yield cluster


def submit(cluster: Cluster, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    command = [f"{cluster.prefix}/bin/preflight", "sbatch", "--parsable", *words]
    return cluster.lab.run(command, user="pfalice", stdin=stdin)


def extras(cluster: Cluster, job: str) -> list[str]:
    """Return what each component of the job has for --extra, the leader first."""
    shown = cluster.lab.check_run(["scontrol", "show", "job", job.strip(), "-o"])
    found = [dict(pair.split("=", 1) for pair in line.split(" ") if "=" in pair) for line in shown.splitlines()]
    return [row.get("Extra", "") for row in sorted(found, key=lambda row: int(row["JobId"]))]


def test_extra_places(by_extra: Cluster) -> None:
    by_extra.reset()
    done = submit(by_extra, "--require=os=rocky", "--wrap=true", "-o", "out")
    assert done.returncode == 0
    assert done.stderr == "preflight: added --extra=os=rocky; 1 of 3 nodes fits now\n"
    assert by_extra.lab.wait_job(done.stdout.strip(), "COMPLETED")["nodes"] == "rocky1"


def test_extra_is_taken_back_from_the_next_component(by_extra: Cluster) -> None:
    by_extra.reset()
    words = ("-H", "--comment=require: os=rocky", ":", "--comment=", "-N1", "--wrap=true")
    done = submit(by_extra, *words)
    assert done.returncode == 0
    assert done.stderr == "preflight: component 0: added --extra=os=rocky; 1 of 3 nodes fits now\n"
    assert extras(by_extra, done.stdout) == ["os=rocky", "cpus>=1"]


def test_what_nothing_fits_waits_and_is_said(by_extra: Cluster) -> None:
    by_extra.reset()
    done = submit(by_extra, "--require=os=sles", "--wrap=true")
    assert done.returncode == 0
    assert "no node fits" in done.stderr
    assert extras(by_extra, done.stdout) == ["os=sles"]


def test_the_filter_places_and_is_not_done_again(filtered: Cluster) -> None:
    filtered.reset()
    done = submit(filtered, "-H", "--require=os=rocky", "-C", "ubuntu|rocky", "--wrap=true")
    assert (done.returncode, done.stderr) == (0, "")
    assert filtered.lab.job(done.stdout.strip())["features"] == "(ubuntu|rocky)&os_rocky_9.4"


def test_needs_bind_through_the_filter(filtered: Cluster) -> None:
    filtered.reset()
    done = submit(filtered, "--infer=require", "--require=os=ubuntu", stdin=NEEDS)
    assert done.returncode == 0, done.stderr
    features = filtered.lab.job(done.stdout.strip())["features"]
    assert "os_ubuntu_22.04" in features
    assert "cuda_runs_" in features


def test_needs_bind_the_component_that_has_them(filtered: Cluster) -> None:
    filtered.reset()
    lines = NEEDS.replace("module", "#SBATCH hetjob\n#SBATCH -N1\nmodule")
    done = submit(filtered, "-H", "--infer=require", stdin=lines)
    assert done.returncode == 0, done.stderr
    rows = filtered.lab.check_run(["squeue", "-h", "-j", done.stdout.strip(), "-o", "%A %f"]).splitlines()
    found = [row.split()[1] for row in sorted(rows, key=lambda row: int(row.split()[0]))]
    assert "cuda_runs_" in found[0]
    assert found[1] == "(null)"


def test_without_the_plugin_needs_go_into_the_comment(filtered: Cluster) -> None:
    filtered.reset()
    stack = Path(filtered.directory, "plugstack.conf")
    kept = stack.read_bytes()
    stack.write_bytes(b"")
    try:
        done = submit(
            filtered,
            "-H",
            "--infer=require",
            "--comment=mine",
            stdin=NEEDS.replace("module load cuda/12.4", "srun apptainer exec a.sif ./a"),
        )
    finally:
        stack.write_bytes(kept)
    assert done.returncode == 0, done.stderr
    job = filtered.lab.job(done.stdout.strip())
    assert job["comment"] == "mine; require: container=apptainer"
