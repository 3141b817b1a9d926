"""The package's compiled modules in one file: a hook imports ninety, and finding each costs more than running it.

`preflight install` makes the file beside the copied package. Without it, or with one of another Python, and where a
module's own file is another since, modules are found as usual. It holds code and an index: a module is unmarshalled
when it is imported. A file of the size and time in the index is the one that was bundled; one of another time is
where its content is: an image keeps whole seconds, or has one time for all files.
"""

from __future__ import annotations

import _imp
import marshal
import mmap
import os
import sys

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    # Is it a package; where its code begins and how long that is; size, mtime_ns and content's hash of its file.
    _Entry = tuple[bool, int, int, int, int, bytes]

NAME = "modules.bundle"
ROOMS = ("", "catalog", "facts", "requirements", "policy", "checks", "slurm", "report", "hooks")  # a hook's
_Spec = type(sys.__spec__)
_KEY = 1  # of the hash; any number


def make(package: str, named: str = "") -> None:
    """Write the bundle of the package in the directory ``package``; raises OSError or SyntaxError.

    ``named``: the path by which its code knows itself, where the package is to be moved.
    """
    index: dict[str, _Entry] = {}
    codes = []
    end = 0
    for name, path in _modules(package):
        with open(path, "rb") as file:
            known = f"{named or package}{path[len(package) :]}"
            source = file.read()
            info = os.fstat(file.fileno())
        code = marshal.dumps(compile(source, known, "exec", dont_inherit=True))
        is_package = os.path.basename(path) == "__init__.py"
        index[name] = (is_package, end, len(code), info.st_size, info.st_mtime_ns, _hash(source))
        codes.append(code)
        end += len(code)
    head = marshal.dumps(index)
    with open(f"{package}/{NAME}", "wb") as out:
        out.write(_mark() + len(head).to_bytes(8, "big") + head + b"".join(codes))


def _modules(package: str) -> Iterator[tuple[str, str]]:
    """Yield (name, path) of each module of a hook's rooms."""
    top = os.path.basename(package)
    for directory, _, files in sorted(os.walk(package)):
        inside = os.path.relpath(directory, package).replace(os.sep, ".").removeprefix(".")
        if inside.partition(".")[0] not in ROOMS:
            continue
        for file in sorted(files):
            if file.endswith(".py") and file != "__main__.py":
                parts = [top, inside, "" if file == "__init__.py" else file[:-3]]
                yield ".".join(part for part in parts if part), os.path.join(directory, file)


def _hash(source: bytes) -> bytes:
    """Return the hash by which Python itself tells whether a source is the one that it compiled (PEP 552)."""
    return bytes(_imp.source_hash(_KEY, source))


def use(package: str) -> None:
    """Import the modules of ``package`` from its bundle from now on, where there is one that fits; never raises."""
    try:
        descriptor = os.open(f"{package}/{NAME}", os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            data = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)  # a quarter of it is used
        finally:
            os.close(descriptor)
        mark = _mark()
        begin = len(mark) + 8
        if data[: len(mark)] != mark:
            return
        head = int.from_bytes(data[len(mark) : begin], "big")
        index = marshal.loads(data[begin : begin + head])
        if begin + head + max(one[1] + one[2] for one in index.values()) != len(data):
            return  # cut off
    except (OSError, ValueError, EOFError, TypeError, AttributeError):
        return
    sys.meta_path.insert(0, _Finder(os.path.dirname(package), index, data, begin + head))


def _hash_of(path: str) -> bytes:
    with open(path, "rb") as file:
        return _hash(file.read())


def _mark() -> bytes:
    """Return what only a bundle that this interpreter and this form of the index can run begins with."""
    return f"preflight 2 {sys.implementation.cache_tag} {sys.hexversion:x} {sys.flags.optimize}\n".encode()


class _Finder:
    """Finder and loader in one, for the modules of one bundle."""

    def __init__(self, directory: str, index: dict[str, _Entry], data: mmap.mmap, begin: int) -> None:
        self._directory, self._index, self._data, self._begin = directory, index, data, begin

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return the spec of a module of ours; None for any other, and where its file is no more what was bundled."""
        entry = self._index.get(name)
        if entry is None:
            return None
        place = f"{self._directory}/{name.replace('.', '/')}"
        file = f"{place}/__init__.py" if entry[0] else f"{place}.py"
        try:
            info = os.stat(file)
            if info.st_size != entry[3] or (info.st_mtime_ns != entry[4] and _hash_of(file) != entry[5]):
                return None
        except OSError:
            return None
        spec: ModuleSpec = _Spec(name, self, origin=file, is_package=entry[0])  # type: ignore[arg-type]
        spec.has_location = True
        if entry[0]:
            spec.submodule_search_locations = [place]
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to Python."""
        return

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code."""
        _, offset, length, *_ = self._index[module.__name__]
        begin = self._begin + offset
        code = marshal.loads(self._data[begin : begin + length])
        _imp._fix_co_filename(code, module.__file__)  # type: ignore[attr-defined]
        exec(code, module.__dict__)
