"""Commands that no rule knows: one that cannot be told is unread, and so is one that may start what a rule knows."""

from __future__ import annotations

import re
from collections.abc import Callable

from preflight.submit.infer import compat, setup, shellfiles
from preflight.submit.infer.directory import joined
from preflight.submit.infer.model import Command
from preflight.submit.infer.programs import SILENT, STARTED
from preflight.submit.infer.session import Session
from preflight.submit.infer.words import HOLE, WIDE, Word, names

_TOKEN = re.compile(rf"(?:^|[\s;&|(/])({'|'.join(sorted(map(re.escape, STARTED), key=len, reverse=True))})\s")
_PROGRAMS = re.compile(r"python[\d.]*|perl|Rscript|R|julia|awk|matlab|java|node")
_SHELLS = ("sh", "bash", "dash", "ksh", "zsh", "csh", "tcsh")
# Programs of sites around a runtime: singularity_wrapper, apptainer-run.
_AROUND = names("apptainer singularity docker podman enroot shifter sarus charliecloud container")
_PARTS = re.compile(r"[-_.]")
_SCRIPT = re.compile(r".*\.(?:sh|bash|zsh|ksh|csh|slurm|sbatch|job)")


def script_file(session: Session, command: Command, word: Word) -> None:
    """A shell script of its own that a command runs: what it does is not read, but for what libraries it brings."""
    path = joined(command.cwd, word.text) if word.known and not command.inside else None
    text = None if path is None else shellfiles.read(session.files, path)
    if text is not None:
        compat.sourced(session, text)
    session.collector.unread(word.line, f"{shown(word)} is another script, which is not read")
    session.changes(shown(word), word.line)


def shown(word: Word) -> str:
    """Return a word for a message, what is not known of it as an ellipsis."""
    return re.sub(f"[{HOLE}{WIDE}]+", "…", word.text)[:80]


def explain(session: Session, command: Command) -> bool:
    """Say why a command that no rule knows is unread; False where nothing speaks for that."""
    word = command.words[0]
    name = word.name
    if name in session.aliases:
        session.collector.unread(word.line, f"{name} is an alias, which is not read")
    elif not name and word.text:
        if not word.known and not setup.evaluated(session.collector.line(word.line)):
            session.collector.unread(word.line, "which command this is comes of what is computed when the job runs")
    elif _SCRIPT.fullmatch(name):
        script_file(session, command, word)
    elif len(command.words) > 1 and not _AROUND.isdisjoint(_PARTS.split(name)):
        session.collector.unread(
            word.line, f"which container {name} starts is not known: it is no runtime's own program"
        )
    elif name not in SILENT and (started := _started(name, command.words[1:])):
        session.collector.unread(word.line, f"{name} may start {started}, which is not read behind it")
    else:
        return False
    return True


def _started(name: str, words: tuple[Word, ...]) -> str:
    """Return what a command may start by its later words, as words of their own or in one text; "" for nothing."""
    for word in words:
        if word.name in STARTED or (word.name in _SHELLS and not _PROGRAMS.fullmatch(name)):
            return word.name
        found = None if _PROGRAMS.fullmatch(name) else _TOKEN.search(word.text)
        if found:
            return found[1]
        if word.text.startswith("--container-image"):
            return "a container"
        if _SCRIPT.fullmatch(word.name) and "/" in word.text and not word.text.startswith("-"):
            return f"the script {shown(word)}"
    return ""


def acts(rule: Callable[[Session, Command], Command | None]) -> Callable[[Session, Command], Command | None]:
    """Return the rule of a tool with subcommands that also says where that is computed when the job runs."""

    def read(session: Session, command: Command) -> Command | None:
        before = command.words[0]
        for word in command.words[1:]:
            # What follows an option may be its value.
            if not word.text.startswith("-") and (before is command.words[0] or not before.text.startswith("-")):
                if not word.known:
                    session.unresolved(command, word.line)
                break
            before = word
        return rule(session, command)

    return read
