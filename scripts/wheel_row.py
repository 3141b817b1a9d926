"""Prints the rows of wheels for src/preflight/catalog/data/wheels.toml: what the library for most GPUs holds.

usage: .venv/bin/python scripts/wheel_row.py WHEEL...

A wheel with a library for each of several CUDAs (libbitsandbytes_cuda118.so) gets a row for each. What is not
known of a wheel (an image, an architecture) is told on stderr, and that wheel gets no row.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from pathlib import Path

from preflight.artifacts.gpu_code.demands import holds
from preflight.artifacts.gpu_code.model import LINKED, LOADED
from preflight.artifacts.gpu_code.runs import UNPACKS_ZSTD
from preflight.artifacts.gpu_code.survey import Library, Package, survey
from preflight.catalog.versions import show

# A package's name -> the family it is a build of, where its name says the CUDA.
_FAMILY = re.compile(r"(?P<family>.+?)-?(?P<build>cuda1\dx|cu1\d|cuda1\d-plugin|gpu-cu1\d|gpu)$")
_RENAMED = {"onnxruntime": "onnxruntime", "faiss": "faiss", "cupy": "cupy", "jax": "jax"}
_LINKED = "the driver may link its relocatable code anew"  # machine code is in it all the same


def rows(path: str) -> list[str]:
    """Return the rows of a wheel; raises CodeError where it is none."""
    found = survey(path)
    platform = Path(path).stem.rpartition("-")[2]
    made = []
    for package in found.packages:
        for build, libraries in _builds(package).items():
            main = max(libraries, key=_width)  # others may be for fewer GPUs, such as FlashAttention's in vLLM
            held = holds(package._replace(libraries=(main,)))
            if held is None or held.doubt not in ("", _LINKED):
                print(f"{path}: no row: {held.doubt if held else 'no kernel'}", file=sys.stderr)
                continue
            name = _FAMILY.fullmatch(package.owner.name)
            family = name["family"] if name and name["family"] in _RENAMED else package.owner.name
            row = {
                "family": family,
                "version": package.owner.version.split(".post")[0],
                "build": build or (package.owner.name if name else "default"),
                "arch": next(one for one in ("x86_64", "aarch64") if platform.endswith(one)),
                "cuda": _cuda(libraries),
                "targets": list(held.targets),
                **({"unpacks": show(UNPACKS_ZSTD)} if held.packed and not _cuda(libraries).startswith("13") else {}),
                **({"glibc": show(found.glibc.version)} if found.glibc.version else {}),
                **_python(path),
                "source": ["wheel"],
            }
            fields = ", ".join(f"{key} = {json.dumps(value)}" for key, value in row.items())
            made.append(f"  {{ {fields} }},")
    return made


def _python(path: str) -> dict[str, str]:
    """Return the lowest Python that a wheel's metadata asks for (Requires-Python), {} where it asks for none."""
    with zipfile.ZipFile(path) as wheel:
        names = (name for name in wheel.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        text = "".join(wheel.read(name).decode("utf-8", "replace") for name in names)
    found = re.search(r"^Requires-Python:.*?>=\s*(3\.\d+)", text, re.MULTILINE)
    return {"python": found[1]} if found else {}


def _width(one: Library) -> tuple[int, int]:
    """Return for how many targets a library is, and of how many containers."""
    units = one.code.of(LOADED, LINKED)
    return len({part.target for each in units for part in each.parts}), len(units)


def _builds(package: Package) -> dict[str, tuple[Library, ...]]:
    """Return the libraries by the CUDA that their names say; "" of those that say none."""
    found: dict[str, tuple[Library, ...]] = {}
    for one in package.libraries:
        if ".libs/" in one.name and package.owner.name.partition("-")[0] not in one.name.rpartition("/")[2]:
            continue  # of others, such as nvJPEG
        named = re.search(r"_cuda(1\d\d)\.so$", one.name)
        build = f"cu{named[1]}" if named else ""
        found[build] = (*found.get(build, ()), one)
    return found


def _cuda(libraries: tuple[Library, ...]) -> str:
    """Return the CUDA of the compiler where the file says it, else the one that its libraries name."""
    named = [re.search(r"_cuda(1\d)(\d)\.so$", one.name) for one in libraries]
    told = {f"{one[1]}.{one[2]}" for one in named if one}
    parts = (part for one in libraries for each in one.code.containers for part in each.parts)
    made = {show(part.toolkit) for part in parts if part.toolkit}
    cudas = told or made or {cuda for one in libraries for cuda in one.cudas}
    return max(cudas, key=lambda text: tuple(map(int, text.split("."))))


def main() -> None:
    """Print the rows of each wheel."""
    for path in sys.argv[1:]:
        print("\n".join(rows(path)))


if __name__ == "__main__":
    main()
