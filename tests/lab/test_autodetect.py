"""AutoDetect=nvml by Slurm's own plugin: each job is judged by the GPUs, the slice or the shard that Slurm gave it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lab import Release, placing, releases, unavailable
from lab.cluster import Cluster, Site
from nvml import sim

pytestmark = pytest.mark.lab

# NVML's order, Slurm's positions with it: H100, A100, H100, A100. Minors are in no order at all.
MIXED = sim.scenario(
    sim.example("h100x2"),
    sim.near_every_cpu(),
    {"gpus": 4, "gpu.0.minor": 2, "gpu.1.minor": 3, "gpu.2.minor": 0, "gpu.3.minor": 1, "seed": "mixed"},
    {f"gpu.{gpu}.name": "NVIDIA A100-SXM4-40GB" for gpu in (1, 3)},
    {f"gpu.{gpu}.memory.total": 42949672960 for gpu in (1, 3)},
    {f"gpu.{gpu}.compute_capability": "8.0" for gpu in (1, 3)},
)
# A whole A100 of 80 GB (minor 1), and one cut in 3g.40gb, 2g.20gb, 1g.10gb (minor 0).
CUT = sim.scenario(sim.example("mig"), sim.near_every_cpu(), {"gpu.0.minor": 1, "gpu.1.minor": 0})
FILTER = "CliFilterPlugins=cli_filter/lua"
SHARED = sim.scenario(sim.example("h100x2"), sim.near_every_cpu(), {"gpu.0.minor": 1, "gpu.1.minor": 0})


def _largest(release: Release) -> str:
    """Return the type of the 3g.40gb: 22.05 rounds a MIG device's memory down."""
    return "3g.39gb" if release.version() < (23, 0) else "3g.40gb"


def _sick(gpu: int) -> dict[str, object]:
    return {f"gpu.{gpu}.ecc.uncorrected.volatile": 2, f"gpu.{gpu}.ecc.uncorrected.aggregate": 2}


def _parts_mig(release: Release) -> bool:
    """Whether it takes MIG devices apart, file by file, where GresTypes has shard; jobs get other devices then."""
    return release.version() < (23, 0)


def _mig_site(release: Release) -> Site:
    return Site("cut1", scenario=CUT, gres=f"gpu:{_largest(release)}:1,gpu:2g.20gb:1,gpu:1g.10gb:1,gpu:sxm4:1")


@pytest.fixture(scope="module")
def detected() -> Iterator[Cluster]:
    """Two types, shards, and MIG where the release can have that beside shards."""
    if reason := unavailable():
        pytest.skip(reason)
    release = releases.chosen()
    sites = [
        Site("mixed1", scenario=MIXED, gres="gpu:a100:2,gpu:h100:2"),
        Site("shared1", scenario=SHARED, gres="gpu:2,shard:8"),
    ]
    if not _parts_mig(release):
        sites.append(_mig_site(release))
    with Cluster(sites, extra=f"GresTypes=gpu,shard\n{FILTER}", release=release) as cluster:
        placing.write_filter(cluster, "constraint")
        yield cluster


@pytest.fixture(scope="module")
def cut(detected: Cluster) -> Iterator[Cluster]:
    """The cluster that has the node with MIG."""
    if not _parts_mig(detected.release):
        yield detected
        return
    release = releases.chosen()
    with Cluster([_mig_site(release)], extra=FILTER, release=release) as cluster:
        placing.write_filter(cluster, "constraint")
        yield cluster


@pytest.fixture
def cluster(detected: Cluster) -> Iterator[Cluster]:
    detected.reset()
    yield detected
    detected.lift_faults()


@pytest.fixture
def mig(cut: Cluster) -> Iterator[Cluster]:
    cut.reset()
    yield cut
    cut.lift_faults()


def _judged(cluster: Cluster, *options: str, script: str = "true") -> tuple[str, dict[str, Any]]:
    job = cluster.lab.sbatch(script, *options)
    return job, cluster.wait_report(job)


