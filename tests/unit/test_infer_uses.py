"""An environment's needs bind where its python surely runs, and its PyTorch is surely what the job runs on GPUs."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.gpu_code_samples import AARCH64, container, image, install, library
from unit.infer_samples import GPU, environment, put, read

VENV, CONDA, OTHER = "/home/alice/env", "/home/alice/miniconda3/envs/pt", "/home/alice/other"
TORCH = ("cuda>=12.8", "gpu.code=sm_90")
SITE = "lib/python3.11/site-packages"


def make(root: Path, prefix: str, *, conda: bool = False, machine: int | None = None, torch: bool = True) -> None:
    """Make a virtual environment, or one of conda's with a python of its own, of PyTorch."""
    given = {} if machine is None else {"machine": machine}
    if conda:
        put(root, f"{prefix}/conda-meta/history")
        (root / prefix.lstrip("/") / "bin").mkdir()
        (root / prefix.lstrip("/") / "bin/python").write_bytes(library([], interpreter=True, **given))
    else:
        environment(root, prefix)
    if torch:
        put(root, f"{prefix}/{SITE}/torch/version.py", "cuda: Optional[str] = '12.8'\n")
        held = library([container(image(90))], needed=["libcudart.so.12"], **given)
        site = root / prefix.lstrip("/") / SITE
        install(site, "torch", "2.8.0+cu128", {"torch/lib/libtorch_cuda.so": held})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A home with a virtual environment and one of conda's, both of PyTorch, and a project with a program."""
    make(tmp_path, VENV)
    make(tmp_path, CONDA, conda=True)
    project = tmp_path / "home/alice/project"
    project.mkdir()
    (project / "app").write_bytes(library([], interpreter=True))
    put(tmp_path, f"{VENV}/bin/accelerate", f"#!{VENV}/bin/python\n")
    return tmp_path


def binding(body: str, root: Path, **given: str) -> dict[str, bool]:
    found = read(body, root, **given).needs
    return {one.clause: one.binds for one in found if not one.clause.startswith(("gpu.count", "module", "container"))}


USE = f"source {VENV}/bin/activate"
BINDS = [
    f"{USE}\npython train.py",
    f"{USE}\nsrun python -u train.py",
    f"{USE}\ntorchrun train.py",
    f"{USE} && srun torchrun train.py",
    f"{USE}\naccelerate launch train.py",
    f"{USE}\npython -m torch.distributed.run train.py; ./app",
    f"{VENV}/bin/python train.py",
    f"{VENV}/bin/torchrun train.py",
    f"srun bash -c '{USE}; python train.py'",
    f"(cd /data; {USE}; python train.py)",
    "conda activate pt\npython train.py",
    f"conda run -p {CONDA} python train.py",
    "module load cuda/12.8 gcc\nconda activate pt\nnvidia-smi\npython --version\npython train.py",
    f"{USE}\nexport CUDA_VISIBLE_DEVICES=0,1\npython train.py",
    f"{USE}\nexport CUDA_VISIBLE_DEVICES=$SLURM_LOCALID\npython train.py",
    f"{USE}\nunset PYTHONPATH\nexport PYTHONPATH=\npython train.py",
    f"# PYTHONPATH=/x\n{USE}\npython train.py",
    f"cp -r data /scratch/data\ntar xf data.tar -C $TMPDIR\n{USE}\npython train.py",
    f"{USE}\nexport PATH=$PATH:/home/alice/bin\npython train.py",
    f"#SBATCH --export=ALL\n{USE}\npython train.py",
    f"source {OTHER}/bin/activate\ndeactivate\n{USE}\npython train.py",
]


@pytest.mark.parametrize("body", BINDS)
def test_what_surely_runs_binds(root: Path, body: str) -> None:
    make(root, OTHER, torch=False)
    found = binding(body, root)
    assert [found[clause] for clause in (*TORCH, "arch=x86_64")] == [True] * 3, found


