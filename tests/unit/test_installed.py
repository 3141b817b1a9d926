"""Python, cuDNN and NCCL on a node: read from files, judged, published."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from preflight.facts.collect import collect
from preflight.facts.installed_files import libraries, pythons
from preflight.facts.rootfs import Root
from preflight.facts.source import Source
from preflight.facts.view import View
from preflight.requirements.compile import to_constraint, to_extra
from preflight.requirements.decode import view_of
from preflight.requirements.encode import extra_of, features_of
from preflight.requirements.evaluate import evaluate, facts_needed
from preflight.requirements.grammar import parse

CUDNN_9 = "#define CUDNN_MAJOR 9\n#define CUDNN_MINOR 1\n#define CUDNN_PATCHLEVEL 0\n#define CUDNN_VERSION 90100\n"
NCCL = '#define NCCL_MAJOR 2\n#define NCCL_MINOR 20\n#define NCCL_PATCH 5\n#define NCCL_SUFFIX ""\n'


def tree(root: Path, **files: bytes | str) -> Root:
    """A root with files, "__" in a name standing for "/"; a text that begins with "->" is a link."""
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.symlink_to(content)
        else:
            path.write_bytes(content)
            path.chmod(0o755)
    return Root(str(root), live=False)


def put(root: Path, path: str, content: bytes | str) -> None:
    tree(root, **{path: content})


def test_the_real_python_of_this_machine(tmp_path: Path) -> None:
    """The program that runs this test, or the library that it is linked to, says its own version."""
    program = Path(sys.executable).resolve()
    minor = f"{sys.version_info[0]}.{sys.version_info[1]}"
    (tmp_path / "usr/bin").mkdir(parents=True)
    shutil.copy(program, tmp_path / f"usr/bin/python{minor}")
    library = Path(str(sysconfig.get_config_var("LIBDIR"))) / f"libpython{minor}.so.1.0"
    if library.exists():
        (tmp_path / "usr/lib64").mkdir()
        shutil.copy(library, tmp_path / "usr/lib64")
    (tmp_path / "usr/bin/python3").symlink_to(f"python{minor}")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    assert pythons(Root(str(tmp_path), live=False)) == [said]


def test_pythons(tmp_path: Path) -> None:
    put(tmp_path, "usr/bin/python3.9", b"\0003.9.18\0")
    put(tmp_path, "usr/bin/python3.11", b"no version inside")
    put(tmp_path, "usr/bin/python3.11-config", b"\0003.11.9\0")
    put(tmp_path, "usr/local/bin/python3.13", b"\0003.13.1\0 \0003.13.2\0")  # two: which is its own is not told
    put(tmp_path, "usr/bin/python3", "python3.9")
    put(tmp_path, "usr/bin/python3.12", "/opt/none/python3.12")
    put(tmp_path, "usr/bin/python2.7", b"\0002.7.18\0")
    put(tmp_path, "usr/bin/python3.8", b"\0003.8.1\0")
    (tmp_path / "usr/bin/python3.8").chmod(0o644)
    assert pythons(Root(str(tmp_path), live=False)) == ["3.9.18", "3.11", "3.13"]


def test_libraries(tmp_path: Path) -> None:
    put(tmp_path, "usr/lib/x86_64-linux-gnu/libcudnn.so.9.1.0", b"")
    put(tmp_path, "usr/lib/x86_64-linux-gnu/libcudnn.so.9", "libcudnn.so.9.1.0")
    put(tmp_path, "usr/lib/x86_64-linux-gnu/libcudnn_ops.so.9.2.0", b"")
    put(tmp_path, "usr/local/cuda-11.8/lib64/libcudnn.so.8", b"")
    put(tmp_path, "usr/include/nccl.h", NCCL.encode())
    root = Root(str(tmp_path), live=False)
    assert libraries(root, "cudnn", ("/usr/local/cuda*",)) == ["8", "9.1.0"]
    assert libraries(root, "nccl", ()) == ["2.20.5"]
    put(tmp_path, "usr/local/cuda-12/include/cudnn_version.h", CUDNN_9.replace("9\n", "10\n", 1).encode())
    assert libraries(root, "cudnn", ("/usr/local/cuda*",)) == ["8", "9.1.0", "10.1.0"]
    put(tmp_path, "usr/include/cudnn_version.h", b"#define CUDNN_MAJOR nine\n" * 50_000)
    assert libraries(root, "cudnn", ()) == ["9.1.0"]


def test_an_empty_root_has_none_of_them(tmp_path: Path) -> None:
    found = collect(["python", "libraries"], Source(root=str(tmp_path), live=False))
    assert (found.facts, found.unknown) == ({"python": {"versions": []}, "libraries": {"cudnn": [], "nccl": []}}, {})


def view(python: Any = (), cudnn: Any = (), nccl: Any = (), modules: Any = ()) -> View:
    facts: dict[str, dict[str, Any]] = {
        "python": {"versions": list(python)},
        "libraries": {"cudnn": list(cudnn), "nccl": list(nccl)},
        "gpus": {"count": 0, "devices": []},
        "driver": {"version": None, "cuda": None},
    }
    if modules is None:
        return View(facts, {"modules": "no modulefile directory found"})
    return View({**facts, "modules": {"names": list(modules)}}, {})


@pytest.mark.parametrize(
    ("node", "clause", "status"),
    [
        (view(python=["3.9.18", "3.11.2"]), "python>=3.11", "pass"),
        (view(python=["3.9.18", "3.11.2"]), "python=3.9", "pass"),
        (view(python=["3.9.18", "3.11.2"]), "python>=3.12", "fail"),
        (view(python=["3.11"]), "python>=3.11.2", "unknown"),
        (view(python=["3.9.18"]), "!python>=3.11", "pass"),
        (view(python=["3.9.18"], modules=["python/3.11.5"]), "python>=3.11", "warn"),
        (view(python=["3.9.18"], modules=["lang/Python/3.11.5-GCCcore-13.2.0"]), "python>=3.11", "warn"),
        (view(python=["3.9.18"], modules=["python/3.11.5"]), "!python>=3.11", "fail"),
        (view(python=["3.9.18"], modules=["biopython/3.11.5", "python", "python/dev"]), "python>=3.11", "fail"),
        (view(python=["3.9.18"], modules=None), "python>=3.9", "pass"),
        (view(python=["3.9.18"], modules=None), "python>=3.11", "unknown"),
        (view(python=["3.9.18"], modules=None), "!python>=3.11", "unknown"),
        (view(cudnn=["9.1.0"]), "cudnn>=9", "pass"),
        (view(cudnn=["8"]), "cudnn>=8.9", "unknown"),
        (view(modules=["cuDNN/9.1.0.70-CUDA-12.4.0"]), "cudnn>=9", "warn"),
        (view(), "cudnn>=9", "fail"),
        (view(nccl=["2.20.5"]), "nccl>=2.20", "pass"),
        (view(nccl=["2.20.5"]), "nccl>=2.21", "fail"),
        (view(nccl=["2.20.5"], modules=["NCCL/2.21.5"]), "nccl>=2.21", "warn"),
    ],
)
def test_judged(node: View, clause: str, status: str) -> None:
    assert [one.status for one in evaluate(parse(clause), node)] == [status]


def test_a_module_has_to_be_loaded() -> None:
    (found,) = evaluate(parse("nccl>=2.21"), view(modules=["NCCL/2.21.5"]))
    assert "only as module NCCL/2.21.5: the job has to load it" in found.message


def test_slurm_is_told_the_highest() -> None:
    node = view(["3.9.18", "3.11.2"], ["9", "9.1.0"], [], ["nccl/2.20.5-cuda", "python/3.12"])
    extra = extra_of(node)
    assert (extra["python"], extra["python_parts"], extra["cudnn"], extra["nccl"]) == (3012000, 2, 9001000, 2020005)
    assert {"python_3.12", "cudnn_9.1.0", "nccl_2.20.5"} <= set(features_of(node))
    assert extra_of(view())["nccl"] == -1
    assert to_extra(parse("python>=3.11")).text == "python>=3011000"
    assert to_constraint(parse("nccl>=2.20"), features_of(node)).text == "nccl_2.20.5"
    assert [why for _, why in to_extra(parse("python=3.11, !nccl>=2")).not_placeable] == [
        "of several versions the highest is published"
    ] * 2


@pytest.mark.parametrize(
    ("clause", "status"),
    [
        ("python>=3.11", "pass"),
        ("python>=3.13", "fail"),
        ("python=3.12", "pass"),
        ("python=3.11", "unknown"),
        ("!python>=3.13", "unknown"),
        ("python<3.11", "unknown"),
        ("!python>=3.12", "fail"),
        ("cudnn>=9", "fail"),
        ("!cudnn>=9", "unknown"),
    ],
)
@pytest.mark.parametrize("by_extra", [True, False], ids=["extra", "features"])
def test_what_was_published_answers(clause: str, status: str, by_extra: bool) -> None:
    node = view(["3.9.18", "3.11.2"], modules=["python/3.12"])
    told = view_of(extra_of(node)) if by_extra else view_of({}, features_of(node))
    assert [one.status for one in evaluate(parse(clause), told)] == [status]


def test_they_are_read_only_where_a_job_asks() -> None:
    assert facts_needed(parse("python>=3.11")) == {"python", "modules"}
    assert facts_needed(parse("nccl>=2.20")) == {"libraries", "modules"}
    assert not {"python", "libraries"} & facts_needed(
        parse("cuda>=12.4, module=gcc/13, ubuntu>=22.04, container=enroot")
    )
