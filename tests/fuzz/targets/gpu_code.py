"""Files with GPU code: libraries, programs, objects, archives, fatbins, cubins, PTX."""

from preflight.artifacts.gpu_code import Code, read_bytes
from preflight.artifacts.gpu_code.runs import Gpu, built_with, file_runs, gpu
from unit import gpu_code_samples as make
from unit.gpu_code_samples import container, image, library, obj, ptx

ERRORS = ()
TOKENS = (
    b"\x50\xed\x55\xba\1\0\x10\0", b"\xb1\x43\x62\x46\1\0\0\0", b"\xb1\x43\x62\x46\2\0\0\0", b"\x7fELF\2\1",
    b"!<arch>\n", b"`\n", b"\xff" * 8, b"\0" * 8, b"\1\1\x40\0\0\0", b".version 9.5\n.target sm_90a\n",
)  # fmt: skip
LONGEST = 8192
STEPS_LIMIT = (60_000, 400)
PEAK_LIMIT = (8 << 20, 400)
ON: tuple[Gpu, ...] = (gpu("9.0"), gpu("10.0", "550.54.15"), gpu("8.0", "595.58.03"))


def seeds() -> list[bytes]:
    """Return a small file of each form."""
    short = image(80, data=bytes(64), flags=0x2011, packed=60)
    units = [container(short, ptx(90)), container(image(90))]
    linked = {"linked": container(image(90)), "inputs": [container(short, ptx(80))]}
    versions = ("GLIBC_2.28", "GLIBCXX_3.4.26")
    return [
        library(units, needed=["libcudart.so.12"], versions=versions),
        library(units, in_place=False, headers=False, versions=versions),
        library([], **linked),  # type: ignore[arg-type]
        library([], in_place=False, headers=False, **linked),  # type: ignore[arg-type]
        library(linked=None, inputs=[container(short)], undefined=["__cudaRegisterLinkedBinary_1"]),
        obj(units, [container(short)]),
        make.archive({"a.o": obj(units), "a_name_of_more_than_fifteen.o": obj([container(short)])}),
        container(short, ptx(90), image(100, variant=make.FAMILY), image(75, make.LTO)) + container(),
        make.cubin(100, note="-arch sm_100f"),
        make.cubin(90, abi=7, version=124),
        make.text(),
    ]


def check(data: bytes) -> None:
    """Read the file and ask where it runs: nothing is raised, and what was not read is never whole."""
    code = read_bytes(data or b"\0")
    judge(code)


def judge(code: Code) -> None:
    """Ask where it runs; raises AssertionError where the answer does not add up."""
    assert code.complete == (not code.notes)
    assert all(note.isprintable() and len(note) < 400 for note in code.notes)
    for one in ON:
        fit = file_runs(code, one, built_with(code))
        assert 0 <= fit.have + fit.unknown <= fit.of
        assert code.complete or fit.answer != "yes"
