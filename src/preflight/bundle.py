"""The package's compiled modules in one file: a hook imports ninety, and finding each costs more than running it.

`preflight install` makes the file beside the copied package. Without it, or with one of another Python, and where a
module's own file is another since, modules are found as usual. It holds code and an index: a module is unmarshalled
when it is imported. A file of the size and time in the index is the one that was bundled; one of another time is
where its content is: an image keeps whole seconds, or has one time for all files.

Most of an import is not the module's own: so what a hook's first modules import in their turn stands together, in the
order in which Python would come to it, and is unmarshalled and run at once. `preflight.deploy.bundling` makes the file.

Each part has a hash and is read, not mapped: of one that a bad sector, a copy with holes or an image's tool damaged,
unmarshalling may crash and mapping does. From there on modules come from their files, and no hook ends for it.
"""

from __future__ import annotations

import _imp
import marshal
import os
import sys

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
    from typing import Any

    Part = tuple[int, int, bytes]  # where it begins, how long it is, its hash
    # Is it a package; its code; size, mtime_ns and content's hash of its file.
    Entry = tuple[bool, Part, int, int, bytes]
    Groups = dict[str, Part]  # the modules that are run before one

NAME = "modules.bundle"
_Spec, _Module = type(sys.__spec__), type(sys)
_KEY = 1  # of the hash; any number
_OWN = "preflight.bundle"
HEAD = 40  # bytes after the mark: the file's size, the last part's length and hash (__main__.py), the index's
DAMAGED = (OSError, ValueError, EOFError, TypeError, AttributeError)  # what reading and unmarshalling raise


def source_hash(source: bytes) -> bytes:
    """Return the hash, 8 bytes, by which Python itself tells whether a source is the one that it compiled (PEP 552)."""
    return bytes(_imp.source_hash(_KEY, source))


def use(package: str) -> None:
    """Import the modules of ``package`` from its bundle from now on, where there is one that fits; never raises."""
    mine = mark()
    at = len(mine)
    path = f"{package}/{NAME}"
    try:
        with open(path, "rb", 0) as file:
            first = file.read(at + HEAD)
            size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(first[at + 24 : at + 32], "big")
        if first[:at] != mine or int.from_bytes(first[at : at + 8], "big") != size or size <= length:
            return  # of another Python, or cut off
        index, groups = _loaded(path, 0, (at + HEAD, length, first[at + 32 :]))
        finder = _Finder(os.path.dirname(package), index, groups, path, at + HEAD + length)
    except DAMAGED:
        return
    if finder.has(_OWN):  # else there is another package
        sys.meta_path.insert(0, finder)


def _loaded(path: str, begin: int, part: Part) -> Any:
    """Return what was marshalled in a part of the file; raises one of DAMAGED.

    It is opened each time: a probe's child closes all descriptors that it inherits.
    """
    offset, length, made = part
    file = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        data = os.pread(file, length, begin + offset)
    finally:
        os.close(file)
    if _imp.source_hash(_KEY, data) != made:
        raise ValueError("damaged")
    return marshal.loads(data)


def _hash_of(path: str) -> bytes:
    with open(path, "rb") as file:
        return source_hash(file.read())


def mark() -> bytes:
    """Return what only a bundle that this interpreter and this form of the index can run begins with (__main__.py)."""
    return f"preflight 5 {sys.implementation.cache_tag} {sys.hexversion:x} {sys.flags.optimize}\n".encode()


class _Finder:
    """Finder and loader in one, for the modules of one bundle."""

    def __init__(self, directory: str, index: dict[str, Entry], groups: Groups, bundle: str, begin: int) -> None:
        self._directory, self._index, self._groups, self._bundle, self._begin = directory, index, groups, bundle, begin
        self._found: dict[str, CodeType] = {}
        self._damaged = False

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return the spec of a module of ours; None for any other, and where its file is no more what was bundled.

        Where the bundle is damaged, it is for this module and all that follow as if there were none.
        """
        entry = None if self._damaged else self._index.get(name)
        file = self._file(name, entry) if entry else None
        if entry is None or file is None:
            return None
        group = self._groups.get(name)
        try:
            before = _loaded(self._bundle, self._begin, group) if group else ()
            self._found[name] = _loaded(self._bundle, self._begin, entry[1])
        except DAMAGED:
            self._damaged = True
            return None
        for one, code in before:
            self._run(one, code)
        return self._spec(name, entry, file)

    def has(self, name: str) -> bool:
        """Return whether a module's file is what was bundled."""
        entry = self._index.get(name)
        return entry is not None and self._file(name, entry) is not None

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to Python."""
        return

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code."""
        code = self._found.pop(module.__name__)
        _imp._fix_co_filename(code, module.__file__)  # type: ignore[attr-defined]
        exec(code, module.__dict__)

    def _run(self, name: str, code: CodeType) -> None:
        """Import a module whose code is at hand; one that is there, has no package yet, or another file, is left."""
        modules = sys.modules
        entry = self._index[name]
        package, _, last = name.rpartition(".")
        if name in modules or (package and package not in modules):
            return
        file = self._file(name, entry)
        if file is None:
            return
        module = _Module(name)
        spec = self._spec(name, entry, file)
        module.__file__, module.__spec__ = file, spec
        module.__loader__ = self  # type: ignore[assignment]
        module.__package__ = name if entry[0] else package
        if entry[0]:
            module.__path__ = spec.submodule_search_locations  # type: ignore[assignment]
        modules[name] = module
        try:
            _imp._fix_co_filename(code, file)  # type: ignore[attr-defined]
            exec(code, module.__dict__)
        except BaseException:
            modules.pop(name, None)
            raise
        if package:
            setattr(modules[package], last, module)

    def _file(self, name: str, entry: Entry) -> str | None:
        """Return the path of a module's file, None where it is no more what was bundled."""
        place = f"{self._directory}/{name.replace('.', '/')}"
        file = f"{place}/__init__.py" if entry[0] else f"{place}.py"
        try:
            info = os.stat(file)
            if info.st_size != entry[2] or (info.st_mtime_ns != entry[3] and _hash_of(file) != entry[4]):
                return None
        except OSError:
            return None
        return file

    def _spec(self, name: str, entry: Entry, file: str) -> ModuleSpec:
        spec: ModuleSpec = _Spec(name, self, origin=file, is_package=entry[0])  # type: ignore[arg-type]
        spec.has_location = True
        if entry[0]:
            spec.submodule_search_locations = [os.path.dirname(file)]
        return spec
