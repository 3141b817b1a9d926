"""Wheels, directories and environments: whose a library is, which one decides, what is asked of the system."""

import json
import ntpath
import os
import zipfile
from pathlib import Path

import pytest

from preflight.artifacts.gpu_code import CodeError, packages, places
from preflight.artifacts.gpu_code.packages import Owner
from preflight.artifacts.gpu_code.runs import gpu
from preflight.artifacts.gpu_code.survey import Survey, outcome, survey
from unit import gpu_code_samples as make
from unit.gpu_code_samples import container, image, library, ptx

AMPERE = library([container(image(80))], needed=["libcudart.so.12"], versions=["GLIBC_2.28", "GLIBCXX_3.4.26"])
HOPPER = library([container(image(90)), container(image(90))], needed=["libcudart.so.12"], versions=["GLIBC_2.14"])
BOTH = library([container(image(80), ptx(80, (8, 0)))])
PLAIN = library(versions=["GLIBC_2.32"])


def owners(found: Survey) -> dict[str, list[str]]:
    return {f"{one.owner.name} {one.owner.version}": [each.name for each in one.libraries] for one in found.packages}


def answer(found: Survey, name: str, capability: str) -> tuple[str, int, int, str]:
    package = next(one for one in found.packages if one.owner.name == name)
    result = outcome(package, gpu(capability))
    return result.answer, result.have, result.of, result.library


def test_a_wheel_is_one_package(tmp_path: Path) -> None:
    files = {"x/a.so": AMPERE, "x.libs/b.so.1": HOPPER, "x/c.so": PLAIN, "x/__init__.py": b"#" * 99}
    found = survey(str(make.wheel(tmp_path / "my_x-1.2-cp311-none-any.whl", files)))
    assert (found.kind, found.files, found.notes) == ("wheel", 3, ())
    assert owners(found)["my-x 1.2"][:2] == ["x/a.so", "x.libs/b.so.1"]
    assert answer(found, "my-x", "9.0") == ("no", 2, 3, "x/a.so")
    assert answer(found, "my-x", "8.0") == ("no", 1, 3, "x.libs/b.so.1")
    assert (found.glibc, found.libstdcxx.version) == (((2, 32), "x/c.so"), (3, 4, 26))
    assert not list(tmp_path.glob("preflight-*"))


def test_an_environment_by_package(tmp_path: Path) -> None:
    site = tmp_path / "lib/python3.11/site-packages"
    (tmp_path / "pyvenv.cfg").write_text("home = /usr\n")
    make.install(site, "torchish", "2.8.0", {"torchish/lib/a.so": AMPERE, "torchish/b.so": BOTH, "torchish/x.py": b""})
    make.install(site, "hopper_kernels", "1", {"kernels.so": HOPPER, "../../../bin/tool": HOPPER})
    (site / "loose").mkdir()
    (site / "loose/one.so").write_bytes(BOTH)
    found = survey(str(tmp_path))
    assert found.kind == "environment"
    base = "lib/python3.11/site-packages"
    assert owners(found) == {
        "hopper-kernels 1": ["bin/tool", f"{base}/kernels.so"],
        "loose ": [f"{base}/loose/one.so"],
        "torchish 2.8.0": [f"{base}/torchish/b.so", f"{base}/torchish/lib/a.so"],
    }
    assert answer(found, "torchish", "9.0") == ("no", 1, 2, f"{base}/torchish/lib/a.so")
    assert answer(found, "torchish", "8.6")[:3] == ("yes", 2, 2)
    assert answer(found, "hopper-kernels", "9.0")[:3] == ("yes", 4, 4)


def test_a_conda_environment(tmp_path: Path) -> None:
    meta = tmp_path / "conda-meta"
    meta.mkdir()
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/liba.so").write_bytes(AMPERE)
    (meta / "cuda-thing-1.0-h1.json").write_text(
        json.dumps({"name": "cuda-thing", "version": "1.0", "files": ["lib/liba.so", 7]})
    )
    (meta / "broken.json").write_text("[" * 5000)
    (meta / "other.json").write_text("[]")
    found = survey(str(tmp_path))
    assert (found.kind, owners(found)) == ("environment", {"cuda-thing 1.0": ["lib/liba.so"]})


def test_links_are_not_followed_and_a_file_comes_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/one.so").write_bytes(BOTH)
    os.link(tmp_path / "a/one.so", tmp_path / "a/two.so")
    (tmp_path / "a/three.so").symlink_to("one.so")
    (tmp_path / "a/up").symlink_to("..")
    os.mkfifo(tmp_path / "a/fifo.so")
    assert owners(survey(str(tmp_path))) == {"a ": ["a/one.so"]}


