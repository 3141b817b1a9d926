"""Profilers, debuggers, displays, and xargs: programs that start the one that stands behind their options.

Sources: the user guides of Nsight Systems, Nsight Compute and Compute Sanitizer, nvprof's of CUDA 12; xargs(1),
valgrind(1), strace(1), ltrace(1), perf-stat(1), perf-record(1), gdb(1), xvfb-run(1), screen(1), systemd-run(1),
cgexec(1), tini(1), likwid-perfctr(1), the manuals of TAU, HPCToolkit and Linaro Forge.
"""

from __future__ import annotations

from collections.abc import Callable

from preflight.submit.infer import started, unknown
from preflight.submit.infer.launch import after
from preflight.submit.infer.model import Command
from preflight.submit.infer.session import Session
from preflight.submit.infer.words import HOLE, arguments, names

_SHELLS = ("sh", "bash", "dash", "ksh", "zsh")
# Options without a value; of the others it stands behind "=" or as the next word.
_ASKS = names("-h --help -v --version")
_NCU = _ASKS | names(
    "-f --force-overwrite --nvtx --csv --verbose --quiet --call-stack --disable-extra-suffixes --open-in-ui "
    "--disable-profiler-start-stop --null-stdin --list-sets --list-sections --list-rules --list-metrics "
    "--query-metrics --list-chips --support-32bit"
)
_NVPROF = _ASKS | names(
    "-f --force-overwrite --csv --quiet -q --print-gpu-trace --print-api-trace --print-gpu-summary --print-api-summary "
    "--print-summary --print-summary-per-gpu --print-nvlink-topology --print-pci-topology --analysis-metrics "
    "--profile-child-processes --profile-all-processes --dependency-analysis --query-events --query-metrics "
    "--annotate-mpi-rank"
)
_PERF = _ASKS | names(
    "-a --all-cpus -d -dd -ddd --detailed -g -q --quiet --verbose -n --null -s -S -R -T -W -b -N -A --no-aggr -B "
    "--big-num --no-big-num -i --no-inherit --per-core --per-socket --per-node --per-thread --append --metric-only "
    "--summary --no-merge"
)
_XARGS = names("-a --arg-file -d --delimiter -E -I -L -n --max-args -P --max-procs -s --max-chars --process-slot-var")
_PERHAPS = "is started by xargs for what it is given, perhaps for nothing"


def _tool(flags: frozenset[str], actions: frozenset[str] = frozenset()) -> Callable[[Session, Command], Command | None]:
    """Return a reader for a tool whose options all have a value, but ``flags``. ``actions``: the subcommands that start
    a program, none where there are no subcommands."""

    def read(session: Session, command: Command) -> Command | None:
        words = command.words[1:]
        if actions:
            if not words or words[0].text not in actions:
                return None
            words = words[1:]
        at = 0
        while at < len(words) and words[at].text.startswith("-") and words[at].text != "--":
            text = words[at].text
            if text in _ASKS:
                return None
            valued = "=" not in text and text not in flags
            if valued:  # of an option that is not known it may be the program
                started.among(session, command, words[at + 1 : at + 2], command.words[0].name)
            at += 2 if valued else 1
        words = words[at + 1 :] if at < len(words) and words[at].text == "--" else words[at:]
        if words and words[0].vague:
            session.unresolved(command, words[0].line)
        return command.rest(words)

    return read


def xargs(session: Session, command: Command) -> Command | None:
    """`… | xargs COMMAND`: how often it runs, and with what, is known when the job runs."""
    read = arguments(command.words[1:], _XARGS)
    if not read.clear:
        session.unresolved(command, command.words[0].line)
        return None
    if not read.rest:
        return None
    mark = read.value("-I")
    rest = [word._replace(text=word.text.replace(mark.text, HOLE)) if mark else word for word in read.rest]
    if rest[0].name in _SHELLS and all(word.text.startswith("-") and "c" not in word.text for word in rest[1:]):
        session.collector.unread(rest[0].line, f"the scripts that xargs gives to {rest[0].name}")
        session.changes(rest[0].name, rest[0].line)
        return None
    return command._replace(words=tuple(rest), doubt=command.doubt or _PERHAPS)


def gdb(session: Session, command: Command) -> Command | None:
    """`gdb OPTIONS --args COMMAND`; without --args its words are a program and a core file."""
    words = command.words[1:]
    at = next((at for at, word in enumerate(words) if word.text in ("--args", "-args")), None)
    if at is None:
        started.among(session, command, words, command.words[0].name)
        return None
    return command.rest([word for word in words[at + 1 :] if word.text != "--"])


WRAPPERS: dict[str, Callable[[Session, Command], Command | None]] = {
    "nsys": unknown.acts(_tool(_ASKS, names("profile launch"))),
    **dict.fromkeys(("ncu", "nv-nsight-cu-cli"), _tool(_NCU)),
    **dict.fromkeys(("compute-sanitizer", "cuda-memcheck"), _tool(_ASKS)),
    "nvprof": _tool(_NVPROF),
    "perf": unknown.acts(_tool(_PERF, names("stat record trace mem"))),
    **dict.fromkeys(("gdb", "cuda-gdb"), gdb),
    **dict.fromkeys(("valgrind", "tini", "dumb-init"), after("")),
    **dict.fromkeys(("strace", "ltrace"), after("-a -b -E -e -I -l -n -O -o -p -P -s -S -u -U -x -X")),
    "hpcrun": after("-e --event -t --trace-option -o --output -c --count -f --process-fraction"),
    "tau_exec": after("-T"),
    "likwid-perfctr": after("-C -c -g -t -T -o -O -s -S -V"),
    "likwid-pin": after("-c -s -d"),
    "likwid-mpirun": after("-n -np -nperdomain -pin -g -mpi -hostfile -omp -t -s -o", clusters=False),
    **dict.fromkeys(("map", "ddt", "forge", "perf-report"), after("-n --np --output -o --processes")),
    "xvfb-run": after("-e --error-file -f --auth-file -n --server-num -p --xauth-protocol -s --server-args -w --wait"),
    "screen": after("-c -e -h -p -s -S -t -T"),
    "systemd-run": after(
        "-p --property -u --unit -M --machine -H --host --slice -E --setenv --working-directory --uid --gid --nice"
    ),
    "cgexec": after("-g"),
    "xargs": xargs,
    "sbcast": started.sbcast,
}