def test_two_jobs_on_one_node_are_each_judged_by_their_own_gpus(cluster: Cluster) -> None:
    a100 = ("-w", "mixed1", "--gres=gpu:a100:1", "--require=gpu=a100, gpu.memory<=45G, gpu.count=1")
    h100 = ("-w", "mixed1", "--gres=gpu:h100:1", "--require=gpu=h100, gpu.memory>=80G, gpu.count=1")
    first, one = _judged(cluster, *a100, script="sleep 30")
    second, other = _judged(cluster, *h100)
    assert (one["verdict"], other["verdict"]) == ("ready", "ready")
    assert {clause["status"] for report in (one, other) for clause in report["requirement"]["clauses"]} == {"pass"}
    assert (one["job"]["gpus"], other["job"]["gpus"]) == ([1], [0])
    cluster.lab.wait_job(second, "COMPLETED")
    assert cluster.lab.job_state(first) == "RUNNING"
    assert cluster.called() == []


def test_what_the_other_type_has_is_no_answer(cluster: Cluster) -> None:
    _, report = _judged(cluster, "-w", "mixed1", "--gres=gpu:a100:2", "--require=gpu=h100")
    assert report["verdict"] == "mismatch"
    assert "DRAIN" not in cluster.lab.node_state("mixed1")


def test_a_sick_gpu_stops_its_own_job_only(cluster: Cluster) -> None:
    cluster.set_gpus("mixed1", MIXED, _sick(3))
    sound, one = _judged(cluster, "-w", "mixed1", "--gres=gpu:a100:1", script="sleep 3")
    beside, two = _judged(cluster, "-w", "mixed1", "--gres=gpu:h100:2", script="sleep 3")
    assert [report["action"]["kind"] for report in (one, two)] == ["none", "none"]
    sick, three = _judged(cluster, "-w", "mixed1", "--gres=gpu:a100:1")
    assert (three["verdict"], three["action"]["kind"]) == ("unhealthy", "drain")
    assert [one["subject"] for one in three["findings"] if one["status"] == "fail"] == ["gpu3"]
    cluster.lab.wait_until(lambda: "DRAIN" in cluster.lab.node_state("mixed1"), 10, "the drain")
    for job in (sound, beside):
        cluster.lab.wait_job(job, "COMPLETED")
    cluster.lab.wait_until(lambda: cluster.lab.job_state(sick) == "PENDING", 20, "the sick GPU's job to be requeued")


def test_a_shard_job_is_judged_by_its_gpu(cluster: Cluster) -> None:
    cluster.set_gpus("shared1", SHARED, _sick(1))
    sound, one = _judged(cluster, "-w", "shared1", "--gres=shard:4", "--require=gpu.count=1", script="sleep 3")
    assert (one["job"]["gpus"], one["action"]["kind"]) == ([0], "none")
    assert one["requirement"]["clauses"][0]["status"] == "pass"
    _, two = _judged(cluster, "-w", "shared1", "--gres=shard:4")
    assert (two["job"]["gpus"], two["verdict"]) == ([1], "unhealthy")
    cluster.lab.wait_job(sound, "COMPLETED")


def _processes(cluster: Cluster, jobs: dict[int, str | None]) -> None:
    """Let processes run on both GPUs of shared1, each {pid: job}, None for one whose cgroup names no job."""
    for pid, job in jobs.items():
        place = cluster.node_dir("shared1") / "root" / "proc" / str(pid)
        place.mkdir(parents=True, exist_ok=True)
        own = (
            "/system.slice/some.service" if job is None else f"/system.slice/slurmstepd.scope/job_{job}/step_batch/user"
        )
        (place / "cgroup").write_text(f"0::{own}\n")
    running = {f"gpu.*.process.{at}": f"{pid}:1073741824" for at, pid in enumerate(jobs)}
    cluster.set_gpus("shared1", SHARED, running, {"gpu.*.memory.used": 9 << 30})


