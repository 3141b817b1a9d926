"""Commands that use a Python environment: activate, conda run, uv, poetry, pixi, and a python called by its path."""

from __future__ import annotations

import re
from collections.abc import Iterable

from preflight.submit.infer import compat, environments, gpus, setup, trees, unknown, uses
from preflight.submit.infer.directory import joined
from preflight.submit.infer.model import Active, Command
from preflight.submit.infer.session import ANY, Session
from preflight.submit.infer.words import HOLE, WIDE, Word, arguments, names

_PYTHON = re.compile(r"python(\d(\.\d+)?t?)?")
_DISTRIBUTED = ("torch.distributed.run", "torch.distributed.launch")
_PREPARES = names("pip venv virtualenv ensurepip uv compileall http.server json.tool zipfile tarfile site platform")
_PYTHON_VALUED = frozenset(("-W", "-X", "--check-hash-based-pycs"))
_CONDA_RUN = names("-n --name -p --prefix --cwd -e --env -r --root-prefix --rc-file")
_UV = names(
    "--project --directory --config-file --cache-dir --color --allow-insecure-host -p --python --extra "
    "--no-extra --group --no-group --only-group --env-file --with --with-editable --with-requirements "
    "--package --index --default-index -i --index-url --extra-index-url -f --find-links -P --upgrade-package "
    "--reinstall-package --index-strategy --keyring-provider --resolution --prerelease --fork-strategy "
    "--exclude-newer --link-mode --config-setting -C --no-build-package --no-binary-package --refresh-package "
    "--python-platform -w"
)
# Options of `uv run` with which it runs in more than the project's environment, or in none of it.
_UV_MORE = names(
    "--with -w --with-editable --with-requirements --isolated --no-project --script -s --upgrade -U "
    "--upgrade-package -P"
)
# Where conda and mamba look for environments, beside their installation.
_CONDA_PLACES = ("CONDA_ENVS_PATH", "CONDA_ENVS_DIRS", "MAMBA_ROOT_PREFIX", "CONDARC", "CONDA_ROOT_PREFIX")
_POETRY = names("-P --project -C --directory")
_PIXI = names("--manifest-path -e --environment --color --config -m")
# What a sourced file may change in other ways than its text shows, and the names in it.
_OPEN = re.compile(r"\b(?:eval|source|read|printf|declare|typeset)\b|^\s*\.\s|export\s+[\"'$]", re.MULTILINE)
_NAMES = re.compile(r"\b([A-Za-z_]\w*)\b")
# In a text for eval: what changes more of the shell than its variables.
_LEAVES = re.compile(
    r"\b(?:exit|return|exec|cd|pushd|popd|set|shift|trap|function|alias|source)\b|\(\)|(?:^|[;&|]\s*)\.\s"
)
# Beside conda.sh or activate of an installation of conda.
_ENVIRONMENT = re.compile(r"/envs/[^/]+$|/\.?(?:v?envs?|virtualenv)$")  # by its name, where it is not here
_CONDA_SETUP = re.compile(r"(/.*)/(?:etc/profile\.d/(?:conda|mamba)\.sh|bin/activate)")


def use(session: Session, command: Command, prefix: str | None, line: int, what: str) -> None:
    """Look at the environment at ``prefix``, None where that cannot be told. Only a job with GPUs needs its CUDA."""
    if prefix in environments.SYSTEM:
        return
    gpus = session.seeks_gpus(command, line)
    if prefix is None:
        _not_read(session, line, f"{what}: which directory that is depends on where the job is then", gpus)
        return
    try:
        if "\0" in prefix or not session.files.is_dir(prefix):
            _not_read(session, line, f"{what}: there is no environment at {prefix}", gpus)
            return
        compat.look(session, prefix)
        found = environments.cuda(session.files, prefix) if gpus else None
    except OSError as error:
        _not_read(session, line, f"{what}: {error.filename or prefix} was not read: {error.strerror}", gpus)
        return
    session.uses.looked.add((prefix, command.groups))
    if found:
        basis = uses.CUDA if found.torch else ""
        uses.need(session, command, prefix, f"cuda>={found.version}", line, found.why, basis)
    from preflight.submit.infer import code  # for the few scripts that have one

    code.environment(session, command, prefix, line, gpus)
    below = environments.base(session.files, prefix)
    if gpus and below is not None and not (found and found.torch):
        whose = below or "its python"
        _not_read(session, line, f"{what}: it uses the packages of {whose} too, which are not read", gpus)


