"""A job that ended otherwise than it should: by its exit code, its files, or its memory."""

from __future__ import annotations

from preflight.slurm.accounting import Memory
from preflight.slurm.job_asks import Files
from preflight.submit.why.case import Case
from preflight.submit.why.model import Explanation, Step
from preflight.submit.why.words import exit_words, killed, listed, no_files, slurmd_words

_SHOWN_MIB = 1024
_LAUNCH_S = 300  # seconds within which a launch has failed


def not_started(case: Case) -> Explanation | None:
    """Return the explanation of a job that slurmd could not start; None for one that ran."""
    job, files = case.job, case.evidence.more.asks.files
    did = slurmd_words(job.exit_code)
    ran = (job.end or 0) - (job.start or job.end or 0)
    if not did or job.state not in ("FAILED", "CANCELLED") or ran > _LAUNCH_S:  # a program may raise that signal, too
        return None
    on = job.nodes or "its node"
    at = f" at {case.at(job.end)}" if job.end else ""
    number = exit_words(job.exit_code).rpartition(" ")[2]
    sentence = f"{case.head} did not run: {on} {did}{at} (Slurm's error {number}, shown as {job.exit_code})."
    if no_files(job.exit_code):
        named = _named(files)
        if named:
            sentence = (
                f"{case.head} did not run: {on} could not open {named}{at} (Slurm shows {job.exit_code}). Its "
                "directory has to be there, on the node, and you must be allowed to write in it."
            )
        again = Step(
            "Make the directory, or name another place, and submit it again:", ("sbatch --output=PATH SCRIPT",)
        )
        return Explanation(case.label, "failed", sentence + case.earlier(), "files", steps=(again,))
    steps = (Step("The node may be at fault: submit it again without it, and tell the admins:",
                  (f"sbatch -x {job.nodes or 'NODE'} SCRIPT",)),
             Step("slurmd's log on the node says more; what Slurm knows of the node:",
                  (f"scontrol show node {job.nodes}".rstrip(),), "admin"))  # fmt: skip
    return Explanation(case.label, "failed", sentence + case.earlier(), "not-started", steps=steps)


def _named(files: Files) -> str:
    """Return "its output file /x", "one of its output file /x and its input file /y", "" where none is known."""
    named = zip(("output", "error", "input"), files[:3])
    given = [f"its {name} file {path}" for name, path in named if path]
    if not given and files.directory:
        return f"its output, error or input file, in {files.directory} unless its script names another place"
    return f"one of {listed(given)}" if len(given) > 1 else "".join(given)


def memory_words(memory: Memory) -> str:
    """Return "it asked for 30M and used at least 209M", "" where neither is known."""
    asked = f"it asked for {_size(memory.asked)}" if memory.asked else ""
    used = f"used at least {_size(memory.used)}" if memory.used else ""
    return f"{asked} and {used}" if asked and used else asked or (f"it {used}" if used else "")


def _size(mebibytes: float) -> str:
    return f"{mebibytes:.0f}M" if mebibytes < _SHOWN_MIB else f"{mebibytes / 1024:.1f}G"


def beyond(memory: Memory) -> bool:
    """Return whether what a job used is known to be about as much as it asked for, or more."""
    return bool(memory.asked and memory.used and memory.used > 0.95 * memory.asked)


def maybe_memory(case: Case) -> tuple[str, tuple[Step, ...]]:
    """Return what to say of a job that was killed: it may have been for memory; ("", ()) for others."""
    more = case.evidence.more
    if not killed(case.job.exit_code, more.lowered):
        return "", ()
    figures = memory_words(more.memory)
    means = f"; {figures}" if figures else ""
    if beyond(more.memory):
        sentence = f" It was killed, in all likelihood for its memory{means}."
    else:
        sentence = f" Who was killed so may have been for memory (SIGKILL){means}."
    return sentence, memory_steps(case)


def memory_steps(case: Case) -> tuple[Step, ...]:
    """Return how to ask for more memory, and where accounting shows what was used."""
    used = case.evidence.more.memory.used
    most = max(used or 0.0, case.evidence.more.memory.asked or 0.0)
    amount = f"{int(most * 1.5 + 1)}M" if used else "…"
    return (
        Step("Ask for more memory and submit it again:", (f"sbatch --mem={amount} SCRIPT",)),
        Step("What each step used, where accounting is on (the greatest, not what was needed):",
             (f"sacct -j {case.label} -o JobID,MaxRSS,ReqMem,State",)),
    )  # fmt: skip
