"""What files with GPU code hold: forms, containers with their records, images with their targets."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from preflight.artifacts.gpu_code import Code, CodeError, read, read_bytes
from preflight.artifacts.gpu_code.runs import built_with
from unit import gpu_code_samples as make
from unit.gpu_code_samples import ACCELERATED, EMPTY, FAMILY, LTO, container, image, library, obj, ptx


def roles(code: Code) -> list[tuple[str, int | None, list[str]]]:
    return [(one.role, one.record, [part.target for part in one.parts]) for one in code.containers]


def only(data: bytes) -> list[str]:
    code = read_bytes(data)
    assert code.complete, code.notes
    return [part.target for one in code.containers for part in one.parts]


@pytest.mark.parametrize("in_place", [True, False], ids=["gnu-ld", "lld"])
@pytest.mark.parametrize("headers", [True, False], ids=["sections", "no-sections"])
def test_a_library_has_its_units_with_their_records(in_place: bool, headers: bool) -> None:
    data = library([container(image(80), ptx(90)), container(image(90))], in_place=in_place, headers=headers)
    code = read_bytes(data)
    assert (code.kind, code.machine, code.complete) == ("library", "x86_64", True)
    assert sorted(roles(code), key=str) == [
        ("ignored", 2, ["sm_75"]), ("loaded", 1, ["sm_80", "compute_90"]), ("loaded", 1, ["sm_90"]),
    ]  # fmt: skip


def test_programs_and_other_machines_are_told() -> None:
    units = [container(image(90))]
    assert read_bytes(library(units, kind=make.EXEC)).kind == "program"
    assert read_bytes(library(units, interpreter=True)).kind == "program"
    assert read_bytes(library(units, machine=make.AARCH64)).machine == "aarch64"


@pytest.mark.parametrize("gap", [56, 248])
def test_containers_may_stand_apart(gap: int) -> None:
    code = read_bytes(library([container(image(80)), container(image(90))], gap=gap))
    assert [one.record for one in code.containers] == [2, 1, 1]


def test_a_header_of_any_length_is_stepped_over() -> None:
    assert only(container(image(80, header=72), image(90, header=128), ptx(90))) == ["sm_80", "sm_90", "compute_90"]


def test_variants_stand_in_the_flags() -> None:
    images = (
        image(90), image(90, variant=ACCELERATED), image(100, variant=FAMILY), ptx(100, (9, 0), FAMILY),
        ptx(90, (8, 0), ACCELERATED), image(75, LTO),
    )  # fmt: skip
    assert only(container(*images)) == ["sm_90", "sm_90a", "sm_100f", "compute_100f", "compute_90a", "lto_75"]


@pytest.mark.parametrize(
    ("one", "doubt"),
    [
        (image(90, 16), "kind 16"),
        (image(90, form=0x0102), "format 0x102"),
        (image(90, flags=0x11 | 0x400), "flags 0x411"),
        (image(90, variant=3 << 20), "flags 0x300011"),
        (image(90, flags=0x10), "32-bit"),
        (ptx(90, variant=0x1000000), "flags"),
    ],
)
def test_what_is_not_known_is_doubtful(one: bytes, doubt: str) -> None:
    part = read_bytes(container(one)).containers[0].parts[0]
    assert doubt in part.doubt


def test_objects_and_archives() -> None:
    one = obj([container(image(80))], [container(image(90), ptx(90))])
    assert roles(read_bytes(one)) == [("loaded", 1, ["sm_80"]), ("relocatable", 1, ["sm_90", "compute_90"])]
    name = "a_name_of_more_than_fifteen_letters.o"
    code = read_bytes(make.archive({"a.o": one, "readme": b"text", name: obj([container(image(70))])}))
    assert (code.kind, code.machine, code.complete) == ("archive", "x86_64", True)
    assert [one.member for one in code.containers] == ["a.o", "a.o", name]


def test_names_as_bsds_ar_writes_them() -> None:
    one = obj([container(image(90))])
    data = make.archive({"#1/20": b"a_name_of_20_letters" + one})
    data = data.replace(b"#1/20/          ", b"#1/20           ")
    assert [each.member for each in read_bytes(data).containers] == ["a_name_of_20_letters"]


def test_a_members_name_is_printable() -> None:
    code = read_bytes(make.archive({"a\x1b[2J.o": obj([container(image(90))]), "b\x08.o": obj()[:80]}))
    assert [one.member for one in code.containers] == ["a?[2J.o"]
    assert code.notes == ("b?.o: ends too early",)


def test_a_thin_archive_is_named() -> None:
    code = read_bytes(b"!<thin>\n" + bytes(60))
    assert not code.complete
    assert "thin" in code.notes[0]


@pytest.mark.parametrize(
    ("data", "target", "toolkit"),
    [
        (make.cubin(90, abi=7, version=124), "sm_90", (12, 4)),
        (make.cubin(75, abi=7, version=118), "sm_75", (11, 8)),
        (make.cubin(90, abi=7, version=129, flag=0x800), "sm_90a", (12, 9)),
        (make.cubin(100, flag=0x8), "sm_100a", None),
        (make.cubin(90, note="-arch sm_90a -o x"), "sm_90a", None),
        (make.cubin(100, note="-arch sm_100f -o x"), "sm_100f", None),
        (make.cubin(120, note="-arch sm_120 -o x"), "sm_120", None),
        (make.cubin(120, note="-arch sm_90 -o x"), "sm_120?", None),
        (make.cubin(120), "sm_120?", None),
        (make.cubin(80), "sm_80", None),
    ],
)
def test_a_bare_cubin(data: bytes, target: str, toolkit: tuple[int, int] | None) -> None:
    code = read_bytes(data)
    part = code.containers[0].parts[0]
    assert (code.kind, part.target, part.toolkit, part.doubt) == ("cubin", target, toolkit, "")


def test_a_cubin_of_an_unknown_abi_is_doubtful() -> None:
    assert "ABI version 9" in read_bytes(make.cubin(90, abi=9)).containers[0].parts[0].doubt


def test_ptx_as_text() -> None:
    part = read_bytes(make.text("sm_100f", "8.8")).containers[0].parts[0]
    assert (part.target, part.isa) == ("compute_100f", (8, 8))
    assert read_bytes(b".version 8.0\n.address_size 64\n").containers[0].parts[0].doubt == "PTX without a .target"
    for other in (b"#!/bin/sh\n", b"// .version 8.0\n", b"/* .version", b"", b"PK\3\4", b"\x7fEL"):
        assert read_bytes(other or b"\0").kind == "other"


def test_amds_code_is_named() -> None:
    code = read_bytes(make.elf([make.Section(".hip_fatbin", b"__CLANG_OFFLOAD_BUNDLE__")]))
    assert (code.amd, code.containers, code.complete) == (True, (), True)


def test_the_number_by_chance_is_no_container() -> None:
    false = [b"\x50\xed\x55\xba" + b"\xff" * 12, b"\x50\xed\x55\xba\1\0\x10\0" + b"\xff" * 8, b"\x50\xed\x55\xba" * 4]
    sections = [make.Section(".text", b"".join(false)), make.Section(".nv_fatbin", b"".join(false) + bytes(64))]
    assert read_bytes(make.elf(sections)).containers == ()


def test_code_that_was_stripped_into_another_file() -> None:
    stripped = (64, lambda _: b"")
    code = read_bytes(make.elf([make.Section(".nv_fatbin", stripped, make.NOBITS)]))
    assert not code.complete
    assert "another file" in code.notes[0]


def test_a_container_that_no_record_can_tell_of_is_doubtful() -> None:
    code = read_bytes(make.elf([make.Section(".nv_fatbin", container(image(90)))]))
    assert [(one.role, one.doubt) for one in code.containers] == [("loaded", "no record points at it")]


def test_code_that_the_program_loads_by_itself_is_doubtful() -> None:
    """A link of nvcc's brings a record of version 2; the container beside it is loaded in a way that nothing tells."""
    data = bytearray(library([container(image(90))]))
    at = bytes(data).index(b"\xb1\x43\x62\x46\1\0\0\0")
    data[at : at + 24] = bytes(24)
    roles_of = [(one.role, one.record, one.doubt) for one in read_bytes(bytes(data)).containers]
    assert roles_of == [("ignored", 2, ""), ("loaded", None, "no record points at it")]


