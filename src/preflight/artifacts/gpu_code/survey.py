"""What GPUs a place's code runs on: by package, with the library that decides, and what it asks of the system."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from preflight.artifacts.gpu_code import packages, places
from preflight.artifacts.gpu_code.elf import is_system_linker
from preflight.artifacts.gpu_code.model import (
    ARCHIVE,
    IGNORED,
    LINKED,
    LOADED,
    NO_CODE,
    OBJECT,
    RELOCATABLE,
    Code,
    CodeError,
    Needs,
)
from preflight.artifacts.gpu_code.packages import Owner
from preflight.artifacts.gpu_code.places import Found, Tree
from preflight.artifacts.gpu_code.read import read
from preflight.artifacts.gpu_code.runs import Fit, Gpu, built_with, cuda_named, file_runs
from preflight.catalog.tables import SHIPPED, Tables
from preflight.catalog.targets import NO, UNKNOWN, YES

NONE = "none"
# What every Linux with glibc and a driver has; PEP 600 lists more for desktops.
_OF_SYSTEM = frozenset(
    "libc libm libpthread libdl librt libutil libresolv libnsl libanl libmvec libgcc_s libstdc++ "  # noqa: SIM905
    "libcuda libnvidia-ml libnvcuvid libnvidia-encode libnvidia-ptxjitcompiler".split()
)
_DIGITS = re.compile(r"\d+")


class Library(NamedTuple):
    """A file with GPU code; ``cudas``: what it was built with, as far as it tells."""

    name: str
    code: Code
    cudas: tuple[str, ...]


class Package(NamedTuple):
    """What belongs together; ``libraries``: those with GPU code."""

    owner: Owner
    libraries: tuple[Library, ...]


class Demand(NamedTuple):
    """The most that any file asks of the system, and which one does; () and "" where none does."""

    version: tuple[int, ...] = ()
    by: str = ""


class Asked(NamedTuple):
    """Something that a file asks for by name, and the first file that does."""

    name: str
    by: str


class Survey(NamedTuple):
    """``kind``: of the place, as `places` says. ``files``: how many were looked into. ``notes``: what was not read.

    ``linkable``: archives and objects with GPU code, which are for a linker: no program loads them, so they count only
    where they are asked for by themselves. ``cudas``: of the CUDA libraries that files name, "12". ``missing``:
    libraries that files name and that are neither in the place nor of every system with a driver. ``tags``: platforms
    of its packages, as wheels (manylinux_2_28_x86_64) and conda (linux-64) say them.
    """

    path: str
    kind: str
    packages: tuple[Package, ...]
    files: int
    machines: tuple[str, ...]
    glibc: Demand
    libstdcxx: Demand
    cxxabi: Demand
    linkable: tuple[str, ...]
    notes: tuple[str, ...]
    cudas: tuple[Asked, ...] = ()
    missing: tuple[Asked, ...] = ()
    tags: tuple[str, ...] = ()


class Outcome(NamedTuple):
    """How many containers of a package run: ``have`` of ``of``, and of ``unknown`` it cannot be told.

    ``answer``: YES, NO, UNKNOWN, or NONE where there is no kernel. ``library``: the one that decides, ``why``: it does.
    ``cuda``: of the driver that its PTX asks for.
    """

    answer: str
    have: int
    of: int
    unknown: int
    library: str
    why: str
    cuda: tuple[int, int] | None


def survey(path: str, deadline: float | None = None, tree: Tree | None = None) -> Survey:
    """Look into a file, a wheel, a directory or an environment.

    Raises CodeError where it is none, Late where that takes until ``deadline`` (of time.monotonic). ``tree``: what lies
    beneath the directory, where it is known already.
    """
    kind = places.kind_of(path)
    name = os.path.basename(os.path.abspath(path))
    owners: dict[str, Owner] = {}
    otherwise: Owner | None = None
    tags: set[str] = set()
    present: set[str] = set()
    found: Iterable[Found]
    if kind == places.FILE:
        alone = read(path, deadline)
        if alone.kind == NO_CODE and alone.complete:
            raise CodeError(f"{path}: no program, library, object, archive, cubin, fatbin, PTX or wheel")
        found, otherwise = [Found(name, alone)], Owner(name)
    elif kind == places.WHEEL:
        found, otherwise = places.in_wheel(path, deadline), packages.of_name(name)
        tags, present = set(packages.tags_of(name)), places.names_in_wheel(path)
    else:
        tree = tree or places.tree(path, deadline)
        owners, tags = packages.installed(tree, deadline)
        found, present = places.in_directory(tree, deadline), places.names_of(tree)
    return collect(path, kind, found, owners, otherwise, tags, present)


def collect(
    path: str,
    kind: str,
    found: Iterable[Found],
    owners: dict[str, Owner],
    otherwise: Owner | None,
    tags: set[str],
    present: set[str],
) -> Survey:
    """Return the survey of a place's files.

    ``owners``: the packages by the files' names; ``otherwise``: whose the others are, None by their folder. ``tags``:
    platforms of the packages. ``present``: the names of all files, without their directories.
    """
    grouped: dict[Owner, list[Library]] = {}
    notes: list[str] = []
    linkable: list[str] = []
    counted = (LOADED, LINKED, RELOCATABLE) + ((IGNORED,) if kind == places.FILE else ())
    machines: dict[str, None] = {}
    asked: dict[str, Demand] = {}
    wanted: dict[str, str] = {}
    files = 0
    for one in found:
        code = one.code
        if code is None:
            notes.append(f"{one.name}: {one.error}")
            continue
        files += 1
        if code.kind in (ARCHIVE, OBJECT) and kind != places.FILE:
            linkable += [one.name] if code.containers else []
            continue
        notes += [f"{one.name}: {note}" for note in code.notes]
        if code.machine:
            machines[code.machine] = None
        _ask(asked, code.needs, one.name)
        for library in code.needs.libraries:
            wanted.setdefault(library, one.name)
        if code.of(*counted) or code.amd or code.unlinked:
            owner = owners.get(one.name) or otherwise or packages.by_folder(one.name)
            grouped.setdefault(owner, []).append(Library(one.name, code, built_with(code)))
    made = tuple(Package(owner, tuple(libraries)) for owner, libraries in sorted(grouped.items()))
    glibc, libstdcxx, cxxabi = (asked.get(name, Demand()) for name in ("glibc", "libstdcxx", "cxxabi"))
    return Survey(
        path,
        kind,
        made,
        files,
        tuple(machines) or tuple(dict.fromkeys(filter(None, map(packages.machine_of, sorted(tags))))),
        glibc,
        libstdcxx,
        cxxabi,
        tuple(linkable),
        tuple(notes),
        tuple(_cudas(wanted)),
        tuple(Asked(library, by) for library, by in sorted(wanted.items()) if _is_missing(library, present)),
        tuple(sorted(tags)),
    )


def _cudas(wanted: dict[str, str]) -> Iterator[Asked]:
    """Yield the CUDA that each library of CUDA's own number is of, each once."""
    told = set()
    for library, by in sorted(wanted.items()):
        version = cuda_named(library)
        if version and version not in told:
            told.add(version)
            yield Asked(version, by)


