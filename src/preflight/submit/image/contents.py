"""What lies inside an image: system, C library, architecture, and everything that says which CUDA it was built with."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from preflight.facts import cuda_toolkits as toolkits
from preflight.facts import libc
from preflight.facts import os as facts_os
from preflight.facts.rootfs import Root
from preflight.submit import packages
from preflight.submit.image.model import Found, ImageError

LIBRARIES = (
    "/usr/local/cuda*/lib64",
    "/usr/local/cuda*/targets/*/lib",
    "/usr/lib/*-linux-gnu*",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
    "/opt/conda/lib",
    "/opt/conda/envs/*/lib",
    "/opt/*/lib",
)
COMPAT = ("/usr/local/cuda*/compat", "/usr/local/cuda*/compat/lib.real", "/usr/local/cuda*/compat/lib")
PYTHONS = (
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/opt/conda/lib",
    "/opt/conda/envs/*/lib",
    "/opt/*/lib",
    "/opt/*/*/lib",
    "/venv/lib",
    "/.venv/lib",
    "/*/venv/lib",
    "/*/.venv/lib",
    "/root/.local/lib",
    "/home/*/.local/lib",
)
SITES = tuple(f"{place}/python3*/{name}-packages" for place in PYTHONS for name in ("site", "dist"))
CONDAS = ("/opt/conda/conda-meta", "/opt/conda/envs/*/conda-meta", "/opt/*/conda-meta")
_RUNTIME = re.compile(r"libcudart\.so\.(\d+(?:\.\d+){0,3})")
_DRIVER = re.compile(r"libcuda\.so\.(\d+\.\d+(?:\.\d+)?)")
_CONDA = packages.conda_names("cudatoolkit", "cuda-cudart", "cuda-version")
_ELF = {3: "i686", 21: "ppc64le", 22: "s390x", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
_MUSL = re.compile(r"ld-musl-([a-z0-9_]+)\.so\.1")


class Contents(NamedTuple):
    """As the fields of the same names in `model.Image`."""

    os: dict[str, Any] | None
    libc: dict[str, Any] | None
    architecture: str | None
    cuda: tuple[Found, ...]
    compat: tuple[Found, ...]
    notes: tuple[str, ...]


def gather(root: Root) -> Contents:
    """Read everything of interest; what cannot be read is named in the notes, and the rest is read all the same."""
    notes: list[str] = []

    def tried(what: str, read: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return read()
        except OSError as error:
            notes.append(f"{what} was not read: {error.filename or root.path}: {error.strerror}")
        except ImageError as error:
            notes.append(f"{what} was not read: {error}")
        return otherwise

    system = tried("the system", lambda: _system(root), None)
    library = tried("the C library", lambda: libc.read(root).values or None, None)
    cuda = [
        *tried("toolkits", lambda: list(_toolkits(root)), []),
        *tried(
            "CUDA libraries", lambda: list(packages.named(root, _globbed(root, LIBRARIES), _RUNTIME, "libcudart")), []
        ),
        *tried("Python packages", lambda: list(packages.python(root, _globbed(root, SITES))), []),
        *tried("conda packages", lambda: list(packages.named(root, _globbed(root, CONDAS), _CONDA, "conda")), []),
    ]
    compat = tried(
        "cuda-compat", lambda: list(packages.named(root, _globbed(root, COMPAT), _DRIVER, "cuda-compat")), []
    )
    architecture = tried("the architecture", lambda: _architecture(root), None)
    return Contents(system, library, architecture, tuple(dict.fromkeys(cuda)), tuple(compat), tuple(notes))


def _system(root: Root) -> dict[str, Any] | None:
    path = next((path for path in facts_os.FILES if root.is_file(path)), None)
    text = root.read_text(path) if path else None
    return None if text is None else facts_os.values(_assignments(text))


def _assignments(text: str) -> dict[str, str]:
    """Return the fields of an os-release file, names in lower case; a line that is malformed is left out."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, sign, value = line.strip().partition("=")
        if not sign or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            continue
        try:
            words = shlex.split(value)
        except ValueError:
            continue
        fields[name.lower()] = " ".join(words)
    return fields


def _toolkits(root: Root) -> Iterator[Found]:
    for item in toolkits.read(root).values.get("items", []):
        if item["version"]:
            kind = "toolkit" if item["nvcc"] else "cuda directory"
            yield Found(kind, item["version"], item["path"])


def _globbed(root: Root, places: tuple[str, ...]) -> Iterator[str]:
    return (directory for place in places for directory in root.glob(place))


def _architecture(root: Root) -> str | None:
    """Return the architecture of the image's own C library: from musl's name, or the ELF header of glibc."""
    for path in (*root.glob("/lib/ld-musl-*.so.1"), *root.glob("/usr/lib/ld-musl-*.so.1")):
        found = _MUSL.fullmatch(path.rpartition("/")[2])
        if found:
            return found[1]
    for path in libc.libraries(root):
        head = (root.read(path, libc.MAX_LIBRARY) or b"")[:20]
        if head[:4] == b"\x7fELF" and len(head) == 20:
            return _ELF.get(int.from_bytes(head[18:20], "big" if head[5] == 2 else "little"))
    return None
