"""Commands that use a Python environment: activate, eval, a python, a program of an environment."""

from __future__ import annotations

import re

from preflight.submit.infer import environments, gpus, managers, programs, setup, trees, unknown, uses
from preflight.submit.infer.directory import joined
from preflight.submit.infer.model import Active, Command
from preflight.submit.infer.prefixes import again, unresolved, use
from preflight.submit.infer.session import ANY, Session
from preflight.submit.infer.words import HOLE, WIDE, Word, names

_PYTHON = re.compile(r"python(\d(\.\d+)?t?)?")
_DISTRIBUTED = ("torch.distributed.run", "torch.distributed.launch")
_PREPARES = names("pip venv virtualenv ensurepip uv compileall http.server json.tool zipfile tarfile site platform")
_PYTHON_VALUED = frozenset(("-W", "-X", "--check-hash-based-pycs"))
# What a sourced file may change in other ways than its text shows, and the names in it.
_OPEN = re.compile(r"\b(?:eval|source|read|printf|declare|typeset)\b|^[ \t]*\.\s|export\s+[\"'$]", re.MULTILINE)
_NAMES = re.compile(r"\b([A-Za-z_]\w*)\b")
# In a text for eval: what changes more of the shell than its variables.
_LEAVES = re.compile(
    r"\b(?:exit|return|exec|cd|pushd|popd|set|shift|trap|function|alias|source)\b|\(\)|(?:^|[;&|]\s*)\.\s"
)
_ENVIRONMENT = re.compile(r"/envs/[^/]+$|/\.?(?:v?envs?|virtualenv)$")  # by its name, where it is not here
# Beside conda.sh or activate of an installation of conda.
_CONDA_SETUP = re.compile(r"(/.*)/(?:etc/profile\.d/(?:conda|mamba)\.sh|bin/activate)")


def source(session: Session, command: Command) -> None:
    """`source DIR/bin/activate`, `source activate ENV`; any other file may do anything, and is not read."""
    words = command.words[1:]
    if not words:
        return
    file = words[0]
    installed = _CONDA_SETUP.fullmatch(file.text) if file.known else None
    if installed:
        session.condas.append(installed[1])
    if file.text == "activate":
        uses.activated(
            session, command, managers.look(session, command, words[1] if len(words) > 1 else None, file.line)
        )
    elif file.text == "deactivate":
        uses.activate(session, command, None)
    elif file.name != "activate":
        text = file.text.replace(HOLE, "…").replace(WIDE, "…")
        usual = setup.sourced(file.text, session.collector.line(file.line))
        session.collector.unread(file.line, f"{text} is not read", len(words) == 1 and usual)
        trees.sourced(session, joined(command.cwd, file.text) if file.known else None, text, usual)
        if not usual:
            session.changes(text, file.line)
            session.changed(_set_by(session, command, file))
    elif not file.known:
        uses.activate(session, command, None)
        unresolved(session, command, file.line)
    elif len(words) > 1:
        uses.activated(session, command, managers.look(session, command, words[1], file.line))
    else:
        path = joined(command.cwd, file.text)
        prefix = None if path is None else _up(path)
        uses.activate(session, command, prefix)
        use(session, command, prefix, file.line, f"source {file.text}")


def _set_by(session: Session, command: Command, file: Word) -> frozenset[str]:
    """Return the variables that a sourced file may set: none of the script's where it is the site's, or those that
    stand in it where it is here."""
    path = joined(command.cwd, file.text) if file.known else None
    if path is None or "\0" in path:
        return ANY
    own = (session.home, session.environment.get("SLURM_SUBMIT_DIR") or session.home, *filter(None, [command.cwd]))
    if file.text.startswith("/") and not path.startswith(tuple(f"{one.rstrip('/')}/" for one in own)):
        return frozenset()
    try:
        text = session.files.read_text(path) if session.files.is_file(path) else None
    except OSError:
        text = None
    if text is None or _OPEN.search(text):
        return ANY
    return frozenset(_NAMES.findall(text))


def evaluate(session: Session, command: Command) -> None:
    """`eval TEXT`: read where the text is known, else what it runs is made when the job runs."""
    words = command.words[1:]
    if not words:
        return
    line = command.words[0].line
    text = " ".join(word.text for word in words)
    if all(word.known for word in words) and not _LEAVES.search(text):
        session.changed(session.script(command, Word(text, line, None, True)))
        return
    is_hook = setup.evaluated(session.collector.line(line))
    session.collector.unread(line, "what eval runs is made when the job runs", is_hook)
    if not is_hook:
        session.changes("eval", line)
        session.changed(ANY)
        trees.sourced(session, None, "eval")