NOT_TORCH = [
    USE,  # nothing runs
    f"export PYTHONPATH=/shared/torch-nightly:$PYTHONPATH\n{USE}\npython train.py",
    f"{USE}\nPYTHONPATH=$X python train.py",
    f"{USE}\nsrun --export=ALL,PYTHONPATH=/x python train.py",
    f"{USE}\nenv PYTHONPATH=/x torchrun train.py",
    f"#SBATCH --export=ALL,PYTHONPATH=/x\n{USE}\npython train.py",
    f"module load PyTorch/2.1.2\n{USE}\npython train.py",
    f"{USE}\napptainer exec --nv x.sif python t.py",
    f"{USE}\npython prep.py\napptainer exec --nv x.sif python t.py",
    f"{USE}\npython prep.py\nsrun --container-image=x python t.py",
    f"{USE}\nexport CUDA_VISIBLE_DEVICES=''\npython train.py",
    f"{USE}\nCUDA_VISIBLE_DEVICES= python train.py",
    f"{USE}\nexport CUDA_VISIBLE_DEVICES=-1\ntorchrun train.py",
    f"{USE}\npython train.py --device cpu",
    f"{USE}\nalias python=wrapper\npython train.py",
    f"{USE}\npython() {{ other; }}\npython train.py",
    f"{USE}\npython prep.py\nsrun ./app",
    f"{USE}\npython prep.py\ngmx mdrun",
    f"{USE}\npython prep.py\nbash train.sh",
    f"{USE}\nif [ -f x ]; then python train.py; fi",
    f"{USE}\npython train.py || true",
    f"{USE}\npython --version",
    f"{USE}\ndeactivate\npython train.py",
    f"{USE}\nmodule load python/3.12\npython train.py",
    f"{USE}\npython prep.py\ndeactivate\nsource {OTHER}/bin/activate\npython train.py",
    f"{USE}\nsource {OTHER}/bin/activate\npython train.py",
    f"({USE})\npython train.py",
    f"{USE}\nsource setup.sh\npython train.py",
    f"{USE}\nexport PATH={OTHER}/bin:$PATH\npython train.py",
    f"{USE}\nPATH={OTHER}/bin:$PATH python train.py",
    f"{USE}\nexport PATH=/not/here/bin:$PATH\npython train.py",
    f"{USE}\nmake\npython train.py",
    f"ln -sfn /shared/env-$(uname -m) {VENV}\n{USE}\npython train.py",
    f"cd /home/alice && tar xzf env.tgz\n{USE}\npython train.py",
    f"rsync -a /shared/env/ {VENV}/\n{USE}\ntorchrun train.py",
    f"cp -r /shared/env $HOME\n{USE}\ntorchrun train.py",
    f"{USE}\npython train.py\npip install -U torch\npython train.py",
    f"{VENV}/bin/pip install torch\n{VENV}/bin/python train.py",
]


@pytest.mark.parametrize("body", NOT_TORCH)
def test_what_may_not_be_what_runs_is_told_and_does_not_bind(root: Path, body: str) -> None:
    make(root, OTHER, torch=False)
    (root / OTHER.lstrip("/") / "bin").mkdir()
    put(root, f"{OTHER}/bin/python")
    put(root, f"{OTHER}/{SITE}/torch/version.py", "cuda: Optional[str] = '11.8'\n")
    found = binding(body, root)
    assert [found[clause] for clause in TORCH] == [False] * 2, found
    assert found["arch=x86_64"] is False or OTHER in body


def test_the_submitting_shells_python_path_unbinds(root: Path) -> None:
    assert binding(f"{USE}\npython t.py", root, PYTHONPATH="/x")["gpu.code=sm_90"] is False


def test_another_torch_in_the_users_packages_shadows_condas_only(root: Path) -> None:
    put(root, f"/home/alice/.local/{SITE}/torch/version.py")
    found = binding("conda activate pt\npython t.py", root)
    assert (found["gpu.code=sm_90"], found["cuda>=12.8"], found["arch=x86_64"]) == (False, False, True)
    assert binding(f"{USE}\npython t.py", root)["gpu.code=sm_90"] is True


