"""Placing on a real Slurm by node Extra JSON: releases that have it (24.11, 26.05); skipped on others."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import releases, unavailable
from lab.cluster import Cluster, sites_of
from lab.test_place import publish

pytestmark = pytest.mark.lab
ROOT = Path(__file__).parents[2]
NODES = ("ubuntu1", "rocky1", "debian1")
PARAMETERS = "batch_sched_delay=0,sched_interval=1,bf_interval=1,bf_resolution=1,extra_constraints"


@pytest.fixture(scope="module")
def placed() -> Iterator[Cluster]:
    """Three nodes that differ; slurm.conf turns extra_constraints on, and the filter sets --extra."""
    release = releases.chosen()
    reason = unavailable(release)
    if reason:
        pytest.skip(reason)
    if release.version() < (24, 5):
        pytest.skip("this Slurm has no extra_constraints")
    extra = f"CliFilterPlugins=cli_filter/lua\nSchedulerParameters={PARAMETERS}"
    made = Cluster(list(sites_of(*NODES)), policy="[publish]\nenabled = true\n", extra=extra)
    shutil.copy(ROOT / "slurm_plugin/cli_filter.lua", f"{made.directory}/preflight_cli_filter.lua")
    Path(made.directory, "cli_filter.lua").write_text(
        f'preflight = {{ program = "{made.prefix}/bin/preflight", to = "extra", limit_s = 5 }}\n'
        f'dofile("{made.directory}/preflight_cli_filter.lua")\n',
        encoding="utf-8",
    )
    with made:
        yield made


@pytest.fixture
def cluster(placed: Cluster) -> Cluster:
    placed.reset()
    for node in NODES:
        publish(placed, node)
    placed.forget_calls()
    return placed


def extra(cluster: Cluster, node: str) -> dict[str, object]:
    text = cluster.lab.check_run(["sinfo", "-h", "-N", "-n", node, "-O", "Extra:8192"]).splitlines()[0].strip()
    found: dict[str, object] = json.loads(text)
    return found


def set_extra(cluster: Cluster, node: str, text: str) -> None:
    cluster.lab.check_run(["scontrol", "update", f"NodeName={node}", f"Extra={text}"])


def test_published_extra_keeps_what_is_not_ours(cluster: Cluster) -> None:
    set_extra(cluster, "ubuntu1", '{"rack":"r1","cuda":1}')
    publish(cluster, "ubuntu1")
    found = extra(cluster, "ubuntu1")
    assert (found["rack"], found["os"], found["cuda_runs"]) == ("r1", "ubuntu", 12999000)
    cluster.forget_calls()
    assert "unchanged" in publish(cluster, "ubuntu1")
    assert [call.split()[0] for call in cluster.called()] == ["sinfo"]


@pytest.mark.parametrize(
    ("spec", "node"),
    [
        ("cuda>=12.4", "ubuntu1"),
        ("rhel>=9", "rocky1"),
        ("rhel>=9|ubuntu>=23, driver<550", "rocky1"),
        ("!os=debian, !rhel>=9", "ubuntu1"),
        ("debian>=12, driver!=550", "debian1"),
        ("gpu=a100|gpu.memory>=90G", "rocky1"),
        ("driver~=550.54", "ubuntu1"),
    ],
)
def test_require_alone_starts_where_it_fits(cluster: Cluster, spec: str, node: str) -> None:
    gpus = ["--gpus=1"] if "gpu" in spec else []
    job = cluster.lab.sbatch("true", f"--require={spec}", *gpus)
    done = cluster.lab.wait_job(job, "COMPLETED")
    assert (done["nodes"], done["restarts"]) == (node, "0")


def test_what_nothing_fits_waits_and_starts_when_a_node_does(cluster: Cluster) -> None:
    job = cluster.lab.sbatch("true", "--require=ubuntu>=24.04|fedora>=40")

    def waits() -> bool:
        return cluster.lab.job(job)["reason"] == "Constraints"

    cluster.lab.wait_until(waits, 20, "reason Constraints")
    facts = cluster.preflight("facts", "--json").stdout
    document = json.loads(facts)
    document["node"] = "debian1"
    document["facts"]["os"] = {"id": "ubuntu", "version": "24.04", "like": ["debian"]}
    path = Path(cluster.lab.work, "expected.json")
    path.write_text(json.dumps(document), encoding="utf-8")
    publish(cluster, "debian1", "--node", "debian1", "--facts", str(path))
    assert cluster.lab.wait_job(job, ("RUNNING", "COMPLETED", "COMPLETING"))["nodes"] == "debian1"


def test_the_users_own_extra_is_kept(cluster: Cluster) -> None:
    set_extra(cluster, "rocky1", json.dumps({**extra(cluster, "rocky1"), "rack": "r1"}))
    job = cluster.lab.sbatch("true", "--require=rhel>=9|ubuntu>=22.04", "--extra=rack=r1|rack=r2")
    assert cluster.lab.wait_job(job, "COMPLETED")["nodes"] == "rocky1"


def test_a_node_that_forgot_is_told_by_its_health_check(cluster: Cluster) -> None:
    set_extra(cluster, "ubuntu1", '{"rack":"r1"}')
    assert cluster.health("ubuntu1").returncode == 0
    assert extra(cluster, "ubuntu1")["gpu_name_h100"] == 1
