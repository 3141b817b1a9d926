"""What an environment's libraries ask of a node: by their code, their machine and their GLIBC.

Nothing is run or loaded. A need is told only where it is certain; what is in doubt is a line that was not read.
"""

from __future__ import annotations

import time

from preflight.artifacts.gpu_code.demands import Holds, holds, span
from preflight.artifacts.gpu_code.kept import kept_survey
from preflight.artifacts.gpu_code.model import CodeError
from preflight.artifacts.gpu_code.read import read
from preflight.artifacts.gpu_code.runs import UNPACKS_ZSTD
from preflight.artifacts.gpu_code.survey import Package, Survey
from preflight.catalog.versions import show
from preflight.requirements.gpu_code import JOIN
from preflight.submit.infer import uses
from preflight.submit.infer.model import Command
from preflight.submit.infer.session import Session

# The first GLIBCXX beside each CXXABI. Source: libstdc++'s manual, ABI policy (GCC 4.2 to 15.1).
GLIBCXX_OF_CXXABI: dict[tuple[int, ...], tuple[int, ...]] = {
    (1, 3): (3, 4),
    **{
        (1, 3, minor): (3, 4, patch)
        for minor, patch in enumerate((9, 10, 13, 14, 16, 17, 18, 20, 21, 22, 23, 26, 29, 31, 33, 34), 1)
    },
}
_OLDEST_GLIBCXX = (3, 4, 19)  # of GCC 4.8, which the oldest supported systems have: nothing to tell
SECONDS = 2.0  # for all that a script names; what is in the user's cache takes milliseconds
MOST = 4  # packages of an environment that are told one by one
_NVIDIA = "nvidia-"  # packages of libraries that come with what uses them
# Nothing of PyTorch runs on a GPU that its code is not for; JAX, TensorFlow and CuPy compile for it at run time.
_BINDS = ("torch", "pytorch", "libtorch")
_COMPILES = ("jax", "tensorflow", "cupy", "triton", "numba")


def environment(session: Session, command: Command, prefix: str, line: int, gpus: bool) -> None:
    """Look into the environment at ``prefix``, which is there. ``gpus``: whether its GPU code is of account."""
    try:
        place = outside(session, prefix)
        found = kept_survey(place, deadline(session)) if place else None
    except (OSError, CodeError) as error:
        text = str(error) if isinstance(error, CodeError) else f"{error.filename or prefix}: {error.strerror}"
        uses.doubt(session, line, f"its libraries were not looked into: {text}")
        return
    if found is None:
        return
    if found.notes:
        more = f", and {len(found.notes) - 1} more" if len(found.notes) > 1 else ""
        uses.doubt(session, line, f"not all of {prefix} was looked into: {found.notes[0]}{more}")
    _system(session, command, found, prefix, line)
    if gpus:
        _packages(session, command, found, prefix, line)


def _system(session: Session, command: Command, found: Survey, prefix: str, line: int) -> None:
    if len(found.machines) > 1:
        uses.doubt(session, line, f"{prefix} holds programs for {' and '.join(found.machines)}")
    elif found.machines and found.files:  # else only the names of its packages say so
        machine = found.machines[0]
        why = f"the libraries in {prefix} are for {machine}"
        uses.need(session, command, prefix, f"arch={machine}", line, why, _basis(session, found, prefix, machine))
    if found.glibc.version:
        version = show(found.glibc.version)
        why = f"{_name(found.glibc.by)} in {prefix} asks GLIBC_{version}"
        session.need(command, f"glibc>={version}", line, why, binds=False)  # perhaps nothing loads it
    if not _brings_libstdcxx(session, prefix):
        libstdcxx(session, command, found.libstdcxx.version, found.cxxabi.version, _name(found.libstdcxx.by), line)


def _brings_libstdcxx(session: Session, prefix: str) -> bool:
    """Tell whether an environment has a libstdc++ of its own, as conda's; one that cannot be looked at is one."""
    try:
        return session.files.is_file(f"{prefix}/lib/libstdc++.so.6")
    except OSError:
        return True


def libstdcxx(
    session: Session, command: Command, glibcxx: tuple[int, ...], cxxabi: tuple[int, ...], name: str, line: int
) -> None:
    """Add what libraries or a program ask of libstdc++; it does not bind, since a module may bring another."""
    least = max(glibcxx, GLIBCXX_OF_CXXABI.get(cxxabi, ()))
    if cxxabi and cxxabi not in GLIBCXX_OF_CXXABI and cxxabi > max(GLIBCXX_OF_CXXABI):
        uses.doubt(session, line, f"CXXABI_{show(cxxabi)} is asked for: which libstdc++ has it is not known")
    elif least > _OLDEST_GLIBCXX:
        asked = f"GLIBCXX_{show(glibcxx)}" if least == glibcxx else f"CXXABI_{show(cxxabi)}"
        why = f"{name or 'a library'} asks {asked}, unless a module or LD_LIBRARY_PATH brings another libstdc++"
        session.need(command, f"glibcxx>={show(least)}", line, why, binds=False)


