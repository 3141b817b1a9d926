"""What Slurm's environment tells of a job, and what gres.conf tells of its GPU numbers."""

import os
from pathlib import Path

import pytest

from preflight.slurm.environment import Job, job_from, positions
from preflight.slurm.gres import Gres, cached_gres, conf_directory, parse_gres, read_gres

PROLOG = {
    "SLURM_JOB_ID": "4711",
    "SLURM_JOB_USER": "alice",
    "SLURM_JOB_UID": "1000",
    "SLURM_JOB_GID": "100",
    "SLURM_JOB_PARTITION": "gpu",
    "SLURM_JOB_NODELIST": "n[1-2]",
    "SLURM_JOB_GPUS": "0,2-3",
    "SLURM_JOB_CONSTRAINTS": "h100",
    "SLURM_JOB_COMMENT": "require: cuda>=12.4; note",
    "SPANK__SLURM_SPANK_OPTION_preflight_require": "ubuntu>=22.04",
    "SLURM_JOB_RESTART_COUNT": "2",
    "SLURM_ARRAY_JOB_ID": "4700",
    "SLURM_ARRAY_TASK_ID": "0",
    "SLURM_HET_JOB_ID": "4690",
    "SLURM_CLUSTER_NAME": "lab",
}


def test_a_job_is_what_the_environment_says() -> None:
    assert job_from(PROLOG) == Job(
        4711,
        "alice",
        1000,
        100,
        "gpu",
        "n[1-2]",
        (0, 2, 3),
        "0,2-3",
        "h100",
        "require: cuda>=12.4; note",
        "ubuntu>=22.04",
        2,
        4700,
        0,
        4690,
        "lab",
    )


def test_a_small_environment_leaves_the_rest_open() -> None:
    job = job_from({"SLURM_JOBID": "7"})
    assert job == Job(7)
    assert job.restart is None


@pytest.mark.parametrize("number", ["", "x", "-1", "1 2", "٣", "9" * 13, "4_1"])
def test_without_a_job_number_there_is_no_job(number: str) -> None:
    assert job_from({"SLURM_JOB_ID": number}) is None


def test_the_health_checks_environment_has_no_job() -> None:
    assert job_from({"SLURMD_NODENAME": "n1"}) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0", (0,)),
        ("0,2-3", (0, 2, 3)),
        (" 1 , 5", (1, 5)),
        ("3-2", ()),
        ("", None),
        ("0,", None),
        ("gpu0", None),
        ("0-99999", None),
        ("-1", None),
        ("1--2", None),
    ],
)
def test_gpu_numbers_are_numbers_and_ranges(text: str, found: tuple[int, ...] | None) -> None:
    assert positions(text) == found


@pytest.mark.parametrize(
    ("text", "minors"),
    [
        ("Name=gpu File=/dev/nvidia0", (0,)),
        ("NodeName=n[1-4] Name=gpu Type=h100 File=/dev/nvidia[0-3]", (0, 1, 2, 3)),
        ("Name=gpu File=/dev/nvidia[2-3]\nname=GPU file=/dev/nvidia[0-1]", (2, 3, 0, 1)),
        ("Name=gpu File=/dev/nvidia3,/dev/nvidia1", (3, 1)),
        ("NodeName=n9 Name=gpu File=/dev/nvidia7\nNodeName=n1 Name=gpu File=/dev/nvidia1", (1,)),
        ("NodeName=n1,n2 Name=gpu File=/dev/nvidia1 # File=/dev/nvidia2", (1,)),
        ("NodeName=n1 Name=gpu \\\n File=/dev/nvidia5", (5,)),
        ("AutoDetect=off\nName=nic File=/dev/nic0\nName=gpu File=/dev/nvidia0 Cores=0-3", (0,)),
    ],
)
def test_minor_numbers_come_in_slurms_order(text: str, minors: tuple[int, ...]) -> None:
    assert parse_gres(text, "n1") == Gres(minors)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "lists no GPU"),
        ("NodeName=n2 Name=gpu File=/dev/nvidia0", "lists no GPU"),
        ("AutoDetect=nvml\nName=gpu Type=h100", "no File="),
        ("Name=gpu MultipleFiles=/dev/nvidia0,/dev/nvidia-caps/cap3", "MultipleFiles"),
        ("Name=gpu File=/dev/nvidia0\nName=gpu File=/dev/nvidia0", "twice"),
        ("Name=gpu File=/dev/gpu", "minor number"),
    ],
)
def test_where_the_order_cannot_be_known_that_is_said(text: str, says: str) -> None:
    assert says in parse_gres(text, "n1").problem


def test_gres_conf_is_looked_for_beside_slurm_conf(tmp_path: Path) -> None:
    (tmp_path / "gres.conf").write_text("Name=gpu File=/dev/nvidia4")
    assert conf_directory(str(tmp_path / "slurm.conf")) == str(tmp_path)
    assert read_gres(str(tmp_path), "n1") == Gres((4,))
    assert "No such file" in read_gres(str(tmp_path / "no"), "n1").problem


def test_gres_conf_is_read_again_only_when_it_changed(tmp_path: Path) -> None:
    file, run_dir = tmp_path / "gres.conf", str(tmp_path / "run")
    assert "No such file" in cached_gres(str(tmp_path), "n1", run_dir).problem
    file.write_text("Name=gpu File=/dev/nvidia[0-1]")
    assert cached_gres(str(tmp_path), "n1", run_dir) == Gres((0, 1))
    info = file.stat()
    file.write_text("Name=gpu File=/dev/nvidia[2-3]")
    os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert cached_gres(str(tmp_path), "n1", run_dir) == Gres((0, 1))  # kept: the same file by all we look at
    os.utime(file, ns=(5, 5))
    assert cached_gres(str(tmp_path), "n1", run_dir) == Gres((2, 3))
    file.write_text("nothing")
    os.utime(file, ns=(6, 6))
    for _ in range(2):
        assert "lists no GPU" in cached_gres(str(tmp_path), "n1", run_dir).problem


def test_a_missing_run_dir_costs_only_the_cache(tmp_path: Path) -> None:
    (tmp_path / "gres.conf").write_text("Name=gpu File=/dev/nvidia0")
    (tmp_path / "run").write_text("no directory")
    assert cached_gres(str(tmp_path), "n1", str(tmp_path / "run")) == Gres((0,))
