"""Container runtimes of HPC sites: Shifter, Sarus, Charliecloud, podman-hpc, EDF files and uenv."""

from pathlib import Path

import pytest
from infer_samples import clauses, put, read, unread

STATED = "nvidia/cuda:12.4.1-base-ubuntu22.04"


@pytest.mark.parametrize(
    ("command", "expected", "told"),
    [
        (f"shifter --module=gpu --image=docker:{STATED} ./a", ["container=shifter", "cuda>=12.4"], True),
        (f"srun shifter -m gpu,mpich -i docker:{STATED} ./a", ["container=shifter", "cuda>=12.4"], True),
        (f"shifter --image=docker:{STATED} ./a", ["container=shifter"], False),
        ("shifter --image=$IMAGE ./a", ["container=shifter"], False),
        ("shifter ./a", ["container=shifter"], False),
        (
            f"#SBATCH --image=docker:{STATED}\n#SBATCH --module=gpu\nsrun shifter ./a",
            ["container=shifter", "cuda>=12.4"], True,
        ),
        (
            f"#SBATCH --image docker:{STATED}\n#SBATCH --module gpu\nsrun shifter ./a",
            ["container=shifter", "cuda>=12.4"], True,
        ),
        ("#SBATCH --image=docker:lab/x:1\nsrun true", ["container=shifter"], True),
        (f"podman-hpc run --rm --gpu -v /a:/b {STATED} ./a", ["container=podman-hpc", "cuda>=12.4"], True),
        (f"srun podman-hpc shared-run --gpu --nccl {STATED} ./a", ["container=podman-hpc", "cuda>=12.4"], True),
        (f"podman-hpc run {STATED} ./a", ["container=podman-hpc"], True),
        ("podman-hpc run --gpu lab/x:1 ./a", ["container=podman-hpc"], False),
        ("podman-hpc pull lab/x:1", [], True),
        ("srun sarus run --mpi lab/x:1 ./a", ["container=sarus"], False),
        (f"sarus run --mount=type=bind,source=/a,destination=/b {STATED} ./a", ["container=sarus"], False),
        ("sarus pull lab/x:1", [], True),
        (f"ch-run --cdi -b /a:/b {STATED} -- ./a", ["container=charliecloud", "cuda>=12.4"], True),
        ("ch-run -w /var/tmp/img -- ./a", ["container=charliecloud"], False),
        ("ch-run $OPTIONS img -- ./a", ["container=charliecloud"], False),
        ("ch-run --version", [], True),
        ("uenv run --view=default prgenv-gnu/24.11:v1 -- ./a", ["container=uenv"], False),
        ("uenv image pull prgenv-gnu/24.11:v1", [], True),
        ("srun --uenv=prgenv-gnu/24.11:v1 --view=default ./a", ["container=uenv"], False),
        ("#SBATCH --uenv=prgenv-gnu/24.11:v1\n#SBATCH --view=modules\nsrun ./a", ["container=uenv"], False),
        ("srun --environment=missing ./a", [], False),
        ("srun --environment=$EDF ./a", [], False),
        ("#SBATCH --container=/bundle\nsrun ./a", [], False),
        ("srun --container=/bundle ./a", [], False),
        ("udocker run lab/x:1", [], False),
        ("nvidia-docker run lab/x:1", [], False),
    ],
)  # fmt: skip
def test_runtimes(command: str, expected: list[str], told: bool, tmp_path: Path) -> None:
    assert clauses(command, tmp_path) == expected
    assert (unread(command, tmp_path) == []) is told


def test_without_gpus_images_ask_for_their_runtime_alone(tmp_path: Path) -> None:
    for command in (f"shifter --image=docker:{STATED} ./a", f"sarus run {STATED} ./a", "uenv run a/1 -- ./a"):
        assert [one.partition("=")[0] for one in clauses(command, tmp_path, gpus=False)] == ["container"]
        assert unread(command, tmp_path, gpus=False) == []


@pytest.mark.parametrize("start", [f"shifter -i {STATED}", f"sarus run {STATED}", f"ch-run {STATED} --"])
def test_what_runs_inside_loads_no_module_of_the_node(start: str, tmp_path: Path) -> None:
    assert "module=a" not in clauses(f"{start} bash -c 'module load a'", tmp_path)


def test_modules_of_a_uenv_are_unread(tmp_path: Path) -> None:
    assert clauses("#SBATCH --uenv=a/1:v1\n#SBATCH --view=modules\nmodule load gcc", tmp_path) == ["container=uenv"]


def test_environment_definition_files(tmp_path: Path) -> None:
    put(tmp_path, "/home/alice/.edf/torch.toml", 'image = "nvidia/cuda:12.4.1-base-ubuntu22.04"\nworkdir = "/x"\n')
    put(tmp_path, "/home/alice/.edf/more.toml", 'base_environment = ["other", "torch"]\n[env]\nA = "b"\n')
    put(tmp_path, "/home/alice/.edf/loop.toml", 'base_environment = "loop"\n')
    put(tmp_path, "/home/alice/.edf/broken.toml", "image = \n")
    put(tmp_path, "/home/alice/.edf/later.toml", 'image = "${SCRATCH}/x.sqsh"\n')
    put(tmp_path, "/home/alice/project/here.toml", 'image = "lab/x:cuda12.1"\n')
    put(tmp_path, "/data/edf/torch.toml", 'image = "lab/x:cuda12.6"\n')
    for name, expected in (("torch", "cuda>=12.4"), ("more", "cuda>=12.4"), ("./here.toml", "cuda>=12.1")):
        for body in (f"srun --environment={name} ./a", f"#SBATCH --environment={name}\nsrun ./a"):
            assert clauses(body, tmp_path) == [expected]
            assert unread(body, tmp_path) == []
    for name in ("loop", "broken", "later", "gone"):
        assert clauses(f"srun --environment={name} ./a", tmp_path) == []
        assert unread(f"srun --environment={name} ./a", tmp_path) == [1]
    found = read("srun --environment=torch module load a", tmp_path, EDF_PATH="/gone:/data/edf")
    assert [one.clause for one in found.needs][1:] == ["cuda>=12.6"]
