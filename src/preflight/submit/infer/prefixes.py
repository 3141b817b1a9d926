"""A Python environment at a path, as a line of the script names it: what it asks is told."""

from __future__ import annotations

from preflight.submit.infer import compat, environments, uses
from preflight.submit.infer.model import Active, Command
from preflight.submit.infer.session import Session


def use(session: Session, command: Command, prefix: str | None, line: int, what: str) -> None:
    """Look at the environment at ``prefix``, None where that cannot be told. Only a job with GPUs needs its CUDA."""
    if prefix in environments.SYSTEM:
        return
    gpus = session.seeks_gpus(command, line)
    if prefix is None:
        not_read(session, line, f"{what}: which directory that is depends on where the job is then", gpus)
        return
    try:
        if "\0" in prefix or not session.files.is_dir(prefix):
            not_read(session, line, f"{what}: there is no environment at {prefix}", gpus)
            return
        compat.look(session, prefix)
        found = environments.cuda(session.files, prefix) if gpus else None
    except OSError as error:
        not_read(session, line, f"{what}: {error.filename or prefix} was not read: {error.strerror}", gpus)
        return
    session.uses.looked.add((prefix, command.groups))
    if found:
        basis = uses.TORCH if found.torch else ""
        uses.need(session, command, prefix, f"cuda>={found.version}", line, found.why, basis)
    from preflight.submit.infer import code  # for the few scripts that have one

    code.environment(session, command, prefix, line, gpus)
    below = environments.base(session.files, prefix)
    if gpus and below is not None and not (found and found.torch):
        whose = below or "its python"
        not_read(session, line, f"{what}: it uses the packages of {whose} too, which are not read", gpus)


def not_read(session: Session, line: int, why: str, gpus: bool) -> None:
    """Say that an environment was not read; without GPUs little of it is of account."""
    if gpus:
        session.collector.unread(line, why)


def unresolved(session: Session, command: Command, line: int) -> None:
    if session.seeks_gpus(command, line):
        session.unresolved(command, line)


def again(session: Session, command: Command) -> Active | None:
    """Return the environment of a program by its bare name; look at one that no line of the script has named."""
    active = uses.in_force(session, command) if not command.inside else None
    looked = {prefix for prefix, _ in session.uses.looked}
    if active is not None and active.prefix and not active.sure and active.prefix not in looked:
        word = command.words[0]
        use(session, command, active.prefix, word.line, f"{word.name} of {active.prefix}")
    return active
