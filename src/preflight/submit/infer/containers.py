"""Containers: the runtime that a command asks for, and the image that it runs."""

from __future__ import annotations

from preflight.submit.infer import images
from preflight.submit.infer.directory import joined
from preflight.submit.infer.model import Command
from preflight.submit.infer.session import Session
from preflight.submit.infer.words import Arguments, Word, arguments, names

# Options that take a value, of `apptainer exec|run|shell|instance start`. Source: apptainer-exec(1).
_APPTAINER = names(
    "--add-caps --app --apply-cgroups -B --bind --blkio-weight --blkio-weight-device --cpu-shares --cpus "
    "--cpuset-cpus --cpuset-mems --cwd --dns --docker-host --drop-caps --env --env-file --fusemount --home -H "
    "--hostname --memory --memory-reservation --memory-swap --mount --network --network-args --oom-score-adj "
    "-o --overlay --pem-path --pid-file --pids-limit --pwd -S --scratch --security --shell -W --workdir "
    "--authfile --data --netfile"
)
_APPTAINER_GLOBAL = frozenset(("-c", "--config"))
_PULL = names("--arch --dir --library --name --docker-host --authfile --arch-variant")
# docker and podman: those that take none are fewer. Sources: docker-run(1), podman-run(1).
_DOCKER_FLAGS = names(
    "-d --detach -i --interactive -t --tty --rm --init --privileged --read-only -P --publish-all "
    "--no-healthcheck --oom-kill-disable --disable-content-trust -q --quiet --help --replace --env-host "
    "--http-proxy --no-hosts --no-hostname --rmi --rootfs --sig-proxy --tls-verify --unsetenv-all --passwd "
    "--read-only-tmpfs --use-api-socket --debug -D --tls --tlsverify "
    "--gpu --mpi --cuda-mpi --cvmfs --nccl --openmpi-pmi2 --openmpi-pmix"  # podman-hpc's
)
_DOCKER_SHORT = frozenset(f"-{letter}" for letter in "acehlmpuvw")
_ENROOT_START = names("-c --rc -e --env -m --mount")
_BY_VARIABLE = "is of an image that gets the GPUs only where the site's runtime hands them to it"
_NO_COMMAND = ("stop", "list", "stats")


def pyxis(session: Session, command: Command, image: Word) -> None:
    """`--container-image=REF`: pyxis starts it with enroot and gives it the job's GPUs."""
    session.need(command, "container=enroot", image.line, "pyxis (--container-image) runs containers with enroot")
    if image.known:
        images.look(session, command, image, gpus=True, checked_by="enroot")
    else:
        session.unresolved(command, image.line)


def named(session: Session, command: Command, word: Word, name: str) -> None:
    """`--container-name=NAME` alone: pyxis starts the one of that name, which a step before it made, or another job."""
    session.need(command, "container=enroot", word.line, "pyxis (--container-name) runs containers with enroot")
    if not word.known:
        session.unresolved(command, word.line)
    elif session.containers.isdisjoint((name, f"pyxis_{name}")):  # as enroot calls it
        session.collector.unread(
            word.line, f"--container-name={name}: the container was made elsewhere, which is not read"
        )


def apptainer(session: Session, command: Command) -> Command | None:
    """`apptainer exec|run|shell|test IMAGE …` and `singularity …`; GPUs are given with --nv."""
    name = command.words[0].name
    first = arguments(command.words[1:], _APPTAINER_GLOBAL)
    if not first.rest:
        return None
    action, words = first.rest[0].text, first.rest[1:]
    if action == "pull":
        _pulled(session, command, words)
        return None
    if action == "instance":
        following = arguments(words, _APPTAINER)
        if not following.rest:
            return None
        action, words = following.rest[0].text, following.rest[1:]
        if action in _NO_COMMAND:
            return None
    elif action not in ("exec", "run", "shell"):
        return None
    session.need(command, f"container={name}", command.words[0].line, f"{name} {action} runs a container")
    read = arguments(words, _APPTAINER)
    checked_by = "toolkit" if read.has("--nvccli") or _is_set(session, command, "NVCCLI") else ""
    gpus = bool(checked_by) or read.has("--nv") or _is_set(session, command, "NV")
    if not gpus and not read.has("--rocm") and session.seeks_gpus(command, command.words[0].line):
        session.collector.note(command.words[0].line, f"without --nv {name} gives the container no NVIDIA GPU")
    _image(session, command, read, gpus, checked_by)
    return command.rest(read.rest[1:], inside=True) if action == "exec" else None


def executed(session: Session, command: Command) -> bool:
    """`./image.sif …`: an image that is started itself, as by `apptainer run`; False where it is none."""
    word = command.words[0]
    if not word.text.endswith(".sif") and not (word.known and _has_header(session, joined(command.cwd, word.text))):
        return False
    why = f"{word.name} is an image, which apptainer or singularity starts"
    session.need(command, "container=apptainer|container=singularity", word.line, why)
    gpus = _is_set(session, command, "NV") or _is_set(session, command, "NVCCLI")
    if not gpus and session.seeks_gpus(command, word.line):
        session.collector.note(word.line, "without APPTAINER_NV=1 an image that is started itself gets no NVIDIA GPU")
    if word.known:
        images.look(session, command, word, gpus, checked_by="toolkit" if _is_set(session, command, "NVCCLI") else "")
    else:
        session.unresolved(command, word.line)
    return True


