"""What a script builds, copies or installs is not what this machine has now: needs of the old files do not bind."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.gpu_code_samples import container, image, install, library
from unit.infer_samples import environment, read

ENV = "/home/alice/env"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a program, and an environment of PyTorch."""
    environment(tmp_path, ENV)
    install(
        tmp_path / ENV.lstrip("/") / "lib/python3.11/site-packages",
        "torch", "2.8.0+cu128",
        {"torch/lib/libtorch_cuda.so": library([container(image(90))], needed=["libcudart.so.12"])},
    )  # fmt: skip
    project = tmp_path / "home/alice/project"
    project.mkdir(parents=True)
    (project / ".venv").symlink_to("../env")
    program = library([container(image(80))], interpreter=True, needed=["libcudart.so.12"], versions=["GLIBC_2.17"])
    (project / "app").write_bytes(program)
    return tmp_path


def binding(body: str, root: Path) -> dict[str, bool]:
    return {one.clause: one.binds for one in read(body, root).needs if not one.clause.startswith("gpu.count")}


@pytest.mark.parametrize(
    "line",
    [
        "make ARCH=sm_90",
        "make -j && echo built",
        "rm -f app; nvcc -o app a.cu",
        "cmake --build build",
        "ninja",
        "gcc -o app a.c",
        "mpicxx -o app a.cc",
        "ln -sf app.$(uname -m) app",
        "cp /shared/app-h100 ./app",
        "mv app.new app",
        "tar xzf r.tgz",
        "unzip r.zip",
        "git checkout h100",
        "rsync -a /shared/app .",
        "cat a b > app",
        "gunzip app.gz",
        "sed -i s/a/b/ app",
        "bash build.sh",
        "./build.sh",
        "source build.sh",
        "python build.py",
        "cargo build",
        "if [ -f a.cu ]; then make; fi",
        "[ -x app2 ] || make",
        "srun make",
        "bash -c 'make'",
        "$BUILD",
        "sh < build",
        "apptainer exec x.sif make",
        "f() { make; }; f",
        'eval "$(cat x)"',
        "curl -o app https://a.example/app",
        "find . -name app -exec chmod +x {} +",
        "trap 'make' EXIT",
        "apptainer run build.sif",
        "env CC=gcc make",
        "(cd src && make)",
    ],
)
def test_what_may_be_built_does_not_bind(root: Path, line: str) -> None:
    found = binding(f"{line}\nsrun ./app", root)
    assert found["arch=x86_64"] is found["gpu.code=sm_80"] is found["cuda>=12"] is False, found


@pytest.mark.parametrize(
    "line",
    [
        "cd $HOME/project",
        "module load gcc",
        "export A=b",
        "mkdir -p out",
        "echo start > log.txt",
        "nvidia-smi",
        "hostname",
        "source /etc/profile.d/modules.sh",
        "ulimit -s unlimited",
        "cat app.txt",
        "cat x | grep y > z",
        "nvcc --version",
        "make --version",
        "srun ./app",
        "find . -name x",
        "sed s/a/b/ x 2> log",
        "scontrol show job 1",
    ],
)
def test_what_builds_nothing_leaves_it_binding(root: Path, line: str) -> None:
    assert set(binding(f"{line}\nsrun ./app", root).values()) == {True}


def test_what_is_built_behind_it_changes_nothing(root: Path) -> None:
    assert set(binding("srun ./app\nmake", root).values()) == {True}


@pytest.mark.parametrize(
    "body",
    [
        f"rm -rf {ENV}; python3 -m venv {ENV}; source {ENV}/bin/activate; pip install torch",
        f"source {ENV}/bin/activate; pip install -U torch",
        f"source {ENV}/bin/activate; pip3.11 install -U torch",
        f"source {ENV}/bin/activate; python -m pip install -U torch",
        f"source {ENV}/bin/activate; uv pip install torch",
        f"{ENV}/bin/python -m pip install -U torch; {ENV}/bin/python train.py",
        f"conda env update -p {ENV}; conda activate {ENV}",
        f"conda activate {ENV}; conda env update -f x.yml",
        f"tar xzf env.tgz -C {ENV}; source {ENV}/bin/activate",
        f"bash setup_env.sh; source {ENV}/bin/activate",
        "uv sync; uv run python train.py",
        "uv run python train.py",
    ],
)
def test_what_is_installed_does_not_bind(root: Path, body: str) -> None:
    found = binding(body, root)
    assert found["gpu.code=sm_90"] is found["arch=x86_64"] is False, found
    told = read(body, root)
    assert "install" not in body or told.unread


def test_an_environment_that_nothing_changes_binds(root: Path) -> None:
    for body in (f"source {ENV}/bin/activate; python train.py", f"conda env list; conda activate {ENV}; python t.py"):
        assert binding(body, root)["gpu.code=sm_90"] is True


def test_an_install_of_an_environment_leaves_modules_binding(root: Path) -> None:
    found = binding(f"module load a\nsource {ENV}/bin/activate\npip install x", root)
    assert (found["module=a"], found["gpu.code=sm_90"]) == (True, False)
