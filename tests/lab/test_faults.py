"""Faults on the node while a job starts: the hook returns while the fault still holds, says the right thing, and slurmd
goes on."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.cluster import Cluster
from nvml import sim

pytestmark = pytest.mark.lab
HANG_MS = 120_000
GPU_JOB = ("--gpus=1", "-w", "ubuntu2")


def _goes_on(cluster: Cluster, node: str = "ubuntu2") -> None:
    """The node's slurmd runs the next job: a CPU job, which does not ask the GPUs."""
    if "DRAIN" in cluster.lab.node_state(node):
        cluster.lab.check_run(["scontrol", "update", f"NodeName={node}", "State=RESUME"])
    job = cluster.lab.sbatch("echo went on", "-w", node)
    cluster.lab.wait_job(job, "COMPLETED")
    assert cluster.lab.output(job) == "went on\n"


def _unhealthy(cluster: Cluster, check: str) -> dict[str, object]:
    """A GPU job on ubuntu2 is stopped, the node drained for ``check``."""
    job = cluster.lab.sbatch("true", *GPU_JOB)
    report = cluster.wait_report(job)
    assert report["verdict"] == "unhealthy"
    assert report["action"]["kind"] == "drain"
    assert report["action"]["enforced"] is True
    cluster.lab.wait_until(lambda: "DRAIN" in cluster.lab.node_state("ubuntu2"), 10, "the drain")
    assert (cluster.lab.node_reason("ubuntu2") or "").startswith(f"preflight:{check}:")
    # Only when the job has left has slurmd told the controller of the failed prolog.
    cluster.lab.wait_until(lambda: cluster.lab.job_state(job) == "PENDING", 20, "the job to be requeued")
    assert (cluster.lab.node_reason("ubuntu2") or "").startswith(f"preflight:{check}:")
    assert cluster.lab.output(job) == ""
    return report


def _hung(cluster: Cluster, check: str) -> None:
    """The first job runs, for NVML may only be slow; its epilog finds the same call stuck, and the node is drained."""
    job = cluster.lab.sbatch("true", *GPU_JOB)
    report = cluster.wait_report(job)
    assert report["verdict"] == "degraded"
    assert "warn" in [one["status"] for one in report["findings"] if one["check"] == check]
    cluster.lab.wait_until(lambda: "DRAIN" in cluster.lab.node_state("ubuntu2"), 30, "the drain")
    assert (cluster.lab.node_reason("ubuntu2") or "").startswith(f"preflight:{check}:")
    cluster.lab.wait_job(job, "COMPLETED")


@pytest.mark.parametrize(
    ("scenario", "check"),
    [
        ({"delay_ms.nvmlInitWithFlags": HANG_MS}, "driver.responds"),
        ({"gpu.*.delay_ms.nvmlDeviceGetTemperature": HANG_MS}, "gpu.responds"),
        ({"delay_ms.nvmlDeviceGetCount": HANG_MS}, "driver.responds"),
    ],
    ids=["init-hangs", "gpu-hangs", "count-hangs"],
)
def test_a_driver_that_hangs(cluster: Cluster, scenario: dict[str, object], check: str) -> None:
    # What the probe leaves of the deadline has to hold a drain, the count and its undoing, also beside two other labs.
    cluster.write_policy(hook="deadline_s = 10")
    cluster.set_gpus("ubuntu2", sim.example("h100x2"), scenario)
    _hung(cluster, check)
    _goes_on(cluster)
    report = _unhealthy(cluster, check)  # from now on the first look is enough
    assert float(str(report["duration_ms"])) < 10_500
    _goes_on(cluster)