def test_what_cannot_be_read_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.so").write_bytes(BOTH)
    (tmp_path / "bad.so").write_bytes(BOTH[:200])
    found = survey(str(tmp_path))
    assert [note.partition(":")[0] for note in found.notes] == ["bad.so"]
    assert owners(found) == {"a.so ": ["a.so"]}
    monkeypatch.setattr(places, "MAX_FILES", 1)
    with pytest.raises(CodeError, match="more than 1 files"):
        survey(str(tmp_path))


def test_what_is_for_a_linker_decides_nothing(tmp_path: Path) -> None:
    """The wheel of CUDA's runtime holds libcudadevrt.a, of relocatable code."""
    (tmp_path / "a.so").write_bytes(BOTH)
    (tmp_path / "libdevrt.a").write_bytes(make.archive({"a.o": make.obj([], [container(image(90))])}))
    (tmp_path / "b.o").write_bytes(make.obj([container(image(70))]))
    (tmp_path / "plain.o").write_bytes(make.obj())
    found = survey(str(tmp_path))
    assert owners(found) == {"a.so ": ["a.so"]}
    assert found.linkable == ("b.o", "libdevrt.a")
    alone = survey(str(tmp_path / "libdevrt.a"))
    assert (alone.linkable, answer(alone, "libdevrt.a", "9.0")[:3]) == ((), ("unknown", 0, 1))


def test_a_library_without_a_kernel_decides_nothing(tmp_path: Path) -> None:
    """What nvcc links and no kernel is in has a container all the same, of sm_75."""
    (tmp_path / "empty.so").write_bytes(library())
    (tmp_path / "a.so").write_bytes(BOTH)
    assert owners(survey(str(tmp_path))) == {"a.so ": ["a.so"]}
    alone = survey(str(tmp_path / "empty.so"))
    assert answer(alone, "empty.so", "7.5")[:3] == ("none", 0, 0)


def test_of_builds_for_several_cudas_one_is_loaded(tmp_path: Path) -> None:
    units = {"118": ("11.0", 80), "124": ("12", 90), "130": ("13", 90)}
    for name, (cuda, sm) in units.items():
        made = library([container(image(sm))], needed=[f"libcudart.so.{cuda}"])
        (tmp_path / f"libx_cuda{name}.so").write_bytes(made)
    found = survey(str(tmp_path))
    package = found.packages[0]._replace(libraries=tuple(one for each in found.packages for one in each.libraries))
    told = outcome(package, gpu("9.0"))
    assert (told.answer, told.of, told.unknown, told.library) == ("unknown", 1, 1, "libx_cuda124.so")
    assert "one of 3 builds" in told.why
    assert outcome(package, gpu("7.0")).answer == "no"
    newer = package._replace(libraries=package.libraries[1:])
    assert outcome(newer, gpu("9.0")).answer == "yes"
    assert outcome(newer, gpu("9.0", "550.54.15")).answer == "unknown"
    # libraries of one CUDA whose names differ in a number are all loaded
    alike = package._replace(libraries=tuple(one._replace(cudas=("12",)) for one in package.libraries))
    assert (outcome(alike, gpu("9.0")).have, outcome(alike, gpu("9.0")).of) == (2, 3)


def test_elf_files_of_other_kinds_leave_nothing_in_doubt(tmp_path: Path) -> None:
    """debugpy ships a library of 32 bits; a core has more segments than any program."""
    sound = library([container(image(90))])
    (tmp_path / "x86.so").write_bytes(b"\x7fELF\1\1\1" + bytes(200))
    (tmp_path / "big.so").write_bytes(b"\x7fELF\2\2\1" + bytes(200))
    (tmp_path / "core").write_bytes(sound[:16] + b"\4\0" + sound[18:])
    assert survey(str(tmp_path)).notes == ()
    (tmp_path / "x86.so").write_bytes(b"\x7fELF\1\1\1" + bytes(200) + b"\0.nv_fatbin\0")
    assert [note.partition(":")[0] for note in survey(str(tmp_path)).notes] == ["x86.so"]


def test_texts_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(BOTH)
    (tmp_path / "k.ptx").write_bytes(make.text())
    (tmp_path / "k.txt").write_bytes(make.text())
    (tmp_path / "program").write_bytes(BOTH)
    assert list(owners(survey(str(tmp_path)))) == ["k.ptx ", "program "]


def test_a_single_file_is_its_own_package(tmp_path: Path) -> None:
    for name, data, kind in (
        ("k.txt", make.text(), "ptx"),
        ("x.cubin", make.cubin(90), "cubin"),
        ("p", BOTH, "library"),
    ):
        (tmp_path / name).write_bytes(data)
        found = survey(str(tmp_path / name))
        assert (found.kind, found.packages[0].owner) == ("file", Owner(name))
        assert found.packages[0].libraries[0].code.kind == kind


