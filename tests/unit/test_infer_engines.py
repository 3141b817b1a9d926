"""Tools that choose or fill an environment, engines that start programs, trees of modules that are the user's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from infer_samples import clauses, environment, put, read, unread


@pytest.mark.parametrize(
    ("command", "without_gpus"),
    [
        ("pip install torch --index-url https://example.org/whl/cu124", False),
        ("conda install pytorch", False),
        ("micromamba create -n a pytorch", False),
        ("uv pip install vllm", False),
        ("uvx vllm serve m", False),
        ("pipenv run python t.py", False),
        ("pdm run python t.py", False),
        ("nix develop -c python t.py", False),
        ("workon torch", False),
        ("spack env activate ml", False),
        ("snakemake --sdm apptainer -c4", True),
        ("nextflow run main.nf", True),
        ("docker compose up", True),
        ("docker exec it python t.py", True),
        ("find . -name x.py | xargs -n1 bash", True),
        ("srun --multi-prog p.conf", True),
        ("parallel -j4 < commands", True),
        ("parallel :::: commands", True),
        ("cat commands | parallel -j 4 --joblog l", True),
        ("ssh n1 < commands", True),
        ("csh -c './a'", True),
        ("mpirun --app file", True),
        ("ctest -j4", True),
        ("make -j4 train", True),
        ("$LAUNCHER_DIR/paramrun", True),
        ("wandb agent lab/p/1", True),
        ("~/envs/pt/bin/vllm serve m", False),
        ("venv/bin/torchrun --nproc_per_node=gpu t.py", False),
    ],
)
def test_what_they_bring_is_unread(command: str, without_gpus: bool, tmp_path: Path) -> None:
    assert clauses(command, tmp_path) == []
    assert unread(command, tmp_path) == [1]
    assert unread(command, tmp_path, gpus=False) == ([1] if without_gpus else [])


@pytest.mark.parametrize(
    "command",
    [
        "pip list",
        "pipenv --version",
        "conda list",
        "snakemake --help",
        "docker ps",
        "parallel gzip ::: a b",
        "parallel gzip < names",
        "ssh n1 hostname",
        "make -j8 install",
        "wandb login",
        "/usr/bin/tool x",
    ],
)
def test_what_starts_and_brings_nothing_is_silent(command: str, tmp_path: Path) -> None:
    assert (clauses(command, tmp_path), unread(command, tmp_path)) == ([], [])


IMAGE = "docker://nvidia/cuda:12.4.1-base-ubuntu22.04"


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        (f"APPTAINER_NV=1 apptainer exec {IMAGE} ./a", True),
        (f"export SINGULARITY_NV=true\nsingularity exec {IMAGE} ./a", True),
        (f"APPTAINER_NV=0 apptainer exec {IMAGE} ./a", False),
        (f"apptainer exec {IMAGE} ./a", False),
        ("docker run --runtime=nvidia nvidia/cuda:12.4.1-base-ubuntu22.04 ./a", True),
        ("docker run --runtime=runc nvidia/cuda:12.4.1-base-ubuntu22.04 ./a", False),
    ],
)
def test_gpus_are_given_by_a_variable_or_a_runtime_too(body: str, asked: bool, tmp_path: Path) -> None:
    assert ("cuda>=12.4" in clauses(body, tmp_path)) is asked
    notes = [one.why for one in read(body, tmp_path).notes]
    assert any("without --nv" in one for one in notes) is (not asked and "apptainer" in body)


def test_gpus_that_the_sites_runtime_may_give_are_unread(tmp_path: Path) -> None:
    body = "podman run -e NVIDIA_VISIBLE_DEVICES=all nvidia/cuda:12.4.1-base-ubuntu22.04 ./a"
    assert (clauses(body, tmp_path), unread(body, tmp_path)) == (["container=podman"], [1])


def test_signs_of_a_site_for_variants_are_no_modules(tmp_path: Path) -> None:
    assert clauses("module load openmpi/5 %gcc", tmp_path) == ["module=openmpi/5"]
    assert unread("module load openmpi/5 %gcc", tmp_path) == [1]


def binding(body: str, root: Path, **given: str) -> dict[str, bool]:
    needs = read(body, root, **given).needs
    return {one.clause: one.binds for one in needs if one.clause.startswith(("module", "cuda"))}


@pytest.mark.parametrize(
    ("text", "binds"),
    [
        (None, False),  # not here
        ("export PATH=$HOME/bin:$PATH\n# module use ~/old\n", True),
        ("if true; then module use ~/mods; fi\n", False),
        ("ml use ~/mods\n", False),
        ("export MODULEPATH=~/mods:$MODULEPATH\n", False),
        (". /etc/bashrc\nsource ~/miniconda3/etc/profile.d/conda.sh\n", True),
        ("[ -f ~/more.sh ] && . ~/more.sh\n", False),
    ],
)
@pytest.mark.parametrize("start", ["source env.sh", ". ~/.bashrc"])
def test_a_module_behind_a_file_that_may_add_trees_does_not_bind(
    start: str, text: str | None, binds: bool, tmp_path: Path
) -> None:
    if text is not None:
        put(tmp_path, "/home/alice/project/env.sh", text)
        put(tmp_path, "/home/alice/.bashrc", text)
    found = binding(f"module load gcc/13\n{start}\nmodule load cuda/12.4", tmp_path)
    unknown = (text is None and start == "source env.sh") or (text is not None and "more.sh" in text)
    assert found == {"module=gcc/13": True, "module=cuda/12.4": binds, "cuda>=12.4": not unknown}


@pytest.mark.parametrize(
    ("text", "binds"),
    [
        ("export LD_LIBRARY_PATH=/shared/cuda-13.0/compat:$LD_LIBRARY_PATH", False),
        ("export LD_LIBRARY_PATH=$LIBRARIES", False),
        ("module load $MINE", False),
        ("module load cuda-compat", False),
        ("if [ -f ~/x ]; then . ~/x; fi", False),
        ('eval "$(/shared/bin/setup)"', False),
        ("export OMP_NUM_THREADS=4  # compat", False),
        ("export OMP_NUM_THREADS=4\n# compat", True),
        ("export LD_LIBRARY_PATH=$HOME/lib:$LD_LIBRARY_PATH", True),
        ('eval "$(dircolors -b ~/.dircolors)"', True),
        ('eval "$(/opt/conda/bin/conda shell.bash hook 2> /dev/null)"', True),
        (". /opt/conda/etc/profile.d/conda.sh", True),
    ],
)
def test_a_cuda_beside_a_file_that_may_bring_forward_compatibility(text: str, binds: bool, tmp_path: Path) -> None:
    for path in ("/home/alice/project/env.sh", "/shared/env.sh", "/home/alice/.bashrc"):
        put(tmp_path, path, text)
    load = "module load cuda/13.0"
    for body in (
        f"source ./env.sh\n{load}", f"{load}\nsource ./env.sh", f"{load}\nif true; then . /shared/env.sh; fi",
        f"{load}\nsource ~/.bashrc", f"bash -lc '{load}; ./a'",
        f"{load}\nsrun ./env.sh", f"{load}\nbash env.sh",
    ):  # fmt: skip
        assert binding(body, tmp_path)["cuda>=13.0"] is binds, body


@pytest.mark.parametrize(
    ("line", "binds"),
    [
        (". /shared/project/setup.sh", False),
        ('eval "$(/shared/bin/setup)"', False),
        ("eval $SETUP", False),
        ("source /cvmfs/software.eessi.io/versions/2023.06/init/bash", False),
        ("source /etc/profile.d/modules.sh", True),
        ("source ~/.bashrc", True),  # which is not here
        ('eval "$(conda shell.bash hook)"', True),
        ("eval export A=1", True),
    ],
)
@pytest.mark.parametrize("load", ["module load CUDA/12.1.1", "spack load cuda@12.1.1"])
def test_a_cuda_beside_what_is_not_read(line: str, load: str, binds: bool, tmp_path: Path) -> None:
    for body in (f"{line}\n{load}", f"{load}\n{line}"):
        (found,) = [one for clause, one in binding(body, tmp_path).items() if clause.startswith("cuda>=")]
        assert found is binds, body


@pytest.mark.parametrize(("inside", "binds"), [("mytool/1.2", False), ("other/1.0", True)])
def test_a_module_of_the_users_own_modulepath_does_not_bind(inside: str, binds: bool, tmp_path: Path) -> None:
    put(tmp_path, f"/home/alice/mods/{inside}.lua", "-- lua")
    put(tmp_path, "/home/alice/mods/README")
    found = binding("module load mytool/1.2", tmp_path, MODULEPATH="/apps/modules:/home/alice/mods")
    assert found == {"module=mytool/1.2": binds}


def test_what_a_login_shell_reads_counts(tmp_path: Path) -> None:
    put(tmp_path, "/home/alice/.bash_profile", "module use ~/mods\n")
    assert binding("module load gcc/13", tmp_path) == {"module=gcc/13": True}
    assert binding("bash -lc 'module load gcc/13'", tmp_path) == {"module=gcc/13": False}


def test_a_program_of_an_environment_that_is_here_is_looked_into(tmp_path: Path) -> None:
    environment(tmp_path, "/home/alice/pt", torch="'12.4'")
    assert clauses("~/pt/bin/torchrun --nproc_per_node=2 t.py", tmp_path) == ["cuda>=12.4", "gpu.count>=2"]
    assert clauses("srun ~/pt/bin/vllm serve m", tmp_path) == ["cuda>=12.4"]


def test_a_task_of_pixi_is_unread(tmp_path: Path) -> None:
    put(tmp_path, "/home/alice/project/pixi.toml", '[feature.gpu.target.linux-64.tasks]\ntrain = "./train.sh"\n')
    put(tmp_path, "/home/alice/project/.pixi/envs/default/conda-meta/cuda-cudart-12.5.82-0.json")
    assert unread("pixi run train", tmp_path) == [1]
    assert unread("pixi run python train.py", tmp_path) == []
    put(tmp_path, "/home/alice/project/pixi.toml", "[[tasks")
    assert (clauses("pixi run train", tmp_path), unread("pixi run train", tmp_path)) == (["cuda>=12.5"], [])


@pytest.mark.parametrize(
    ("line", "starts"),
    [
        *((name, True) for name in ("ctest", "tox", "nox", "just", "snakemake", "paramrun")),
        ("ctest -j4", True), ("just train", True), ("snakemake --cores 8", True), ("tox -e py311", True),
        ("ctest -N", False), ("just --list", False), ("just -l", False), ("snakemake -n", False), ("tox list", False),
        ("nox --list", False), ("snakemake --list-rules", False), ("ctest --show-only=json-v1", False),
        ("reframe -c tests -r", True), ("reframe -C site.py -c tests --run", True), ("reframe -vr", True),
        ("reframe -c tests -l", False), ("reframe -c tests", False), ("reframe --version", False),
        ("reframe -c tests --dry-run -r", False), ("mlflow run .", True), ("mlflow ui", False), ("cwltool", False),
    ],
)  # fmt: skip
def test_engines_start_what_their_files_say(line: str, starts: bool, tmp_path: Path) -> None:
    assert unread(line, tmp_path) == ([1] if starts else [])


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("srun --container-name=foo python x", [1]),
        ("srun --container-name=$1 python x", [1]),
        ("srun --container-image=/x.sqsh --container-name=foo:exec true\nsrun --container-name=foo python x", []),
        ("srun --container-image=/x.sqsh --container-name=foo true\nsrun --container-name=bar python x", [2]),
        ("enroot create --name pyxis_foo /x.sqsh\nsrun --container-name=foo python x", []),
    ],
)
def test_a_container_by_its_name_alone_was_made_before(body: str, found: list[int], tmp_path: Path) -> None:
    put(tmp_path, "/x.sqsh", "no image")
    assert "container=enroot" in clauses(body, tmp_path)
    at = [one.line - 2 for one in read(body, tmp_path).unread if "/x.sqsh" not in one.why]
    assert at == found


def test_the_scripts_own_container_by_its_name_alone(tmp_path: Path) -> None:
    got = read("python x", tmp_path, options=("--container-name=foo",))
    assert "container=enroot" in [one.clause for one in got.needs]
    assert ["made elsewhere" in one.why for one in got.unread] == [True]