def _basis(session: Session, found: Survey, prefix: str, machine: str) -> str:
    """Return what in an environment surely runs where it is used and is for a machine: its own python, or PyTorch."""
    try:
        real, program = session.files.resolve(prefix), session.files.resolve(f"{prefix}/bin/python")
        if real and program and program.startswith(f"{real}/"):  # a virtual environment's is a link to the node's
            place = outside(session, program)
            if place and _is_elf(place) and read(place).machine == machine:
                return uses.PYTHON
    except (OSError, CodeError):
        return ""
    torch = (library for one in found.packages if _is_torch(one) for library in one.libraries)
    return uses.TORCH if not found.notes and any(one.code.machine == machine for one in torch) else ""


def _packages(session: Session, command: Command, found: Survey, prefix: str, line: int) -> None:
    told: dict[tuple[str, ...], list[tuple[Package, Holds]]] = {}
    for package in found.packages:
        name = package.owner.name.lower().replace("_", "-")
        held = None if name.startswith((_NVIDIA, *_COMPILES)) else holds(package)
        if held is None:
            continue
        if held.doubt:
            uses.doubt(session, line, f"what {_label(package)} is compiled for is not all known: {held.doubt}")
        else:
            told.setdefault(held.targets, []).append((package, held))
    for alike in sorted(told.values(), key=lambda one: not any(_is_torch(each) for each, _ in one))[:MOST]:
        alike.sort(key=lambda one: not _is_torch(one[0]))
        first, held = alike[0]
        basis = uses.TORCH if _is_torch(first) and not found.notes else ""
        names = ", ".join(_label(package) for package, _ in alike[:3]) + " and others" * (len(alike) > 3)
        clause, why = _kernels(held, names)
        uses.need(session, command, prefix, clause, line, why, basis, first.owner.name)
        _compiled(session, command, held, names, line, first.owner.name)
    if len(told) > MOST:
        session.collector.note(line, f"{len(told) - MOST} more packages with GPU code: preflight code lists them")


def _is_torch(package: Package) -> bool:
    """Tell whether what uses a package surely runs what it holds on the GPU."""
    return package.owner.name.lower() in _BINDS


def _kernels(held: Holds, names: str) -> tuple[str, str]:
    """Return the clause of what the code of a package or a program needs of the GPUs, and its reason."""
    why = f"{names}: {span(held.targets)} in {_name(held.library)}; other GPUs answer 'no kernel image'"
    return f"gpu.code={JOIN.join(held.targets)}", why


def _compiled(session: Session, command: Command, held: Holds, names: str, line: int, package: str) -> None:
    """Add what code needs of the driver where that has to unpack or to compile it."""
    if held.packed:
        cuda = show(UNPACKS_ZSTD)
        why = f"{names}: its code is packed by zstd, which needs a driver of CUDA {cuda}"
        session.need(command, f"driver.cuda>={cuda}", line, why, binds=False, package=package)
    if held.cuda is None or len(held.machine_code) == len(held.targets):
        return
    own = f"gpu.code={JOIN.join(held.machine_code)}|" if held.machine_code else ""
    why = f"{names}: its PTX needs a driver of CUDA {show(held.cuda)}, where a GPU has no machine code in it"
    # A forward-compatibility package may bring the compiler, so a driver's own version does not bind.
    session.need(command, f"{own}driver.cuda>={show(held.cuda)}", line, why, binds=False, package=package)


def gpu_code(session: Session, command: Command, held: Holds, names: str, line: int, binds: bool) -> None:
    """Add what the code of a program needs of the GPUs, and of the driver where that has to compile."""
    clause, why = _kernels(held, names)
    session.need(command, clause, line, why, binds=binds)
    _compiled(session, command, held, names, line, names)


def _is_elf(place: str) -> bool:
    with open(place, "rb", buffering=0) as file:
        return file.read(4) == b"\x7fELF"


def outside(session: Session, path: str) -> str | None:
    """Return where a path of the script's is on this machine, links resolved; None where it is not there."""
    real = session.files.resolve(path)
    return real if real is None or session.files.own else session.files.path + real


def deadline(session: Session) -> float:
    """Return until when (time.monotonic) code may be looked into."""
    if session.code_until is None:
        session.code_until = time.monotonic() + SECONDS
    return session.code_until


def _label(package: Package) -> str:
    return f"{package.owner.name} {package.owner.version}".strip()


def _name(path: str) -> str:
    return path.rpartition("/")[2]