@pytest.mark.parametrize("name", ["jaxlib", "tensorflow", "cupy", "onnxruntime_gpu-1.20.dist-info"])
def test_beside_another_that_uses_gpus_only_torchs_own_launcher_tells(root: Path, name: str) -> None:
    put(root, f"{VENV}/{SITE}/{name}/__init__.py")
    assert binding(f"{USE}\npython train_jax.py", root)["gpu.code=sm_90"] is False
    assert binding(f"{USE}\ntorchrun train.py", root)["gpu.code=sm_90"] is True


def test_the_machine_binds_by_the_environments_own_python_or_by_torch(root: Path) -> None:
    tools = "/home/alice/tools"
    make(root, tools, torch=False)
    (root / tools.lstrip("/") / "bin").mkdir()
    (root / tools.lstrip("/") / "bin/ninja").write_bytes(library([], interpreter=True))
    assert binding(f"source {tools}/bin/activate\npython t.py", root) == {"arch=x86_64": False}
    make(root, "/home/alice/c", conda=True, torch=False)
    assert binding("conda activate ~/c\npython t.py", root) == {"arch=x86_64": True}


@pytest.mark.parametrize("place", ["/home/alice/miniforge3/envs/pt", "/opt/conda/envs/pt"])
def test_of_two_conda_environments_of_a_name_none_is_told(root: Path, place: str) -> None:
    make(root, place, conda=True, machine=AARCH64)
    for body in ("source ~/.bashrc\nconda activate pt\npython t.py", "conda run -n pt python t.py"):
        found = read(body, root)
        assert binding(body, root) == {}
        assert any("several conda environments are called pt" in one.why for one in found.unread)


@pytest.mark.parametrize(
    "setting",
    [
        "export MAMBA_ROOT_PREFIX=/scratch/mm",
        "export MAMBA_ROOT_PREFIX=$SCRATCH/mm",
        "export CONDA_ENVS_PATH=$P",
        "CONDA_ENVS_DIRS=/proj/envs",
        "source ~/other/etc/profile.d/conda.sh",
    ],
)
def test_where_conda_looks_is_what_the_script_says(root: Path, setting: str) -> None:
    found = read(f"{setting}\nmicromamba activate pt\npython t.py", root)
    assert not any(one.clause.startswith(("cuda", "arch", "gpu.code")) for one in found.needs)
    assert any("conda environment pt" in one.why for one in found.unread)


def test_a_setting_of_conda_that_is_here_is_followed(root: Path) -> None:
    make(root, "/proj/envs/new", conda=True)
    assert binding("export CONDA_ENVS_PATH=/proj/envs\nconda activate new\npython t.py", root)["arch=x86_64"] is True


def test_a_module_may_bring_another_conda(root: Path) -> None:
    found = binding("module load anaconda3\nconda activate pt\npython t.py", root)
    assert set(found.values()) == {False}


@pytest.mark.parametrize("name", ["VIRTUAL_ENV", "CONDA_PREFIX"])
@pytest.mark.parametrize("body", ["python train.py", "srun torchrun train.py", "bash -c 'python3 t.py'"])
def test_the_environment_of_the_submitting_shell_is_told(root: Path, name: str, body: str) -> None:
    found = binding(body, root, **{name: VENV})
    assert set(found) == {*TORCH, "arch=x86_64"}
    assert not any(found.values())
    assert binding("#SBATCH --export=NONE\n" + body, root, **{name: VENV}) == {}
    assert binding("echo a", root, **{name: VENV}) == {}
    assert read(body, root, **{name: "/gone"}).unread


