"""Where files with GPU code lie: a file, a wheel, a directory, an environment. Nothing is installed, run or kept."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from preflight.artifacts.gpu_code import archive, fatbin
from preflight.artifacts.gpu_code.elf import MAGIC as ELF
from preflight.artifacts.gpu_code.model import Code, CodeError, Late
from preflight.artifacts.gpu_code.read import read
from preflight.artifacts.gpu_code.window import in_time

FILE, WHEEL, DIRECTORY, ENVIRONMENT, IMAGE = "file", "wheel", "directory", "environment", "image"
MAX_FILES = 1_000_000  # of a directory; an environment has some hundred thousand
MAX_CODE = 50_000
MAX_MEMBER, MAX_WHEEL = 8 << 30, 32 << 30  # bytes unpacked to a temporary file, of one member and together
MAX_RATIO, SMALL = 100, 16 << 20  # what a library packs to at best; a smaller one may pack to anything
MAX_INDEX = 64 << 20  # bytes of a wheel's list of members
_END = b"PK\5\6"
_OF_SYSTEM = ("/usr/", "/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/", "/libx32/")
_GONE = (errno.ENOENT, errno.ELOOP, errno.ENOTDIR)  # of a link that ends nowhere: nothing loads it either
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
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
    """What lies beneath a directory: ``directories`` with the names of the files in each; ``problems``: not listed.

    ``linked``: links to directories that lie elsewhere.
    """

    path: str
    directories: tuple[tuple[str, tuple[str, ...]], ...]
    problems: tuple[OSError, ...]
    linked: tuple[str, ...] = ()


def tree(path: str, deadline: float | None = None) -> Tree:
    """Return what lies beneath a directory, in order; links to directories are not followed.

    Raises CodeError where it is too much, Late where it takes until ``deadline`` (of time.monotonic).
    """
    problems: list[OSError] = []
    found: list[tuple[str, tuple[str, ...]]] = []
    links: list[str] = []
    files = 0
    waiting = [path]
    while waiting:
        directory = waiting.pop()
        names: list[str] = []
        below: list[str] = []
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    in_time(path, deadline)
                    if entry.is_dir(follow_symlinks=False):
                        below.append(entry.path)
                    elif entry.is_symlink() and _is_directory(entry.path):
                        links.append(entry.path)
                    else:
                        names.append(entry.name)
                    if files + len(names) > MAX_FILES:
                        raise CodeError(f"{path}: more than {MAX_FILES} files; name a directory within it")
        except OSError as error:
            problems.append(error)
        files += len(names)
        found.append((directory, tuple(sorted(names))))
        waiting += sorted(below, reverse=True)
    return Tree(path, tuple(found), tuple(problems), tuple(_elsewhere(path, links)))


def _is_directory(link: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(link).st_mode)
    except OSError:
        return False  # looked at again as a file: the error is told there


def _elsewhere(path: str, links: list[str]) -> Iterator[str]:
    """Yield the links that end outside of a place: what lies within it is looked at there."""
    inside = os.path.join(os.path.realpath(path), "")
    for link in sorted(links):
        if not os.path.join(os.path.realpath(link), "").startswith(inside):
            yield link


def candidates(found: Tree) -> Iterator[str]:
    """Yield the paths of the files that are worth opening, by their names."""
    for directory, names in found.directories:
        for name in names:
            if may_hold_code(name):
                yield os.path.join(directory, name)


def in_directory(found: Tree, deadline: float | None = None) -> Iterator[Found]:
    """Yield the files beneath a directory that may hold code, each once; raises CodeError as `tree` does.

    A link to a file elsewhere is looked into as what it ends at.
    """
    path = found.path
    seen: set[tuple[int, int]] = set()
    links: list[str] = []
    for place in candidates(found):
        yield from _looked_into(path, place, seen, links, deadline)
    for place in links:  # last: a file of the place goes by its own name
        yield from _looked_into(path, place, seen, None, deadline)
    for place in found.linked:
        yield Found(_within(place, path), None, f"a link to a directory elsewhere, {os.path.realpath(place)}")
    for error in found.problems[:20]:
        yield Found(_within(str(error.filename or path), path), None, error.strerror or "cannot be read")


def _looked_into(
    path: str, place: str, seen: set[tuple[int, int]], links: list[str] | None, deadline: float | None
) -> Iterator[Found]:
    """Yield a file of a directory where it may hold code and was not seen before; a link is put to ``links``.

    ``links`` None: a link is followed.
    """
    in_time(path, deadline)
    shown = _within(place, path)
    try:
        status = os.stat(place) if links is None else os.lstat(place)
        if links is not None and stat.S_ISLNK(status.st_mode):
            links.append(place)
        key = (status.st_dev, status.st_ino)
        if not stat.S_ISREG(status.st_mode) or status.st_size < 64 or (status.st_ino and key in seen):
            return
        head = _head(place)
    except OSError as error:
        if error.errno not in _GONE:
            yield Found(shown, None, error.strerror or "cannot be read")
        return
    if not begins_as_code(head, place):
        return
    seen.add(key)
    if len(seen) > MAX_CODE:
        raise CodeError(f"{path}: more than {MAX_CODE} libraries; name a directory within it")
    one = read_as(place, shown, deadline)
    if links is None and one.code is not None and not one.code.containers and _is_of_system(os.path.realpath(place)):
        return  # each machine has its own /usr/bin/python3: what this one asks says nothing
    yield one


def _head(place: str) -> bytes:
    descriptor = os.open(place, _READ)
    try:
        return os.read(descriptor, 4)
    finally:
        os.close(descriptor)


def _is_of_system(real: str) -> bool:
    """Tell whether a file is one of the operating system's, which each node has for itself."""
    return real.startswith(_OF_SYSTEM) and not real.startswith("/usr/local/")


