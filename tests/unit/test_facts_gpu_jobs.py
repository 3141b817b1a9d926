"""The job of a process, by the cgroup that Slurm put it in."""

from __future__ import annotations

from pathlib import Path

import pytest

from preflight.facts.gpu_jobs import job_of, with_jobs
from preflight.facts.rootfs import Root


def cgroup(root: Path, pid: int, text: str) -> None:
    (root / "proc" / str(pid)).mkdir(parents=True)
    (root / "proc" / str(pid) / "cgroup").write_text(text)


@pytest.mark.parametrize(
    ("text", "job"),
    [
        ("0::/system.slice/slurmstepd.scope/job_42/step_0/user/task_0\n", 42),
        ("0::/system.slice/n1_slurmstepd.scope/job_42/step_batch/user/task_special\n", 42),
        ("4:memory:/slurm/uid_1000/job_42/step_0/task_0\n1:name=systemd:/system.slice/slurmd.service\n", 42),
        ("12:cpuset:/\n4:freezer:/slurm_n1/uid_1000/job_42/step_extern\n", 42),
        ("0::/system.slice/slurmstepd.scope/job_42/step_0/user/slurm/job_7\n", 42),  # made by the user below its own
        ("0::/user.slice/user-1000.slice/user@1000.service/slurm/job_7/step_0\n", None),
        ("0::/system.slice/nvidia-mps.service\n", None),
        ("0::/system.slice/slurmd.service\n", None),
        ("0::/system.slice/slurmstepd.scope/job_x/step_0\n", None),
        ("0::/system.slice/slurmstepd.scope/job_\u0664\n", None),
        ("", None),
        ("nonsense", None),
    ],
)
def test_the_job_of_a_cgroup(tmp_path: Path, text: str, job: int | None) -> None:
    cgroup(tmp_path, 9, text)
    assert job_of(Root(str(tmp_path)), 9) == job
    assert with_jobs(Root(str(tmp_path)), [{"pid": 9, "gi": 1}]) == [
        {"pid": 9, "gi": 1} | ({} if job is None else {"job": job})
    ]


def test_a_process_that_is_gone_has_no_job(tmp_path: Path) -> None:
    assert job_of(Root(str(tmp_path)), 10) is None
