"""Objects, programs and libraries made by the system's own compiler and linkers, with records as nvcc writes them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from preflight.artifacts.gpu_code import Code, read
from preflight.artifacts.gpu_code.runs import file_runs, gpu
from unit.gpu_code_samples import EMPTY, container, image, ptx

UNIT = """
__asm__(".section {section},\\"a\\"\\n.balign 8\\n{name}:\\n.incbin \\"{name}.fatbin\\"\\n.previous");
extern const unsigned long long {name}[] __attribute__((visibility("hidden")));
struct record {{ int magic, version; const void *container; void *list; }};
{list}
static const struct record record_{name} __attribute__((used, aligned(8), section(".nvFatBinSegment"))) =
    {{ 0x466243b1, {version}, {name}, {pointer} }};
"""
LINK = "void *list[8];"
LINKERS = [name for name in ("bfd", "gold", "lld") if shutil.which(f"ld.{name}")]


def run(place: Path, *command: str) -> None:
    subprocess.run(command, cwd=place, check=True, capture_output=True)


def unit(place: Path, name: str, data: bytes, section: str = ".nv_fatbin", version: int = 1) -> None:
    """Compile an object with a container and its record."""
    (place / f"{name}.fatbin").write_bytes(data)
    pieces = {"list": LINK, "pointer": "list"} if version == 2 else {"list": "", "pointer": "0"}
    (place / f"{name}.c").write_text(UNIT.format(name=name, section=section, version=version, **pieces))
    run(place, "cc", "-fPIC", "-c", f"{name}.c")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with objects: two units, an empty link, a real link with its input."""
    made = tmp_path_factory.mktemp("linked")
    unit(made, "a", container(image(80), ptx(80)))
    unit(made, "b", container(image(90)))
    unit(made, "empty", EMPTY, version=2)
    unit(made, "link", container(image(90)), version=2)
    unit(made, "input", container(image(90), ptx(90)), "__nv_relfatbin")
    (made / "main.c").write_text("int main(void) { return 0; }\n")
    return made


def told(code: Code) -> list[tuple[str, int | None, str]]:
    assert code.complete, code.notes
    return sorted((one.role, one.record, one.parts[0].target) for one in code.containers)


WHOLE = [("ignored", 2, "sm_75"), ("loaded", 1, "sm_80"), ("loaded", 1, "sm_90")]


RELR = "-Wl,-z,pack-relative-relocs"
WAYS = {
    "shared": ("-shared",),
    "pie": ("-pie", "main.c"),
    "fixed": ("-no-pie", "main.c"),
    "stripped": ("-shared", "-s"),
    "relr": ("-shared", RELR),
}


@pytest.mark.parametrize("linker", LINKERS)
@pytest.mark.parametrize("way", WAYS)
def test_what_linkers_make(place: Path, linker: str, way: str) -> None:
    how, out = WAYS[way], f"{linker}-{way}"
    command = ["cc", f"-fuse-ld={linker}", *how, "empty.o", "a.o", "b.o", "-o", out]
    done = subprocess.run(command, cwd=place, capture_output=True, check=False)
    if way == "relr" and done.returncode:
        pytest.skip("this linker makes no RELR")
    assert done.returncode == 0, done.stderr
    code = read(str(place / out))
    assert told(code) == WHOLE
    assert code.kind == ("library" if "-shared" in how else "program")
    assert file_runs(code, gpu("9.0")).answer == "yes"
    assert file_runs(code, gpu("8.0"))[:2] == (1, 2)
    bare = bytearray((place / out).read_bytes())
    bare[0x28:0x30], bare[0x3A:0x40] = bytes(8), bytes(6)  # no section headers
    (place / "bare").write_bytes(bare)
    assert told(read(str(place / "bare"))) == WHOLE


@pytest.mark.parametrize("linker", LINKERS)
def test_a_device_link(place: Path, linker: str) -> None:
    run(place, "cc", f"-fuse-ld={linker}", "-shared", "link.o", "input.o", "-o", "rdc.so")
    assert told(read(str(place / "rdc.so"))) == [("linked", 2, "sm_90"), ("relocatable", 1, "sm_90")]


def test_objects_joined_and_archived(place: Path) -> None:
    run(place, "ld", "-r", "a.o", "b.o", "input.o", "-o", "joined.o")
    joined = [("loaded", 1, "sm_80"), ("loaded", 1, "sm_90"), ("relocatable", 1, "sm_90")]
    assert told(read(str(place / "joined.o"))) == joined
    run(place, "ar", "rcs", "all.a", "a.o", "b.o", "input.o", "main.c")
    code = read(str(place / "all.a"))
    assert told(code) == joined
    assert [one.member for one in code.containers] == ["a.o", "b.o", "input.o"]
    run(place, "ar", "rcsT", "thin.a", "a.o")
    assert "thin" in read(str(place / "thin.a")).notes[0]


def test_code_in_another_file(place: Path) -> None:
    run(place, "cc", "-g", "-shared", "a.o", "-o", "a.so")
    run(place, "objcopy", "--only-keep-debug", "a.so", "a.debug")
    code = read(str(place / "a.debug"))
    assert (code.complete, code.containers) == (False, ())