def _has_header(session: Session, path: str | None) -> bool:
    """Tell whether a file begins as a SIF does: with its launcher, or the mark of the format behind it."""
    try:
        if path is None or "\0" in path or not session.files.is_file(path):
            return False
        real = session.files.resolve(path) or path
        with open(real if session.files.own else session.files.path + real, "rb", buffering=0) as file:
            return file.read(64)[32:].startswith(b"SIF_MAGIC")
    except OSError:
        return False


def _is_set(session: Session, command: Command, option: str) -> bool:
    """Whether a variable sets a flag, APPTAINER_NV=1 as --nv. Source: the environment table of apptainer-exec(1)."""
    names = [f"{program}_{option}" for program in ("APPTAINER", "SINGULARITY")]
    values = [command.exported.get(name, session.environment.get(name, "")) for name in names]
    return any(value.lower() in ("1", "t", "true", "yes") for value in values)


def _pulled(session: Session, command: Command, words: tuple[Word, ...]) -> None:
    """Remember which reference `apptainer pull FILE REF` writes to a file."""
    read = arguments(words, _PULL)
    name = read.value("--name")
    written = [name] if name is not None else list(read.rest[:-1])
    if len(written) == 1 and written[0].known and read.rest and read.rest[-1].known:
        images.made(session, command, written[0].text, read.rest[-1].text)


def docker(session: Session, command: Command) -> Command | None:
    """`docker run IMAGE …`, `podman run IMAGE …`; GPUs are given with --gpus or --device nvidia.com/gpu…, of podman-hpc
    with --gpu."""
    name = command.words[0].name
    words = command.words[1:]
    while words and words[0].text.startswith("-"):
        words = words[1:] if words[0].text in _DOCKER_FLAGS or "=" in words[0].text else words[2:]
    if words and words[0].text == "container":
        words = words[1:]
    if not words or words[0].text not in ("run", "shared-run"):
        return None
    session.need(command, f"container={name}", command.words[0].line, f"{name} run runs a container")
    long = frozenset(word.text for word in words if word.text.startswith("--") and "=" not in word.text)
    read = arguments(words[1:], _DOCKER_SHORT | long - _DOCKER_FLAGS)
    devices = [one.value.text for one in read.options if one.name == "--device" and one.value]
    runtime = read.value("--runtime")
    own = runtime is not None and runtime.name.startswith("nvidia")
    gpus = own or read.has("--gpus", "--gpu") or any(text.startswith("nvidia.com/gpu") for text in devices)
    # podman's --gpus and a device of CDI (nvidia.com/gpu=all) start no hook of NVIDIA's.
    checked_by = "toolkit" if own or (name == "docker" and read.has("--gpus")) else ""
    # With NVIDIA's runtime as the site's default, or its hook, the variable gives the GPUs.
    handed = any("NVIDIA_VISIBLE_DEVICES" in one.value.text for one in read.options if one.value)
    handed = handed or any(word.text.startswith("--hooks-dir") for word in command.words)
    perhaps = _BY_VARIABLE if handed and not gpus else ""
    _image(session, command, read, gpus, checked_by, perhaps)
    return command.rest(read.rest[1:], inside=True)


def enroot(session: Session, command: Command) -> Command | None:
    """`enroot import REF`, `enroot create FILE`, `enroot start NAME|FILE COMMAND`."""
    words = command.words[1:]
    if not words or words[0].text not in ("start", "create", "import"):
        return None
    action = words[0].text
    session.need(command, "container=enroot", command.words[0].line, f"enroot {action} needs enroot")
    if action == "start":
        read = arguments(words[1:], _ENROOT_START)
        # What the script made itself was looked at there.
        if not (read.rest and read.clear and read.rest[0].text in session.containers):
            _image(session, command, read, True, "enroot")
        return command.rest(read.rest[1:], inside=True)
    read = arguments(words[1:], frozenset(("-a", "--arch", "-o", "--output", "-n", "--name")))
    _image(session, command, read, True, "enroot")
    if not read.rest or not read.rest[0].known:
        return None
    source = read.rest[0].text
    if action == "import":
        output = read.value("-o", "--output")
        written = output.text if output is not None and output.known else images.squash(source)
        images.made(session, command, written, source)
    else:
        name = read.value("-n", "--name")
        base = source.rpartition("/")[2].removesuffix(".sqsh")
        session.containers.add(name.text if name is not None and name.known else base)
    return None


def _image(session: Session, command: Command, read: Arguments, gpus: bool, checked_by: str, perhaps: str = "") -> None:
    """Look at the image, the first word behind the options, if it is sure which that is."""
    if not read.rest and read.clear:
        return
    image = read.rest[0] if read.rest else None
    if image is None or not read.clear or not image.known:
        session.unresolved(command, image.line if image else command.words[0].line)
    else:
        images.look(session, command, image, gpus, perhaps, checked_by)
