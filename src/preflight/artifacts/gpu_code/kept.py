"""Surveys of directories and wheels, kept in the user's cache for as long as no file of theirs changes.

One file a place, in ``$XDG_CACHE_HOME/preflight/code`` or ``~/.cache/preflight/code``. What was looked at is known by
device, inode, size and times of each directory and of each file that may hold code, links followed. What cannot be read
from the cache is looked at anew, and what cannot be written to it is not kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable
from typing import Any

from preflight import __version__
from preflight.artifacts.gpu_code import cache as caches
from preflight.artifacts.gpu_code import places
from preflight.artifacts.gpu_code.model import Code, Container, Late, Needs, Part
from preflight.artifacts.gpu_code.packages import Owner
from preflight.artifacts.gpu_code.survey import Asked, Demand, Library, Package, Survey, survey
from preflight.artifacts.gpu_code.window import in_time

FORMAT = f"preflight.code-cache/3 {__version__}"
LARGEST = 32 << 20  # bytes of one kept survey; PyTorch's has some 100 KB
MOST = 64  # places that are kept
_TICK_NS = 50_000_000  # a file that was changed so shortly before may change again within one tick of its clock


def kept_survey(path: str, deadline: float | None = None, cache: str | None = None) -> Survey:
    """Return what `survey` does, from the cache where nothing has changed; raises CodeError as that does.

    ``cache``: the directory for it; None takes the user's.
    """
    kind = places.kind_of(path)
    if kind == places.FILE:
        return survey(path, deadline)
    cache = caches.directory() if cache is None else cache
    real = os.path.realpath(path)
    kept = _read(cache, real, deadline) if cache else None
    if kept is not None:
        return kept._replace(path=path)
    began = time.time_ns()
    tree = places.tree(path, deadline) if kind != places.WHEEL else None
    names = [path] if tree is None else [*(one for one, _ in tree.directories), *places.candidates(tree)]
    identity, newest = _identity(names, real, deadline)
    found = survey(path, deadline, tree)
    if cache and newest < began - _TICK_NS and not (tree is not None and tree.problems) and not _unread(found):
        relative = [name[len(path) :].lstrip(os.sep) for name in names]
        _write(cache, real, relative, identity, found)
    return found


def _unread(found: Survey) -> bool:
    """Tell whether a file could not be opened: whether it can is not a matter of its own alone."""
    return any("denied" in note for note in found.notes)


def _identity(names: Iterable[str], place: str, deadline: float | None) -> tuple[str, int]:
    """Return a digest of what files and directories of a place are, and the newest of their times (nanoseconds).

    Raises Late where it takes until ``deadline`` (of time.monotonic).
    """
    digest = hashlib.sha256()
    newest = 0
    for name in names:
        in_time(place, deadline)
        try:
            one = os.stat(name)
        except OSError:
            digest.update(b"-")
            continue
        digest.update(b"%d %d %d %d %d;" % (one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns))
        newest = max(newest, one.st_mtime_ns, one.st_ctime_ns)
    return digest.hexdigest(), newest


def _name(real: str) -> str:
    """Return the file of a place in the cache."""
    return hashlib.sha256(os.fsencode(real)).hexdigest()[:40]


def _read(cache: str, real: str, deadline: float | None) -> Survey | None:
    try:
        with caches.opened(cache) as own:
            kept = json.loads(own.read(_name(real), LARGEST))
        if not isinstance(kept, dict) or (kept["format"], kept["path"]) != (FORMAT, real):
            return None
        names = (os.path.join(real, name) if name else real for name in kept["names"])
        if _identity(names, real, deadline)[0] != kept["identity"]:
            return None
        return _decode(kept["survey"])
    except Late:
        raise
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None


def _write(cache: str, real: str, names: list[str], identity: str, found: Survey) -> None:
    kept = {"format": FORMAT, "path": real, "names": names, "identity": identity, "survey": _encode(found)}
    with contextlib.suppress(OSError, ValueError):
        data = json.dumps(kept, separators=(",", ":")).encode()
        if len(data) <= LARGEST:
            with caches.opened(cache, make=True) as own:
                own.write(_name(real), data, MOST)


def _encode(found: Survey) -> dict[str, Any]:
    """Return a survey as plain values: each image and each container once, those alike as a number of them."""
    parts: dict[Part, int] = {}
    containers: dict[tuple[Any, ...], int] = {}

    def code(one: Code) -> list[Any]:
        runs: list[list[int]] = []
        for each in one.containers:
            images = tuple(parts.setdefault(part, len(parts)) for part in each.parts)
            key = (images, each.section, each.record, each.role, each.member, each.doubt)
            number = containers.setdefault(key, len(containers))
            if runs and runs[-1][0] == number:
                runs[-1][1] += 1
            else:
                runs.append([number, 1])
        return [one.kind, one.machine, runs, *one[3:]]

    packages = [
        [one.owner, [[library.name, code(library.code), library.cudas] for library in one.libraries]]
        for one in found.packages
    ]
    rest = found._replace(path="", packages=())._asdict()
    return {**rest, "packages": packages, "parts": list(parts), "containers": list(containers)}


def _decode(kept: dict[str, Any]) -> Survey:
    """Return the survey that `_encode` wrote; raises ValueError, TypeError, KeyError or IndexError for another."""
    parts = [_part(*one) for one in kept.pop("parts")]
    containers = [
        Container(tuple(parts[at] for at in images), section, 0, record, role, member, doubt)
        for images, section, record, role, member, doubt in kept.pop("containers")
    ]
    packages = []
    for owner, libraries in kept.pop("packages"):
        read = (Library(name, _code(code, containers), tuple(cudas)) for name, code, cudas in libraries)
        packages.append(Package(Owner(*owner), tuple(read)))
    demands = {name: Demand(tuple(kept[name][0]), kept[name][1]) for name in ("glibc", "libstdcxx", "cxxabi")}
    lists = {name: tuple(kept[name]) for name in ("machines", "linkable", "notes", "tags")}
    asked = {name: tuple(Asked(*one) for one in kept[name]) for name in ("cudas", "missing")}
    return Survey(**{**kept, **demands, **lists, **asked, "packages": tuple(packages)})


def _part(kind: str, arch: int, suffix: str, isa: Any, flags: int, toolkit: Any, kernels: Any, doubt: str) -> Part:
    return Part(kind, arch, suffix, isa and tuple(isa), flags, toolkit and tuple(toolkit), kernels, doubt)


def _code(kept: list[Any], containers: list[Container]) -> Code:
    kind, machine, runs, amd, unlinked, needs, complete, notes = kept
    libraries, *versions, interpreter = needs
    if sum(number for _, number in runs) > LARGEST // 64:
        raise ValueError("more containers than any file has")
    made = tuple(containers[at] for at, number in runs for _ in range(number))
    return Code(kind, machine, made, amd, unlinked, _needs(libraries, versions, interpreter), complete, tuple(notes))


def _needs(libraries: list[str], versions: list[list[int]], interpreter: str) -> Needs:
    glibc, libstdcxx, cxxabi = map(tuple, versions)
    return Needs(tuple(libraries), glibc, libstdcxx, cxxabi, str(interpreter))