def other(session: Session, command: Command) -> Command | None:
    """Any other command: of interest is a python, one called by its path, and torch.distributed."""
    word = command.words[0]
    if not command.inside and unknown.explain(session, command):
        return None
    if _PYTHON.fullmatch(word.name):
        _python(session, command)
    elif command.inside:
        uses.works(session, command)
    elif word.name == "deactivate":
        uses.activate(session, command, None)
    elif "/" in word.text:
        from preflight.submit.infer import started

        _of_environment(session, command)
        started.program(session, command, word)
    elif uses.of(session, uses.in_force(session, command), word.name):
        uses.ran(session, command, again(session, command))
    else:
        uses.works(session, command)
        _by_name(session, command)
    return None


def _by_name(session: Session, command: Command) -> None:
    """Look into a program that the script's own PATH finds; another may come first on the node, so it does not bind."""
    word = command.words[0]
    if not word.known or not word.name or not programs.starts(word.name):
        return
    place = uses.on_path(session, command, word.name)
    if place:
        from preflight.submit.infer import started

        started.program(session, command, word._replace(text=place), f"found by PATH, in {place.rpartition('/')[0]}")


def _python(session: Session, command: Command) -> None:
    word = command.words[0]
    words = command.words[1:]
    while words and words[0].text.startswith("-") and words[0].text not in ("-m", "-c", "-"):
        if words[0].text in ("-V", "-VV", "--version", "-h", "--help"):
            return
        words = words[2:] if words[0].text in _PYTHON_VALUED else words[1:]
    module = words[1].text if len(words) > 1 and words[0].text == "-m" else ""
    by_path = "/" in word.text and not command.inside
    active = _by_path(session, command) if by_path else again(session, command)
    if module not in _PREPARES:
        uses.ran(session, command, active, module in _DISTRIBUTED)
    if module in _DISTRIBUTED:
        gpus.processes(session, command, words[2:])


def _by_path(session: Session, command: Command) -> Active | None:
    """Look at the environment of a python that is called by its path; return it."""
    word = command.words[0]
    if not word.known:
        unresolved(session, command, word.line)
        return None
    path = joined(command.cwd, word.text)
    if path is not None and not path.rpartition("/")[0].endswith("/bin"):
        return None
    prefix = None if path is None else _up(path)
    use(session, command, prefix, word.line, word.text)
    return Active(prefix) if prefix and prefix not in environments.SYSTEM else None


def _of_environment(session: Session, command: Command, torch: bool = False) -> None:
    """A program of an environment that is called by its path: ~/envs/pt/bin/vllm, venv/bin/accelerate."""
    word = command.words[0]
    path = joined(command.cwd, word.text) if word.known and not command.inside else None
    prefix = _up(path) if path and path.rpartition("/")[0].endswith("/bin") else ""
    active = None
    if prefix and "\0" not in prefix and prefix not in environments.SYSTEM:
        files = session.files
        marks = files.is_file(f"{prefix}/pyvenv.cfg") or files.is_dir(f"{prefix}/conda-meta")
        if marks or _ENVIRONMENT.search(prefix):
            use(session, command, prefix, word.line, word.text)
            known = uses.of(session, Active(prefix), word.name) or not files.is_file(f"{prefix}/bin/{word.name}")
            active = Active(prefix) if known else None
    if active or torch:
        uses.ran(session, command, active, torch)
    else:
        uses.works(session, command)


def torchrun(session: Session, command: Command) -> None:
    """`torchrun …`, also `DIR/bin/torchrun`, which is of an environment."""
    if "/" in command.words[0].text:
        _of_environment(session, command, torch=True)
    else:
        uses.ran(session, command, again(session, command), torch=True)
    gpus.torchrun(session, command)


def shebang(session: Session, command: Command, path: str) -> None:
    """A script that an environment's python runs: `#!DIR/bin/python`."""
    if _PYTHON.fullmatch(path.rpartition("/")[2]) and path.startswith("/") and "/bin/" in path:
        use(session, command, _up(path), 1, path)
        uses.ran(session, command, Active(_up(path)))


def _up(path: str) -> str:
    """Return DIR of DIR/bin/NAME."""
    directory = path.rpartition("/")[0].rpartition("/")[0]
    return directory.removesuffix("/.")