def test_two_users_jobs_share_a_gpu_and_neither_is_blamed_for_the_other(cluster: Cluster) -> None:
    """What slurmd's epilog of one finds there is its own where the cgroup says so, and unknown where nothing does."""
    cluster.set_gpus("shared1", SHARED)
    shards = ("-w", "shared1", "--gres=shard:1")
    stays = cluster.lab.sbatch("sleep 60", *shards, user="pfbob")
    other = cluster.wait_report(stays)
    found = []
    for left in ("other", "nobody", "own"):
        job, report = _judged(cluster, *shards, script="sleep 3")
        assert report["job"]["gpus"] == other["job"]["gpus"]
        assert (report["job"]["user"], other["job"]["user"]) == ("pfalice", "pfbob")
        _processes(cluster, {900001: stays} | {"other": {}, "nobody": {900002: None}, "own": {900003: job}}[left])
        after = cluster.wait_report(job, phase="epilog")
        (one,) = (one for one in after["findings"] if one["check"] == "gpu.processes")
        found.append((one["status"], one["blame"], one["observed"]))
        changed = [change["fact"] for change in after["changes"] if change["blame"] == "user"]
        gpu = f"gpu{other['job']['gpus'][0]}"
        assert [fact for fact in changed if fact.startswith("gpu")] == ([f"{gpu}.processes"] if left == "own" else [])
        cluster.set_gpus("shared1", SHARED)
    assert found == [("pass", "user", "none"), ("unknown", "user", "900002"), ("warn", "user", "900003")]
    assert cluster.lab.job_state(stays) == "RUNNING"
    cluster.lab.check_run(["scancel", stays])


def test_a_mig_job_is_judged_by_its_slice(mig: Cluster) -> None:
    largest = ("-w", "cut1", f"--gres=gpu:{_largest(mig.release)}:1")
    job, report = _judged(
        mig, *largest, f"--require=gpu.memory>=40G, gpu.memory<=45G, mig, gpu.count=1, gpu=a100_{_largest(mig.release)}"
    )
    assert report["verdict"] == "ready", report["requirement"]
    assert [(one["gpu"], one["profile"], one["uuid"][:4]) for one in report["job"]["mig"]] == [(1, "3g.40gb", "MIG-")]
    mig.lab.wait_job(job, "COMPLETED")
    assert mig.called() == []
    _, report = _judged(mig, *largest, "--require=gpu.memory>=80G")
    assert report["verdict"] == "mismatch"
    job, report = _judged(mig, "-w", "cut1", "--gres=gpu:1g.10gb:1", "--require=gpu.memory>=20G")
    assert report["verdict"] == "mismatch"


def test_a_whole_gpu_beside_slices_is_judged_by_itself(mig: Cluster) -> None:
    _, report = _judged(mig, "-w", "cut1", "--gres=gpu:sxm4:1", "--require=!mig, gpu.memory>=80G, gpu.count=1")
    assert report["verdict"] == "ready", report["requirement"]


def test_a_sick_parent_stops_the_slices_job_and_not_the_other_gpus(mig: Cluster) -> None:
    mig.set_gpus("cut1", CUT, _sick(1))
    whole, one = _judged(mig, "-w", "cut1", "--gres=gpu:sxm4:1", script="sleep 3")
    assert one["action"]["kind"] == "none"
    _, two = _judged(mig, "-w", "cut1", "--gres=gpu:2g.20gb:1")
    assert two["verdict"] == "unhealthy"
    mig.lab.wait_job(whole, "COMPLETED")


def test_a_mig_device_is_placed_by_its_profile(mig: Cluster) -> None:
    """The filter asks Slurm for a node with such a device, and for nothing that whole GPUs are."""
    placing.publish(mig, "cut1")
    job = mig.lab.sbatch("true", "-H", "--gres=gpu:1g.10gb:1", "--require=gpu.count>=1, gpu.memory<20G, gpu=1g.10gb")
    assert mig.lab.job(job)["features"] == "gpu_mig_1g.10gb_1"
    mig.lab.check_run(["scontrol", "release", job])
    assert mig.wait_report(job)["verdict"] == "ready"
    mig.lab.wait_job(job, "COMPLETED")
    whole = mig.lab.sbatch("true", "-H", "--gres=gpu:sxm4:1", "--require=gpu.count>=1")
    assert mig.lab.job(whole)["features"] == "gpu_count_2"
    mig.lab.check_run(["scancel", whole])
    mig.lab.check_run(["scontrol", "update", "NodeName=cut1", "AvailableFeatures=", "ActiveFeatures="])
