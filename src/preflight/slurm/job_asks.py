"""What a job asks of the scheduler beyond `JobInfo`: its account and QOS, its size, its time, its files.

Only `preflight why` reads it, and only where an answer needs it.
"""

from __future__ import annotations

import re

from preflight.digits import is_whole
from preflight.slurm.commands import Slurm
from preflight.slurm.fields import ask, value
from preflight.tuples import NamedTuple

FIELDS = (
    "JobID", "Account", "QOS", "TimeLimit", "NumNodes", "NumTasks", "tres-alloc", "Licenses", "STDOUT", "STDERR",
    "STDIN", "WorkDir", "JobArrayID", "UserName",
)  # fmt: skip
_UNITS = {"": 1, "K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2, "P": 1024**3}
_SIZE = re.compile(r"([0-9.]+)([KMGTP]?)")
_DEFAULT_INPUT = "/dev/null"


class Files(NamedTuple):
    """Where a batch job writes and reads, "" where that is not known; absolute, %j and the like filled in.

    ``directory``: where relative names are, where nothing else is known.
    """

    output: str = ""
    error: str = ""
    input: str = ""
    directory: str = ""


class Asks(NamedTuple):
    """What a job asks. ``time_limit`` as Slurm writes it ("1-12:00:00", "30:00", "UNLIMITED").

    ``tres``: what it asks for in all, by Slurm's names ("cpu", "node", "gres/gpu"); memory ("mem") in MiB.
    """

    account: str = ""
    qos: str = ""
    time_limit: str = ""
    nodes: int = 1
    tasks: int = 1
    tres: dict[str, float] = {}  # noqa: RUF012 - a default, never written
    licenses: str = ""
    files: Files = Files()
    user: str = ""


def asks(slurm: Slurm, number: int) -> Asks | None:
    """Return what one job in the queue asks; None where squeue shows no such job. Raises SlurmError."""
    for row in ask(slurm, "squeue", ("-a", "-t", "all", "-j", str(number)), FIELDS):
        one = dict(zip(FIELDS, row))
        if one["JobID"].strip() == str(number):
            return _asks(one)
    return None


def _asks(one: dict[str, str]) -> Asks:
    files = files_of(
        one["STDOUT"], one["STDERR"], one["STDIN"], one["WorkDir"], value(one["JobArrayID"]), one["JobID"].strip(),
        value(one["UserName"]),
    )  # fmt: skip
    return Asks(
        value(one["Account"]),
        value(one["QOS"]),
        value(one["TimeLimit"]),
        _count(one["NumNodes"]),
        _count(one["NumTasks"]),
        tres(value(one["tres-alloc"])),
        value(one["Licenses"]),
        files,
        value(one["UserName"]),
    )


def files_of(output: str, error: str, source: str, directory: str, array: str, number: str, user: str) -> Files:
    """Return the job's files from what Slurm has of them: relative and with patterns on 26.05, absolute before."""
    out = _path(output, directory, array, number, user)
    errors = _path(error, directory, array, number, user)
    stdin = _path(source, directory, array, number, user)
    return Files(out, errors if errors != out else "", stdin if stdin != _DEFAULT_INPUT else "")


def _path(text: str, directory: str, array: str, number: str, user: str) -> str:
    path = value(text)
    if not path:
        return ""
    first, _, task = array.partition("_")
    known = {"%j": number, "%J": number, "%u": user, "%%": "%"}
    if is_whole(task):
        known |= {"%A": first, "%a": task}
    path = re.sub(r"%.", lambda mark: known.get(mark.group(), mark.group()), path)
    return path if path.startswith("/") or not value(directory) else f"{value(directory).rstrip('/')}/{path}"


def tres(text: str) -> dict[str, float]:
    """Return {"cpu": 4, "mem": 64, "gres/gpu": 2} of "cpu=4,mem=64M,gres/gpu=2"; memory in MiB."""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, amount = part.partition("=")
        size = _SIZE.fullmatch(amount.strip())
        if name and size:
            found[name.strip()] = float(size[1]) * (_UNITS[size[2]] if name.strip() == "mem" else 1)
    return found


def _count(text: str) -> int:
    digits = text.strip().partition("-")[0]
    return max(1, int(digits)) if is_whole(digits) else 1  # "N/A" tasks of one that waits
