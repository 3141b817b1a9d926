"""Placing on a real Slurm by Features: published facts, and a constraint that cli_filter.lua sets for --require."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lab import placing, unavailable
from lab.cluster import Cluster
from lab.placing import NODES, features, publish

pytestmark = pytest.mark.lab
write_filter = partial(placing.write_filter, way="constraint")


@pytest.fixture(scope="module")
def placed() -> Iterator[Cluster]:
    """Three nodes that differ, with the filter at submit; each has published."""
    reason = unavailable()
    if reason:
        pytest.skip(reason)
    with placing.make("constraint") as made:
        for node in NODES:
            publish(made, node)
        yield made


@pytest.fixture
def cluster(placed: Cluster) -> Cluster:
    placed.reset()
    write_filter(placed)
    for node in NODES:
        publish(placed, node)
    placed.forget_calls()
    return placed


def test_published_features_keep_the_sites_own(cluster: Cluster) -> None:
    own = {"os_ubuntu_22.04", "gpu_h100", "arch_x86_64", "cuda_runs_12.999", "driver_550"}
    assert own | {"ubuntu"} <= features(cluster, "ubuntu1")
    assert {"os_rocky_9.4", "gpu_a100", "rocky"} <= features(cluster, "rocky1")
    assert {"os_debian_12", "driver_none", "debian"} <= features(cluster, "debian1")


def test_nothing_changed_is_one_read_and_no_write(cluster: Cluster) -> None:
    assert "unchanged" in publish(cluster, "ubuntu1")
    assert [call.split()[0] for call in cluster.called()] == ["sinfo"]


def test_a_change_is_written_once_and_dry_run_writes_nothing(cluster: Cluster) -> None:
    cluster.set_system("ubuntu1", "rocky")
    assert "would be" in publish(cluster, "ubuntu1", "--dry-run")
    assert "os_ubuntu_22.04" in features(cluster, "ubuntu1")
    assert "now" in publish(cluster, "ubuntu1")
    assert {"os_rocky_9.4", "ubuntu"} <= features(cluster, "ubuntu1")
    assert "os_ubuntu_22.04" not in features(cluster, "ubuntu1")


def test_what_is_cleared_leaves_the_sites_own(cluster: Cluster) -> None:
    assert "is taken back" in publish(cluster, "ubuntu1", "--clear")
    assert features(cluster, "ubuntu1") == {"ubuntu"}
    assert "unchanged" in publish(cluster, "ubuntu1", "--clear")


def test_the_health_check_tells_what_slurm_forgot(cluster: Cluster) -> None:
    forget = ["AvailableFeatures=ubuntu", "ActiveFeatures=ubuntu"]
    cluster.lab.check_run(["scontrol", "update", "NodeName=ubuntu1", *forget])
    assert cluster.health("ubuntu1").returncode == 0
    assert "gpu_h100" in features(cluster, "ubuntu1")


def test_require_alone_starts_on_a_node_that_fits(cluster: Cluster) -> None:
    fits = (("rhel>=9", "rocky1"), ("cuda>=12.4, gpu=h100", "ubuntu1"), ("debian>=12|sles>=15", "debian1"))
    for spec, node in fits:
        gpus = ["--gpus=1"] if "gpu" in spec else []
        done = cluster.lab.wait_job(cluster.lab.sbatch("true", f"--require={spec}", *gpus), "COMPLETED")
        assert (done["nodes"], done["restarts"]) == (node, "0")


def test_a_line_in_the_script_counts_too(cluster: Cluster) -> None:
    job = cluster.lab.sbatch('#!/bin/sh\n#SBATCH --require="rhel>=9"\ntrue\n')
    assert cluster.lab.wait_job(job, "COMPLETED")["nodes"] == "rocky1"


def test_what_nothing_fits_is_refused_at_submit(cluster: Cluster) -> None:
    done = cluster.lab.run(["sbatch", "--require=cuda>=99.0", "--wrap=true"], user="pfalice")
    assert done.returncode != 0
    assert "no node fits cuda>=99.0" in done.stderr


def test_the_users_own_constraint_is_kept(cluster: Cluster) -> None:
    job = cluster.lab.sbatch("true", "--require=ubuntu>=22.04|rhel>=9", "-C", "rocky|debian")
    done = cluster.lab.wait_job(job, "COMPLETED")
    assert done["features"] == "(rocky|debian)&(os_rocky_9.4|os_ubuntu_22.04)"
    assert done["nodes"] == "rocky1"


def test_what_slurm_cannot_be_asked_stays_with_the_prolog(cluster: Cluster) -> None:
    job = cluster.lab.sbatch("true", "--require=mount=/nowhere", "-w", "ubuntu1")
    assert cluster.wait_report(job)["verdict"] == "mismatch"
    assert cluster.lab.job(job)["features"] == ""


@pytest.mark.parametrize("script", [None, "exit 1", "sleep 30", "echo Traceback >&2; exit 2"])
def test_without_a_working_preflight_the_job_goes_through_with_a_warning(cluster: Cluster, script: str | None) -> None:
    program = Path(cluster.directory, "broken")
    program.unlink(missing_ok=True)
    if script:
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
    # Long enough for all but the one that sleeps, whatever else the machine does.
    write_filter(cluster, program=str(program), limit_s=3)
    done = cluster.lab.run(["sbatch", "--parsable", "--require=ubuntu>=22.04", "--wrap=true"], user="pfalice")
    assert done.returncode == 0, done.stderr
    assert "the job is not placed by --require" in done.stderr
    assert cluster.lab.job(done.stdout.strip())["features"] == ""


def test_hostile_text_is_one_word_for_the_shell(cluster: Cluster) -> None:
    mark = f"{cluster.lab.work}/touched"
    own = f"rocky'; touch {mark}; '"
    cluster.lab.run(["sbatch", "--require=rhel>=9", "-C", own, "--wrap=true"], user="pfalice")
    cluster.lab.run(["sbatch", f"--require=os=\"a'; touch {mark}; '\"", "--wrap=true"], user="pfalice")
    assert not Path(mark).exists()


def test_a_sites_own_filter_works_beside_it(cluster: Cluster) -> None:
    site = """
local placed = slurm_cli_pre_submit
function slurm_cli_pre_submit(options, offset)
    options['comment'] = 'by the site'
    return placed(options, offset)
end
"""
    write_filter(cluster, site=site)
    job = cluster.lab.sbatch("true", "--require=rhel>=9")
    done = cluster.lab.wait_job(job, "COMPLETED")
    assert (done["nodes"], done["comment"]) == ("rocky1", "by the site")


def test_a_job_that_asks_nothing_is_left_alone(cluster: Cluster) -> None:
    cluster.forget_calls()
    job = cluster.lab.sbatch("true", "-C", "debian")
    assert cluster.lab.wait_job(job, "COMPLETED")["features"] == "debian"
    assert cluster.called() == []


def test_srun_is_placed_as_well(cluster: Cluster) -> None:
    done = cluster.lab.run(["srun", "--require=rhel>=9", "sh", "-c", "echo $SLURMD_NODENAME"], user="pfalice")
    assert done.stdout.strip() == "rocky1", done.stderr
