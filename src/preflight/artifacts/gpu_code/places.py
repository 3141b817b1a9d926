"""Where files with GPU code lie: a file, a wheel, a directory, an environment. Nothing is installed, run or kept."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from preflight.artifacts.gpu_code import archive, fatbin
from preflight.artifacts.gpu_code.elf import MAGIC as ELF
from preflight.artifacts.gpu_code.model import Code, CodeError
from preflight.artifacts.gpu_code.read import read

FILE, WHEEL, DIRECTORY, ENVIRONMENT, IMAGE = "file", "wheel", "directory", "environment", "image"
MAX_FILES = 1_000_000  # of a directory; an environment has some hundred thousand
MAX_CODE = 50_000
MAX_MEMBER, MAX_WHEEL = 8 << 30, 32 << 30  # bytes unpacked to a temporary file, of one member and together
MAX_RATIO, SMALL = 100, 16 << 20  # what a library packs to at best; a smaller one may pack to anything
MAX_INDEX = 64 << 20  # bytes of a wheel's list of members
_END = b"PK\5\6"
_CODE = (ELF, fatbin.MAGIC, archive.MAGIC[:4])
# Files that are many and hold no code; they are not opened. What PTX is, is told by its name here.
_TEXTS = frozenset(
    "py pyc pyi pyx pxd pth json txt md rst html css js ts map xml svg png jpg gif "  # noqa: SIM905
    "h hh hpp hxx inl cuh c cc cpp cxx cu f90 mod in am m4 pl pm tcl sh csh fish bc "
    "yaml yml toml cfg ini csv tsv npy npz gz bz2 xz zst zip whl conda pdf mo po pc cmake la lock "
    "ipynb typed pem ttf woff woff2 exe dll pyd lib dylib debug".split()
)


class Found(NamedTuple):
    """A file with its name within the place, "/" between its parts; ``error``: why it was not read."""

    name: str
    code: Code | None
    error: str = ""


def kind_of(path: str) -> str:
    """Return what a path is: FILE, WHEEL, DIRECTORY or ENVIRONMENT; raises CodeError where it is nothing of those."""
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        raise CodeError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if stat.S_ISDIR(found.st_mode):
        marks = ("pyvenv.cfg", "conda-meta")
        return ENVIRONMENT if any(os.path.exists(os.path.join(path, mark)) for mark in marks) else DIRECTORY
    if not stat.S_ISREG(found.st_mode):
        raise CodeError(f"{path}: neither a file nor a directory")
    try:
        with open(path, "rb") as file:
            return WHEEL if file.read(4) in (b"PK\3\4", _END) else FILE
    except OSError as error:
        raise CodeError(f"{path}: {error.strerror or error}") from None


def may_hold_code(name: str) -> bool:
    """Tell whether a file is worth opening, by its name."""
    return name.rpartition(".")[2].lower() not in _TEXTS if "." in name else True


class Tree(NamedTuple):
    """What lies beneath a directory: ``directories`` with the names of the files in each; ``problems``: not listed."""

    path: str
    directories: tuple[tuple[str, tuple[str, ...]], ...]
    problems: tuple[OSError, ...]


def tree(path: str, deadline: float | None = None) -> Tree:
    """Return what lies beneath a directory, in order; links are not followed.

    Raises CodeError where it is too much, or where it takes until ``deadline`` (of time.monotonic).
    """
    problems: list[OSError] = []
    found = []
    files = 0
    for directory, below, names in os.walk(path, onerror=problems.append):
        below.sort()
        files += len(names)
        if files > MAX_FILES:
            raise CodeError(f"{path}: more than {MAX_FILES} files; name a directory within it")
        in_time(path, deadline)
        found.append((directory, tuple(sorted(names))))
    return Tree(path, tuple(found), tuple(problems))


def in_time(path: str, deadline: float | None) -> None:
    """Raise CodeError where the time is over."""
    if deadline is not None and time.monotonic() > deadline:
        raise CodeError(f"{path}: to look into it takes too long here; 'preflight code' takes its time")


def candidates(found: Tree) -> Iterator[str]:
    """Yield the paths of the files that are worth opening, by their names."""
    for directory, names in found.directories:
        for name in names:
            if may_hold_code(name):
                yield os.path.join(directory, name)


def in_directory(found: Tree, deadline: float | None = None) -> Iterator[Found]:
    """Yield the files beneath a directory that may hold code, each once; raises CodeError as `tree` does."""
    path = found.path
    seen: set[tuple[int, int]] = set()
    for place in candidates(found):
        if _has_code(place, seen):
            in_time(path, deadline)
            yield read_as(place, _within(place, path))
            if len(seen) > MAX_CODE:
                raise CodeError(f"{path}: more than {MAX_CODE} libraries; name a directory within it")
    for error in found.problems[:20]:
        yield Found(_within(str(error.filename or path), path), None, error.strerror or "cannot be read")


def _within(place: str, path: str) -> str:
    """Return a path's name within a place."""
    inside = place[len(path) :].lstrip(os.sep) if place.startswith(path) else place
    return (inside or ".").replace(os.sep, "/")


