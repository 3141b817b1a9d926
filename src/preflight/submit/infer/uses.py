"""Which Python environment a command runs in, and whether what that environment asks binds.

What an environment asks is told where the script names it, and binds only where it is certain that this environment,
as it is now, is the one that the job uses: its python surely runs, every line of the script was read, nothing is
installed or built. What PyTorch asks binds only where nothing else of the job may be what uses the GPUs, and no other
PyTorch comes first.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from preflight.submit import packages
from preflight.submit.infer import programs
from preflight.submit.infer.directory import joined
from preflight.submit.infer.model import Active, Command
from preflight.submit.infer.words import HOLE, WIDE, Word, names

if TYPE_CHECKING:
    from preflight.submit.infer.session import Session

TORCH, PYTHON = "torch", "python"  # what a need stands on: that PyTorch runs, or any python of it
MAX_STEPS = 100  # changes of PATH
# Beyond these nothing binds, as to look through it takes too long: characters of a script and of a line, paths.
MAX_TEXT, MAX_LINE, MAX_PATHS = 1 << 18, 2000, 10_000
_COMMENT = re.compile(r"^[ \t]*#(?!SBATCH)[^\n]*|(?<=[ \t])#[^\n]*|\bunset\b[^\n;&|]*", re.MULTILINE)
# Where another PyTorch may come first: on Python's path by a variable, or by a module that brings packages.
_DIVERTED = re.compile(
    r"\bPYTHON(?:PATH|HOME|USERBASE)\b(?!=(?:\"\"|'')?(?:[\s;]|$))"
    r"|(?:^|[;&|])[ \t]*(?:module|ml)[ \t][^\n;&|]*(?:torch|tensorflow|jax|bundle|scipy|transformers)"
    r"|\benv\b[^\n]*\sPATH=|--export\b[^\n]*\bPATH=",
    re.IGNORECASE | re.MULTILINE,
)
_OF_PYTHON = ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE")
# Where the script keeps the GPUs from its programs, or may.
_HIDDEN = re.compile(
    r"\bCUDA_VISIBLE_DEVICES=(?![\"']?(?:\d|GPU-|MIG-|\$\(\(|\$\{?SLURM_))"
    r"|--gres[= ]none|--gpus[a-z-]*[= ]0\b|-G ?0\b|--(?:device|accelerator|platform)[= ]cpu\b|--(?:no[-_]?cuda|cpu)\b"
)
_MODULES_OF_PYTHON = re.compile(r"python|conda|mamba|forge|jupyter", re.IGNORECASE)
_LOADS_PYTHON = re.compile(
    rf"(?:^|[;&|])[ \t]*(?:module|ml)[ \t][^\n;&|]*(?:{_MODULES_OF_PYTHON.pattern})", re.IGNORECASE | re.MULTILINE
)
# What else computes on GPUs, by the names of packages in site-packages.
_OTHERS = ("jax", "tensorflow", "cupy", "paddle", "mindspore", "mxnet", "onnxruntime_gpu", "tensorrt", "cudf", "pycuda")
# Commands that change files; of account where they name what holds the environment, or lies in it.
_CHANGES = names("rm cp mv ln tar unzip rsync git sed install dd conda-unpack gunzip zstd unsquashfs touch patch")
_BUILDS = names("make gmake cmake ninja meson bazel scons")
# Commands of the system beside programs.SILENT that compute nothing on a GPU.
_PLAIN = names(
    "nproc clear bc yes tput stty dos2unix unix2dos pgrep lsof mount umount module-info xz gunzip bunzip2 zstd "
    "unsquashfs numfmt fold paste comm join tac rev shuf split csplit md5sum sha256sum sbcast sattach strigger sprio "
    "lspci lsblk nohup set times getent groups printenv arch pidof tree file ulimit deactivate conda-unpack install dd "
    "patch timeout"
)
_VERSION = names("--version -V -v --help -h version")


class Kept(NamedTuple):
    """A need of an environment that may come to bind. ``basis``: TORCH or PYTHON."""

    command: Command
    clause: str
    line: int
    why: str
    package: str
    basis: str


class Run(NamedTuple):
    """A program of the user's that runs: with the python of ``prefix``, "" for another's. ``torch``: PyTorch's own
    launcher. ``sure``: that it is this environment, as it is at submit."""

    prefix: str
    torch: bool
    sure: bool
    command: Command


class Uses:
    """What one script does with environments. ``changes``: commands that change files; ``builds``: it runs rules that
    are not read, as of make; ``doubts``: lines that are unread for what an environment's packages are, not for what the
    script does."""

    def __init__(self) -> None:
        self.kept: dict[str, list[Kept]] = {}
        self.looked: set[tuple[str, tuple[int, ...]]] = set()
        self.runs: list[Run] = []
        self.changes: list[Command] = []
        self.builds = False
        self.modules: bool | None = None  # whether modules of Python are loaded, once that was looked for
        self.doubts: set[tuple[int, str]] = set()


def need(
    session: Session, command: Command, prefix: str, clause: str, line: int, why: str, basis: str, package: str = ""
) -> None:
    """Tell what an environment asks; `settle` finds whether it binds."""
    session.need(command, clause, line, why, binds=False, package=package)
    if not command.doubt:
        kept = Kept(command, clause, line, why, package, basis)
        session.uses.kept.setdefault(_real(session, prefix), []).append(kept)


def doubt(session: Session, line: int, why: str) -> None:
    """Say that something of an environment's packages is not known: the script itself was read."""
    session.uses.doubts.add((line, why))
    session.collector.unread(line, why)


