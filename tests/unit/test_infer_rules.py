"""Each rule of docs/inference.md: what a line says, and what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from infer_samples import clauses, environment, lines, put, read, unread

from preflight.submit.infer.images import cuda_of as cuda_of_image
from preflight.submit.infer.images import squash
from preflight.submit.infer.modules import cuda_of

# Options


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--gres=gpu", ["gpu.count>=1"]),
        ("--gres=gpu:4", ["gpu.count>=4"]),
        ("--gres=gpu:a100:4", ["gpu.count>=4"]),
        ("--gres=shard:2", []),
        ("--gres=gpu:0", []),
        ("--gpus-per-node=h100:8", ["gpu.count>=8"]),
        ("--gpus=8", ["gpu.count>=1"]),
        ("--gpus=8 --nodes=2", ["gpu.count>=1"]),
        ("--gpus=8 --nodes=1-2", ["gpu.count>=1"]),
        ("-G 8 -N1", ["gpu.count>=8"]),
        ("--gpus=8 --nodes=1", ["gpu.count>=8"]),
        ("--gpus-per-task=2", ["gpu.count>=2"]),
        ("--tres-per-task=gres/gpu:2", ["gpu.count>=2"]),
        ("--gpus-per-socket=2 --sockets-per-node=2", ["gpu.count>=1"]),
        ("--gres=gpu:4 --gpus-per-node=8", ["gpu.count>=4", "gpu.count>=8"]),
        ("--nodes=4", []),
    ],
)
def test_gpus_that_the_options_ask_for(options: str, expected: list[str], tmp_path: Path) -> None:
    found = read(f"#SBATCH {options}", tmp_path, gpus=False)
    assert [one.clause for one in found.needs] == expected
    assert {one.line for one in found.needs} <= {2}
    given = read("true", tmp_path, gpus=False, options=tuple(options.split()))
    assert [one.clause for one in given.needs] == expected
    assert {one.line for one in given.needs} <= {0}


def test_options_of_the_environment_count(tmp_path: Path) -> None:
    found = read("module load cuda/12.4", tmp_path, gpus=False, SBATCH_GPUS_PER_NODE="2")
    assert found.needs[0][:2] == ("gpu.count>=2", 0)
    assert "SBATCH_GPUS_PER_NODE" in found.needs[0].text
    assert found.needs[-1].clause == "cuda>=12.4"


def test_without_gpus_there_are_no_gpu_needs(tmp_path: Path) -> None:
    environment(tmp_path, "/home/alice/env", cuda="12.4.127")
    body = "\n".join(
        [
            "module load cuda/12.4",
            "source ~/env/bin/activate",
            "conda activate missing",
            "torchrun --nproc_per_node=4 x.py",
            "srun --container-image=nvcr.io#nvidia/pytorch:24.05-py3 true",
            "spack load cuda@12.4",
            "if true; then torchrun --nproc_per_node=2 x.py; fi",
            "conda activate $ENV",
        ]
    )
    assert clauses(body, tmp_path, gpus=False) == ["module=cuda/12.4", "container=enroot"]
    assert unread(body, tmp_path, gpus=False) == []


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("torchrun --nproc_per_node=4 train.py", ["gpu.count>=4"]),
        ("torchrun --standalone --nproc-per-node 4 train.py", ["gpu.count>=4"]),
        ("srun -N2 torchrun --nnodes 2 --nproc_per_node=4 train.py", ["gpu.count>=4"]),
        ("python -m torch.distributed.run --nproc_per_node=4 train.py", ["gpu.count>=4"]),
        ("python3 -u -W ignore -m torch.distributed.launch --nproc_per_node=4 train.py", ["gpu.count>=4"]),
        ("apptainer exec docker://ubuntu:1 torchrun --nproc_per_node=4 t.py", ["container=apptainer", "gpu.count>=4"]),
        ("torchrun --nproc_per_node=gpu train.py", []),
        ("torchrun --nproc_per_node=$N train.py", []),
        ("torchrun --nproc_per_node=0 train.py", []),
        ("torchrun train.py --nproc_per_node=4", []),
        ("python train.py -m torch.distributed.run --nproc_per_node=4", []),
        ("python -c 'torchrun --nproc_per_node=4'", []),
        ("torchrun", []),
    ],
)  # fmt: skip
def test_torchrun(command: str, expected: list[str], tmp_path: Path) -> None:
    assert clauses(command, tmp_path) == expected


# Modules


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("module load a b/1", ["a", "b/1"]),
        ("module add a", ["a"]),
        ("module -q --force load a", ["a"]),
        ("module load --auto a", ["a"]),
        ("ml a b", ["a", "b"]),
        ("ml load a", ["a"]),
        ("ml add a", ["a"]),
        ("ml -a b", ["b"]),
        ("module switch a b", ["b"]),
        ("module swap a b", ["b"]),
        ("ml swap a b", ["b"]),
        ("module try-load a", []),
        ("ml try-load a", []),
        ("module unload a", []),
        ("module rm a", []),
        ("module purge", []),
        ("module use /apps", []),
        ("module list", []),
        ("ml", []),
        ("ml purge", []),
        ("ml -a", []),
        ("ml spider a", []),
        ("ml avail a", []),
        ("module save a", []),
    ],
)
def test_modules_that_are_loaded(command: str, expected: list[str], tmp_path: Path) -> None:
    assert clauses(command, tmp_path) == [f"module={name}" for name in expected]


def test_a_module_with_signs_of_the_requirement_language_is_quoted(tmp_path: Path) -> None:
    assert clauses("module load 'a|b'", tmp_path) == ['module="a|b"']


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cuda/12.4", "12.4"),
        ("cuda/12.4.1", "12.4"),
        ("cuda/12.4-gcc11", "12.4"),
        ("CUDA/12.1.1", "12.1"),
        ("cudatoolkit/11.8", "11.8"),
        ("cudatoolkit/22.7_11.7", "11.7"),
        ("cuda-toolkit/12.4", "12.4"),
        ("nvidia/cuda/12.4", "12.4"),
        ("PyTorch/2.1.2-foss-2023a-CUDA-12.1.1", "12.1"),
        ("cuDNN/8.9.2.26-CUDA-12.1.1", "12.1"),
        ("OpenMPI/4.1.5-NVHPC-23.7-CUDA-12.1.1", "12.1"),
        ("pytorch/2.4-cuda12.4", "12.4"),
        ("pytorch/2.4_cuda_12.4", "12.4"),
        ("cuda12.4/toolkit/12.4.1", "12.4"),
        ("cuda", None),
        ("cuda/12", None),
        ("cuda/default", None),
        ("gcc/12.4", None),
        ("cudnn/8.9", None),
        ("openmpi/4.1.6-cuda", None),
        ("magma/2.7-cuda117", None),
        ("gcccuda/12.4", None),
        ("nvhpc/24.3", None),
        ("nvhpc/23.7-cuda-12.2", None),
        ("NVHPC/23.7-CUDA-12.1.1", None),
        ("nvhpc-hpcx-cuda12/24.3", None),
        ("barracuda-12.4", None),
    ],
)
def test_the_cuda_of_a_modules_name(name: str, expected: str | None) -> None:
    assert cuda_of(name) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("cuda@12.4", ["cuda>=12.4"]),
        ("cuda@12.4.1%gcc@12", ["cuda>=12.4"]),
        ("cuda@=12.4.1", ["cuda>=12.4"]),
        ("cuda@12", []),
        ("cuda@:12.4", []),
        ("cuda", []),
        ("gcc@12.4", []),
        ("gromacs ^cuda@12.4", ["cuda>=12.4"]),
    ],
)
def test_spack(spec: str, expected: list[str], tmp_path: Path) -> None:
    assert clauses(f"spack load {spec}", tmp_path) == expected
    assert clauses(f"spack install {spec}", tmp_path) == []


def test_spack_packages_that_are_not_told(tmp_path: Path) -> None:
    assert unread("spack load cuda@$V", tmp_path) == [1]
    assert unread("spack load $P", tmp_path) == [1]
    assert unread("spack load gcc@$V", tmp_path) == []
    assert unread("spack load cuda@$V", tmp_path, gpus=False) == []
    assert clauses("spack load cuda@12.4%gcc@$V", tmp_path) == ["cuda>=12.4"]


# Containers

STATED = "nvidia/cuda:12.4.1-base-ubuntu22.04"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (f"srun --container-image={STATED} true", ["container=enroot", "cuda>=12.4"]),
        (f"srun --container-image {STATED} true", ["container=enroot", "cuda>=12.4"]),
        (f"#SBATCH --container-image={STATED}", ["container=enroot", "cuda>=12.4"]),
        (f"enroot import docker://{STATED}", ["container=enroot", "cuda>=12.4"]),
        (f"apptainer exec --nv docker://{STATED} true", ["container=apptainer", "cuda>=12.4"]),
        (f"singularity run -B /a:/b --nv docker://{STATED}", ["container=singularity", "cuda>=12.4"]),
        (f"apptainer --quiet shell -e --nv docker://{STATED}", ["container=apptainer", "cuda>=12.4"]),
        (f"apptainer instance start --nv docker://{STATED} name", ["container=apptainer", "cuda>=12.4"]),
        (f"apptainer exec docker://{STATED} true", ["container=apptainer"]),
        (f"apptainer exec docker://{STATED} echo --nv", ["container=apptainer"]),
        (f"docker run --rm -it --gpus all -v /a:/b {STATED} true", ["container=docker", "cuda>=12.4"]),
        (f"docker run --gpus=2 {STATED} true", ["container=docker", "cuda>=12.4"]),
        (f"podman run --device nvidia.com/gpu=all {STATED}", ["container=podman", "cuda>=12.4"]),
        (f"podman run --device /dev/fuse {STATED}", ["container=podman"]),
        (f"docker run {STATED} --gpus all", ["container=docker"]),
        (f"docker pull {STATED}", []),
        (f"apptainer pull docker://{STATED}", []),
        (f"apptainer build x.sif docker://{STATED}", []),
        ("apptainer instance stop x", []),
        ("apptainer exec instance://x true", ["container=apptainer"]),
        ("enroot list", []),
    ],
)
def test_containers(command: str, expected: list[str], tmp_path: Path) -> None:
    assert clauses(command, tmp_path) == expected
    assert unread(command, tmp_path) == []


@pytest.mark.parametrize(
    "command",
    [
        "srun --container-image=ubuntu:22.04 true",
        "srun --container-image=$IMAGE true",
        "apptainer exec --nv missing.sif true",
        "apptainer exec --nv $IMAGE true",
        "apptainer exec $OPTIONS image.sif true",
        "apptainer exec --nv library://lab/x:1 true",
        "docker run --gpus all python:3.12",
        "enroot start nobody",
        "srun --container-image=nvcr.io#nvidia/pytorch:latest true",
        "srun --container-image=nvcr.io/nvidia/pytorch:24.05-py3-igpu true",
    ],
)
def test_images_whose_contents_are_not_known(command: str, tmp_path: Path) -> None:
    found = [one for one in clauses(command, tmp_path) if not one.startswith("container=")]
    assert found == []
    assert unread(command, tmp_path) == [1]


def test_options_whose_values_are_unknown_do_not_hide_the_image(tmp_path: Path) -> None:
    command = f'apptainer exec --nv -B $SCRATCH:/data --env X="$Y" docker://{STATED} python $ARGUMENTS'
    assert clauses(command, tmp_path) == ["container=apptainer", "cuda>=12.4"]
    assert unread(command, tmp_path) == []


def test_what_runs_in_a_container_loads_no_module_of_the_node(tmp_path: Path) -> None:
    environment(tmp_path, "/env", cuda="12.9.1")
    inside = "'module load a; source /env/bin/activate; conda activate x; . ./x.sh; /env/bin/python t.py'"
    for start in (f"srun --container-image={STATED}", f"docker run {STATED}", f"apptainer exec docker://{STATED}"):
        body = f"module load outside\n{start} bash -c {inside}"
        found = clauses(body, tmp_path)
        assert "module=outside" in found
        assert not {"module=a", "cuda>=12.9"} & set(found)
        assert unread(body, tmp_path) == []


def test_a_batch_script_inside_pyxis_is_inside(tmp_path: Path) -> None:
    found = clauses(f"#SBATCH --container-image={STATED}\nmodule load a\ntorchrun --nproc_per_node=2 t.py", tmp_path)
    assert found == ["container=enroot", "cuda>=12.4", "gpu.count>=2"]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("nvcr.io/nvidia/pytorch:24.05-py3", "12.4"),
        ("nvcr.io#nvidia/pytorch:24.05-py3", "12.4"),
        ("docker://nvcr.io/nvidia/pytorch:24.05-py3", "12.4"),
        ("docker://$oauthtoken@nvcr.io#nvidia/pytorch:24.05-py3", "12.4"),
        ("nvcr.io/nvidia/tensorflow:23.10-tf2-py3", "12.2"),
        ("nvcr.io/nvidia/tritonserver:25.08-vllm-python-py3", "13.0"),
        ("nvcr.io/nvidia/cuda:12.6.2-devel-ubi9", "12.6"),
        ("nvidia/cuda:12.4.1-runtime-ubuntu22.04", "12.4"),
        ("docker.io/pytorch/pytorch:2.4.0-cuda12.4-cudnn9-runtime", "12.4"),
        ("host:5000/a/b:cuda_12.4@sha256:00", "12.4"),
        ("vllm/vllm:v0.6-cu124", "12.4"),
        ("nvcr.io/nvidia/pytorch:24.05-py2", None),
        ("nvcr.io/nvidia/tritonserver:24.05-trtllm-python-py3", None),
        ("nvcr.io/nvidia/nemo:24.05", None),
        ("nvcr.io/hpc/gromacs:2023.2", None),
        ("nvcr.io/nvidia/pytorch:19.01-py3", None),
        ("nvidia/cuda:latest", None),
        ("pytorch/pytorch:latest", None),
        ("me/cuda12.4:1", None),
        ("python:3.12", None),
        ("image:cu12", None),
        ("image:acu124", None),
        ("host:5000/pytorch", None),
    ],
)
def test_the_cuda_that_a_reference_states(reference: str, expected: str | None) -> None:
    version, why = cuda_of_image(reference)
    assert version == expected
    assert why


def test_the_file_that_enroot_import_writes() -> None:
    assert squash("docker://nvcr.io#nvidia/pytorch:24.05-py3") == "nvidia+pytorch+24.05-py3.sqsh"
    assert squash("docker://ubuntu:22.04") == "ubuntu+22.04.sqsh"


@pytest.mark.parametrize(
    "body",
    [
        f"apptainer pull x.sif docker://{STATED}\napptainer exec --nv x.sif true",
        f"apptainer pull --name x.sif docker://{STATED}\napptainer exec --nv x.sif true",
        f"cd sub\nsingularity pull x.sif docker://{STATED}\nsingularity exec --nv ./x.sif true",
    ],
)
def test_an_image_that_the_script_fetches_itself_is_known(body: str, tmp_path: Path) -> None:
    assert clauses(body, tmp_path)[-1] == "cuda>=12.4"
    assert unread(body, tmp_path) == []


def local(root: Path, path: str, **variables: str) -> None:
    put(root, f"{path}/etc/os-release", 'ID=ubuntu\nVERSION_ID="22.04"\n')
    put(root, f"{path}/etc/environment", "".join(f"{name}={value}\n" for name, value in variables.items()))
    put(root, f"{path}/usr/local/cuda-12.4/version.json", '{"cuda": {"name": "CUDA SDK", "version": "12.4.1"}}')


def test_a_local_image_is_read(tmp_path: Path) -> None:
    local(tmp_path, "/home/alice/img", NVIDIA_REQUIRE_CUDA="driver>=550")
    found = lines("apptainer exec --nv ~/img true\napptainer exec ~/img true", tmp_path)
    assert found == [("container=apptainer", 1), ("driver>=550", 1), ("cuda>=12.4", 1)]
    assert clauses("srun --container-image=$HOME/img true", tmp_path) == [
        "container=enroot",
        "driver>=550",
        "cuda>=12.4",
    ]
    assert clauses("cd ..\napptainer run --nv img", tmp_path)[1:] == ["driver>=550", "cuda>=12.4"]
    assert clauses("apptainer exec ~/img true", tmp_path) == ["container=apptainer"]
    assert unread("apptainer exec ~/img true", tmp_path) == []


def test_a_local_image_that_is_none_is_unread(tmp_path: Path) -> None:
    put(tmp_path, "/home/alice/project/x.sif", "not an image")
    assert unread("apptainer exec --nv x.sif true", tmp_path) == [1]
    why = read("apptainer exec --nv x.sif true", tmp_path).unread[0].why
    assert str(tmp_path) not in why


def test_an_image_beyond_the_root_is_not_followed(tmp_path: Path) -> None:
    local(tmp_path, "/outside/img")
    (tmp_path / "root/home/alice/project").mkdir(parents=True)
    (tmp_path / "root/home/alice/project/img").symlink_to(tmp_path / "outside/img")
    assert unread("apptainer exec --nv ./img true", tmp_path / "root") == [1]


# Python environments


@pytest.mark.parametrize(
    "command",
    [
        "source /home/alice/project/env/bin/activate",
        ". env/bin/activate",
        "source ./env/bin/activate",
        "env/bin/python train.py",
        "./env/bin/python3.11 -u train.py",
        "srun $PWD/env/bin/python train.py",
        "conda activate ./env",
        "conda activate /home/alice/project/env",
        "micromamba activate -p env",
        "source activate ./env",
        "conda run -p env python train.py",
        "mamba run --prefix env --no-capture-output python train.py",
        "cd sub && . ../env/bin/activate",
        "uv run --project sub python train.py",
        "pixi run --manifest-path sub/pixi.toml train",
        "uv run --directory=sub train.py",
        "poetry -C sub run train",
        "cd sub/deeper\nuv run train.py",
        "srun uv run --extra gpu -p 3.12 python train.py",
    ],
)
def test_environments_that_are_found(command: str, tmp_path: Path) -> None:
    project = "/home/alice/project"
    places = (f"{project}/env", f"{project}/sub/.venv", f"{project}/.venv", f"{project}/sub/.pixi/envs/default")
    for place in places:
        environment(tmp_path, place, torch="'12.4'")
    (tmp_path / "home/alice/project/sub/deeper").mkdir()
    assert clauses(command, tmp_path) == ["cuda>=12.4"]
    assert unread(command, tmp_path) == []


@pytest.mark.parametrize(
    "command",
    [
        "source missing/bin/activate",
        "source $ENV/bin/activate",
        "missing/bin/python train.py",
        "$ENV/bin/python train.py",
        "conda activate missing",
        "conda activate $ENV",
        "conda run -n missing true",
        "uv run train.py",
        "uv run --project $P train.py",
        "poetry run train",
        "pixi run train",
        "if true; then source env/bin/activate; fi",
        "cd $X; . env/bin/activate",
        "cd $X; uv run train.py",
    ],
)
def test_environments_that_are_not_found_are_unread(command: str, tmp_path: Path) -> None:
    environment(tmp_path, "/home/alice/project/env", torch="'12.4'")
    assert clauses(command, tmp_path) == []
    assert unread(command, tmp_path) == [1]


@pytest.mark.parametrize(
    "command",
    [
        "source env/bin/activate",
        "conda deactivate",
        "conda env list",
        "python train.py",
        "/usr/bin/python3 train.py",
        "env/bin/pip list",
    ],
)
def test_environments_without_cuda_and_other_commands_are_silent(command: str, tmp_path: Path) -> None:
    environment(tmp_path, "/home/alice/project/env", torch="None")
    assert clauses(command, tmp_path) == []
    assert unread(command, tmp_path) == []


@pytest.mark.parametrize(
    ("torch", "wheel", "conda", "expected"),
    [
        ("'12.4'", "12.6.77", "", ["cuda>=12.4"]),
        ("None", "12.6.77", "", ["cuda>=12.6"]),
        (None, "12.4.127", "", ["cuda>=12.4"]),
        (None, "", "cuda-cudart-12.1.105-0.json", ["cuda>=12.1"]),
        (None, "", "cudatoolkit-11.8.0-h6a678d5_0.json", ["cuda>=11.8"]),
        (None, "", "pytorch-cuda-12.1-ha16c6d3_5.json", ["cuda>=12.1"]),
        (None, "12.4.127", "cuda-cudart-12.10.1-0.json", ["cuda>=12.10"]),
        (None, "", "cuda-version-12.4-h3060b56_3.json", []),
        (None, "", "cuda-cudart_linux-64-12.4.127-0.json", []),
        (None, "", "", []),
    ],
)
def test_the_cuda_of_an_environment(
    torch: str | None, wheel: str, conda: str, expected: list[str], tmp_path: Path
) -> None:
    environment(tmp_path, "/env", cuda=wheel, torch=torch)
    if conda:
        put(tmp_path, f"/env/conda-meta/{conda}", "{}")
    assert clauses("source /env/bin/activate", tmp_path) == expected


def test_conda_environments_by_name(tmp_path: Path) -> None:
    environment(tmp_path, "/apps/conda/envs/a", torch="'12.1'")
    environment(tmp_path, "/home/alice/miniconda3/envs/a", torch="'12.4'")
    environment(tmp_path, "/home/alice/.conda/envs/b", torch="'11.8'")
    environment(tmp_path, "/data/envs/c", torch="'12.2'")
    environment(tmp_path, "/work/d", torch="'12.3'")
    put(tmp_path, "/home/alice/.condarc", "channels:\n  - conda-forge\nenvs_dirs:\n  - /data/envs\n  - ~/more\n")
    put(tmp_path, "/home/alice/.conda/environments.txt", "/work/d\n/gone/e\n")
    assert clauses("conda activate a", tmp_path) == ["cuda>=12.4"]
    assert clauses("conda activate b", tmp_path) == ["cuda>=11.8"]
    assert clauses("conda activate c", tmp_path) == ["cuda>=12.2"]
    assert clauses("conda activate d", tmp_path) == ["cuda>=12.3"]
    assert unread("conda activate e", tmp_path) == [1]
    # The installation that the script names, or that the user's own shell uses, is the one.
    assert clauses("source /apps/conda/etc/profile.d/conda.sh\nconda activate a", tmp_path) == ["cuda>=12.1"]
    assert clauses("source /apps/conda/bin/activate a", tmp_path) == ["cuda>=12.1"]
    found = read("conda activate a", tmp_path, CONDA_EXE="/apps/conda/bin/conda")
    assert [one.clause for one in found.needs][-1] == "cuda>=12.1"


def test_conda_environments_of_one_name_that_differ_are_unread(tmp_path: Path) -> None:
    environment(tmp_path, "/home/alice/miniconda3/envs/a", torch="'12.4'")
    environment(tmp_path, "/home/alice/.conda/envs/a", torch="'11.8'")
    assert clauses("conda activate a", tmp_path) == []
    assert unread("conda activate a", tmp_path) == [1]


def test_files_that_are_no_files_are_not_opened(tmp_path: Path) -> None:
    import os

    site = tmp_path / "env/lib/python3.11/site-packages/torch"
    site.mkdir(parents=True)
    os.mkfifo(site / "version.py")
    assert clauses("source /env/bin/activate", tmp_path) == []
    (site / "version.py").unlink()
    (site / "version.py").write_text("x" * (2 << 20))
    assert unread("source /env/bin/activate", tmp_path) == [1]


# MPI


@pytest.mark.parametrize(
    "command",
    [
        "mpirun -np 4 --map-by node --mca btl tcp,self -x PATH module load a",
        "mpiexec -genv X 1 -n 4 module load a",
        "srun --mpi=pmix -n 4 -c2 --cpu-bind cores module load a",
        "srun --mpi pmix_v4 module load a",
        "numactl -N 0 -m 0 mpirun -n 1 module load a",
        "mpirun -n 1 ./x : -n 4 module load a",
    ],
)
def test_mpi_is_noted_and_what_follows_is_read(command: str, tmp_path: Path) -> None:
    found = read(command, tmp_path)
    assert [one.clause for one in found.needs][1:] == ["module=a"]
    assert len(found.notes) == 1
    assert "MPI" in found.notes[0].why


@pytest.mark.parametrize(
    "start",
    [
        "srun -n4 --exclusive -u", "srun -N 1 -n 1 --gpus 2 --mem 4G -o out.%j -l", "srun --het-group=0 true : -n2",
        "nohup", "exec", "env -u B A=1", "nice -n 5", "nice -5", "timeout -k 5 1h", "taskset -c 0-3", "taskset 0xff",
        "stdbuf -oL", "time -p", "A=1 B=2", "command", "numactl --cpunodebind=0 -m 0",
    ],
)  # fmt: skip
def test_what_starts_a_command_is_looked_through(start: str, tmp_path: Path) -> None:
    assert clauses(f"{start} module load a", tmp_path) == ["module=a"]


# The job's options


def test_relative_paths_are_beneath_chdir(tmp_path: Path) -> None:
    environment(tmp_path, "/data/env", torch="'12.4'")
    environment(tmp_path, "/home/alice/project/run/env", torch="'12.1'")
    assert clauses("#SBATCH --chdir=/data\n. env/bin/activate", tmp_path) == ["cuda>=12.4"]
    assert clauses("#SBATCH -D run\n. env/bin/activate", tmp_path) == ["cuda>=12.1"]
    assert clauses("#SBATCH -D /data\n. $SLURM_SUBMIT_DIR/run/env/bin/activate", tmp_path) == ["cuda>=12.1"]


def test_gpus_of_any_component_count(tmp_path: Path) -> None:
    body = "#SBATCH -N1\n#SBATCH hetjob\n#SBATCH --gpus-per-node=4\nmodule load cuda/12.4"
    found = read(body, tmp_path, gpus=False)
    assert [one.clause for one in found.needs] == ["gpu.count>=4", "module=cuda/12.4", "cuda>=12.4"]


def test_a_tree_of_modules_that_is_here_is_looked_at(tmp_path: Path) -> None:
    put(tmp_path, "/home/alice/modulefiles/mytool/1.2.lua", 'prepend_path("PATH", "/x")')
    put(tmp_path, "/home/alice/modulefiles/opens/1", "#%Module\nmodule use /more")
    use = "module use ~/modulefiles\n"
    assert clauses(f"{use}module load mytool/1.2 gcc/13", tmp_path) == ["module=gcc/13"]
    assert unread(f"{use}module load mytool/1.2 gcc/13", tmp_path) == []
    assert [one.why for one in read(f"{use}module load mytool/1.2", tmp_path).notes] == [
        "the module mytool/1.2 is the script's own, of /home/alice/modulefiles"
    ]
    # Another version, a name that may be one of several, a tree that is not here, and one that opens others.
    for names in ("mytool/1.3", "mytool", "opens"):
        assert (clauses(f"{use}ml {names}", tmp_path), unread(f"{use}ml {names}", tmp_path)) == ([], [2])
    assert unread("module use /gone\nmodule load gcc/13", tmp_path) == [2]
    assert unread(f"{use}module load opens/1\nmodule load gcc/13", tmp_path) == [3]
    assert unread(f"[ -d x ] && {use}module load gcc/13", tmp_path) == [2]
    assert clauses("module load gcc/13\nmodule use /gone", tmp_path) == ["module=gcc/13"]


# Heterogeneous jobs

HET = "#SBATCH -N1\n#SBATCH hetjob\n#SBATCH --gpus-per-node=4\n"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("srun --het-group=0 ./a : --het-group=1 --container-image=nvidia/cuda:12.4.1-base ./b",
         {("container=enroot", 1), ("cuda>=12.4", 1)}),
        ("srun ./a : --container-image=nvidia/cuda:12.4.1-base ./b", {("container=enroot", 1), ("cuda>=12.4", 1)}),
        ("srun --container-image=nvidia/cuda:12.4.1-base ./a", {("container=enroot", 0)}),
        ("srun --het-group=0,1 apptainer exec --nv docker://nvidia/cuda:12.4.1-base ./a",
         {("container=apptainer", 0), ("container=apptainer", 1), ("cuda>=12.4", 1)}),
        ("srun --het-group=0-1 module load a", {("module=a", 0), ("module=a", 1)}),
        ("module load cuda/12.4\nsrun --het-group=1 ./b", {("module=cuda/12.4", 0), ("cuda>=12.4", 1)}),
        ("srun --het-group=2 module load a", set()),
        ("srun --het-group=$G module load a", set()),
    ],
)  # fmt: skip
def test_each_need_goes_to_its_component(body: str, expected: set[tuple[str, int]], tmp_path: Path) -> None:
    put(tmp_path, "/home/alice/project/b", "#!/usr/bin/perl\n")
    found = read(HET + body, tmp_path, gpus=False)
    assert {(one.clause, one.component) for one in found.needs} == {("gpu.count>=4", 1), *expected}
    assert [one.line for one in found.unread] == ([] if expected else [5])


def test_of_several_components_with_gpus_it_is_not_known_which_needs_a_modules_cuda(tmp_path: Path) -> None:
    found = read(f"{HET}#SBATCH hetjob\n#SBATCH --gpus-per-node=2\nmodule load cuda/12.4", tmp_path, gpus=False)
    assert "cuda>=12.4" not in [one.clause for one in found.needs]
    assert [one.line for one in found.unread] == [7]


def test_a_container_of_a_component_in_which_the_script_does_not_run_is_unread(tmp_path: Path) -> None:
    found = read("#SBATCH hetjob\n#SBATCH --container-image=a.sqsh\nmodule load a", tmp_path, gpus=False)
    assert [one.clause for one in found.needs] == ["module=a"]
    assert [one.line for one in found.unread] == [3]


@pytest.mark.parametrize(
    "body",
    [
        "module load cuda/12.4",
        "conda activate x",
        "srun --container-image=nvidia/cuda:12.4.1-base ./a",
        "torchrun --nproc_per_node=4 t.py",
        "srun --gpus=1 ./a",
        "srun -n1 --gres=gpu:1 ./a",
    ],
)
def test_a_job_that_asks_for_no_gpu_is_told_that_cuda_was_not_looked_for(body: str, tmp_path: Path) -> None:
    found = read(f"#SBATCH -p gpu --exclusive\n{body}", tmp_path, gpus=False)
    (note,) = [one for one in found.notes if "CUDA was not looked for" in one.why]
    assert note.line == 3
    assert not [one for one in read(body, tmp_path).notes if "was not looked for" in one.why]
    assert read("module load gcc\nsrun ./a", tmp_path, gpus=False).notes == ()
