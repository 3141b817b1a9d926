"""Environment modules and Spack: `module load`, `ml`, `spack load`."""

import re

from preflight.requirements.grammar import quoted
from preflight.submit.infer.model import Command
from preflight.submit.infer.session import Session
from preflight.submit.infer.words import HOLE, WIDE, Word, arguments, names

_LOAD = ("load", "add")
_SWITCH = ("switch", "swap", "sw")
# What else `ml` may be followed by; anything that is none of these is a module's name. Sources: ml(1) of Lmod,
# ml(1) of Environment Modules.
_ML = names(
    "load add try-load try-add switch swap sw unload rm remove del purge use unuse list avail av show display "
    "whatis key keyword search spider overview ov help is-loaded is-avail is-used save restore describe "
    "savelist disable refresh reload reset update tablelist mcc edit source test path paths append-path "
    "prepend-path remove-path clear config initadd initload initrm initswitch initlist initclear saveshow "
    "saverm stash stashpop stashlist stashclear stashrm stashshow sh-to-mod lint mod-to-sh category extension "
    "aliases cachebuild cacheclear state info-loaded"
)
_VALUED = frozenset(("-w", "--width", "--style"))
_CUDA = re.compile(r"(?:[\w.-]+/)*(?:cuda|cudatoolkit|cuda-toolkit)/(.+)", re.IGNORECASE)
# The CUDA of Cray's names, cudatoolkit/22.7_11.7: release of the HPC SDK, then of CUDA.
_CRAY = re.compile(r"\d{2}\.\d{1,2}_(\d{2}\.\d)$")
_PART = re.compile(r"(?<![A-Za-z0-9])cuda[-_]?(\d{1,2}\.\d{1,2})(?!\d)", re.IGNORECASE)
_MINOR = re.compile(r"(\d{1,2}\.\d{1,2})(?![0-9A-Za-z])")
_NVHPC = re.compile(r"(?:nvidia/)?nvhpc", re.IGNORECASE)
_SPACK = re.compile(r"cuda@=?(\d{1,2}\.\d{1,2})(?![0-9])")


def module(session: Session, command: Command) -> None:
    """`module [options] load NAME…`, `add`, `switch OLD NEW`; `try-load` and the others ask nothing."""
    read = arguments(command.words[1:], _VALUED)
    if not read.rest:
        if not read.clear:
            session.unresolved(command, command.words[0].line)
        return
    action, names = read.rest[0], read.rest[1:]
    if not action.known or not read.clear:
        session.unresolved(command, action.line)
    elif action.text == "restore":  # the names are in a file of Lmod's, for this system and its module tree
        session.collector.unread(action.line, "a saved collection of modules is restored: its names are not here")
    elif action.text in _LOAD:
        _load(session, command, names)
    elif action.text in _SWITCH:
        _load(session, command, [word for word in names if not word.text.startswith("-")][-1:])


def ml(session: Session, command: Command) -> None:
    """`ml NAME… -OTHER`, or `ml` with one of module's own subcommands."""
    names = [word for word in command.words[1:] if not word.text.startswith("-")]
    if names and names[0].text in _ML:
        module(session, command)
    else:
        _load(session, command, command.words[1:])


def spack(session: Session, command: Command) -> None:
    """`spack load cuda@12.4`: the need is CUDA; what else Spack loads is no module and asks nothing."""
    rest = arguments(command.words[1:], frozenset(("-e", "-C", "-D", "--env", "--config-scope"))).rest
    if not rest or rest[0].text != "load":
        return
    for word in rest[1:]:
        found = _SPACK.match(word.text)
        told = re.split(f"[{HOLE}{WIDE}]", word.text)[0]
        if found:
            session.need(command, f"cuda>={found[1]}", word.line, f"spack load cuda@{found[1]} brings it")
        elif not word.known and session.collector.gpus and ("cuda@".startswith(told) or told.startswith("cuda@")):
            session.unresolved(command, word.line)


def _load(session: Session, command: Command, names: "list[Word] | tuple[Word, ...]") -> None:
    for word in names:
        if word.text.startswith("-") or not word.text:
            continue
        if not word.known:
            session.unresolved(command, word.line)
            continue
        name = word.text
        session.need(command, f"module={quoted(name)}", word.line, f"the script loads the module {name}")
        version = cuda_of(name)
        if version:
            session.need(command, f"cuda>={version}", word.line, f"the module {name} brings CUDA {version}")


def cuda_of(name: str) -> str | None:
    """Return the CUDA ("12.4") that a module's name states, None where it states none, or may bring several."""
    if _NVHPC.match(name):
        return None
    own = _CUDA.fullmatch(name)
    if own:
        cray = _CRAY.fullmatch(own[1])
        found = cray or _MINOR.match(own[1])
        if found:
            return found[1]
    part = _PART.search(name)
    return part[1] if part else None