@pytest.mark.parametrize(
    "scenario",
    [{"delay_ms.nvmlInitWithFlags": 6000}, {"gpu.*.delay_ms.nvmlDeviceGetName": 3000}],
    ids=["init-6s", "gpus-3s-each"],
)
def test_a_slow_driver_drains_nothing_and_stops_no_job(cluster: Cluster, scenario: dict[str, object]) -> None:
    """Without a persistence daemon the driver wakes each GPU first: a whole cluster is like that at once."""
    cluster.write_policy()
    cluster.set_gpus("ubuntu2", sim.example("h100x2"), scenario)
    for _ in range(2):
        job = cluster.lab.sbatch("echo ran", *GPU_JOB)
        cluster.lab.wait_job(job, "COMPLETED")
        report = cluster.wait_report(job)
        assert report["verdict"] == "degraded"
        assert any(one["check"].startswith("driver.") and one["status"] == "warn" for one in report["findings"])
    cluster.health("ubuntu2")
    assert "DRAIN" not in cluster.lab.node_state("ubuntu2")


@pytest.mark.parametrize(
    ("scenario", "check"),
    [
        ({"ret.nvmlInitWithFlags": 18}, "driver.match"),
        ({"ret.nvmlInitWithFlags": 9}, "driver.loaded"),
        ({"gpu.*.lost": 1}, "gpu.present"),
        ({"gpu.*.ret.nvmlDeviceGetHandleByIndex": 16}, "gpu.present"),
        ({"gpu.*.remap.failure": 1}, "gpu.remap.failure"),
        ({"field.230": 2}, "gpu.recovery"),
    ],
    ids=[
        "mismatch",
        "not-loaded",
        "lost",
        "reset-required",
        "remap",
        "recovery",
    ],
)
def test_a_faulty_driver_or_gpu(cluster: Cluster, scenario: dict[str, object], check: str) -> None:
    cluster.write_policy(hook="deadline_s = 4")
    cluster.set_gpus("ubuntu2", sim.example("h100x2"), scenario)
    report = _unhealthy(cluster, check)
    assert float(str(report["duration_ms"])) < 4500
    _goes_on(cluster)


def test_the_call_that_hung_is_named(cluster: Cluster) -> None:
    cluster.write_policy(hook="deadline_s = 3")
    cluster.set_gpus("ubuntu2", sim.example("h100x2"), {"gpu.0.delay_ms.nvmlDeviceGetTemperature": HANG_MS})
    job = cluster.lab.sbatch("true", *GPU_JOB)
    report = cluster.wait_report(job)
    assert "nvmlDeviceGetTemperature" in str(report["unknown"])
    assert report["facts"]["gpus"]["stuck_at"] == "gpu 0 nvmlDeviceGetTemperature"


def test_a_missing_library_on_a_node_with_gpus(cluster: Cluster) -> None:
    library = Path(cluster.directory, "nvml", sim.LIBRARY)
    library.rename(library.with_suffix(".away"))
    cluster.refresh_agent("ubuntu2")
    try:
        _unhealthy(cluster, "driver.loaded")
        _goes_on(cluster)
    finally:
        library.with_suffix(".away").rename(library)


def test_no_process_is_left_and_none_holds_slurmds_pipe(cluster: Cluster) -> None:
    """slurmd reads the prolog's output to its end: a child that kept it open would hold the job."""
    cluster.write_policy(hook="deadline_s = 10")
    cluster.set_gpus("ubuntu2", sim.example("h100x2"), {"delay_ms.nvmlInitWithFlags": HANG_MS})
    _hung(cluster, "driver.responds")
    ours = [_command_line(pid) for pid in os.listdir("/proc") if pid.isdigit() and cluster.prefix in _command_line(pid)]
    assert [line for line in ours if "\0agent\0" not in line] == []


