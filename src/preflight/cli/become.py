"""Becoming sbatch: the same process, with the script that was read from stdin back on it."""

import os
import shutil
import signal
import sys
from collections.abc import Sequence

from preflight.slurm.commands import SlurmError, find
from preflight.submit.script_file import LIMIT, decode

_WRAPPER = b"preflight sbatch"


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
    import tempfile

    made = os.memfd_create("script") if hasattr(os, "memfd_create") else None
    with open(made, "w+b") if made is not None else tempfile.TemporaryFile() as kept:
        with open(0, "rb", closefd=False) as given:
            shutil.copyfileobj(given, kept)
        kept.flush()
        kept.seek(0)
        os.dup2(kept.fileno(), 0)


def become(words: Sequence[str]) -> int:
    """Exec sbatch with ``words``; returns 2, with one line said, only where that cannot be."""
    if os.name != "posix":
        sys.stderr.write("preflight: sbatch runs on a Slurm cluster's hosts only: log in to one to submit\n")
        return 2
    try:
        path = real_sbatch(os.environ.get("PATH", os.defpath))
        sys.stdout.flush()
        sys.stderr.flush()
        for name in ("SIGPIPE", "SIGXFSZ"):  # Python ignores them, and sbatch would inherit that
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        os.execv(path, ["sbatch", *words])
    except (SlurmError, OSError) as error:
        sys.stderr.write(f"preflight: sbatch cannot be run: {error}\n")
    return 2


def real_sbatch(path: str) -> str:
    """Return the sbatch that a shell would run, but for a script that calls `preflight sbatch` itself.

    Where PATH has none, the usual places of Slurm's commands are looked at. Raises SlurmError.
    """
    for directory in filter(None, path.split(os.pathsep)):
        found = shutil.which("sbatch", path=directory)
        if found and not _calls_us(found):
            return found
    return find("", "sbatch")


def _calls_us(program: str) -> bool:
    try:
        with open(program, "rb") as file:
            beginning = file.read(1 << 16)
    except OSError:
        return False
    return beginning.startswith(b"#!") and _WRAPPER in beginning
