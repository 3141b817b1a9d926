"""Programs that start another: what follows them is the command. MPI starters are noted on the way."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from preflight.submit.infer import containers, runtimes, trees, unknown
from preflight.submit.infer.model import Command
from preflight.submit.infer.session import Session
from preflight.submit.infer.words import Arguments, Option, Word, arguments, names
from preflight.submit.options_table import PLUGIN_ROWS, ROWS

# Open MPI's, Intel's, MPICH's and MVAPICH's, OpenSHMEM's, HPE's, and those of sites: TACC's ibrun, NSC's mpprun.
_MPI = names(
    "mpirun mpiexec mpiexec.hydra mpiexec.slurm orterun prterun prun mpirun_rsh oshrun shmemrun mpiexec_mpt "
    "ibrun mpprun"
)
_SHELLS = ("bash", "sh", "dash", "ksh", "zsh")
_SHELL_VALUED = ("--rcfile", "--init-file", "-o", "+o", "-O", "+O")
# srun's own that take a value, beside those that it shares with sbatch. Source: srun(1).
_SRUN_ONLY = names(
    "--bcast-exclude --cpu-bind --epilog --export-file --het-group --pack-group --jobid --msg-timeout --mpi --prolog "
    "--relative -r --slurmd-debug --task-epilog --task-prolog --threads -T --tres-bind --network --open-mode "
    "--resv-port-cnt -W --wait --cpu-freq --container-id --multi-prog-args"
)
# mpirun of Open MPI and Intel MPI, mpiexec of both and of MPICH's Hydra. Sources: mpirun(1), mpiexec(1).
_MPI_VALUED = names(
    "-n -np -c --n --np -N --npernode -npernode --npersocket -npersocket -ppn -perhost --host -host -H -hosts "
    "--hosts --hostfile -hostfile -f -machinefile --machinefile --map-by -map-by --rank-by -rank-by --bind-to "
    "-bind-to -x -wdir --wdir -wd --output-filename --rankfile -rf --prefix --tune -am --report-uri --timeout "
    "--launcher -launcher -bootstrap --bootstrap -iface -rmk -env-list -genvlist -envlist -path --path "
    "--cpu-set --cpu-list --display --pmixmca-file -configfile --configfile --app -app --dvm --personality "
    "--output --rtos -usize -o --ppn --depth --cpu-bind --mem-bind"
)
_GPUS = names("--gpus -G --gpus-per-node --gpus-per-task --gpus-per-socket --gres")
_GROUP = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?")
UNCLEAR = "stands behind options that are computed when the job runs"
# Among a starter's options: the number that one which is not known takes, and mpirun_rsh's NAME=value.
_NO_PROGRAM = re.compile(r"\d+|[A-Za-z_]\w*=.*", re.DOTALL)
_MPI_DIRECTORY = names("-wdir --wdir -wd --wd")
_MPI_FILES = names("-app --app -configfile --configfile")
_CHARM_VALUED = names("+p ++p +n ++n ++np ++ppn ++nodelist ++nodegroup ++remote-shell ++timeout ++runscript")
_MPI_PAIRS = names("-genv --genv -env --env --mca -mca --gmca -gmca --prtemca --pmixmca")


def shell(session: Session, command: Command) -> None:
    """`bash -c TEXT`: the text is read as a script of its own; what a file or the standard input holds is not."""
    words = command.words
    at = 1
    given = False
    while at < len(words):
        text = words[at].text
        if text in _SHELL_VALUED:
            at += 2
            continue
        if not text.startswith(("-", "+")) or text in ("-", "--"):
            break
        if not text.startswith("--"):
            given = given or "c" in text
            if "l" in text:
                trees.login(session)
            at += text[1:].count("o")  # -euo pipefail
        at += 1
    if given and at < len(words):
        session.script(command, words[at])
    elif command.inside:
        return
    elif at < len(words):
        unknown.script_file(session, command, words[at])
    elif command.stdin:
        session.collector.unread(words[0].line, f"the commands that {words[0].name} reads from {command.stdin}")
        session.changes(words[0].name, words[0].line)


def srun(session: Session, command: Command) -> None:
    """`srun … COMMAND`, with pyxis' container; of `srun A : B` each."""
    for place, part in enumerate(_parts(command)):
        read = arguments(part, _srun_valued())
        mpi = read.value("--mpi")
        if mpi is not None and mpi.known and mpi.text not in ("none", "list"):
            session.collector.note(mpi.line, f"starts MPI processes through Slurm (--mpi={mpi.text})")
        own = command if read.clear else command._replace(doubt=command.doubt or UNCLEAR)
        own = _placed(own, place, read)
        if read.has("-D", "--chdir"):
            own = own._replace(cwd=None)
        asks = [one for one in read.options if one.name in _GPUS and (one.name != "--gres" or "gpu" in _text(one))]
        if asks:
            session.seeks_gpus(own, asks[0].line)
        if not read.clear:
            session.unresolved(command, command.words[0].line)
        inside = _containers(session, own, read)
        rest = own.rest(read.rest, inside)
        if rest is not None and read.has("--multi-prog"):
            session.collector.unread(rest.words[0].line, f"the programs that {unknown.shown(rest.words[0])} names")
        elif rest is not None:
            session.run(rest)


