"""Environment modules and Spack: `module load`, `ml`, `spack load`."""

from __future__ import annotations

import re

from preflight.requirements.grammar import quoted
from preflight.submit.infer import trees
from preflight.submit.infer.model import Command
from preflight.submit.infer.session import UNKNOWN, Session
from preflight.submit.infer.words import HOLE, WIDE, Word, arguments, names

_LOAD = ("load", "add")
_SWITCH = ("switch", "swap", "sw")
# What else `ml` may be followed by; anything that is none of these is a module's name. Sources: ml(1) of Lmod,
# ml(1) of Environment Modules.
_ML = names(
    "load add try-load try-add switch swap sw unload rm remove del purge use unuse list avail av show display "
    "whatis key keyword search spider overview ov help is-loaded is-avail is-used save restore describe "
    "savelist disable refresh reload reset update tablelist mcc edit source test path paths append-path "
    "prepend-path remove-path clear config load-any initadd initload initrm initswitch initlist initclear saveshow "
    "saverm stash stashpop stashlist stashclear stashrm stashshow sh-to-mod lint mod-to-sh category extension "
    "aliases cachebuild cacheclear state info-loaded"
)
_VALUED = frozenset(("-w", "--width", "--style", "--tag", "--color", "--pager"))
# Changes of where modules are looked for; what is loaded behind one may come of such a tree (trees.py).
_PATHS = ("prepend-path", "append-path")
_OWN = "it may come of the modules that `module use` or MODULEPATH adds"
# A version that is a word for one: of Environment Modules (default, latest), and of sites that name one so.
_SYMBOLS = ("default", "latest")
# What no module's name begins with: sites may have further signs for variants (variant_shortcut).
_PLAIN = re.compile(r"[\w./]")
# What begins or holds a variant of Environment Modules 5.1: +on, ~off, name=value; -off looks like an option.
_VARIANT = re.compile(r"[+~-]|[A-Za-z_]\w*=")
_EXACT = re.compile(r"[^,:@]+")
_CUDA = re.compile(r"(?:[\w.-]+/)*(?:cuda\d{0,3}|cudatoolkit|cuda-toolkit)/(?:toolkit/)?(.+)", re.IGNORECASE)
_LONGEST = 1024  # bytes of a module's name that means anything
# The CUDA of Cray's names, cudatoolkit/22.7_11.7: release of the HPC SDK, then of CUDA.
_CRAY = re.compile(r"\d{2}\.\d{1,2}_(\d{2}\.\d)$")
_PART = re.compile(r"(?<![A-Za-z0-9])cuda[-_]?(\d{1,2}\.\d{1,2})(?!\d)", re.IGNORECASE)
_MINOR = re.compile(r"(\d{1,2}\.\d{1,2})(?![0-9A-Za-z])")
_NVHPC = re.compile(r"(?:nvidia/)?nvhpc", re.IGNORECASE)
_SPACK = re.compile(r"(?:^|[\s^])cuda@=?(\d{1,2}\.\d{1,2})(?![0-9])")


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
        _load(session, command, [word for word in names if not _VARIANT.match(word.text)][-1:])
    elif action.text == "load-any":
        _any(session, command, names)
    elif action.text == "use" or (action.text in _PATHS and any(word.text == "MODULEPATH" for word in names)):
        trees.add(session, command, [word for word in names if not word.text.startswith("-")])


def ml(session: Session, command: Command) -> None:
    """`ml NAME… -OTHER`, or `ml` with one of module's own subcommands."""
    names = list(arguments(command.words[1:], _VALUED).rest)
    if names and names[0].text in _ML:
        module(session, command)
    else:
        _load(session, command, command.words[1:])


