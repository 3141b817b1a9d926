"""Finding, reading and checking the script itself, as sbatch does before it reads a line of it."""

from __future__ import annotations

import os

from preflight.submit.options import OptionError

# slurmctld's own limit (max_script_size of SchedulerParameters) where the site sets none.
LIMIT = 4 << 20
_LARGEST = 512 << 20  # sbatch reads no more


def find(name: str, path: str, cwd: str) -> str:
    """Return where the script is: beneath ``cwd``, else in a directory of ``path`` (the variable PATH).

    A name that begins with "." or "/" is not searched for; one that is nowhere is returned as in ``cwd``.
    """
    here = os.path.join(cwd, name)
    if name.startswith((".", "/")):
        return here
    for directory in (cwd, *filter(None, path.split(os.pathsep))):
        found = os.path.join(os.path.join(cwd, directory) if directory.startswith(".") else directory, name)
        if os.path.exists(found):
            return found
    return here


def is_anothers(path: str | None) -> bool:
    """Return whether we are root and the script is a user's: root must not follow the paths that stand in it."""
    if path is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return False
    try:
        return os.stat(path).st_uid != 0
    except OSError:
        return False


def load(path: str, notes: list[str]) -> str:
    """Return the text of the script at ``path``; of one that is larger than LIMIT the beginning, with a note.

    Raises OptionError where sbatch would refuse it.
    """
    try:
        # A FIFO is read by sbatch: whoever reads it first takes it away.
        if not os.path.isfile(path):
            raise OptionError(_not_a_file(path))
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            data = file.read(LIMIT)
    except OSError as error:
        raise OptionError(f"{path}: cannot be read: {error.strerror}") from error
    if size > _LARGEST:
        raise OptionError(f"{path}: larger than {_LARGEST >> 20} MiB: no batch script")
    if size > LIMIT:
        notes.append(f"{os.path.basename(path)}: larger than {LIMIT >> 20} MiB: only its beginning is read")
    text = decode(data)
    check(text, path)
    return text


def _not_a_file(path: str) -> str:
    if os.path.isdir(path):
        return f"{path}: a directory, not a script"
    if os.path.exists(path):
        return f"{path}: not a file, so it is left for sbatch to read"
    return f"{path}: no such script"


def decode(data: bytes) -> str:
    """Return the script's text; bytes that are no UTF-8 become surrogates, as in a file name."""
    return data.decode("utf-8", "surrogateescape")


def check(text: str, where: str) -> None:
    """Raise OptionError, one line with what to do, for a text that sbatch takes for no script."""
    if not text.strip(" \t\n\v\f\r"):
        raise OptionError(f"{where}: the script is empty")
    if not text.startswith("#!"):
        raise OptionError(f"{where}: no batch script: the first line must be #! and an interpreter, say #!/bin/bash")
    if "\0" in text:
        raise OptionError(f"{where}: a NUL byte in it: this is a program or a damaged file, not a script")
    if "\r\n" in text:
        raise OptionError(f"{where}: lines end as on Windows (CR LF): convert it with dos2unix")