def test_what_it_asks_of_the_system() -> None:
    versions = ("GLIBC_2.14", "GLIBC_2.2.5", "GLIBC_PRIVATE", "GLIBCXX_3.4.21", "CXXABI_1.3.9", "CXXABI_TM_1")
    for headers in (True, False):
        data = library(
            [container(image(90))], needed=["libcudart.so.12", "libc.so.6"], versions=versions, headers=headers
        )
        needs = read_bytes(data).needs
        assert needs == (("libcudart.so.12", "libc.so.6"), (2, 14), (3, 4, 21), (1, 3, 9), "")
    relative = read_bytes(library(versions=("GLIBC_2.17", "GLIBC_ABI_DT_RELR"))).needs
    assert relative.glibc == (2, 36)


@pytest.mark.parametrize(
    ("units", "needed", "cudas"),
    [
        ([container(image(90), ptx(90, (8, 7)))], ["libcudart.so.12"], ("12",)),
        ([container(image(90), ptx(90, (8, 7)))], ["libcudart.so.11.0", "libcublas.so.11", "libcufft.so.10"], ("11",)),
        ([container(image(90), ptx(90, (8, 7)))], ["libcudart.so.10.2"], ("10.2",)),
        ([container(image(90), ptx(90, (8, 7)))], ["libc.so.6"], ("12.8",)),
        ([container(image(90), ptx(90, (8, 7)))], ["libcudart.so.9\x1b[2J", "libcudart.so"], ("12.8",)),
        ([container(image(80, data=make.cubin(80, abi=7, version=118)))], [], ("11.8",)),
        ([container(image(80, flags=0x2011, packed=8))], [], ()),
    ],
)
def test_the_cuda_it_was_built_with(units: list[bytes], needed: list[str], cudas: tuple[str, ...]) -> None:
    assert built_with(read_bytes(library(units, needed=needed))) == cudas