def _text(option: Option) -> str:
    return option.value.text if option.value is not None else ""


def _placed(command: Command, place: int, read: Arguments) -> Command:
    """Return a step with the components of a heterogeneous job that it runs in: of `srun A : B` one after the other,
    if --het-group names no others."""
    given = read.value("--het-group", "--pack-group")
    if given is None:
        return command._replace(groups=(place,))
    parts = [_GROUP.fullmatch(part) for part in given.text.strip("[]").split(",")]
    if not all(parts):
        return command._replace(groups=(place,), doubt=command.doubt or "runs in components that are computed")
    ranges = [range(int(one[1]), int(one[2] or one[1]) + 1) for one in parts if one]
    return command._replace(groups=tuple(dict.fromkeys(number for one in ranges for number in one)))


def _containers(session: Session, command: Command, read: Arguments) -> bool:
    """Add what srun's options for containers need; return whether its command runs in one."""
    image, edf, bundle = (read.value(f"--{name}") for name in ("container-image", "environment", "container"))
    if image is not None:
        containers.pyxis(session, command, image)
    if edf is not None:
        runtimes.environment(session, command, edf)
    if bundle is not None:
        session.collector.unread(bundle.line, "an OCI bundle (--container), which is not read")
    mounted = read.value("--uenv")
    if mounted is not None:
        runtimes.mounted(session, command, mounted, mounted.line)
    shifter = read.value("--image")
    if shifter is not None:
        session.need(command, "container=shifter", shifter.line, "--image is an option of Shifter's plugin")
        session.shifter["image"] = shifter.text
    name = read.value("--container-name")
    if name is not None:
        named(session, command, name, image is not None)
    return any((image, edf, bundle, name))


def named(session: Session, command: Command, word: Word, makes: bool) -> None:
    """pyxis' `--container-name=NAME`; ``makes``: of an image that is given, else it was made before. ":exec" and the
    like behind the name are no part of it. Source: pyxis' README."""
    name = word.text.partition(":")[0]
    if makes:
        session.containers.add(name)
    else:
        containers.named(session, command, word, name)


def _parts(command: Command) -> list[list[Word]]:
    """Return the words behind a starter, once for each of the commands that stand between colons."""
    parts: list[list[Word]] = [[]]
    for word in command.words[1:]:
        if word.text == ":":
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


@cache
def _srun_valued() -> frozenset[str]:
    """Return the options of srun that take a value; those that it shares with sbatch are in sbatch's table."""
    rows = [row for row in (*ROWS.values(), *PLUGIN_ROWS.values()) if row.takes == "value"]
    letters = {f"-{row.short}" for row in rows if row.short} - {"-W"}
    return _SRUN_ONLY | {f"--{row.name}" for row in rows} - {"--wait"} | letters | {"-W", "--wait"}


def mpirun(session: Session, command: Command) -> None:
    """`mpirun … COMMAND : … COMMAND`: noted. Options of two values (-genv A B) are known, of one as well."""
    word = command.words[0]
    session.collector.note(word.line, f"starts MPI processes with {word.name}")
    for words in _parts(command):
        vague = False
        while words and (words[0].text.startswith("-") or words[0].vague or _NO_PROGRAM.fullmatch(words[0].text)):
            text = words[0].text
            if text in _MPI_FILES:
                session.collector.unread(word.line, f"the programs that a file of {word.name} names ({text})")
            if text.partition("=")[0] in _MPI_DIRECTORY:
                command = command._replace(cwd=None)
            if words[0].vague:  # options, or the program with them
                session.unresolved(command, word.line)
                vague = True
            pair = text in _MPI_PAIRS and not (len(words) > 1 and "=" in words[1].text)  # Hydra takes -genv A=B too
            del words[: 3 if pair else 2 if text in _MPI_PAIRS or text in _MPI_VALUED else 1]
        rest = command.rest(words)
        if rest is not None:
            session.run(rest._replace(doubt=rest.doubt or UNCLEAR) if vague else rest)