def activate(session: Session, command: Command, prefix: str | None, sure: bool = True) -> None:
    """Take an activation, or with None that what is active is not known any more."""
    variables = session.variables
    if variables is not None:
        variables.environment = Active(prefix, sure) if prefix and not command.doubt else None


def activated(session: Session, command: Command, active: Active | None) -> None:
    """Take an activation of an environment, None where it is not known which."""
    activate(session, command, active.prefix if active else None, active is None or active.sure)


def in_force(session: Session, command: Command) -> Active | None:
    """Return the environment whose python a command's bare name means, None where none is known to be."""
    at, sure = command.environment, True
    for _ in range(MAX_STEPS):
        if at is None or at.path is None:
            return at and at._replace(sure=at.sure and sure)
        text = at.path
        earlier = at.before
        while earlier is not None and earlier.path is None:
            earlier = earlier.before
        if earlier is not None and earlier.path and text.endswith(f":{earlier.path}"):
            text = text[: -len(earlier.path)] + HOLE
        for part in text.split(":"):
            if HOLE in part or WIDE in part:
                if part.strip(HOLE + WIDE):
                    return None
                break
            part = session.home + part[1:] if part.startswith("~/") else part
            place = joined(command.cwd, part) if part else command.cwd
            python = _has_python(session, place)
            if python is None or place is None:
                sure = False  # what is there on the node is not known
            elif python:
                prefix = place.rstrip("/").removesuffix("/bin")
                return Active(prefix, False) if place.rstrip("/").endswith("/bin") else None
        else:
            return None
        at = at.before
    return None


def on_path(session: Session, command: Command, name: str) -> str:
    """Return the program that a bare name means by what the script itself put in front of PATH, "" where that is none,
    or not known."""
    at = command.environment
    for _ in range(MAX_STEPS):
        if at is None or at.path is None or not at.path.strip(f"{HOLE}{WIDE}:"):
            return ""
        for part in at.path.split(":"):
            if not part.strip(HOLE + WIDE):
                break
            part = session.home + part[1:] if part.startswith("~/") else part
            place = None if HOLE in part or WIDE in part else joined(command.cwd, part)
            try:
                if place is None or "\0" in place or not session.files.is_dir(place):
                    return ""  # what is there on the node is not known
                if session.files.is_file(f"{place}/{name}"):
                    return f"{place}/{name}"
            except OSError:
                return ""
        else:
            return ""
        at = at.before
    return ""


def _has_python(session: Session, place: str | None) -> bool | None:
    """Tell whether a directory of PATH has a python; None where that is not known, as it is not here."""
    try:
        if place is None or "\0" in place or not session.files.is_dir(place):
            return None
        return any(session.files.is_file(f"{place}/{name}") for name in ("python", "python3"))
    except OSError:
        return None


def ran(session: Session, command: Command, active: Active | None, torch: bool = False) -> None:
    """Note that a python runs, of an environment or, with None, of none that is known."""
    prefix = _real(session, active.prefix) if active and active.prefix and not command.inside else ""
    sure = active is not None and active.sure
    session.uses.runs.append(Run(prefix, torch, sure, command))


def works(session: Session, command: Command) -> None:
    """Note any other command that may be what computes."""
    word, rest = command.words[0], command.words[1:]
    name = word.name
    if name in _CHANGES:
        session.uses.changes.append(command)
    if name in _BUILDS and not (rest and rest[-1].text in _VERSION):
        session.uses.builds = True
    if name in _PLAIN or not programs.starts(name) or (rest and rest[-1].text in _VERSION):
        return
    ran(session, command, None)


def of(session: Session, active: Active | None, name: str) -> bool:
    """Tell whether a bare name is a Python program of the active environment: a script in its bin."""
    if active is None or not active.prefix or not name or "\0" in name:
        return False
    path = f"{active.prefix}/bin/{name}"
    try:
        head = session.files.read(path) if session.files.is_file(path) else None
    except (OSError, ValueError):
        return False
    return head is not None and head[:2] == b"#!"