def _not_read(session: Session, line: int, why: str, gpus: bool) -> None:
    """Say that an environment was not read; without GPUs little of it is of account."""
    if gpus:
        session.collector.unread(line, why)


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
        _activated(session, command, _conda(session, command, words[1] if len(words) > 1 else None, file.line))
    elif file.text == "deactivate":
        uses.activate(session, command, None)
    elif file.name != "activate":
        text = file.text.replace(HOLE, "…").replace(WIDE, "…")
        usual = setup.sourced(file.text)
        session.collector.unread(file.line, f"{text} is not read", len(words) == 1 and usual)
        trees.sourced(session, joined(command.cwd, file.text) if file.known else None, text)
        if not usual:
            session.changes(text, file.line)
            session.changed(_set_by(session, command, file))
    elif not file.known:
        uses.activate(session, command, None)
        _unresolved(session, command, file.line)
    elif len(words) > 1:
        _activated(session, command, _conda(session, command, words[1], file.line))
    else:
        path = joined(command.cwd, file.text)
        prefix = None if path is None else _up(path)
        uses.activate(session, command, prefix)
        use(session, command, prefix, file.line, f"source {file.text}")


def _activated(session: Session, command: Command, active: Active | None) -> None:
    uses.activate(session, command, active.prefix if active else None, active is None or active.sure)


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


def conda(session: Session, command: Command) -> Command | None:
    """`conda activate ENV` and `conda run -n ENV COMMAND`, of mamba and micromamba too."""
    words = command.words[1:]
    if words and words[0].text == "deactivate":
        uses.activate(session, command, None)
    if not words or words[0].text not in ("activate", "run"):
        return None
    read = arguments(words[1:], _CONDA_RUN)
    given = read.value("-n", "--name", "-p", "--prefix")
    line = command.words[0].line
    if words[0].text == "run":
        active = None
        if given is not None:
            active = _conda(session, command, given, given.line, path=read.value("-n", "--name") is None)
        return command._replace(environment=active).rest(read.rest)
    if given is None and read.rest:
        given = read.rest[0]
    elif given is None and not read.clear:
        uses.activate(session, command, None)
        _unresolved(session, command, line)
        return None
    by_path = read.value("-p", "--prefix") is not None
    _activated(session, command, _conda(session, command, given, given.line if given else line, path=by_path))
    return None


def _conda(session: Session, command: Command, name: Word | None, line: int, path: bool = False) -> Active | None:
    """Look at conda's environment of a name or a path (None is its base); return it, None where it is not known."""
    if name is not None and not name.known:
        _unresolved(session, command, line)
        return None
    gpus = session.seeks_gpus(command, line)
    text = name.text if name else "base"
    if path or "/" in text:
        prefix = joined(command.cwd, text)
        use(session, command, prefix, line, f"the conda environment {text}")
        return Active(prefix) if prefix else None
    unknown = [one for one in _CONDA_PLACES if one not in command.exported and one in session.text]
    if unknown:
        _not_read(session, line, f"the conda environment {text}: {unknown[0]} is set by the script", gpus)
        return None
    variables = {**session.environment, **command.exported}
    try:
        prefixes, sure = environments.conda_prefixes(session.files, text, session.home, variables, session.condas)
    except OSError as error:
        _not_read(session, line, f"the conda environment {text}: {error.filename} was not read: {error.strerror}", gpus)
        return None
    if not prefixes:
        _not_read(session, line, f"the conda environment {text} was not found", gpus)
    elif len(prefixes) > 1:
        several = ", ".join(prefixes)
        _not_read(session, line, f"several conda environments are called {text}: {several}", gpus)
    else:
        use(session, command, prefixes[0], line, f"the conda environment {text}")
        guessed = uses.loads_python(session) or prefixes[0].startswith(environments.SHARED)
        return Active(prefixes[0], sure or not guessed)
    return None


def uv(session: Session, command: Command) -> Command | None:
    """`uv run COMMAND`: in .venv of the project, or beside the working directory, which it fills before."""
    first = arguments(command.words[1:], _UV)
    if not first.rest or first.rest[0].text != "run":
        return None
    read = arguments(first.rest[1:], _UV)
    options = (*first.options, *read.options)
    session.collector.installs = True
    active = None
    more = next((one for one in options if one.name in _UV_MORE), None)
    if more is not None:
        why = f"what uv run {more.name} installs is not read"
        _not_read(session, more.line, why, session.seeks_gpus(command, more.line))
    if any(one.name == "--active" for one in options) and command.environment is not None:
        active = _again(session, command)
    elif not any(one.name in ("--no-project", "--isolated") for one in options):
        places = {one.name: one.value for one in options if one.value}
        own = command.exported.get("UV_PROJECT_ENVIRONMENT") or session.environment.get("UV_PROJECT_ENVIRONMENT")
        place = places.get("--project") or places.get("--directory")
        active = _project(session, command, place, own or ".venv", "pyproject.toml")
    return command._replace(environment=active).rest(read.rest)


def poetry(session: Session, command: Command) -> Command | None:
    """`poetry run COMMAND`: in .venv of the project, unless poetry is told otherwise."""
    first = arguments(command.words[1:], _POETRY)
    if not first.rest or first.rest[0].text != "run":
        return None
    active = _project(session, command, first.value(*_POETRY), ".venv", "pyproject.toml")
    return command._replace(environment=active).rest(arguments(first.rest[1:], _POETRY).rest)