def _command_line(pid: str) -> str:
    try:
        return Path("/proc", pid, "cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def test_a_broken_policy_moves_and_drains_nothing_and_is_named(cluster: Cluster) -> None:
    cluster.write_raw_policy(cluster.policy_text() + "\n[hook\n")
    cluster.set_gpus("ubuntu2", sim.example("h100x2"), {"gpu.*.ecc.uncorrected.volatile": 3})
    job = cluster.lab.sbatch("echo ran", "--require=cuda>=12.4", *GPU_JOB)
    cluster.lab.wait_job(job, "COMPLETED")
    report = cluster.wait_report(job)
    assert report["verdict"] == "unhealthy"
    assert report["action"]["enforced"] is False
    policy = next(one for one in report["findings"] if one["check"] == "policy")
    assert (policy["status"], policy["blame"]) == ("fail", "site")
    assert cluster.config in policy["message"]
    assert cluster.lab.node_state("ubuntu2") == "IDLE"
    assert cluster.called() == []


@contextmanager
def _mounted(path: Path, size: str) -> Iterator[None]:
    """A small file system at ``path``; what was there comes back."""
    path.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def _fill(path: Path) -> None:
    with open(path, "wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def test_a_full_spool_costs_the_record_and_nothing_else(cluster: Cluster) -> None:
    spool = cluster.node_dir("ubuntu2") / "spool"
    with _mounted(spool, "64k"):
        with pytest.raises(OSError, match="No space"):
            _fill(spool / "fill")
        ready = cluster.lab.sbatch("env", "--require=cuda>=12.4", *GPU_JOB)
        cluster.lab.wait_job(ready, "COMPLETED")
        assert "PREFLIGHT_VERDICT=ready" in cluster.lab.output(ready)
        misfit = cluster.lab.sbatch("true", "--require=gpu=a100", *GPU_JOB)
        cluster.lab.wait_until(
            lambda: "preflight:held:ubuntu2" in cluster.lab.job(misfit)["admin_comment"], 20, "the misfit to be held"
        )
        cluster.set_gpus("ubuntu2", sim.example("h100x2"), {"gpu.*.ecc.uncorrected.volatile": 3})
        sick = cluster.lab.sbatch("true", *GPU_JOB)
        cluster.lab.wait_until(lambda: "DRAIN" in cluster.lab.node_state("ubuntu2"), 20, "the drain")
        assert cluster.lab.output(sick) == ""
    copies = list((cluster.node_dir("ubuntu2") / "reports" / ready).iterdir())
    assert [path.name for path in copies] == ["ubuntu2.0.prolog.json"] or len(copies) == 2


def test_an_unwritable_report_directory_is_tried_again_by_the_health_check(cluster: Cluster) -> None:
    reports = cluster.node_dir("ubuntu2") / "reports"
    away = reports.with_name("reports.away")
    reports.rename(away)
    try:
        job = cluster.lab.sbatch("true", "--require=cuda>=12.4", *GPU_JOB)
        cluster.lab.wait_job(job, "COMPLETED")
        assert cluster.wait_report(job)["verdict"] == "ready"
        cluster.wait_report(job, phase="epilog")
    finally:
        away.rename(reports)
    outbox = cluster.node_dir("ubuntu2") / "spool" / "outbox"
    assert len(list(outbox.iterdir())) == 2
    assert cluster.health("ubuntu2").returncode == 0
    assert list(outbox.iterdir()) == []
    assert {path.name for path in (reports / job).iterdir()} == {"ubuntu2.0.prolog.json", "ubuntu2.0.epilog.json"}


def test_a_report_directory_that_hangs_holds_no_job(cluster: Cluster) -> None:
    """As an NFS whose server is gone: every write hangs."""
    with _hanging_directory(cluster.node_dir("ubuntu2") / "reports"):
        job = cluster.lab.sbatch("echo ran", "--require=cuda>=12.4", *GPU_JOB)
        cluster.lab.wait_job(job, "COMPLETED", timeout=30)
        report = cluster.wait_report(job)
        assert report["verdict"] == "ready"
        assert cluster.lab.output(job) == "ran\n"


@contextmanager
def _hanging_directory(path: Path) -> Iterator[None]:
    """Freeze a file system mounted at ``path``: every write to it hangs."""
    image = path.with_name("frozen.img")
    subprocess.run(["truncate", "-s", "8M", str(image)], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(path)], check=True)
    try:
        subprocess.run(["fsfreeze", "-f", str(path)], check=True)
        try:
            yield
        finally:
            subprocess.run(["fsfreeze", "-u", str(path)], check=True)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)
        image.unlink()


