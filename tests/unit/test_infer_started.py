"""Programs that a command starts by their path: what binds, what is told, and what is unread."""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from preflight.artifacts.gpu_code import read_bytes
from preflight.artifacts.gpu_code.elf import is_system_linker
from preflight.artifacts.gpu_code.survey import survey
from unit.gpu_code_samples import container, image, install, library
from unit.infer_samples import environment, put, read

HOME = "/home/alice"
CUDA = {"needed": ["libcudart.so.13"], "versions": ["GLIBC_2.34"]}
APP = library([container(image(80))], interpreter=True, **CUDA)
OWN = library([], interpreter="/cvmfs/soft.example/lib64/ld-linux-x86-64.so.2", versions=["GLIBC_2.37"])


def place(root: Path, path: str, data: bytes = APP, mode: int = 0o755) -> None:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    file.chmod(mode)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a program, and programs of the system."""
    place(tmp_path, f"{HOME}/project/app")
    place(tmp_path, f"{HOME}/project/own_ld", OWN)
    for path in ("/usr/bin/date", "/opt/app/bin/app", "/tmp/app", "/shared/app"):
        place(tmp_path, path)
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / HOME.lstrip("/") / "project/date").symlink_to("/usr/bin/date")
    return tmp_path


def told(body: str, root: Path, **environment: str) -> dict[str, bool]:
    needs = read(body, root, **environment).needs
    return {one.clause: one.binds for one in needs if not one.clause.startswith("gpu.count")}


def reasons(body: str, root: Path, *, gpus: bool = True) -> list[str]:
    return [one.why for one in read(body, root, gpus=gpus).unread]


@pytest.mark.parametrize("line", ["/bin/date", "srun /usr/bin/date -u", "./date", "/usr/bin/gcc --version", "/sbin/x"])
def test_a_program_of_the_system_is_the_nodes_own(root: Path, line: str) -> None:
    assert told(line, root) == {}
    assert reasons(line, root) == []


def test_what_each_machine_may_have_does_not_bind(root: Path) -> None:
    found = told("srun /opt/app/bin/app", root)
    assert found["arch=x86_64"] is found["glibc>=2.34"] is found["cuda>=13"] is found["gpu.code=sm_80"] is False
    assert set(told("srun ./app", root).values()) == {True}
    assert set(told("srun ~/project/app", root).values()) == {True}


@pytest.mark.skipif(os.getuid() != 0, reason="files of root and of others")
def test_what_is_roots_on_the_root_file_system_does_not_bind(root: Path) -> None:
    assert set(told("srun /shared/app", root).values()) == {False}
    os.chown(root / "shared/app", 12345, 12345)
    assert set(told("srun /shared/app", root).values()) == {True}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("srun $APPDIR/app", "app: which program that is depends"),
        ("B=${BUILD:-build}; srun $B/app", "app: which program that is depends"),
        ("cd $SCRATCH/run; ./app", "./app: which program that is depends"),
        ("srun ./bin/solver", "./bin/solver: it is not here"),
        ("srun -D /scratch ./app", "./app: which program that is depends"),
        ("mpirun -wdir /scratch ./app", "./app: which program that is depends"),
        ("env -C /scratch ./app", "./app: which program that is depends"),
        ("srun /tmp/app", "/tmp/app: what a node has there is not known"),
        ("srun /dev/shm/app", "/dev/shm/app: what a node has there is not known"),
        ("srun ./loop", "./loop: it is not here"),
        ("srun ./damaged", "./damaged"),
        ("srun ./run", "./run is another script"),
        ("srun ./run2", "./run2 is another script"),
    ],
)
def test_what_cannot_be_looked_into_is_unread(root: Path, body: str, why: str) -> None:
    project = root / HOME.lstrip("/") / "project"
    (project / "loop").symlink_to("loop")
    (project / "damaged").write_bytes(b"\x7fELF\x02\x01" + bytes(8))
    put(root, f"{HOME}/project/run", "#!/bin/bash -l\nsource env.sh\n")
    put(root, f"{HOME}/project/run2", "#!/usr/bin/env bash\n")
    found = reasons(body, root)
    assert len(found) == 1, found
    assert why.lstrip("./") in found[0]
    assert told(body, root) == {}


def test_without_gpus_a_program_that_is_not_here_is_no_matter(root: Path) -> None:
    for body in ("srun ./bin/solver", "srun $APPDIR/app", "srun /tmp/app"):
        assert reasons(body, root, gpus=False) == []
    assert read("srun ./bin/solver", root, gpus=False).notes == ()


@pytest.fixture
def readable() -> Iterator[Path]:
    """A root that any user may look at."""
    path = Path(tempfile.mkdtemp(dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.mark.skipif(os.getuid() != 0, reason="another user")
def test_a_program_that_can_be_run_alone_is_unread(readable: Path) -> None:
    place(readable, f"{HOME}/project/app", mode=0o711)
    os.seteuid(65534)
    try:
        found = reasons("srun ./app", readable)
    finally:
        os.seteuid(0)
    assert found == ["./app: it was not read: Permission denied"]


def test_a_dynamic_linker_of_ones_own_brings_the_c_library(root: Path) -> None:
    assert told("srun ./own_ld", root) == {"arch=x86_64": True}
    file = root / HOME.lstrip("/") / "project/own_ld"
    assert survey(str(file)).glibc.version == ()
    assert read_bytes(OWN).needs.interpreter == "/cvmfs/soft.example/lib64/ld-linux-x86-64.so.2"
    file.write_bytes(APP)
    assert survey(str(file)).glibc.version == (2, 34)


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        ("/lib64/ld-linux-x86-64.so.2", True),
        ("/lib/ld-linux-aarch64.so.1", True),
        ("/lib64/ld64.so.2", True),
        ("/usr/lib/x86_64-linux-gnu/ld-2.31.so", True),
        ("/nix/store/0a-glibc-2.40/lib/ld-linux-x86-64.so.2", False),
        ("/gnu/store/0a-glibc-2.39/lib/ld-linux-x86-64.so.2", False),
        ("/lib64/../cvmfs/ld-linux-x86-64.so.2", False),
        ("/spack/opt/lib/ld-linux-x86-64.so.2", False),
        ("", False),
    ],
)
def test_which_dynamic_linkers_are_the_systems(path: str, ours: bool) -> None:
    assert is_system_linker(path) is ours


def test_a_weak_version_is_no_need() -> None:
    data = bytearray(library([], interpreter=True, versions=["GLIBC_2.38"]))
    assert read_bytes(bytes(data)).needs.glibc == (2, 38)
    at = data.index(struct.pack("<HHIII", 1, 1, 0, 16, 0)[:4], data.index(b"GLIBC_2.38"))
    struct.pack_into("<H", data, at + 16 + 4, 2)
    assert read_bytes(bytes(data)).needs.glibc == ()


@pytest.mark.parametrize(
    "line",
    [
        "nsys profile ./app", "nsys profile -o out -t cuda,nvtx --stats=true ./app x", "nsys launch -- ./app",
        "ncu ./app", "ncu --set full -o out -f ./app", "ncu -k regex:a --launch-count 1 srun ./app",
        "compute-sanitizer ./app", "compute-sanitizer --tool racecheck ./app", "srun nsys profile -o x ./app",
        "nvprof --print-gpu-trace -o x ./app", "parallel ./app ::: 1 2", "parallel -j2 ./app --seed {} ::: 1 2",
        "mpiexec -genv A=1 -genv B 2 -np 4 ./app", "mpirun_rsh -np 4 A=1 ./app", "mpiexec --new 3 ./app",
        "ibrun ./app", "ibrun -n 4 -o 2 tacc_affinity ./app", "mpprun -np 4 ./app", "./charmrun ++local +p4 ./app",
        "valgrind --tool=memcheck ./app", "strace -f -o x ./app", "perf stat -d -e cycles ./app",
        "perf record -g -o p ./app", "gdb -batch -ex run --args ./app x", "xvfb-run -a -s '-screen 0' ./app",
        "map --profile mpirun -n 2 ./app", "screen -dmS s ./app", "likwid-perfctr -C 0-3 -g MEM ./app",
        "script -q -c './app x' log", "flock lock ./app", "flock lock -c './app x'",
    ],
)  # fmt: skip
def test_launchers_and_profilers_start_what_stands_behind_their_options(root: Path, line: str) -> None:
    assert told(line, root)["gpu.code=sm_80"] is True


@pytest.mark.parametrize(
    "line",
    [
        "ssh n1 ./app", "ssh -o BatchMode=yes n1 'cd run && exec ./app'", "pdsh -R ssh -w n[1-4] ./app",
        "clush -bw n[1-4] ./app", "pssh -h hosts -i ./app", "tmux new-session -d -s a './app x'",
        "tmux send-keys -t a './app x' Enter", "vtune -collect hotspots -r out -- ./other",
    ],
)  # fmt: skip
def test_what_runs_elsewhere_is_unread(root: Path, line: str) -> None:
    assert told(line, root) == {}
    assert reasons(line, root)


@pytest.mark.parametrize(
    "line",
    [
        "ssh -N -f -R 8888:localhost:8888 login1", "ssh n1 nvidia-smi", "clush -w n1 --copy ./app --dest /tmp",
        "pdsh -w n1 uptime", "tmux ls", "flock 9", "exec 9> lock", "screen -ls",
    ],
)  # fmt: skip
def test_what_runs_nothing_of_the_users_elsewhere_is_silent(root: Path, line: str) -> None:
    assert (told(line, root), reasons(line, root)) == ({}, [])


@pytest.mark.parametrize("name", ["eval", "test", "module", "trap", "map"])
def test_a_program_that_is_called_as_a_builtin_is_one(root: Path, name: str) -> None:
    place(root, f"{HOME}/project/{name}")
    assert set(told(f"./{name} x", root).values()) == {True}
    assert reasons(f"bin/{name} x", root) == [f"bin/{name}: it is not here, so what it asks is not known"]


@pytest.mark.parametrize(
    "line", ["singularity_wrapper exec python t.py", "run-in-container.py t", "srun my.apptainer x"]
)
def test_a_sites_program_around_a_container_runtime_is_unread(root: Path, line: str) -> None:
    assert told(line, root) == {}
    assert [why[:15] for why in reasons(line, root, gpus=False)] == ["which container"]


@pytest.mark.parametrize(
    "line", ["ls | xargs ./app", "ls | xargs -n1 -P 4 ./app", "ls | parallel ./app", "parallel ./app :::: list"]
)
def test_what_is_started_for_its_input_is_unread(root: Path, line: str) -> None:
    assert told(line, root) == {}
    assert reasons(line, root)


@pytest.mark.parametrize(
    "line",
    [
        "ncu --new-option ./app x",
        "perf stat --new-option ./app",
        "./select_gpu ./app",
        "vtune -collect hotspots -r out -- ./app",
        "gdb ./app core",
    ],
)
def test_what_a_command_may_start_is_told_and_does_not_bind(root: Path, line: str) -> None:
    place(root, f"{HOME}/project/select_gpu", b"#!/usr/bin/perl\n")
    assert set(told(line, root).values()) == {False}
    assert "may start it" in read(line, root).needs[-1].why


@pytest.mark.parametrize(
    "line",
    [
        "ldd ./app",
        "file ./app",
        "strip ./app",
        "nvcc -o ./app a.cu",
        "ls -l ./app",
        "nsys stats ./app",
        "nsys --version",
    ],
)
def test_what_works_on_a_program_starts_none(root: Path, line: str) -> None:
    assert told(line, root) == {}


def test_what_sbcast_puts_on_the_nodes_is_the_file_here(root: Path) -> None:
    assert set(told("sbcast -f ./app /tmp/there\nsrun /tmp/there", root).values()) == {True}
    for body in ("sbcast $APP /tmp/there\nsrun /tmp/there", "false || sbcast ./app /tmp/x\nsrun /tmp/x"):
        assert told(body, root) == {}
        assert reasons(body, root)
    assert set(told("make\nsbcast ./app /tmp/x\nsrun /tmp/x", root).values()) == {False}


@pytest.mark.parametrize("data", [b"#!/usr/bin/env run-singularity\n\0SIF_MAGIC\0", b""])
def test_an_image_that_is_started_is_a_container(root: Path, data: bytes) -> None:
    name = "pt" if data else "pt.sif"
    place(root, f"{HOME}/project/{name}", data.ljust(128, b"\0"))
    found = read(f"./{name} python train.py", root)
    assert "container=apptainer|container=singularity" in [one.clause for one in found.needs]
    assert len(found.unread) == 1
    assert "APPTAINER_NV=1" in found.notes[0].why


def test_an_image_that_is_not_known_is_unread(root: Path) -> None:
    assert reasons("$IMAGES/pt.sif python train.py", root)


COMPAT = [
    "module load cuda-compat/13.0", "ml CUDA-Compat", "module load $MODULES", "module restore mine",
    "export LD_LIBRARY_PATH=/proj/cuda-compat-13.0:$LD_LIBRARY_PATH", "export LD_LIBRARY_PATH=$PROJ/lib",
    "LD_LIBRARY_PATH+=:/proj/Compat", "export LD_LIBRARY_PATH=/proj/driver/lib", 'export LD_LIBRARY_PATH="$(cat x)"',
    "read LD_LIBRARY_PATH < x", "export LD_PRELOAD=/proj/libcuda.so.1", "f() { export LD_LIBRARY_PATH=$1; }; f /x",
]  # fmt: skip


@pytest.mark.parametrize("line", COMPAT)
def test_forward_compatibility_that_the_job_may_bring_unbinds_cuda(root: Path, line: str) -> None:
    put(root, "/proj/driver/lib/libcuda.so.1")
    environment(root, f"{HOME}/env", torch="'13.0'")
    for body in (f"{line}\nsrun ./app", f"source ~/env/bin/activate\n{line}\npython t.py"):
        found = told(body, root)
        assert {found[one] for one in found if one.startswith("cuda>=")} == {False}, found
    assert told(f"{line}\nsrun ./app", root)["arch=x86_64"] is True


@pytest.mark.parametrize(
    "line",
    [
        "module load cuda/13.0", "export LD_LIBRARY_PATH=/opt/lib:$LD_LIBRARY_PATH", "# compat",
        "export LD_LIBRARY_PATH=$HOME/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}", "echo $LD_LIBRARY_PATH",
        "echo compatible", "unset LD_LIBRARY_PATH", "mpirun -x LD_LIBRARY_PATH true",
    ],
)  # fmt: skip
def test_without_it_cuda_binds(root: Path, line: str) -> None:
    assert told(f"{line}\nsrun ./app", root)["cuda>=13"] is True


@pytest.mark.parametrize(
    "line",
    [
        "env LD_LIBRARY_PATH=/a/compat ./app",
        "LD_LIBRARY_PATH=$X/lib srun ./app",
        "mpirun -x LD_LIBRARY_PATH=/a/compat ./app",
    ],
)
def test_it_may_be_of_one_command(root: Path, line: str) -> None:
    assert told(line, root)["cuda>=13"] is False


def test_it_may_come_with_the_submission(root: Path) -> None:
    assert told("srun ./app", root, LD_LIBRARY_PATH="/proj/cuda-compat")["cuda>=13"] is False
    assert told("srun ./app", root, LOADEDMODULES="gcc/12:cuda-compat/13")["cuda>=13"] is False
    assert told("srun ./app", root, LD_LIBRARY_PATH="/usr/lib64:/a")["cuda>=13"] is True
    assert told("#SBATCH --export=ALL,LD_LIBRARY_PATH=/a/compat\nsrun ./app", root)["cuda>=13"] is False


def test_it_may_be_a_package_of_an_environment(root: Path) -> None:
    prefix = f"{HOME}/conda"
    put(root, f"{prefix}/conda-meta/cuda-cudart-13.0.1-0.json", "{}")
    body = f"conda activate {prefix}\nsrun ./app"
    assert told(body, root)["cuda>=13"] is True
    put(root, f"{prefix}/conda-meta/cuda-compat-13.0-0.json", "{}")
    found = told(body, root)
    assert {found[one] for one in found if one.startswith("cuda>=")} == {False}


def test_an_image_that_the_script_makes_does_not_bind(root: Path) -> None:
    site = root / "home/alice/project/box/usr/lib/python3/dist-packages"
    install(site, "x", "1", {"x/x.so": APP})
    found = told("apptainer exec --nv box python t.py", root)
    made = told("cp -r /shared/box .\napptainer exec --nv box python t.py", root)
    assert made.keys() == found.keys()
    assert not any(binds for clause, binds in made.items() if not clause.startswith("container"))


def test_a_toolkit_by_its_path_is_told_and_does_not_bind(tmp_path: Path) -> None:
    found = read("/usr/local/cuda-12.4/bin/nvcc -o a a.cu", tmp_path)
    told = [(one.clause, one.binds) for one in found.needs if one.clause.startswith("toolkit")]
    assert told == [("toolkit>=12.4", False)]
    assert found.unread == ()