def charmrun(session: Session, command: Command) -> Command | None:
    """`charmrun ++local +p4 COMMAND`. Source: the Charm++ manual, "Launching Programs with charmrun"."""
    words = list(command.words[1:])
    while words and words[0].text.startswith(("+", "-")):
        del words[: 2 if words[0].text in _CHARM_VALUED else 1]
    if words and words[0].vague:
        session.unresolved(command, words[0].line)
        return None
    return command.rest(words)


def after(valued: str, operands: int = 0, clusters: bool = True) -> Callable[[Session, Command], Command | None]:
    """Return a reader for a program whose command follows its options and a number of other words."""
    known = frozenset(valued.split())

    def read(session: Session, command: Command) -> Command | None:
        found = arguments(command.words[1:], known, clusters)
        if found.clear:
            return command.rest(found.rest[operands:])
        session.unresolved(command, command.words[0].line)
        return None

    return read


def env(session: Session, command: Command) -> Command | None:
    """`env -u NAME NAME=value COMMAND`; `env -S TEXT` is read as a line of its own."""
    read = arguments(command.words[1:], frozenset(("-u", "--unset", "-C", "--chdir", "-S", "--split-string")))
    text = read.value("-S", "--split-string")
    if not read.clear or text is not None:
        session.unresolved(command, command.words[0].line)
        return None
    rest = list(read.rest)
    while rest and re.match(r"[A-Za-z_]\w*=", rest[0].text):
        del rest[0]
    if read.has("-C", "--chdir"):
        command = command._replace(cwd=None)
    return command.rest(rest)


def command_builtin(session: Session, command: Command) -> Command | None:
    """`command NAME …`; with -v and -V it only asks for it."""
    read = arguments(command.words[1:], frozenset())
    if read.has("-v", "-V", "-pv", "-pV"):
        return None
    if not read.clear:
        session.unresolved(command, command.words[0].line)
        return None
    return command.rest(read.rest)


def trap(session: Session, command: Command) -> None:
    """`trap TEXT SIGNAL`: the text is read as commands that may not run."""
    words = [word for word in command.words[1:] if not word.text.startswith("-")]
    if len(words) > 1:
        changed = session.script(command._replace(doubt=command.doubt or "stands in a trap"), words[0])
        session.changed(changed, whenever=True)


def taskset(session: Session, command: Command) -> Command | None:
    """`taskset MASK COMMAND`, `taskset -c LIST COMMAND`; with -p it starts nothing."""
    read = arguments(command.words[1:], frozenset())
    if not read.clear:
        session.unresolved(command, command.words[0].line)
        return None
    return None if read.has("-p", "--pid") else command.rest(read.rest[1:])


LAUNCHERS: dict[str, Callable[[Session, Command], Command | None]] = {
    **dict.fromkeys(_SHELLS, shell),
    "srun": srun,
    **dict.fromkeys(_MPI, mpirun),
    "env": env,
    "nice": after("-n --adjustment"),  # `nice -5 COMMAND` is an option too
    "taskset": taskset,
    "time": after("-o --output -f --format"),
    "nohup": after(""),
    "exec": after("-a"),
    "command": command_builtin,
    "builtin": after(""),
    "trap": trap,
    "setsid": after(""),
    "ionice": after("-c -n -t --class --classdata"),
    "chrt": after("-T -P -D", 1),
    "sudo": after("-u -g -h -p -C -T -U -D --user --group"),
    "catchsegv": after(""),
    "unbuffer": after(""),
    "charmrun": charmrun,
    "horovodrun": after("-np --num-proc -H --hosts -hostfile --hostfile -p --ssh-port"),
    "tacc_affinity": after(""),
    "timeout": after("-s --signal -k --kill-after", 1),
    "stdbuf": after("-i -o -e --input --output --error"),
    "numactl": after(
        "-N --cpunodebind -m --membind -C --physcpubind -i --interleave -p --preferred --preferred-many -P "
        "--weighted-interleave -w --balancing"
    ),
}
