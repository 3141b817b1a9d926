"""Becoming sbatch: the same process, with the script that was read from stdin back on it."""

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from preflight.slurm import commands
from preflight.slurm.commands import SlurmError
from preflight.submit.script_file import LIMIT, decode

_WRAPPER = b"preflight sbatch"
_MARK = "PREFLIGHT_SBATCH"  # the process that became sbatch; a job that inherits it is another process


def stdin_script() -> str:
    """Return the script on stdin, of a larger one the first LIMIT bytes; stdin can be read from its beginning again.

    Raises OSError.
    """
    try:
        begun = os.lseek(0, 0, os.SEEK_CUR)
    except OSError:  # a pipe or a terminal: what is read is gone, so a file takes its place
        _keep_stdin()
        begun = 0
    data = b""
    while len(data) < LIMIT and (more := os.read(0, LIMIT - len(data))):
        data += more
    os.lseek(0, begun, os.SEEK_SET)
    return decode(data)


def _keep_stdin() -> None:
    """Read all of stdin into a file in memory, or a nameless one on disk, and put that in its place."""
    import shutil
    import tempfile

    made = os.memfd_create("script") if hasattr(os, "memfd_create") else None
    with open(made, "w+b") if made is not None else tempfile.TemporaryFile() as kept:
        with open(0, "rb", closefd=False) as given:
            shutil.copyfileobj(given, kept)
        kept.flush()
        kept.seek(0)
        os.dup2(kept.fileno(), 0)


def say(*lines: str) -> None:
    """Write lines to stderr, each after the program's name; where that is closed or full they are lost, no more."""
    with suppress(OSError, ValueError, AttributeError):  # a closed one is None
        sys.stderr.writelines(f"preflight: {line}\n" for line in lines)
        sys.stderr.flush()


def become(words: Sequence[str]) -> int:
    """Exec sbatch with ``words``; returns 2, with one line said, only where that cannot be."""
    if os.name != "posix":
        say("sbatch runs on a Slurm cluster's hosts only: log in to one to submit")
        return 2
    try:
        path = real_sbatch(os.environ.get("PATH", os.defpath))
        with suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()
        for name in ("SIGPIPE", "SIGXFSZ"):  # Python ignores them, and sbatch would inherit that
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        os.environ[_MARK] = str(os.getpid())
        os.execv(path, ["sbatch", *words])
    except (SlurmError, OSError) as error:
        say(f"sbatch cannot be run: {error}")
    return 2


def real_sbatch(path: str) -> str:
    """Return the sbatch that a shell would run, but for a script that calls `preflight sbatch` itself.

    Called by an sbatch that it became before, no script counts: it would come back for ever. Where PATH has none, the
    usual places of Slurm's commands are looked at. Raises SlurmError.
    """
    passed_over = _is_script if os.environ.get(_MARK) in (str(os.getpid()), str(os.getppid())) else _calls_us
    for directory in filter(None, [*path.split(os.pathsep), *commands.PLACES]):
        found = os.path.join(directory, "sbatch")
        if os.path.isfile(found) and os.access(found, os.X_OK) and not passed_over(found):
            return found
    raise SlurmError(f"sbatch not found in PATH, nor in {', '.join(commands.PLACES)}")


def _is_script(program: str) -> bool:
    return _beginning(program).startswith(b"#!")


def _calls_us(program: str) -> bool:
    beginning = _beginning(program)
    return beginning.startswith(b"#!") and _WRAPPER in beginning


def _beginning(program: str) -> bytes:
    try:
        with open(program, "rb") as file:
            return file.read(1 << 16)
    except OSError:
        return b""
