"""Managers of Python environments: conda and its kin, uv, Poetry, pixi.

Sources: `conda run --help`, `uv run --help`, `poetry run --help`, `pixi run --help`, pixi's manifest reference.
"""

from __future__ import annotations

from collections.abc import Iterable

from preflight import toml
from preflight.submit.infer import environments, uses
from preflight.submit.infer.directory import joined
from preflight.submit.infer.model import Active, Command
from preflight.submit.infer.prefixes import again, not_read, unresolved, use
from preflight.submit.infer.session import Session
from preflight.submit.infer.words import Word, arguments, names

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
            active = look(session, command, given, given.line, path=read.value("-n", "--name") is None)
        return command._replace(environment=active).rest(read.rest)
    if given is None and read.rest:
        given = read.rest[0]
    elif given is None and not read.clear:
        uses.activate(session, command, None)
        unresolved(session, command, line)
        return None
    by_path = read.value("-p", "--prefix") is not None
    uses.activated(session, command, look(session, command, given, given.line if given else line, path=by_path))
    return None


def look(session: Session, command: Command, name: Word | None, line: int, path: bool = False) -> Active | None:
    """Look at conda's environment of a name or a path (None is its base); return it, None where it is not known."""
    if name is not None and not name.known:
        unresolved(session, command, line)
        return None
    gpus = session.seeks_gpus(command, line)
    text = name.text if name else "base"
    if path or "/" in text:
        prefix = joined(command.cwd, text)
        use(session, command, prefix, line, f"the conda environment {text}")
        return Active(prefix) if prefix else None
    unknown = [one for one in _CONDA_PLACES if one not in command.exported and one in session.text]
    if unknown:
        not_read(session, line, f"the conda environment {text}: {unknown[0]} is set by the script", gpus)
        return None
    variables = {**session.environment, **command.exported}
    try:
        prefixes, sure = environments.conda_prefixes(session.files, text, session.home, variables, session.condas)
    except OSError as error:
        not_read(session, line, f"the conda environment {text}: {error.filename} was not read: {error.strerror}", gpus)
        return None
    if not prefixes:
        not_read(session, line, f"the conda environment {text} was not found", gpus)
    elif len(prefixes) > 1:
        several = ", ".join(prefixes)
        not_read(session, line, f"several conda environments are called {text}: {several}", gpus)
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
        not_read(session, more.line, why, session.seeks_gpus(command, more.line))
    if any(one.name == "--active" for one in options) and command.environment is not None:
        active = again(session, command)
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
        unresolved(session, command, name.line)
        return command._replace(environment=None).rest(read.rest)
    if manifest is not None and manifest.text.endswith(".toml"):
        manifest = manifest._replace(text=manifest.text.rpartition("/")[0] or ".")
    session.collector.installs = True
    inside = f".pixi/envs/{name.text if name else 'default'}"
    active = _project(session, command, manifest, inside, "pixi.toml")
    prefix = active.prefix if active else None
    task = read.rest[0] if read.rest else None
    if task is not None and prefix and _is_task(session, prefix.removesuffix(f"/{inside}"), task.text):
        session.collector.unread(task.line, f"{task.text} is a task of pixi's, which is not read")
        uses.ran(session, command, None)
        session.changes(f"pixi run {task.text}", task.line)
        return None
    return command._replace(environment=active).rest(read.rest)


def _is_task(session: Session, directory: str, name: str) -> bool:
    """Tell whether a project's manifest has a task of that name: of a feature, or of a platform's."""
    todo: list[object] = []
    for file in ("pixi.toml", "pyproject.toml"):
        try:
            path = f"{directory}/{file}"
            todo.append(toml.loads(session.files.read_text(path) or "") if session.files.is_file(path) else {})
        except (OSError, toml.TOMLDecodeError, RecursionError):
            continue
    while todo:
        table = todo.pop()
        if isinstance(table, dict):
            tasks = table.get("tasks")
            if isinstance(tasks, dict) and name in tasks:
                return True
            todo += [value for key, value in table.items() if key != "tasks"]
    return False


def _project(session: Session, command: Command, place: Word | None, inside: str, mark: str) -> Active | None:
    """Look at the environment of a project, of ``place``, else of the nearest directory upwards that has it; return it.

    It is never sure: the tools fill it before they run anything, or choose another by their configuration.
    """
    line = place.line if place else command.words[0].line
    tool = command.words[0].name
    if place is not None and not place.known:
        unresolved(session, command, line)
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


def _upwards(path: str) -> Iterable[str]:
    """Yield a directory and those above it."""
    path = path.rstrip("/").removesuffix("/.")
    while path:
        yield path
        path = path.rpartition("/")[0]
