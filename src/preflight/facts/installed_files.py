"""Versions of installed programs and libraries, from their files: nothing is run.

Sources: CPython's Include/patchlevel.h (PY_VERSION, which is in every build as text); cudnn_version.h and nccl.h of
NVIDIA's packages; the names of their libraries (libcudnn.so.9.1.0, libnccl.so.2.20.5).
"""

from __future__ import annotations

import re

from preflight.facts.rootfs import Root

PROGRAMS = ("/usr/bin", "/usr/local/bin")
DIRECTORIES = ("/usr/lib/*-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib", "/usr/local/lib64")
HEADERS = ("/usr/include", "/usr/include/*-linux-gnu", "/usr/local/include")
HEADER = {"cudnn": ("cudnn_version*.h", "CUDNN"), "nccl": ("nccl.h", "NCCL")}
MAX_PROGRAM = 64 << 20  # bytes; a Python that is linked statically has 7 MB, a library of it the same
_PYTHON = re.compile(r"python(3\.\d{1,3})")


def pythons(root: Root) -> list[str]:
    """Return the versions of python3.N in PROGRAMS, to the patch where a file states it, the highest last."""
    found = dict[str, None]()
    for place in PROGRAMS:
        for path in root.glob(f"{place}/python3.*"):
            minor = _PYTHON.fullmatch(path.rpartition("/")[2])
            info = root.stat(path)
            if minor and info is not None and info.st_mode & 0o111:
                found[_patch(root, path, minor[1])] = None
    return longest(found)


def _patch(root: Root, path: str, minor: str) -> str:
    """Return "3.11.2" of "3.11": what the program or the library that it is linked to holds; "3.11" if none says it."""
    prefix = path.rpartition("/bin/")[0]
    text = re.compile(rb"\x00" + re.escape(minor).encode() + rb"\.(\d{1,3})\+?\x00")
    libraries = [
        one for place in (*DIRECTORIES, f"{prefix}/lib") for one in root.glob(f"{place}/libpython{minor}.so.1.0")
    ]
    for file in (path, *libraries):
        try:
            data = root.read(file, MAX_PROGRAM)
        except OSError:
            continue
        said = set(text.findall(data or b""))
        if len(said) == 1:
            return f"{minor}.{said.pop().decode()}"
    return minor


def libraries(root: Root, name: str, prefixes: tuple[str, ...]) -> list[str]:
    """Return the versions of lib``name``.so and of its headers beneath the system's and the toolkits' directories."""
    own = [f"{prefix}/{place}" for prefix in prefixes for place in ("lib64", "targets/*/lib")]
    headers = [f"{prefix}/{place}" for prefix in prefixes for place in ("include", "targets/*/include")]
    library = re.compile(rf"lib{name}\.so\.(\d{{1,4}}(?:\.\d{{1,4}}){{0,3}})")
    found = dict[str, None]()
    for pattern in (*DIRECTORIES, *own):
        for path in root.glob(f"{pattern}/lib{name}.so.*"):
            version = library.fullmatch(path.rpartition("/")[2])
            if version:
                found[version[1]] = None
    pattern, define = HEADER[name]
    for place in (*HEADERS, *headers):
        for path in root.glob(f"{place}/{pattern}"):
            version_of = _header(root, path, define)
            if version_of:
                found[version_of] = None
    return longest(found)


def _header(root: Root, path: str, define: str) -> str:
    """Return the version that a header defines in three numbers (CUDNN_MAJOR, …_MINOR, …_PATCHLEVEL or …_PATCH)."""
    try:
        text = root.read_text(path) or ""
    except OSError:
        return ""
    numbers = dict(
        re.findall(rf"^#define\s+{define}_(MAJOR|MINOR|PATCH)(?:LEVEL)?\s+(\d{{1,6}})\b", text, re.MULTILINE)
    )
    return ".".join(numbers[part] for part in ("MAJOR", "MINOR", "PATCH")) if len(numbers) == 3 else ""


def longest(found: dict[str, None]) -> list[str]:
    """Return versions without those that another one begins with (9 beside 9.1.0), the highest last."""
    parts = sorted(tuple(int(part) for part in one.split(".")) for one in found)
    kept = [one for one in parts if not any(other[: len(one)] == one for other in parts if other != one)]
    return [".".join(map(str, one)) for one in kept]