def _within(place: str, path: str) -> str:
    """Return a path's name within a place."""
    inside = place[len(path) :].lstrip(os.sep) if place.startswith(path) else place
    return (inside or ".").replace(os.sep, "/")


def begins_as_code(head: bytes, name: str) -> bool:
    """Tell by a file's first bytes whether it may hold code."""
    return head[:4] in _CODE or name.endswith(".ptx")


def read_as(place: str, shown: str, deadline: float | None = None) -> Found:
    """Return what a file holds, under the name that it is shown by; raises Late as `read` does."""
    try:
        return Found(shown, read(place, deadline))
    except Late:
        raise
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


def in_wheel(path: str, deadline: float | None = None) -> Iterator[Found]:
    """Yield the files of a wheel that may hold code, each unpacked to a temporary file.

    Raises CodeError; Late where it takes until ``deadline`` (of time.monotonic).
    """
    try:
        left = budget(_check_index(path))
        files = 0
        with zipfile.ZipFile(path) as wheel:
            for member in wheel.infolist():
                in_time(path, deadline)
                if member.is_dir() or member.file_size < 64 or not may_hold_code(member.filename):
                    continue
                with wheel.open(member) as packed:
                    head = packed.read(64)
                    if not begins_as_code(head, member.filename):
                        continue
                    files += 1
                    if files > MAX_CODE:
                        raise CodeError(f"{path}: more than {MAX_CODE} libraries in it")
                    error = too_much(member.file_size, member.compress_size, left)
                    if error:
                        yield Found(member.filename, None, error)
                        continue
                    left -= member.file_size
                    with unpacked(chain([head], iter(lambda: packed.read(1 << 20), b"")), path, deadline) as place:
                        yield read_as(place, member.filename, deadline)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, KeyError) as error:
        if isinstance(error, CodeError):
            in_time(path, deadline)  # which names the wheel, and not the temporary file
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


def budget(size: int) -> int:
    """Return how many bytes a wheel or an image of a size is unpacked to at most, all its libraries together."""
    return min(MAX_WHEEL, max(1 << 30, MAX_RATIO * size))


def too_much(size: int, packed: int, left: int) -> str:
    """Return why a file of a size is not unpacked, "" where it is.

    ``packed``: the bytes that it takes in its archive. ``left``: what may still be unpacked of that.
    """
    if size > min(left, MAX_MEMBER):
        return "too large to be unpacked"
    if size > SMALL and size > MAX_RATIO * max(packed, 1):
        return f"unpacks to more than {MAX_RATIO} times its size, which no library does"
    return ""


@contextlib.contextmanager
def unpacked(parts: Iterable[bytes], path: str = "", deadline: float | None = None) -> Iterator[str]:
    """Give the path of a temporary file with some bytes, of ``path``; raises Late as `in_wheel` does."""
    descriptor, place = tempfile.mkstemp(prefix="preflight-code-")
    try:
        with open(descriptor, "wb") as file:
            for part in parts:
                in_time(path, deadline)
                file.write(part)
        yield place
    finally:
        os.unlink(place)
