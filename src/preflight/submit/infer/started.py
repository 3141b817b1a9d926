"""A program that a command starts by its path: what its file asks of the node, where that very file is what runs there.

A program of the system is the node's own. What the node may have otherwise (below /opt, or root's on the root file
system) is told and does not bind; what stands on this machine alone, is not here or cannot be read is unread.
"""

from __future__ import annotations

import posixpath
import re
import stat

from preflight.catalog.versions import show
from preflight.submit.infer import programs, unknown
from preflight.submit.infer.directory import joined
from preflight.submit.infer.model import Command
from preflight.submit.infer.session import Session
from preflight.submit.infer.words import Word, arguments, names

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from preflight.artifacts.gpu_code.model import Code

_SYSTEM = re.compile(r"/(?:bin|sbin|usr|lib\w*)/")
_TOOLKIT = re.compile(r"/usr/local/cuda-(\d{1,2}\.\d{1,2})/bin/[^/]+")  # as NVIDIA's packages install it
_NODE = re.compile(r"/(?:opt|etc|var|srv|root|snap|nix|gnu|boot)/")  # each machine may have its own
_HERE = re.compile(r"/(?:tmp|var/tmp|dev|run|proc|local\w*|l?scratch_?local)/")  # of one machine alone
_SHELLS = ("sh", "bash", "dash", "ksh", "mksh", "zsh", "csh", "tcsh", "fish")
_MOST = 16  # words of a command that may be programs which it starts
_SBCAST = names("-F --fanout -j --jobid -s --size -t --timeout --exclude")
# What works on a program and does not start it, beside programs.SILENT.
_WORKS_ON = names(
    "gcc g++ cc c++ CC ftn clang clang++ nvcc mpicc mpicxx mpic++ mpif77 mpif90 mpifort gfortran icc icpc icx icpx "
    "ifort ifx nvc nvc++ nvfortran hipcc ld ar ranlib strip install cuobjdump nvdisasm strings size nm ldd readelf "
    "objdump patchelf chrpath ninja meson cargo go rustc diff cmp md5sum sha256sum sha1sum xxd od du lfs find"
)


def program(session: Session, command: Command, word: Word, perhaps: str = "") -> None:
    """Look into a program that a command starts by its path. ``perhaps``: who may start it, where that is not sure."""
    if command.inside:
        return
    path = joined(command.cwd, word.text) if word.known else None
    if path is None:
        _unread(session, command, word, "which program that is depends on what the job has then", perhaps)
        return
    from preflight.artifacts.gpu_code.model import CodeError, Late  # most scripts start no program by its path
    from preflight.artifacts.gpu_code.read import read
    from preflight.submit.infer import code

    path = session.cast.get(posixpath.normpath(path), path)
    why = ""
    try:
        toolkit = _TOOLKIT.fullmatch(path)
        if toolkit:
            why_asked = f"{word.name} is started from {path.rpartition('/bin/')[0]}"
            session.need(command, f"toolkit>={toolkit[1]}", word.line, why_asked, binds=False)
            return
        place = code.outside(session, path) if path and "\0" not in path else None
        if _SYSTEM.match(path if place is None else _within(session, place)):
            return
        if path and _HERE.match(path) and not _is_home(session, path):
            why = "what a node has there is not known: that directory is each machine's own"
        elif place is None or not session.files.is_file(path):
            why = "it is not here, so what it asks is not known"
        elif not _is_program(session, command, word, place, perhaps):
            return
        else:
            _asks(session, command, word, place, read(place, code.deadline(session)), perhaps)
    except Late as error:
        if not perhaps:
            session.collector.unread(word.line, f"{unknown.shown(word)}: it was not looked into: {error}")
    except (OSError, CodeError) as error:
        why = str(error) if isinstance(error, CodeError) else f"it was not read: {error.strerror}"
    if why:
        _unread(session, command, word, why, perhaps)


def among(session: Session, command: Command, words: tuple[Word, ...], by: str) -> None:
    """Look into programs among the words of a command that may start them: `./select_gpu ./app`. One behind "--" is
    unread where it is not here."""
    for at, word in enumerate(words[:_MOST]):
        if "/" not in word.text or word.text.startswith("-"):
            continue
        if _is_executable(session, command, word):
            program(session, command, word, f"{by} may start it")
        elif at and words[at - 1].text == "--":
            _unread(session, command, word, "it is not here, so what it asks is not known", "")


def _is_executable(session: Session, command: Command, word: Word) -> bool:
    path = joined(command.cwd, word.text) if word.known and command.cwd is not None else None
    try:
        info = session.files.stat(path) if path and "\0" not in path else None
    except OSError:
        return False
    return info is not None and stat.S_ISREG(info.st_mode) and bool(info.st_mode & 0o111)