def test_amds_code_alone_runs_on_no_gpu_of_nvidia(tmp_path: Path) -> None:
    (tmp_path / "a.so").write_bytes(make.elf([make.Section(".hip_fatbin", bytes(64))]))
    found = survey(str(tmp_path))
    result = outcome(found.packages[0], gpu("9.0"))
    assert (result.answer, result.of, result.why) == ("no", 0, "AMD's code alone")


def test_wheels_that_are_none(tmp_path: Path) -> None:
    sound = make.wheel(tmp_path / "a-1-py3-none-any.whl", {"a.so": BOTH, "b.so": AMPERE}).read_bytes()
    broken = tmp_path / "b-1-py3-none-any.whl"
    for end in (10, 60, len(sound) - 30):
        broken.write_bytes(sound[:end])
        with pytest.raises(CodeError) as caught:
            survey(str(broken))
        assert "\n" not in str(caught.value)
    at = sound.rindex(b"PK\5\6")
    broken.write_bytes(sound[: at + 12] + b"\xff\xff\xff\x7f" + sound[at + 16 :])
    with pytest.raises(CodeError, match="list of members"):
        survey(str(broken))


def test_a_member_that_unpacks_to_too_much_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("bomb.so", BOTH + bytes(places.SMALL))
        made.writestr("a.so", BOTH)
    found = survey(str(path))
    assert [note.partition(":")[0] for note in found.notes] == ["bomb.so"]
    assert owners(found) == {"a 1": ["a.so"]}


def test_a_wheel_of_too_many_libraries_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make.wheel(tmp_path / "a-1-py3-none-any.whl", {"a.so": BOTH, "b.so": BOTH, "c.so": BOTH})
    monkeypatch.setattr(places, "MAX_CODE", 2)
    with pytest.raises(CodeError, match="more than 2 libraries"):
        survey(str(path))
    monkeypatch.setattr(places, "MAX_CODE", 3)
    monkeypatch.setattr(places, "MAX_WHEEL", 2 * len(BOTH))
    assert [note.partition(":")[0] for note in survey(str(path)).notes] == ["c.so"]


def test_places_that_are_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "image.sif").write_bytes(b"#!/usr/bin/env run-singularity\n\0SIF_MAGIC\0" + bytes(99))
    (tmp_path / "empty").touch()
    for name in ("fifo", "none", "a\0b", "image.sif", "empty"):
        with pytest.raises(CodeError):
            survey(str(tmp_path / name))


def test_what_a_place_asks_of_elsewhere(tmp_path: Path) -> None:
    """libb.so is a link in the place; libcuda and libc are of every system with a driver."""
    needed = ["libcudart.so.12", "libb.so", "libcuda.so.1", "libc.so.6", "libcublas.so.13", "libx.so.1"]
    site = tmp_path / "lib/python3.11/site-packages"
    make.install(site, "pack", "1.0", {"pack/a.so": library([container(image(80))], needed=needed)})
    (site / "pack/libb.so").symlink_to("a.so")
    (site / "pack-1.0.dist-info/WHEEL").write_text("Wheel-Version: 1.0\nTag: cp311-cp311-manylinux_2_28_x86_64\n")
    (tmp_path / "conda-meta").mkdir()
    (tmp_path / "conda-meta/x.json").write_text('{"name": "x", "version": "1", "subdir": "linux-64", "files": []}')
    (tmp_path / "conda-meta/y.json").write_text('{"name": "y", "version": "1", "subdir": "noarch", "files": []}')
    by = "lib/python3.11/site-packages/pack/a.so"
    found = survey(str(tmp_path))
    missing = ("libcublas.so.13", "libcudart.so.12", "libx.so.1")
    assert [tuple(one) for one in found.missing] == [(one, by) for one in missing]
    assert [tuple(one) for one in found.cudas] == [("13", by), ("12", by)]
    assert found.tags == ("linux-64", "manylinux_2_28_x86_64")
    assert found.machines == ("x86_64",)


def test_a_platform_names_its_machine(tmp_path: Path) -> None:
    tags = ("manylinux_2_28_aarch64", "linux-64", "linux-aarch64", "win_amd64", "macosx_11_0_arm64", "linux_x86_64")
    told = ["aarch64", "x86_64", "aarch64", "", "", "x86_64"]
    assert [packages.machine_of(tag) for tag in tags] == told
    pure = make.wheel(tmp_path / "pack-1.0-py3-none-manylinux_2_17_aarch64.manylinux2014_aarch64.whl", {"x.py": b"x"})
    found = survey(str(pure))
    assert found.machines == ("aarch64",)
    assert found.tags == ("manylinux2014_aarch64", "manylinux_2_17_aarch64")


