"""Container runtimes of HPC sites beside pyxis and Apptainer: Shifter, Sarus, Charliecloud, CSCS' EDF and uenv.

Sources: the man pages and user guides of Shifter (NERSC), Sarus and Charliecloud (ch-run(1)), and CSCS'
documentation of the container engine (EDF) and of uenv.
"""

from __future__ import annotations

from preflight import toml
from preflight.submit.infer import images
from preflight.submit.infer.directory import joined
from preflight.submit.infer.model import Command
from preflight.submit.infer.session import UNKNOWN, Session
from preflight.submit.infer.words import Arguments, Word, arguments, names

_SHIFTER = names("-i --image -e --env --env-file -E -V --volume -w --workdir -m --module --entrypoint")
_SARUS = names("--annotation --device -e --env --mount --mpi-type --pid -w --workdir -u --user --name -n")
_CH_RUN = names(
    "-b --bind -c --cd -g --gid --join-ct --join-pid --join-tag -m --mount -s --storage -u --uid --unset-env --feature"
)
_UENV = names("-v --view -r --repo --system")
# Whether the container gets the GPUs is set up by the site (Sarus' hook, Shifter's modules, ch-fromhost).
_PERHAPS = "is of an image of which it is not known here whether it gets the GPUs"
_MOST_EDF = 1 << 20
_MAX_BASES = 10


def shifter(session: Session, command: Command) -> Command | None:
    """`shifter --image=REF COMMAND`; the image may be that of `#SBATCH --image`, GPUs come with the module gpu."""
    read = arguments(command.words[1:], _SHIFTER)
    session.need(command, "container=shifter", command.words[0].line, "shifter runs a container")
    module = read.value("-m", "--module")
    modules = module.text if module is not None and module.known else session.shifter.get("module", "")
    image = read.value("-i", "--image")
    if image is None and read.clear and "image" in session.shifter:
        image = Word(session.shifter["image"], command.words[0].line)
    _image(session, command, read, image, "gpu" in modules.split(","))
    return command.rest(read.rest, inside=True)


def sarus(session: Session, command: Command) -> Command | None:
    """`sarus run [options] IMAGE COMMAND`; other subcommands fetch and list images."""
    first = arguments(command.words[1:], frozenset(("--debug",)))
    if not first.rest or first.rest[0].text != "run":
        return None
    session.need(command, "container=sarus", command.words[0].line, "sarus run runs a container")
    read = arguments(first.rest[1:], _SARUS)
    _image(session, command, read, read.rest[0] if read.rest else None, False)
    return command.rest(read.rest[1:], inside=True)


def ch_run(session: Session, command: Command) -> Command | None:
    """`ch-run [options] IMAGE -- COMMAND` of Charliecloud; GPUs come with --cdi, or were injected into the image."""
    read = arguments(command.words[1:], _CH_RUN)
    if not read.rest and read.clear:  # --help, --version
        return None
    session.need(command, "container=charliecloud", command.words[0].line, "ch-run is Charliecloud's")
    cdi = any(one.name == "--cdi" for one in read.options)
    _image(session, command, read, read.rest[0] if read.rest else None, cdi)
    rest = list(read.rest[1:])
    return command.rest(rest[1:] if rest and rest[0].text == "--" else rest, inside=True)


def other(session: Session, command: Command) -> None:
    """A runtime that no clause of the language names: its container is unread."""
    if len(command.words) > 1:
        word = command.words[0]
        session.collector.unread(word.line, f"{word.name} runs a container, which is not read")


def _image(session: Session, command: Command, read: Arguments, image: Word | None, gpus: bool) -> None:
    if image is None or not read.clear or not image.known:
        session.unresolved(command, image.line if image else command.words[0].line)
    else:
        images.look(session, command, image, gpus, perhaps="" if gpus else _PERHAPS)


def uenv(session: Session, command: Command) -> Command | None:
    """`uenv run IMAGE -- COMMAND`, `uenv start IMAGE`; what software it mounts is not known here."""
    first = arguments(command.words[1:], _UENV)
    if not first.rest or first.rest[0].text not in ("run", "start"):
        return None
    read = arguments(first.rest[1:], _UENV)
    image = read.rest[0] if read.rest else None
    mounted(session, command, image or command.words[0], command.words[0].line)
    rest = list(read.rest[1:])
    return command.rest(rest[1:] if rest and rest[0].text == "--" else rest) if read.clear else None


def mounted(session: Session, command: Command, image: Word, line: int) -> None:
    """A uenv of `--uenv=IMAGE` or of uenv itself. Its views may bring modules of their own."""
    session.need(command, "container=uenv", line, "the uenv is mounted by CSCS' uenv")
    session.trees.append(UNKNOWN)
    if session.seeks_gpus(command, line):
        shown = image.text if image.known else "the uenv"
        session.collector.unread(line, f"{shown}: which CUDA its programs are built with is not known here")


def environment(session: Session, command: Command, name: Word) -> None:
    """`--environment=EDF`: a file that names an image; whatever runs it there gives it the job's GPUs."""
    if not name.known:
        session.unresolved(command, name.line)
        return
    image, why = _of_edf(session, command, name.text)
    if image is None:
        session.collector.unread(name.line, f"the environment {name.text}: {why}")
    else:
        images.look(session, command, Word(image, name.line), gpus=True)


def _of_edf(session: Session, command: Command, name: str) -> tuple[str | None, str]:
    """Return the image of an environment definition file, its own or that of one it is based on, or why none."""
    for _ in range(_MAX_BASES):
        path = _edf(session, command, name)
        if path is None:
            return None, f"no file {name} is here" if name.endswith(".toml") else f"no {name}.toml is here"
        try:
            data = toml.loads(session.files.read_text(path, _MOST_EDF) or "")
        except (OSError, toml.TOMLDecodeError) as error:
            return None, f"{path} was not read: {error}"
        image, base = data.get("image"), data.get("base_environment")
        if isinstance(image, str) and image:
            return (None, f"its image {image} is computed when the job runs") if "$" in image else (image, "")
        base = base[-1] if isinstance(base, list) and base else base
        if not isinstance(base, str):
            return None, f"{path} names no image"
        name = base
    return None, "too many are based on one another"


def _edf(session: Session, command: Command, name: str) -> str | None:
    """Return the path of a definition file: a path, or a name beneath EDF_PATH, ~/.edf by default."""
    if "\0" in name:
        return None
    if "/" in name or name.endswith(".toml"):
        places = [joined(command.cwd, name)]
    else:
        directories = session.environment.get("EDF_PATH") or f"{session.home}/.edf"
        places = [f"{one}/{name}.toml" for one in directories.split(":") if one.startswith("/")]
    return next((one for one in places if one is not None and session.files.is_file(one)), None)