def container(rule: Callable[[Session, Command], Command | None]) -> Callable[[Session, Command], Command | None]:
    """Return the rule of a container runtime that also notes that the image's programs may be what computes."""

    def read(session: Session, command: Command) -> Command | None:
        if not {"pull", "build", "--version", "version", "inspect", "cache"} & {one.text for one in command.words[1:2]}:
            ran(session, command._replace(inside=True), None)
        return rule(session, command)

    return read


def modules(rule: Callable[[Session, Command], Command | None]) -> Callable[[Session, Command], Command | None]:
    """Return the rule of `module` that also notes that a module of Python comes before what was active."""

    def read(session: Session, command: Command) -> Command | None:
        if any(_MODULES_OF_PYTHON.search(one.text) for one in command.words[1:]):
            activate(session, command, None)
        return rule(session, command)

    return read


def loads_python(session: Session) -> bool:
    """Tell whether the script loads a module that may bring a conda of its own."""
    if session.uses.modules is None:
        text = _plain(session)
        session.uses.modules = text is None or _LOADS_PYTHON.search(text) is not None
    return session.uses.modules


def settle(session: Session) -> None:
    """Make bind what is certain, once the whole script was read.

    Of a CUDA `Session.need` knows whether the job may bring forward compatibility.
    """
    uses = session.uses
    unread = any(key not in uses.doubts for key in session.collector.unsettled())
    if not uses.kept or unread or uses.builds or session.collector.installs:
        return
    text = _plain(session)
    if text is None or sum(len(one.words) for one in uses.changes) * len(uses.kept) > MAX_PATHS:
        return
    for prefix, kept in uses.kept.items():
        mine = [run for run in uses.runs if run.prefix == prefix and run.sure and not run.command.doubt]
        if not mine or any(_touches(session, one, prefix) for one in uses.changes):
            continue
        try:
            torch = _is_torch(session, prefix, mine, text)
        except OSError:  # what cannot be looked at may be what decides
            continue
        for one in kept:
            if one.basis == PYTHON or (torch and one.basis == TORCH):
                for groups in dict.fromkeys(run.command.groups for run in mine):
                    own = one.command._replace(groups=groups or one.command.groups)
                    session.need(own, one.clause, one.line, one.why, package=one.package)


def _is_torch(session: Session, prefix: str, mine: list[Run], text: str) -> bool:
    """Tell whether this environment's PyTorch is what the job runs on its GPUs."""
    if _DIVERTED.search(text) or _HIDDEN.search(text) or any(session.environment.get(name) for name in _OF_PYTHON):
        return False
    files = session.files
    sites = packages.sites(files, prefix)
    if not files.is_file(f"{prefix}/pyvenv.cfg"):  # conda's python looks into the user's own packages first
        own = packages.sites(files, f"{session.home}/.local")
        if any(files.is_dir(f"{site}/torch") for site in own):
            return False
    if any(run.torch for run in mine):
        return True
    beside = any(name.lower().startswith(_OTHERS) for site in sites for name in files.names(site) or ())
    return not beside and all(run.prefix == prefix for run in session.uses.runs)


def _touches(session: Session, command: Command, prefix: str) -> bool:
    """Tell whether a command that changes files may change an environment's: it names it, or what holds it, or runs
    there without a name."""
    if command.cwd is None:
        return True
    places = [one for one in map(_named, command.words[1:]) if one]
    if command.words[0].name in ("tar", "unzip", "git", "unsquashfs", "conda-unpack", "patch"):
        places.append(command.cwd)
    for place in places:
        path = joined(command.cwd, place)
        if path is None or "\0" in path:
            continue
        if HOLE in path:
            pattern = re.escape(path.rstrip("/")).replace(HOLE, ".*")
            if any(re.fullmatch(pattern, one) for one in _above(prefix)):
                return True
            continue
        real = _real(session, path.rstrip("/") or "/")
        if f"{real}/".startswith(f"{prefix}/") or f"{prefix}/".startswith(f"{real.rstrip('/')}/"):
            return True
    return False


def _named(word: Word) -> str:
    """Return the path in a word, what is not known of it as HOLE; "" where it is an option, or not known at all."""
    text = word.text.replace(WIDE, HOLE)
    text = text.partition("=")[2] if text.startswith("--") else "" if text.startswith("-") else text
    return text if text.strip(HOLE + "/") else ""


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(2, len(parts) + 1)]


def _plain(session: Session) -> str | None:
    """Return the script without its comments, None where it is too long to be looked through."""
    text = session.text
    if len(text) > MAX_TEXT or any(len(line) > MAX_LINE for line in text.split("\n")):
        return None
    return _COMMENT.sub("", session.text)


def _real(session: Session, path: str) -> str:
    try:
        return session.files.resolve(path) or path
    except OSError:
        return path
