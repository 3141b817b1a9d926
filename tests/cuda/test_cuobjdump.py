"""What NVIDIA's cuobjdump lists of what its compilers make, and of public wheels, is what is read: `make test-cuda`.

The compilers come from PyPI into build/cuda, once (700 MB). Where cuobjdump cannot read a file, or names an image
otherwise, the test says what is read instead.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from preflight.artifacts.gpu_code import Code, read
from preflight.artifacts.gpu_code.model import CUBIN, IGNORED, LINKED, LOADED, LTO, PTX, RELOCATABLE

pytestmark = pytest.mark.skipif(not os.environ.get("PREFLIGHT_TEST_CUDA"), reason="make test-cuda: 700 MB from PyPI")
PLACE = Path(__file__).parents[2] / "build/cuda"
NVCC = {
    "13.5": ("nvcc==13.5.37", "crt==13.5.37", "runtime==13.5.37", "cuobjdump==13.5.37", "nvvm==13.5.37"),
    "13.0": ("nvcc==13.0.88", "crt==13.0.88", "runtime==13.0.96", "nvvm==13.0.88"),
}
OLD = ("nvidia-cuda-nvcc-cu12==12.9.86", "nvidia-nvfatbin-cu12==12.9.82")  # ptxas and a library for containers, no nvcc
WHEELS = (
    "bitsandbytes==0.50.2",
    "ctranslate2==4.8.5",
    "faiss-gpu-cu12==1.14.1.post1",
    "torchaudio==2.11.1",
)
KERNEL = "__global__ void {name}(int *x) {{ *x += {number}; }}\nvoid call_{name}(int *x) {{ {name}<<<1, 1>>>(x); }}\n"
SPLIT = (
    "__device__ int twice(int x);\n__global__ void k(int *x) { *x = twice(*x); }\nvoid f(int *x) { k<<<1, 1>>>(x); }\n"
)
SHARED = ("-shared", "-Xcompiler", "-fPIC")
ALL = ("-arch=all-major",)
MIXED = (
    *("-gencode", "arch=compute_80,code=[sm_80,sm_86]", "-gencode", "arch=compute_90a,code=[sm_90a,compute_90a]"),
    *("-gencode", "arch=compute_100f,code=[sm_100f,compute_100f]", "-gencode", "arch=compute_120,code=sm_120"),
)
LTO_OBJECT = ("-c", "-gencode", "arch=compute_90,code=[lto_90,sm_90]", "-rdc=true")
# Name -> options, and what is compiled.
BUILDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "default": (SHARED, ("a",)),
    "one": ((*SHARED, "-arch=sm_90"), ("a",)),
    "one-a": ((*SHARED, "-arch=sm_90a"), ("a",)),
    "all-major": ((*SHARED, *ALL), ("a",)),
    "all": ((*SHARED, "-arch=all"), ("a",)),
    "mixed": ((*SHARED, *MIXED), ("a",)),
    "thor": ((*SHARED, "-gencode", "arch=compute_110,code=[sm_110,compute_110]"), ("a",)),
    "two-units": ((*SHARED, *MIXED), ("a", "b")),
    "in-clear": ((*SHARED, *MIXED, "-no-compress"), ("a", "b")),
    "compressed-small": ((*SHARED, *MIXED, "--compress-mode=size"), ("a",)),
    "compressed-fast": ((*SHARED, *MIXED, "--compress-mode=speed"), ("a",)),
    "debug": ((*SHARED, "-G", "-arch=sm_80"), ("a",)),
    "rdc": ((*SHARED, "-rdc=true", "-arch=sm_90"), ("split", "twice")),
    "rdc-all": ((*SHARED, "-rdc=true", *ALL), ("split", "twice")),
    "lto-object": ((*LTO_OBJECT,), ("split",)),  # PyPI's nvlink lacks what it links LTO-IR by
    "program": (("-arch=sm_80",), ("a", "main")),
    "object": (("-c", *MIXED), ("a",)),
    "rdc-object": (("-c", "-rdc=true", *MIXED), ("split",)),
    "archive": (("-lib", "-rdc=true", "-arch=sm_90"), ("split", "twice")),
    "fatbin": (("-fatbin", *MIXED), ("a",)),
    "cubin": (("-cubin", "-arch=sm_86"), ("a",)),
    "cubin-a": (("-cubin", "-arch=sm_90a"), ("a",)),
}


def installed(name: str, *packages: str) -> Path:
    """Return where packages of PyPI are, installing them there the first time."""
    place = PLACE / name
    if not (place / "whole").exists():
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--disable-pip-version-check"]
        subprocess.run([*command, "--root-user-action=ignore", "--target", str(place), *packages], check=True)
        for file in place.glob("nvidia/*/bin/*"):
            file.chmod(0o755)
        for file in place.glob("nvidia/*/nvvm/bin/*"):
            file.chmod(0o755)
        (place / "whole").touch()
    return place


@pytest.fixture(scope="module")
def cuobjdump() -> Path:
    return installed("13.5", *names("13.5")) / "nvidia/cu13/bin/cuobjdump"


def names(version: str) -> list[str]:
    return [f"nvidia-{'' if one.startswith('nvvm') else 'cuda-'}{one}" for one in NVCC[version]]


@pytest.fixture(scope="module", params=list(NVCC))
def nvcc(request: pytest.FixtureRequest) -> Path:
    return installed(request.param, *names(request.param)) / "nvidia/cu13/bin/nvcc"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("cuda")
    for number, name in enumerate("ab"):
        (place / f"{name}.cu").write_text(KERNEL.format(name=name, number=number))
    (place / "split.cu").write_text(SPLIT)
    (place / "twice.cu").write_text("__device__ int twice(int x) { return 2 * x; }\n")
    (place / "main.cu").write_text("int main() { return 0; }\n")
    return place


def beside(nvcc: Path) -> list[str]:
    """Return the options that name the runtime's headers and libraries."""
    return [f"-I{nvcc.parents[1] / 'include'}", f"-L{nvcc.parents[1] / 'lib'}"]


