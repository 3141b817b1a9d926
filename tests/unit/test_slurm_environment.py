"""What Slurm's environment tells of a job."""

from __future__ import annotations

import pytest

from preflight.slurm.environment import Job, job_from, positions

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


UUID = "GPU-1b2c3d4e-0000-1111-2222-333344445555"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("0,2", ("0", "2")),
        (UUID, (UUID,)),
        (f"MIG-{UUID}/1/0,0", (f"MIG-{UUID}/1/0", "0")),
        ("NoDevFiles", ()),
        ("GPU-../../etc/shadow", ()),
        (f"{UUID}\n", ()),
        ("GPU-" + "a" * 90, ()),
        ("0," * 9000, ()),
    ],
)
def test_visible_devices_are_numbers_and_uuids(text: str, found: tuple[str, ...]) -> None:
    job = job_from({**PROLOG, "CUDA_VISIBLE_DEVICES": text})
    assert job is not None
    assert job.visible == found
