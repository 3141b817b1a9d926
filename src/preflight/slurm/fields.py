"""Fields of many jobs or nodes in one command, whatever text stands in them.

``-O FIELD:0SUFFIX`` prints a field whole and without padding, then the suffix (seen on 22.05, 24.11 and 26.05). The
suffix is new and random for each command, so nothing that a user or an admin wrote can hold it.
"""

from __future__ import annotations

import os

from preflight.slurm.commands import Slurm, SlurmError

NOTHING = ("", "(null)", "N/A", "n/a", "none", "None assigned")


def ask(slurm: Slurm, command: str, arguments: tuple[str, ...], fields: tuple[str, ...]) -> list[list[str]]:
    """Return the rows that ``command`` (squeue or sinfo) prints, each a list of the values of ``fields`` as printed.

    Raises SlurmError where the command fails, does not know a field, or printed more than ``slurm.limit`` bytes.
    """
    mark = f"|{os.urandom(8).hex()}|"
    asked = ",".join(f"{field}:0{mark}" for field in fields)
    out, errors = slurm.both(command, "-h", *arguments, "-O", asked)
    if "Invalid job format" in errors or "Invalid node format" in errors:
        raise SlurmError(f"{command}: {errors.strip().splitlines()[-1]}")
    values = out.split(mark)
    rows, left = divmod(len(values) - 1, len(fields))
    if left or values[-1].strip():
        raise SlurmError(f"{command} printed rows that are not whole ({len(out)} characters)")
    return [
        [values[first].removeprefix("\n"), *values[first + 1 : first + len(fields)]]
        for first in range(0, rows * len(fields), len(fields))
    ]


def value(text: str) -> str:
    """Return a field without the blanks around it; "" where it says that there is none."""
    stripped = text.strip()
    return "" if stripped in NOTHING else stripped


def words(text: str) -> tuple[str, ...]:
    """Return the parts of a list with commas."""
    stripped = value(text)
    return tuple(stripped.split(",")) if stripped else ()


def hosts(text: str) -> list[str]:
    """Return the hosts of a host list as sinfo prints it, sorted as text, each once.

    Raises SlurmError where it is none.
    """
    from preflight.hostlist import HostlistError, names

    try:
        return sorted(names(text))
    except HostlistError as error:
        raise SlurmError(f"sinfo gave {text[:60]!r} for nodes: {error}") from error