def found(code: Code) -> Counter[str]:
    """Return how many images of each kind and target the reader finds, as cuobjdump would name them."""
    parts = [part for one in code.containers for part in one.parts if part.kind in (CUBIN, PTX)]
    return Counter(f"{part.kind} {_as_listed(part.kind, part.arch, part.suffix)}" for part in parts)


def _as_listed(kind: str, arch: int, suffix: str) -> str:
    # findings/cuda-cuobjdump-family-suffix.sh: of a cubin the f is dropped; what a file does not tell is not shown
    return f"sm_{arch}{suffix if suffix == 'a' or (kind == PTX and suffix == 'f') else ''}"


def listed(cuobjdump: Path, path: Path) -> Counter[str] | None:
    """Return what cuobjdump lists, None where it cannot read the file."""
    out: Counter[str] = Counter()
    for kind, option in ((CUBIN, "--list-elf"), (PTX, "--list-ptx")):
        done = subprocess.run([cuobjdump, option, "-all", path], capture_output=True, text=True, check=False)
        if done.returncode and "does not contain device code" not in done.stdout + done.stderr:
            return None
        out.update(f"{kind} {one}" for one in re.findall(r"\.(sm_\d+[af]?)\.(?:cubin|ptx)$", done.stdout, re.M))
    return out


@pytest.mark.parametrize("name", list(BUILDS))
def test_what_nvcc_makes(nvcc: Path, cuobjdump: Path, sources: Path, name: str) -> None:
    options, units = BUILDS[name]
    out = sources / f"{name}.out"
    command = [str(nvcc), *beside(nvcc), *options, *(f"{one}.cu" for one in units), "-o", str(out)]
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    code = read(str(out))
    assert code.complete, code.notes
    assert found(code) == listed(cuobjdump, out)


# The libraries that cuobjdump takes for damaged ("Invalid ELF"), and how many images are read of them.
INVALID = [("libbitsandbytes_cuda121.so", 55)]


@pytest.fixture(scope="module")
def libraries() -> dict[str, Path]:
    """The libraries of the wheels, unpacked below build/cuda."""
    place = PLACE / "wheels"
    if not (place / "whole").exists():
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--disable-pip-version-check"]
        subprocess.run([*command, "-d", str(place), *WHEELS], check=True)
        for wheel in place.glob("*.whl"):
            with zipfile.ZipFile(wheel) as packed:
                packed.extractall(place / wheel.name.partition("-")[0])
        (place / "whole").touch()
    return {str(path.relative_to(place)): path for path in sorted(place.rglob("*.so*")) if path.is_file()}


def test_the_libraries_of_public_wheels(libraries: dict[str, Path], cuobjdump: Path) -> None:
    unread, differ, told = [], {}, 0
    for name, path in libraries.items():
        code = read(str(path))
        assert code.complete, (name, code.notes)
        theirs = listed(cuobjdump, path)
        told += bool(code.containers)
        if theirs is None:
            unread.append((path.name, sum(found(code).values())))
        elif theirs != found(code):
            differ[name] = (theirs - found(code), found(code) - theirs)
    assert told >= 10
    assert differ == {}
    assert unread == INVALID