def test_files_are_opened_with_care(tmp_path: Path) -> None:
    sound = tmp_path / "lib.so"
    sound.write_bytes(library([container(image(90))]))
    assert read(str(sound)) == read_bytes(sound.read_bytes())
    (tmp_path / "empty").touch()
    assert read(str(tmp_path / "empty")).kind == "other"
    os.mkfifo(tmp_path / "fifo")
    for path, why in (("fifo", "regular"), (".", "directory|regular"), ("none", "No such file"), ("a\0b", "null")):
        with pytest.raises(CodeError, match=f"{why}") as caught:
            read(str(tmp_path / path))
        assert "\n" not in str(caught.value)


def test_records_of_an_object_follow_their_relocations() -> None:
    one, other = container(image(70)), container(image(80))
    data = bytearray(obj([one, other]))
    at = data.index(struct.pack("<QQq", 32, 1 << 32 | 1, len(one)))
    data[at : at + 24] = bytes(24)
    assert [found.record for found in read_bytes(bytes(data)).containers] == [1, None]


def test_an_empty_container_is_ignored() -> None:
    code = read_bytes(library([container(), container(image(90))]))
    assert [one.role for one in code.containers] == ["ignored", "ignored", "loaded"]
    assert read_bytes(EMPTY).containers[0].role == "ignored"