def _is_missing(library: str, present: set[str]) -> bool:
    base = library.partition(".so")[0]
    return library not in present and base not in _OF_SYSTEM and not base.startswith(("ld-", "ld64"))


def _ask(asked: dict[str, Demand], needs: Needs, by: str) -> None:
    if needs.interpreter and not is_system_linker(needs.interpreter):
        return  # a program with a dynamic linker of its own brings the libraries too
    for name in ("glibc", "libstdcxx", "cxxabi"):
        version: tuple[int, ...] = getattr(needs, name)
        if version > asked.get(name, Demand()).version:
            asked[name] = Demand(version, by)


def outcome(package: Package, on: Gpu, tables: Tables = SHIPPED) -> Outcome:
    """Tell how much of a package's code runs on a GPU; the library that decides is the first of the worst answer."""
    fits = [(one, fit) for one, fit in _fits(package, on, tables) if fit.of]
    if not fits:
        amd = any(one.code.amd for one in package.libraries)
        why = "AMD's code alone" if amd else "no kernel in it"
        return Outcome(NO if amd else NONE, 0, 0, 0, package.libraries[0].name, why, None)
    have, of, unknown = (sum(getattr(fit, field) for _, fit in fits) for field in ("have", "of", "unknown"))
    library, worst = max(fits, key=lambda one: (YES, UNKNOWN, NO).index(one[1].answer))
    cuda = max((fit.cuda for _, fit in fits if fit.cuda), default=None)
    total = Fit(have, of, unknown)
    return Outcome(total.answer, have, of, unknown, library.name, worst.stop or worst.why, cuda)


def _fits(package: Package, on: Gpu, tables: Tables) -> Iterator[tuple[Library, Fit]]:
    """Yield what decides: each library, and of builds for several CUDAs, of which a program loads one, one answer."""
    builds: dict[tuple[str, str], list[Library]] = {}
    for one in package.libraries:
        folder, _, name = one.name.rpartition("/")
        builds.setdefault((folder, _DIGITS.sub("#", name)), []).append(one)
    for alike in builds.values():
        fits = [(one, file_runs(one.code, on, one.cudas, tables)) for one in alike]
        if len({one.cudas for one in alike}) > 1 and len(alike) > 1:
            yield _one_of(fits)
        else:
            yield from fits


def _one_of(fits: list[tuple[Library, Fit]]) -> tuple[Library, Fit]:
    """Return the answer of several builds: theirs where they agree, else that it cannot be told."""
    library, best = min(fits, key=lambda one: (YES, UNKNOWN, NO).index(one[1].answer))
    if best.answer != YES or all(fit.answer == YES for _, fit in fits):
        return library, best
    name = library.name.rpartition("/")[2]
    why = f"one of {len(fits)} builds is loaded; {name} runs, not all do"
    return library, Fit(0, best.of, best.of, None, why)
