"""What an environment's libraries, or a program, ask of a node: by their code, their machine and their GLIBC.

Nothing is run or loaded. A need is told only where it is certain; what is in doubt is a line that was not read.
"""

from __future__ import annotations

import os
import time

from preflight.artifacts.gpu_code.demands import Holds, holds, span
from preflight.artifacts.gpu_code.kept import kept_survey
from preflight.artifacts.gpu_code.model import LIBRARY, PROGRAM, CodeError, Late
from preflight.artifacts.gpu_code.packages import Owner
from preflight.artifacts.gpu_code.read import read
from preflight.artifacts.gpu_code.runs import built_with
from preflight.artifacts.gpu_code.survey import Library, Package, Survey
from preflight.catalog.versions import show
from preflight.requirements.gpu_code import JOIN
from preflight.submit.infer.directory import joined
from preflight.submit.infer.model import Command
from preflight.submit.infer.session import Session
from preflight.submit.infer.words import Word

SECONDS = 2.0  # for all that a script names; what is in the user's cache takes milliseconds
MOST = 4  # packages of an environment that are told one by one
_NVIDIA = "nvidia-"  # packages of libraries that come with what uses them
# Nothing of PyTorch runs on a GPU that its code is not for; JAX, TensorFlow and CuPy compile for it at run time.
_BINDS = ("torch", "pytorch", "libtorch")
_COMPILES = ("jax", "tensorflow", "cupy", "triton", "numba")


def environment(session: Session, command: Command, prefix: str, line: int, gpus: bool) -> None:
    """Look into the environment at ``prefix``, which is there. ``gpus``: whether its GPU code is of account."""
    try:
        place = _outside(session, prefix)
        found = kept_survey(place, _deadline(session)) if place else None
    except (OSError, CodeError) as error:
        text = str(error) if isinstance(error, CodeError) else f"{error.filename or prefix}: {error.strerror}"
        session.collector.unread(line, f"its libraries were not looked into: {text}")
        return
    if found is None:
        return
    sure = not found.notes
    if not sure:
        more = f", and {len(found.notes) - 1} more" if len(found.notes) > 1 else ""
        session.collector.unread(line, f"not all of {prefix} was looked into: {found.notes[0]}{more}")
    _system(session, command, found, prefix, line, sure)
    if gpus:
        _packages(session, command, found, line, sure)


def _system(session: Session, command: Command, found: Survey, prefix: str, line: int, sure: bool) -> None:
    if len(found.machines) > 1:
        session.collector.unread(line, f"{prefix} holds programs for {' and '.join(found.machines)}")
    elif found.machines:
        machine = found.machines[0]
        session.need(command, f"arch={machine}", line, f"the libraries in {prefix} are for {machine}", binds=sure)
    if found.glibc.version:
        version = show(found.glibc.version)
        why = f"{_name(found.glibc.by)} in {prefix} asks GLIBC_{version}"
        session.need(command, f"glibc>={version}", line, why, binds=False)  # perhaps nothing loads it


def _packages(session: Session, command: Command, found: Survey, line: int, sure: bool) -> None:
    """Add what the packages ask. ``sure``: nothing of the environment was left out, so that PyTorch's code binds."""
    told: dict[tuple[str, ...], list[tuple[Package, Holds]]] = {}
    for package in found.packages:
        name = package.owner.name.lower().replace("_", "-")
        held = None if name.startswith((_NVIDIA, *_COMPILES)) else holds(package)
        if held is None:
            continue
        if held.doubt:
            session.collector.unread(line, f"what {_label(package)} is compiled for is not all known: {held.doubt}")
        else:
            told.setdefault(held.targets, []).append((package, held))
    for alike in sorted(told.values(), key=lambda one: not any(map(_is_sure, one)))[:MOST]:
        alike.sort(key=lambda one: not _is_sure(one))
        binds = sure and _is_sure(alike[0])
        names = ", ".join(_label(package) for package, _ in alike[:3]) + " and others" * (len(alike) > 3)
        _code(session, command, alike[0][1], names, line, binds, alike[0][0].owner.name)
    if len(told) > MOST:
        session.collector.note(line, f"{len(told) - MOST} more packages with GPU code: preflight code lists them")


def _is_sure(one: tuple[Package, Holds]) -> bool:
    """Tell whether a program that uses a package runs for certain what the package holds."""
    return one[0].owner.name.lower() in _BINDS


def _code(
    session: Session, command: Command, held: Holds, names: str, line: int, binds: bool, package: str = ""
) -> None:
    """Add what the code of a package or a program needs of the GPUs, and of the driver where that has to compile."""
    what = f"{names}: {span(held.targets)} in {_name(held.library)}"
    why = f"{what}; other GPUs answer 'no kernel image'"
    session.need(command, f"gpu.code={JOIN.join(held.targets)}", line, why, binds=binds, package=package)
    if held.cuda is None or len(held.machine_code) == len(held.targets):
        return
    own = f"gpu.code={JOIN.join(held.machine_code)}|" if held.machine_code else ""
    why = f"{names}: its PTX needs a driver of CUDA {show(held.cuda)}, where a GPU has no machine code in it"
    # A forward-compatibility package may bring the compiler, so a driver's own version does not bind.
    session.need(command, f"{own}driver.cuda>={show(held.cuda)}", line, why, binds=False)


def program(session: Session, command: Command, word: Word) -> None:
    """Look into a program of the user's that a command starts by its path; scripts and what is not here ask nothing."""
    path = joined(command.cwd, word.text) if word.known and not command.inside else None
    if path is None or "\0" in path:
        return
    try:
        place = _outside(session, path)
        if place is None or not os.path.isfile(place) or not _is_elf(place):
            return
        code = read(place, _deadline(session))
    except Late as error:
        session.collector.unread(word.line, f"what a program asks was not looked into: {error}")
        return
    except (OSError, CodeError):
        return
    if code.kind not in (PROGRAM, LIBRARY):  # a static program of one position is as a library
        return
    name, line, binds = _name(path), word.line, not session.remade
    session.kept = True
    if code.machine:
        session.need(command, f"arch={code.machine}", line, f"{name} is a program for {code.machine}", binds)
    if code.needs.glibc:
        version = show(code.needs.glibc)
        session.need(command, f"glibc>={version}", line, f"{name} asks GLIBC_{version}", binds)
    cudas = built_with(code)
    held = holds(Package(Owner(name), (Library(name, code, cudas),)))
    if (held is None and not cudas) or not session.seeks_gpus(command, line):
        return
    for cuda in cudas:
        session.need(command, f"cuda>={cuda}", line, f"{name} was built with CUDA {cuda}", binds)
    if held is not None and held.doubt:
        session.collector.unread(line, f"what {name} is compiled for is not all known: {held.doubt}")
    elif held is not None:
        _code(session, command, held, name, line, binds)


def _is_elf(place: str) -> bool:
    with open(place, "rb", buffering=0) as file:
        return file.read(4) == b"\x7fELF"


def _outside(session: Session, path: str) -> str | None:
    """Return where a path of the script's is on this machine, links resolved; None where it is not there."""
    real = session.files.resolve(path)
    return real if real is None or session.files.own else session.files.path + real


def _deadline(session: Session) -> float:
    """Return until when (time.monotonic) code may be looked into."""
    if session.code_until is None:
        session.code_until = time.monotonic() + SECONDS
    return session.code_until


def _label(package: Package) -> str:
    return f"{package.owner.name} {package.owner.version}".strip()


def _name(path: str) -> str:
    return path.rpartition("/")[2]