def works_on(name: str) -> bool:
    """Tell whether a command of a name works on the files that it is given, and starts none of them."""
    return name in programs.SILENT or name in _WORKS_ON


def sbcast(session: Session, command: Command) -> None:
    """`sbcast FILE DEST`: what is at DEST on the nodes is FILE. Source: sbcast(1)."""
    given = arguments(command.words[1:], _SBCAST)
    if len(given.rest) != 2:
        return
    source, target = (joined(command.cwd, word.text) if word.known else None for word in given.rest)
    if target is not None and not target.endswith("/"):
        sure = source is not None and given.clear and not command.doubt
        session.cast[posixpath.normpath(target)] = source if sure and source else ""


def _unread(session: Session, command: Command, word: Word, why: str, perhaps: str) -> None:
    if not perhaps and session.collector.has_gpus(command.groups):
        session.collector.unread(word.line, f"{unknown.shown(word)}: {why}")


def _within(session: Session, place: str) -> str:
    """Return a path of this machine as one of the root that is looked at."""
    return place if session.files.own else place[len(session.files.path) :]


def _is_home(session: Session, path: str) -> bool:
    """Tell whether a path is beneath the user's home or the directory of the submission."""
    own = (session.home, session.environment.get("SLURM_SUBMIT_DIR") or session.directory)
    return any(one.strip("/") and f"{path}/".startswith(f"{one.rstrip('/')}/") for one in own)


def _is_program(session: Session, command: Command, word: Word, place: str, perhaps: str) -> bool:
    """Tell whether a file is machine code; a script of a shell's is unread, as one by the name of its own is."""
    with open(place, "rb", buffering=0) as file:
        head = file.read(256)
    if head.startswith(b"#!") and not perhaps:
        first = head[2:].split(b"\n")[0].split()[:2]
        name = first[-1 if first and first[0].endswith(b"/env") else 0].rpartition(b"/")[2] if first else b"sh"
        if name.decode("ascii", "replace") in _SHELLS:
            unknown.script_file(session, command, word)
    return head.startswith(b"\x7fELF")


def _binds(session: Session, place: str) -> bool:
    """Tell whether the file here is for certain the one that the node has."""
    path = _within(session, place)
    if session.remade or (_NODE.match(path) and not _is_home(session, path)):
        return False
    info, top = session.files.stat(path), session.files.stat("/")
    roots = info is not None and top is not None and info.st_uid == 0 and info.st_dev == top.st_dev
    return not roots or _is_home(session, path)


def _asks(session: Session, command: Command, word: Word, place: str, found: Code, perhaps: str) -> None:
    from preflight.artifacts.gpu_code.demands import holds
    from preflight.artifacts.gpu_code.elf import is_system_linker
    from preflight.artifacts.gpu_code.model import LIBRARY, PROGRAM
    from preflight.artifacts.gpu_code.packages import Owner
    from preflight.artifacts.gpu_code.runs import built_with
    from preflight.artifacts.gpu_code.survey import Library, Package
    from preflight.submit.infer import code

    if found.kind not in (PROGRAM, LIBRARY):  # a static program of one position is as a library
        _unread(session, command, word, next(iter(found.notes), "it is no program that is known"), perhaps)
        return
    name, line = word.text.rpartition("/")[2], word.line
    behind = f" ({perhaps})" if perhaps else ""
    binds = not perhaps and _binds(session, place)
    session.kept = session.kept or not perhaps
    if found.machine:
        session.need(command, f"arch={found.machine}", line, f"{name} is a program for {found.machine}{behind}", binds)
    if found.needs.glibc and is_system_linker(found.needs.interpreter):
        version = show(found.needs.glibc)
        session.need(command, f"glibc>={version}", line, f"{name} asks GLIBC_{version}{behind}", binds)
    if is_system_linker(found.needs.interpreter):
        code.libstdcxx(session, command, found.needs.libstdcxx, found.needs.cxxabi, name + behind, line)
    cudas = built_with(found)
    held = holds(Package(Owner(name), (Library(name, found, cudas),)))
    if (held is None and not cudas) or not session.seeks_gpus(command, line):
        return
    for cuda in cudas:
        session.need(command, f"cuda>={cuda}", line, f"{name} was built with CUDA {cuda}{behind}", binds)
    if held is not None and held.doubt:
        session.collector.unread(line, f"what {name} is compiled for is not all known: {held.doubt}")
    elif held is not None:
        code.gpu_code(session, command, held, name + behind, line, binds)
