"""GPUs by File= lines as sites write them: two types interleaved in an included file, a short Gres=, AMD's devices."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import unavailable
from lab.cluster import Cluster, Site
from nvml import sim

pytestmark = pytest.mark.lab

# NVML's order with minor numbers: H100 2, A100 3, H100 0, A100 1.
MIXED = sim.scenario(
    sim.example("h100x2"),
    {"gpus": 4, "gpu.0.minor": 2, "gpu.1.minor": 3, "gpu.2.minor": 0, "gpu.3.minor": 1, "seed": "gres"},
    {f"gpu.{gpu}.name": "NVIDIA A100-SXM4-40GB" for gpu in (1, 3)},
    {f"gpu.{gpu}.memory.total": 42949672960 for gpu in (1, 3)},
    {f"gpu.{gpu}.compute_capability": "8.0" for gpu in (1, 3)},
)
GRES = """
Include generated_gres.conf
NodeName=short1 Name = "gpu" File = "DEV/nvidia[0-2]"
NodeName=mps1 Name=gpu File=DEV/nvidia[1,0]
NodeName=mps1 Name=mps Count=200
NodeName=amd1 Name=gpu Type=mi250 File=DEV/renderD[128-129]
"""
# slurm.conf has a100 first: 0 is minor 1 (NVML's 3), 1 is minor 3 (NVML's 1), 2 is minor 0 (NVML's 2).
GENERATED = "".join(
    f"NodeName=two1 Name=gpu Type={kind} \\\n    File=DEV/nvidia{minor}  # as a tool writes it\n"
    for minor, kind in enumerate(("h100", "a100", "h100", "a100"))
)


@pytest.fixture(scope="module")
def shared() -> Iterator[Cluster]:
    if reason := unavailable():
        pytest.skip(reason)
    sites = [
        Site("two1", scenario=MIXED, minors=(0, 1, 2, 3), gres="gpu:a100:2,gpu:h100:2"),
        Site("short1", scenario=sim.example("h100x2"), minors=(0, 1, 2), gres="gpu:2"),
        Site("mps1", scenario=sim.example("h100x2"), minors=(0, 1), gres="gpu:2,mps:200"),
        Site("amd1", gres="gpu:mi250:2"),
    ]
    cluster = Cluster(sites, gres_conf=GRES, extra="GresTypes=gpu,mps")
    place = Path(cluster.directory)
    (place / "dev").mkdir(exist_ok=True)
    for number in (128, 129):
        os.mknod(place / "dev" / f"renderD{number}", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    (place / "generated_gres.conf").write_text(GENERATED.replace("DEV", f"{place}/dev"))
    with cluster:
        yield cluster


@pytest.fixture
def cluster(shared: Cluster) -> Iterator[Cluster]:
    shared.reset()
    yield shared
    shared.lift_faults()


def _judged(cluster: Cluster, *options: str, script: str = "true") -> tuple[str, dict[str, Any]]:
    job = cluster.lab.sbatch(script, *options)
    return job, cluster.wait_report(job)


def test_types_come_in_the_order_of_slurm_conf(cluster: Cluster) -> None:
    first, one = _judged(
        cluster, "-w", "two1", "--gres=gpu:a100:1", "--require=gpu=a100, gpu.memory<=45G", script="sleep 30"
    )
    second, two = _judged(cluster, "-w", "two1", "--gres=gpu:h100:2", "--require=gpu=h100, gpu.count=2")
    assert [report["verdict"] for report in (one, two)] == ["ready", "ready"]
    assert (one["job"]["gpus"], two["job"]["gpus"]) == ([3], [2, 0])
    cluster.lab.wait_job(second, "COMPLETED")
    assert cluster.lab.job_state(first) == "RUNNING"
    assert cluster.called() == []


def test_a_sick_gpu_stops_the_job_that_has_it(cluster: Cluster) -> None:
    cluster.set_gpus("two1", MIXED, {"gpu.3.ecc.uncorrected.volatile": 2})
    sound, one = _judged(cluster, "-w", "two1", "--gres=gpu:h100:2", script="sleep 3")
    assert one["action"]["kind"] == "none"
    _, two = _judged(cluster, "-w", "two1", "--gres=gpu:a100:1")
    assert (two["verdict"], two["action"]["kind"]) == ("unhealthy", "drain")
    assert [row["subject"] for row in two["findings"] if row["status"] == "fail"] == ["gpu3"]
    cluster.lab.wait_job(sound, "COMPLETED")


def test_a_file_beyond_gres_is_nobodys(cluster: Cluster) -> None:
    cluster.health("short1")
    report = cluster.health_report("short1")
    (row,) = [row for row in report["findings"] if row["check"] == "gpu.present"]
    assert (row["status"], [one for one in report["findings"] if one["status"] == "fail"]) == ("pass", [])
    _, report = _judged(cluster, "-w", "short1", "--gres=gpu:2", "--require=gpu.count=2")
    assert report["verdict"] == "ready"


def test_an_mps_job_is_judged_by_its_gpu(cluster: Cluster) -> None:
    """Its number counts the lines of the GPUs: 0 is minor 1."""
    job, report = _judged(cluster, "-w", "mps1", "--gres=mps:50", "--require=gpu=h100, gpu.count=1")
    assert (report["verdict"], report["job"]["gpus"]) == ("ready", [1])
    cluster.lab.wait_job(job, "COMPLETED")
    cluster.set_gpus("mps1", sim.example("h100x2"), {"gpu.1.ecc.uncorrected.volatile": 2})
    _, report = _judged(cluster, "-w", "mps1", "--gres=mps:50")
    assert report["verdict"] == "unhealthy"


def test_another_vendors_gpus_drain_nothing(cluster: Cluster) -> None:
    job, report = _judged(cluster, "-w", "amd1", "--gres=gpu:mi250:1")
    rows = {row["check"]: row for row in report["findings"] if row["check"] in ("gpu.present", "driver.loaded")}
    assert {name: row["status"] for name, row in rows.items()} == {"gpu.present": "skip", "driver.loaded": "skip"}
    assert "renderD128" in rows["gpu.present"]["message"]
    assert report["verdict"] == "ready"
    cluster.lab.wait_job(job, "COMPLETED")
    cluster.health("amd1")
    assert cluster.health_report("amd1")["verdict"] == "ready"
    assert "DRAIN" not in cluster.lab.node_state("amd1")
    assert cluster.called() == []


def test_a_users_own_variables_do_not_reach_the_prolog(cluster: Cluster) -> None:
    uuid = "GPU-00000000-0000-0000-0000-000000000000"
    export = f"--export=ALL,CUDA_VISIBLE_DEVICES={uuid},SLURM_JOB_GPUS=3,SLURM_CONF=/tmp/none"
    _, report = _judged(cluster, "-w", "two1", "--gres=gpu:a100:1", export)
    assert (report["verdict"], report["job"]["gpus"]) == ("ready", [3])
    _, report = _judged(cluster, "-w", "two1", export)
    assert (report["verdict"], report["job"]["gpus"]) == ("ready", [])


def test_a_hook_knows_the_slurmd_that_runs_it(cluster: Cluster) -> None:
    _judged(cluster, "-w", "two1", "--gres=gpu:a100:1")
    kept = json.loads(Path(cluster.run_dir, "gres-two1.json").read_text())
    assert kept["key"][0] == cluster.directory
    assert kept["key"][1].startswith("/usr/sbin/slurmd")
    assert kept["key"][2] == cluster.lab.pids()["slurmd-two1"]
    assert kept["gres"][4] // 100 == cluster.release.version()[0]