def test_the_first_on_the_path_is_active_at_submit(root: Path) -> None:
    make(root, OTHER, torch=False)
    given = {"VIRTUAL_ENV": VENV, "CONDA_PREFIX": OTHER, "PATH": f"{OTHER}/bin:{VENV}/bin:/usr/bin"}
    assert binding("python t.py", root, **given) == {}


@pytest.mark.parametrize(
    "body",
    [
        "export PATH=$HOME/env/bin:$PATH\npython t.py",
        "PATH=~/env/bin:$PATH\nsrun torchrun t.py",
        "PATH=$HOME/env/bin:$PATH python t.py",
        "export PATH=$HOME/env/bin:$PATH\nexport PATH=/home/alice/project:$PATH\nbash -c 'python t.py'",
    ],
)
def test_an_environment_on_the_path_is_told(root: Path, body: str) -> None:
    put(root, f"{VENV}/bin/python3")
    found = binding(body, root)
    assert set(found) == {*TORCH, "arch=x86_64"}
    assert not any(found.values())


def test_packages_of_the_python_below_are_unread(root: Path) -> None:
    make(root, OTHER, torch=False)
    put(root, f"{OTHER}/pyvenv.cfg", "home = /apps/python/bin\ninclude-system-site-packages = true\n")
    found = read(f"source {OTHER}/bin/activate\npython t.py", root)
    assert [one.why for one in found.unread] == [
        f"source {OTHER}/bin/activate: it uses the packages of /apps/python too, which are not read"
    ]


@pytest.mark.parametrize("option", ["--with torch==2.9", "--isolated", "--no-project", "--with-requirements r.txt"])
def test_what_uv_run_adds_is_unread(root: Path, option: str) -> None:
    assert any("uv run --" in one.why for one in read(f"uv run {option} python t.py", root).unread)


@pytest.mark.parametrize(
    "body",
    [
        f"module load cuda-compat/13.0\n{USE}\npython t.py",
        f"export LD_LIBRARY_PATH=/proj/cuda-compat-13.0:$LD_LIBRARY_PATH\n{USE}\npython t.py",
        f"export LD_LIBRARY_PATH=$FORWARD:$LD_LIBRARY_PATH\n{USE}\npython t.py",
    ],
)
def test_a_compatibility_package_of_the_jobs_own_leaves_cuda_open(root: Path, body: str) -> None:
    found = binding(body, root)
    assert (found["cuda>=12.8"], found["gpu.code=sm_90"]) == (False, True)


def test_one_in_the_conda_environment_does_too(root: Path) -> None:
    put(root, f"{CONDA}/conda-meta/cuda-compat-12.9-0.json", "{}")
    found = binding("conda activate pt\npython t.py", root)
    assert (found["cuda>=12.8"], found["gpu.code=sm_90"]) == (False, True)


def test_a_need_binds_in_the_component_where_its_python_runs(root: Path) -> None:
    body = f"#SBATCH hetjob\n#SBATCH --gpus=1\n{USE}\nsrun --het-group=1 python t.py"
    found = {(one.clause, one.component): one.binds for one in read(body, root).needs}
    assert (found["arch=x86_64", 0], found["arch=x86_64", 1]) == (False, True)
    assert GPU


@pytest.mark.parametrize(
    "body",
    [
        "export PATH=/{long}/bin:$PATH\npython t.py",
        "export PATH=/loop/bin:$PATH\npython t.py",
        "conda activate {long}",
        "export CONDA_ENVS_PATH=/{long}\nconda activate pt",
        "cp a /{long}\nsource ~/env/bin/activate\npython t.py",
        "cp a /loop/b\nsource ~/env/bin/activate\n{long}\npython t.py",
        "python t.py",
    ],
)
@pytest.mark.parametrize("submitted", ["/loop", "/" + "a" * 300])
def test_paths_that_cannot_be_looked_at_end_nothing(root: Path, body: str, submitted: str) -> None:
    (root / "loop").symlink_to("loop")
    binding(body.format(long="a" * 300), root, VIRTUAL_ENV=submitted)