def _ptxas(place: Path, target: str) -> bytes:
    """Return a cubin of CUDA 12.9 for a target."""
    bin_ = installed("12.9", *OLD) / "nvidia/cuda_nvcc/bin"
    (place / f"{target}.ptx").write_text(
        f".version 8.8\n.target {target}\n.address_size 64\n.visible .entry k() {{ ret; }}\n"
    )
    subprocess.run([bin_ / "ptxas", "-arch", target, f"{target}.ptx", "-o", f"{target}.cubin"], cwd=place, check=True)
    return (place / f"{target}.cubin").read_bytes()


OLD_TARGETS = ("sm_50", "sm_70", "sm_80", "sm_90", "sm_90a", "sm_100", "sm_100a", "sm_100f", "sm_120", "sm_120f")


@pytest.mark.parametrize("target", OLD_TARGETS)
def test_cubins_of_cuda_12_9(tmp_path: Path, cuobjdump: Path, target: str) -> None:
    """Where the file does not tell the suffix it is in doubt, and cuobjdump shows none."""
    _ptxas(tmp_path, target)
    path = tmp_path / f"{target}.cubin"
    (part,) = (part for one in read(str(path)).containers for part in one.parts)
    assert part.target.rstrip("f?") == target.rstrip("f")
    assert part.suffix in ((target[-1],) if target[-1] in "af" else ("", "?"))
    assert listed(cuobjdump, path) == found(read(str(path)))


@pytest.mark.parametrize("compress", ["", "-compress=true", "-compress-all", "-compress-mode=size", "-compress=false"])
def test_containers_of_nvfatbin_12_9(tmp_path: Path, cuobjdump: Path, compress: str) -> None:
    library = ctypes.CDLL(str(next((installed("12.9", *OLD) / "nvidia/nvfatbin/lib").glob("libnvfatbin.so.*"))))
    handle = ctypes.c_void_p()
    options = [b"-64", *([compress.encode()] if compress else [])]
    wanted = (ctypes.c_char_p * len(options))(*options)
    if library.nvFatbinCreate(ctypes.byref(handle), wanted, ctypes.c_size_t(len(options))):
        pytest.skip(f"nvFatbin 12.9 does not know {compress}")
    for target in OLD_TARGETS:
        data, name = _ptxas(tmp_path, target), target.encode()
        assert library.nvFatbinAddCubin(handle, data, ctypes.c_size_t(len(data)), name[3:], name) == 0
    text = (tmp_path / "sm_90.ptx").read_bytes() + b"\0"
    assert library.nvFatbinAddPTX(handle, text, ctypes.c_size_t(len(text)), b"90", b"x", b"") == 0
    size = ctypes.c_size_t()
    assert library.nvFatbinSize(handle, ctypes.byref(size)) == 0
    made = ctypes.create_string_buffer(size.value)
    assert library.nvFatbinGet(handle, made) == 0
    (tmp_path / "x.fatbin").write_bytes(made.raw)
    code = read(str(tmp_path / "x.fatbin"))
    assert code.complete
    assert {part.target for one in code.containers for part in one.parts} == {*OLD_TARGETS, "compute_90"}
    assert found(code) == listed(cuobjdump, tmp_path / "x.fatbin")


def test_what_the_runtime_loads_is_told_from_what_is_only_listed(cuobjdump: Path, sources: Path) -> None:
    """Rules 1 to 3: nvcc's own empty container is no code, and relocatable code is not loaded; cuobjdump lists both."""
    nvcc = installed("13.5", *names("13.5")) / "nvidia/cu13/bin/nvcc"

    def made(name: str, *options: str) -> Code:
        command = [nvcc, *beside(nvcc), *options, "-o", f"{name}.so"]
        subprocess.run(command, cwd=sources, check=True, capture_output=True)
        return read(str(sources / f"{name}.so"))

    def targets(code: Code, *roles: str) -> set[str]:
        return {part.target for one in code.of(*roles) for part in one.parts}

    plain = made("plain", *SHARED, "-gencode", "arch=compute_90,code=sm_90", "a.cu")
    assert (targets(plain, LOADED), targets(plain, LINKED, RELOCATABLE)) == ({"sm_90"}, set())
    assert plain.of(IGNORED)
    assert sum(listed(cuobjdump, sources / "plain.so").values()) == 1 + len(plain.of(IGNORED))  # type: ignore[union-attr]
    linked = made(
        "linked", *SHARED, "-rdc=true", "-gencode", "arch=compute_90,code=[sm_90,compute_90]", "split.cu", "twice.cu"
    )
    assert targets(linked, LINKED) >= {"sm_90"}
    assert targets(linked, RELOCATABLE) == {"sm_90", "compute_90"}
    assert not targets(linked, LOADED)
    by_linker = made("lto", *LTO_OBJECT, "split.cu")
    assert any(part.kind == LTO for one in by_linker.of(RELOCATABLE) for part in one.parts)
