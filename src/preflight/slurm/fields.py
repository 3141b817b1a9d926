"""Fields of many jobs or nodes in one command, whatever text stands in them.

``-O FIELD:0SUFFIX`` prints a field whole and without padding, then the suffix (seen on 22.05, 24.11 and 26.05). The
suffix is new and random for each command, so nothing that a user or an admin wrote can hold it.
"""

from __future__ import annotations

import os

from preflight.slurm.commands import Slurm, SlurmError

MOST_HOSTS = 1 << 17  # more than Slurm takes nodes; a list of more is left to the library
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
    """Return the hosts of a host list as sinfo prints it, sorted as text; the usual forms need no library.

    Raises SlurmError where it is none.
    """
    if "[" not in text:
        return [one for one in text.strip().split(",") if one]
    usual = _numbered(text.strip())
    if usual is not None:
        return usual
    from preflight.hostlist import HostlistError, names

    try:
        return sorted(names(text))
    except HostlistError as error:
        raise SlurmError(f"sinfo gave {text[:60]!r} for nodes: {error}") from error


def _numbered(text: str) -> list[str] | None:
    """Return the hosts of a list of one bracket, "gpu[01-04,7]", or None for any other.

    A cluster whose nodes differ gives thousands of rows, each with such a list; ClusterShell takes 60 us for one.
    """
    head, _, rest = text.partition("[")
    inside = rest.removesuffix("]")
    if inside == rest or "," in head or not text.isascii() or not inside.replace(",", "").replace("-", "").isdecimal():
        return None
    found: set[str] = set()
    for one in inside.split(","):
        first, dash, last = one.partition("-")
        if not (first.isdigit() and (last.isdigit() if dash else True)):
            return None
        width = len(first) if first[0] == "0" else 0
        if dash and (len(last) != width if width else last[0] == "0"):
            return None
        if dash and not 0 <= int(last) - int(first) <= MOST_HOSTS:
            return None
        found.update(f"{head}{number:0{width}}" for number in range(int(first), int(last or first) + 1))
    return sorted(found)