def spack(session: Session, command: Command) -> None:
    """`spack load cuda@12.4`, `spack load gromacs ^cuda@12.4`: the need is CUDA, which does not bind where another
    package brings it; what else Spack loads is no module and asks nothing."""
    rest = arguments(command.words[1:], frozenset(("-e", "-C", "-D", "--env", "--config-scope"))).rest
    if not rest or rest[0].text != "load":
        return
    for word in rest[1:]:
        found = _SPACK.search(word.text)
        told = re.split(f"[{HOLE}{WIDE}]", word.text)[0]
        if found:
            own = word.text.startswith("cuda@")
            what = f"cuda@{found[1]} brings it" if own else f"takes what was built with cuda@{found[1]}"
            session.need(command, f"cuda>={found[1]}", word.line, f"spack load {what}", binds=own)
        elif word.known or not ("cuda@".startswith(told) or told.startswith("cuda@")):
            continue
        elif session.seeks_gpus(command, word.line):
            session.unresolved(command, word.line)


def _load(session: Session, command: Command, names: list[Word] | tuple[Word, ...]) -> None:
    for word in names:
        if not word.text or _VARIANT.match(word.text):
            continue
        if not word.known:
            session.unresolved(command, word.line)
            continue
        if not _PLAIN.match(word.text):
            session.collector.unread(word.line, f"{word.text}: what that means to the site's modules is not known")
            continue
        name, bare = named(word.text)
        found = trees.of(session, command, word.text, name)
        if found == UNKNOWN:
            session.collector.unread(word.line, f"{word.text}: {_OWN}")
            continue
        if found:
            session.collector.note(word.line, f"the module {word.text} is the script's own, of {found}")
        else:
            clause = f"module={quoted(bare or name)}"
            perhaps = trees.doubt(session, name)
            why = f"the script loads the module {word.text}" + (f"; it does not bind: {perhaps}" if perhaps else "")
            session.need(command, clause, word.line, why, binds=not perhaps)
            if name.partition("/")[0] == "use.own":  # of Environment Modules: adds ~/privatemodules
                session.trees.append(UNKNOWN)
        version = cuda_of(name)
        if version:
            session.need(command, f"cuda>={version}", word.line, f"the module {name} brings CUDA {version}")


def _any(session: Session, command: Command, words: tuple[Word, ...]) -> None:
    """`module load-any A B`: the first that can be loaded (Environment Modules 5.3)."""
    found = [word for word in words if word.text and not _VARIANT.match(word.text)]
    if not found:
        return
    if all(word.known and trees.of(session, command, word.text, named(word.text)[0]) == "" for word in found):
        bare = [named(word.text)[1] or named(word.text)[0] for word in found]
        clause = "|".join(f"module={quoted(one)}" for one in dict.fromkeys(bare))
        binds = not any(trees.doubt(session, one) for one in bare)
        session.need(command, clause, found[0].line, "the script loads one of these modules", binds=binds)
    else:
        session.unresolved(command, found[0].line)


def named(text: str) -> tuple[str, str | None]:
    """Return a module's name with its version, as Lmod writes it, and its bare name where no one version is meant.

    `cuda@12.4` is `cuda/12.4`; a list or a range (`cuda@12.2:12.4`), `default` and `latest` mean no one version.
    Source: module(1) of Environment Modules 5, "Advanced module version specifiers".
    """
    name, at, version = text.partition("@")
    if at and name:
        if not _EXACT.fullmatch(version) or version in _SYMBOLS:
            return name, name
        return f"{name}/{version}", None
    name, slash, version = text.rpartition("/")
    return (name, name) if slash and name and version in _SYMBOLS else (text, None)


def cuda_of(name: str) -> str | None:
    """Return the CUDA ("12.4") that a module's name states, None where it states none, or may bring several."""
    if _NVHPC.match(name) or len(name) > _LONGEST:
        return None
    own = _CUDA.fullmatch(name)
    if own:
        cray = _CRAY.fullmatch(own[1])
        found = cray or _MINOR.match(own[1])
        if found:
            return found[1]
    part = _PART.search(name)
    return part[1] if part else None