def test_a_link_is_what_it_ends_at(tmp_path: Path) -> None:
    """uv and Spack make environments of links into a store; what lies in the place goes by its own name."""
    place, store = tmp_path / "place", tmp_path / "store"
    (place / "lib").mkdir(parents=True)
    store.mkdir()
    for name, data in (("real.so", AMPERE), ("blob.npz", HOPPER), ("text", b"#!/bin/sh\n" * 9)):
        (store / name).write_bytes(data)
    (store / "again.so").symlink_to("real.so")
    (place / "lib/z.so").write_bytes(BOTH)
    for name, end in (
        ("lib/a.so", "z.so"), ("lib/cuda.so", "../../store/again.so"), ("lib/same.so", str(store / "real.so")),
        ("lib/kernels.so", str(store / "blob.npz")), ("run", str(store / "text")),
        ("broken.so", "nowhere.so"), ("circle.so", "circle.so"), ("below.so", "run/x"), ("null", "/dev/null"),
    ):  # fmt: skip
        (place / name).symlink_to(end)
    os.mkfifo(store / "fifo")
    (place / "fifo.so").symlink_to(store / "fifo")
    found = survey(str(place))
    assert owners(found) == {"lib ": ["lib/z.so", "lib/cuda.so", "lib/kernels.so"]}
    assert (found.notes, found.files) == ((), 3)
    assert answer(found, "lib", "9.0")[0] == "no"
    (tmp_path / "other").symlink_to("place")
    assert survey(str(tmp_path / "other"))[1:] == found[1:]


def test_a_link_to_a_directory_elsewhere_is_a_note(tmp_path: Path) -> None:
    place = tmp_path / "place"
    (place / "lib").mkdir(parents=True)
    (tmp_path / "store").mkdir()
    (place / "lib/a.so").write_bytes(BOTH)
    (place / "lib64").symlink_to("lib")
    (place / "self").symlink_to("../place")
    assert survey(str(place)).notes == ()
    (place / "torch").symlink_to("../store")
    (place / "up").symlink_to("..")
    found = survey(str(place))
    assert found.notes == (
        f"torch: a link to a directory elsewhere, {tmp_path}/store",
        f"up: a link to a directory elsewhere, {tmp_path}",
    )


def test_the_systems_own_files_ask_nothing_by_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each node has its own /usr/bin/python3, on which the one of a venv ends; its GPU code counts all the same."""
    python = os.path.realpath("/bin/sh")
    assert python.startswith("/usr/")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").symlink_to("/bin/sh")
    found = survey(str(tmp_path))
    assert (found.machines, found.glibc.version, found.notes) == ((), (), ())
    monkeypatch.setattr(places, "_OF_SYSTEM", (str(tmp_path),))
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.so").write_bytes(AMPERE)
    (tmp_path / "place").mkdir()
    (tmp_path / "place/a.so").symlink_to("../real/a.so")
    assert answer(survey(str(tmp_path / "place")), "a.so", "9.0")[0] == "no"


@pytest.mark.skipif(os.geteuid() != 0, reason="a file that its owner cannot read is made by root")
def test_what_may_not_be_read_is_a_note(tmp_path: Path) -> None:
    """As the user: a library, a link's end, and a directory that are another's alone."""
    place, store = tmp_path / "place", tmp_path / "store"
    (place / "closed").mkdir(parents=True)
    store.mkdir()
    for one in (place / "secret.so", place / "open.so", store / "x.so"):
        one.write_bytes(BOTH)
    (place / "linked.so").symlink_to(store / "x.so")
    (place / "secret.txt").write_bytes(BOTH)
    for one in (place / "secret.so", place / "closed", store, place / "secret.txt"):
        one.chmod(0)
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.chdir(place)  # the directories above are root's
            os.setgroups([])
            os.setegid(65534)
            os.seteuid(65534)
            os.write(write, json.dumps(survey(".").notes).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with open(read, "rb") as file:
        notes = json.loads(file.read())
    assert notes == [f"{name}: Permission denied" for name in ("secret.so", "linked.so", "closed")]


def test_the_directory_that_one_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyvenv.cfg").touch()
    make.install(tmp_path / "lib/python3.11/site-packages", "pack", "1.0", {"pack/a.so": AMPERE})
    monkeypatch.chdir(tmp_path)
    assert owners(survey(".")) == {"pack 1.0": ["lib/python3.11/site-packages/pack/a.so"]}


def test_names_within_a_place_have_slashes_on_windows_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as windows:
        windows.setattr(os, "sep", "\\")
        windows.setattr(os, "path", ntpath)
        told = (
            places._within("C:\\envs\\a\\Lib\\x.so", "C:\\envs\\a"),
            packages._joined("Lib/site-packages", "torch/../torch/x.so"),
            packages._joined("lib\\python3.11\\site-packages", "torch/x.so"),
        )
    assert told == ("Lib/x.so", "Lib/site-packages/torch/x.so", "lib/python3.11/site-packages/torch/x.so")
