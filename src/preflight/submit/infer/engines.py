"""Tools that set up or choose an environment, and engines that start programs by a file of their own: what they bring
is not read, and that is said.

Sources: the manuals of each: pip(1), conda(1), `uv help`, pipenv, rye, hatch, pdm, virtualenvwrapper, pyenv, Spack,
Nix, Guix, Docker Compose, Snakemake, Nextflow, cwltool, Toil.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from preflight.submit.infer import pythons, started, unknown, uses
from preflight.submit.infer.model import Command
from preflight.submit.infer.session import Session
from preflight.submit.infer.words import HOLE, Word, arguments, names

_INSTALLS = "what {0} installs is not read"
_CHOOSES = "which environment {0} uses is not read"
_STARTS = "{0} starts programs by files of its own, which are not read"
_ELSEWHERE = "{0}: the container was described elsewhere, which is not read"
# (subcommands, or "" for any words, "*" for none as well; why)
_ROWS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("pip", "pip3"), ("install uninstall", _INSTALLS)),
    **dict.fromkeys(("virtualenv", "easy_install", "conda-lock", "conda-unpack"), ("", _INSTALLS)),
    **dict.fromkeys(("pipenv", "rye", "hatch", "pdm"), ("run shell sync install", _CHOOSES)),
    "uvx": ("", _CHOOSES),
    "pipx": ("run", _CHOOSES),
    "workon": ("", _CHOOSES),
    "pyenv": ("activate shell exec", _CHOOSES),
    "nix": ("develop shell run", _CHOOSES),
    "nix-shell": ("", _CHOOSES),
    "guix": ("shell environment", _CHOOSES),
    **dict.fromkeys(("docker-compose", "podman-compose", "singularity-compose"), ("up run start exec", _ELSEWHERE)),
    **dict.fromkeys(("cwltool", "toil-cwl-runner", "toil-wdl-runner", "miniwdl"), ("", _STARTS)),
    **dict.fromkeys(("disBatch", "greasy", "staskfarm"), ("", _STARTS)),
    **dict.fromkeys(("snakemake", "ctest", "tox", "nox", "just"), ("*", _STARTS)),  # their file has a usual name
    "paramrun": ("*", _STARTS),  # TACC's launcher: its file is named by a variable
    **dict.fromkeys(("mlflow", "jube"), ("run", _STARTS)),
    "reframe": ("-r --run", _STARTS),
    "dvc": ("repro exp", _STARTS),
    "wandb": ("agent", _STARTS),
    "rlaunch": ("singleshot rapidfire multi", _STARTS),
    "hq": ("submit worker", _STARTS),
    "nextflow": ("run", _STARTS),
}
_CONDA = "install create update upgrade remove uninstall env"
_EMPTY = ("venv", "virtualenv", "ensurepip")  # they make an environment, or pip in one, that needs nothing
_ENVS = ("create", "update", "remove")  # of `conda env`
# Modules of Python that install: `python -m pip install`.
_MODULES = {"pip": "install uninstall", "ensurepip": "", "venv": "", "virtualenv": "", "uv": "pip sync add venv"}
_PYTHON = re.compile(r"python[\d.]*t?")
_MAKES = ("make", "gmake", "ninja")
_RUNS = re.compile(r"(?:run|train|test|check|bench|exec|launch|start|simul|eval|demo)[\w.-]*")  # targets that run
_PIP = re.compile(r"pip\d[\d.]*")
# Of tools that have a rule of their own, the subcommands that it does not read.
_FURTHER: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("conda", "mamba", "micromamba"), (_CONDA, _INSTALLS)),
    "uv": ("pip sync add remove venv", _INSTALLS),
    "poetry": ("install sync add update remove", _INSTALLS),
    "pixi": ("install add update upgrade remove reinstall", _INSTALLS),
    "spack": ("env install", _CHOOSES),
    **dict.fromkeys(("docker", "podman"), ("compose exec start", _ELSEWHERE)),
}
_SUBMITS = re.compile(r"slurm|cluster|pbs|lsf|sge|kubernetes|awsbatch")  # in a profile's or executor's name
_PARALLEL = names(
    "-a --arg-file -j --jobs -P --max-procs --delay --joblog --results --tmpdir --timeout --retries --sshlogin -S "
    "--sshloginfile --slf --colsep -C -I -N -n --max-args -L --env --workdir --wd --halt --load --memfree --nice "
    "--progress-bar --tagstring --transferfile --return --basefile --shebang-wrap --seqreplace --block --recstart "
    "--recend --profile -J"
)
_PLACES = re.compile(r"\{[^{}\s;]*\}")  # parallel's {}, {.}, {1}
_PERHAPS = "is started by parallel for each line that it reads, perhaps for none"
_ASKS = names("-h --help -V --version --dry-run --dryrun --unlock")
_CLUSTER = re.compile(r"-[a-zA-Z]{0,3}r[a-zA-Z]{0,3}")  # ReFrame's -vr
# The same of one tool: it lists, or shows, what it would start.
_LISTS = {
    "just": names("-l --list --summary --show -s --dump --variables --evaluate --fmt --init -n --groups"),
    "ctest": names("-N --show-only --print-labels --help-full"),
    "tox": names("-l --listenvs -a --listenvs-all --showconfig -n --notest l list c config"),
    "nox": names("-l --list --list-sessions --install-only"),
    "snakemake": names("-n -l --list --list-rules --lint --dag --rulegraph --filegraph --summary -S -D"),
    "reframe": names("-l -L --list --list-detailed --dry-run --describe"),
}


def further(rule: Callable[[Session, Command], Command | None]) -> Callable[[Session, Command], Command | None]:
    """Return the rule of a tool that also says what it does not read."""

    def read(session: Session, command: Command) -> Command | None:
        _say(session, command, *_FURTHER[command.words[0].name])
        return rule(session, command)

    return unknown.acts(read)


def _engine(session: Session, command: Command) -> None:
    _say(session, command, *_ROWS[command.words[0].name])


def _say(session: Session, command: Command, subcommands: str, why: str) -> None:
    word, words = command.words[0], command.words[1:]
    asks = _ASKS | _LISTS.get(word.name, frozenset())
    if any(one.text.partition("=")[0] in asks for one in words):
        return
    if why == _STARTS and any(_SUBMITS.search(one.text) for one in words):
        return  # what it starts are jobs of their own
    rest = arguments(words, frozenset()).rest
    first = rest[0].text if rest else ""
    if subcommands.startswith("-"):  # an option says that it starts something, wherever it stands
        first = next((one.text for one in words if one.text in subcommands.split() or _CLUSTER.fullmatch(one.text)), "")
        subcommands = first or subcommands
    if subcommands == _CONDA and first == "env" and not any(one.text in _ENVS for one in rest[1:2]):
        return
    if subcommands == "*" or (not subcommands and words) or first in subcommands.split():
        shown = f"{word.name} {first}" if subcommands.strip("*") else word.name
        if why == _INSTALLS:
            session.collector.installs = True
            session.changes(shown, word.line)
            if word.name in _EMPTY or first == "venv":
                return
        # An environment's only need would be its CUDA; what others start may need a container runtime in any job.
        if why not in (_INSTALLS, _CHOOSES) or session.seeks_gpus(command, word.line):
            session.collector.unread(word.line, why.format(shown))
        if why != _INSTALLS:
            uses.ran(session, command, None)


def other(session: Session, command: Command) -> Command | None:
    """Any command without a rule: `python -m pip install`, `pip3.11 install`, else as `pythons.other`."""
    word, words = command.words[0], command.words[1:]
    if _PIP.fullmatch(word.name):
        _say(session, command, "install uninstall", _INSTALLS)
    elif word.name in _MAKES and (targets := [one for one in words if _RUNS.fullmatch(one.text)]):
        session.collector.unread(word.line, _STARTS.format(f"{word.name} {targets[0].text}"))
    elif _PYTHON.fullmatch(word.name):
        at = next((at for at, one in enumerate(words) if one.text == "-m"), len(words))
        module = words[at + 1].text if at + 1 < len(words) else ""
        if module in _MODULES:
            _say(session, command._replace(words=words[at + 1 :]), _MODULES[module], _INSTALLS)
        elif any(one.name == "setup.py" for one in words[:1]):
            _say(session, command._replace(words=words), "install develop", _INSTALLS)
    if word.text.endswith(".sif") or "/" in word.text:
        from preflight.submit.infer import containers

        if not command.inside and containers.executed(session, command):
            return None
    following = pythons.other(session, command)
    if following is None and word.name and not command.inside and not started.works_on(word.name):
        started.among(session, command, words, word.name)
    return following


def _parallel(session: Session, command: Command) -> Command | None:
    """GNU parallel: a command for each of the words behind `:::`, or each line that it reads; with no command of its
    own it runs the lines. Source: parallel(1)."""
    word = command.words[0]
    given = arguments(command.words[1:], _PARALLEL)
    at = next((at for at, one in enumerate(given.rest) if one.text.startswith(":::")), len(given.rest))
    if not at:
        if given.rest or not any(one.name in _ASKS for one in given.options):
            session.collector.unread(word.line, "the commands that parallel is given as its input")
            session.changes(word.name, word.line)
        return None
    behind = given.rest[at:]
    sure = len(behind) > 1 and behind[0].text in (":::", ":::+") and behind[1].known
    text = _PLACES.sub(HOLE, " ".join(one.text for one in given.rest[:at]))
    doubt = command.doubt or ("" if sure and given.clear else _PERHAPS)
    session.script(command._replace(doubt=doubt), Word(text, given.rest[0].line, None, True))
    return None


def _other_shell(session: Session, command: Command) -> None:
    if len(command.words) > 1 or command.stdin:
        word = command.words[0]
        session.collector.unread(word.line, f"what {word.name} runs is not read")


RULES: dict[str, Callable[[Session, Command], Command | None]] = {
    **dict.fromkeys(_ROWS, _engine),
    **dict.fromkeys((name for name, (acts, why) in _ROWS.items() if acts and why != _INSTALLS), unknown.acts(_engine)),
    "parallel": _parallel,
    **dict.fromkeys(("csh", "tcsh", "fish", "su", "newgrp", "sg"), _other_shell),
}