def _has_code(place: str, seen: set[tuple[int, int]]) -> bool:
    """Tell by its first bytes whether a file may hold code, where it was not seen before under another name."""
    try:
        found = os.lstat(place)
        if not stat.S_ISREG(found.st_mode) or found.st_size < 64:
            return False
        with open(place, "rb", buffering=0) as file:
            head = file.read(4)
    except OSError:
        return False
    if not begins_as_code(head, place):
        return False
    key = (found.st_dev, found.st_ino)
    if found.st_ino and key in seen:
        return False
    seen.add(key)
    return True


def begins_as_code(head: bytes, name: str) -> bool:
    """Tell by a file's first bytes whether it may hold code."""
    return head[:4] in _CODE or name.endswith(".ptx")


def read_as(place: str, shown: str) -> Found:
    """Return what a file holds, under the name that it is shown by."""
    try:
        return Found(shown, read(place))
    except CodeError as error:
        return Found(shown, None, str(error).removeprefix(f"{place}: "))


def names_of(found: Tree) -> set[str]:
    """Return the names of all files beneath a directory, without their directories."""
    return {name for _, names in found.directories for name in names}


def names_in_wheel(path: str) -> set[str]:
    """Return the names of all files in a wheel, without their directories; none of a damaged one."""
    try:
        _check_index(path)
        with zipfile.ZipFile(path) as wheel:
            return {name.rpartition("/")[2] for name in wheel.namelist()}
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return set()


def in_wheel(path: str) -> Iterator[Found]:
    """Yield the files of a wheel that may hold code, each unpacked to a temporary file; raises CodeError."""
    try:
        left = min(MAX_WHEEL, max(1 << 30, MAX_RATIO * _check_index(path)))
        files = 0
        with zipfile.ZipFile(path) as wheel:
            for member in wheel.infolist():
                if member.is_dir() or member.file_size < 64 or not may_hold_code(member.filename):
                    continue
                with wheel.open(member) as packed:
                    head = packed.read(64)
                    if not begins_as_code(head, member.filename):
                        continue
                    files += 1
                    if files > MAX_CODE:
                        raise CodeError(f"{path}: more than {MAX_CODE} libraries in it")
                    error = _too_much(member, left)
                    if error:
                        yield Found(member.filename, None, error)
                        continue
                    left -= member.file_size
                    with unpacked(chain([head], iter(lambda: packed.read(1 << 20), b""))) as place:
                        yield read_as(place, member.filename)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, KeyError) as error:
        if isinstance(error, CodeError):
            raise
        raise CodeError(
            f"{path}: not a sound wheel: {str(error).splitlines()[0] if str(error) else 'damaged'}"
        ) from None
    except OSError as error:
        raise CodeError(f"{path}: {error.strerror or error}") from None


def _check_index(path: str) -> int:
    """Return a wheel's size; raises CodeError where its list of members, which zipfile reads whole, is too long."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(-min(size, 1 << 16), os.SEEK_END)
        tail = file.read()
    at = tail.rfind(_END)
    length = int.from_bytes(tail[at + 12 : at + 16], "little") if at >= 0 else 0
    if length > MAX_INDEX:
        raise CodeError(f"{path}: its list of members is damaged, or too long")
    return size


def _too_much(member: zipfile.ZipInfo, left: int) -> str:
    if member.file_size > min(left, MAX_MEMBER):
        return "too large to be unpacked"
    if member.file_size > SMALL and member.file_size > MAX_RATIO * max(member.compress_size, 1):
        return f"unpacks to more than {MAX_RATIO} times its size, which no library does"
    return ""


@contextlib.contextmanager
def unpacked(parts: Iterable[bytes]) -> Iterator[str]:
    """Give the path of a temporary file with some bytes."""
    descriptor, place = tempfile.mkstemp(prefix="preflight-code-")
    try:
        with open(descriptor, "wb") as file:
            for part in parts:
                file.write(part)
        yield place
    finally:
        os.unlink(place)