def pixi(session: Session, command: Command) -> Command | None:
    """`pixi run [-e ENV] COMMAND`: in .pixi/envs of the project, which it fills before."""
    first = arguments(command.words[1:], _PIXI)
    if not first.rest or first.rest[0].text != "run":
        return None
    read = arguments(first.rest[1:], _PIXI)
    name = read.value("-e", "--environment")
    manifest = read.value("--manifest-path", "-m") or first.value("--manifest-path", "-m")
    if name is not None and not name.known:
        _unresolved(session, command, name.line)
        return command._replace(environment=None).rest(read.rest)
    if manifest is not None and manifest.text.endswith(".toml"):
        manifest = manifest._replace(text=manifest.text.rpartition("/")[0] or ".")
    session.collector.installs = True
    active = _project(session, command, manifest, f".pixi/envs/{name.text if name else 'default'}", "pixi.toml")
    return command._replace(environment=active).rest(read.rest)


def _project(session: Session, command: Command, place: Word | None, inside: str, mark: str) -> Active | None:
    """Look at the environment of a project, of ``place``, else of the nearest directory upwards that has it; return it.

    It is never sure: the tools fill it before they run anything, or choose another by their configuration.
    """
    line = place.line if place else command.words[0].line
    tool = command.words[0].name
    if place is not None and not place.known:
        _unresolved(session, command, line)
        return None
    here = joined(command.cwd, place.text) if place else command.cwd
    if here is None or inside.startswith("/"):
        prefix = inside if inside.startswith("/") else None
        use(session, command, prefix, line, f"{tool} run")
        return Active(prefix, False) if prefix else None
    for directory in _upwards(here):
        files = session.files
        if files.is_dir(f"{directory}/{inside}") or files.is_file(f"{directory}/{mark}"):
            break
    else:
        directory = here.rstrip("/")
    use(session, command, f"{directory}/{inside}", line, f"{tool} run")
    return Active(f"{directory}/{inside}", False)


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
        uses.ran(session, command, _again(session, command))
    else:
        uses.works(session, command)
    return None


def _python(session: Session, command: Command) -> None:
    word = command.words[0]
    words = command.words[1:]
    while words and words[0].text.startswith("-") and words[0].text not in ("-m", "-c", "-"):
        if words[0].text in ("-V", "-VV", "--version", "-h", "--help"):
            return
        words = words[2:] if words[0].text in _PYTHON_VALUED else words[1:]
    module = words[1].text if len(words) > 1 and words[0].text == "-m" else ""
    by_path = "/" in word.text and not command.inside
    active = _by_path(session, command) if by_path else _again(session, command)
    if module not in _PREPARES:
        uses.ran(session, command, active, module in _DISTRIBUTED)
    if module in _DISTRIBUTED:
        gpus.processes(session, command, words[2:])


def _by_path(session: Session, command: Command) -> Active | None:
    """Look at the environment of a python that is called by its path; return it."""
    word = command.words[0]
    if not word.known:
        _unresolved(session, command, word.line)
        return None
    path = joined(command.cwd, word.text)
    if path is not None and not path.rpartition("/")[0].endswith("/bin"):
        return None
    prefix = None if path is None else _up(path)
    use(session, command, prefix, word.line, word.text)
    return Active(prefix) if prefix and prefix not in environments.SYSTEM else None


def _again(session: Session, command: Command) -> Active | None:
    """Return the environment of a program by its bare name; look at one that no line of the script has named."""
    active = uses.in_force(session, command) if not command.inside else None
    looked = {prefix for prefix, _ in session.uses.looked}
    if active is not None and active.prefix and not active.sure and active.prefix not in looked:
        word = command.words[0]
        use(session, command, active.prefix, word.line, f"{word.name} of {active.prefix}")
    return active


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
        uses.ran(session, command, _again(session, command), torch=True)
    gpus.torchrun(session, command)


def shebang(session: Session, command: Command, path: str) -> None:
    """A script that an environment's python runs: `#!DIR/bin/python`."""
    if _PYTHON.fullmatch(path.rpartition("/")[2]) and path.startswith("/") and "/bin/" in path:
        use(session, command, _up(path), 1, path)
        uses.ran(session, command, Active(_up(path)))


def _unresolved(session: Session, command: Command, line: int) -> None:
    if session.seeks_gpus(command, line):
        session.unresolved(command, line)


def _up(path: str) -> str:
    """Return DIR of DIR/bin/NAME."""
    directory = path.rpartition("/")[0].rpartition("/")[0]
    return directory.removesuffix("/.")


def _upwards(path: str) -> Iterable[str]:
    """Yield a directory and those above it."""
    path = path.rstrip("/").removesuffix("/.")
    while path:
        yield path
        path = path.rpartition("/")[0]