def test_a_deleted_python_environment_stops_no_job(cluster: Cluster) -> None:
    versions = Path(cluster.prefix, "versions")
    away = versions.with_name("versions.away")
    versions.rename(away)
    try:
        for node in ("ubuntu2", "debian1"):
            job = cluster.lab.sbatch("echo ran", "-w", node)
            cluster.lab.wait_job(job, "COMPLETED")
            assert cluster.lab.output(job) == "ran\n"
            assert cluster.lab.node_state(node) == "IDLE"
    finally:
        away.rename(versions)


def test_a_traceback_stops_no_job(cluster: Cluster) -> None:
    broken = next(Path(cluster.prefix, "versions").glob("*/lib/preflight/hooks/prolog.py"))
    for path in Path(cluster.prefix, "versions").glob("*/lib/preflight/hooks/prolog.py"):
        shutil.copy2(path, path.with_suffix(".kept"))
        path.write_text("raise RuntimeError('a bug of ours')\n", encoding="utf-8")
    try:
        job = cluster.lab.sbatch("echo ran", *GPU_JOB)
        cluster.lab.wait_job(job, "COMPLETED")
        assert cluster.lab.output(job) == "ran\n"
        reports = [one["source"] for one in cluster.reports(job)]
        assert reports == (["agent"] if cluster.agent else [])  # which has read its own code before
        assert cluster.lab.node_state("ubuntu2") == "IDLE"
    finally:
        for path in Path(cluster.prefix, "versions").glob("*/lib/preflight/hooks/prolog.kept"):
            path.rename(path.with_suffix(".py"))
    assert broken.exists()


def test_a_controller_that_does_not_answer_in_the_middle_of_a_move(cluster: Cluster) -> None:
    """The hook gives up within its deadline, never fails for it, and leaves the rest to the health check."""
    cluster.write_policy(hook="deadline_s = 3")
    Path(cluster.directory, "slurm-down").touch()
    job = cluster.lab.sbatch("echo ran", "--require=cuda>=12.4", "-x", "ubuntu1,ubuntu2,debian1", "--gpus=1")
    report = cluster.wait_report(job)
    assert report["verdict"] == "mismatch"
    assert report["action"]["enforced"] is False
    assert "not done" in report["action"]["detail"]
    assert report["duration_ms"] < 3500
    assert cluster.lab.node_state("rocky1").startswith(("IDLE", "MIXED", "ALLOC"))
    cluster.lab.wait_job(job, "COMPLETED")
    assert cluster.lab.output(job).endswith("ran\n")
    Path(cluster.directory, "slurm-down").unlink()
    pending = cluster.node_dir("rocky1") / "spool" / "pending"
    assert len(list(pending.iterdir())) == 1
    cluster.health("rocky1")
    assert list(pending.iterdir()) == []
    assert cluster.lab.job(job)["excluded_nodes"] == "debian1,ubuntu[1-2]"


def test_a_stuck_probe_is_not_joined_by_a_second(cluster: Cluster) -> None:
    """What SIGKILL does not end (D state) is remembered; here a process of the test stands for it."""
    stuck = subprocess.Popen(["sleep", "120"])
    try:
        from preflight.facts.cache import boot_id
        from preflight.facts.stuck import start_time

        path = Path(cluster.run_dir, "stuck-nvml.json")
        path.write_text(
            f'{{"pid": {stuck.pid}, "start": {start_time(stuck.pid)}, "boot": "{boot_id()}", "doing": "gpu 1 x"}}',
            encoding="utf-8",
        )
        path.chmod(0o600)
        job = cluster.lab.sbatch("true", *GPU_JOB)
        report = cluster.wait_report(job)
        assert report["verdict"] == "unhealthy"
        cause = next(one for one in report["findings"] if one["check"] == "driver.responds")
        assert f"pid {stuck.pid} in gpu 1 x" in cause["message"]
    finally:
        stuck.kill()
        stuck.wait()
