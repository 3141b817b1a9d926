"""Which tasks of an array, or components of a heterogeneous job, the queue holds: enough to group them by."""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.slurm.commands import Slurm, SlurmError, lines
from preflight.slurm.models import address
from preflight.tuples import NamedTuple

FORMAT = "%A %F %K %Q %T %i %r"  # the reason last: it has blanks


class Member(NamedTuple):
    """One row of squeue: ``name`` is how the job is written ("12", "12_3", "12+1"), ``id`` its own number."""

    id: int
    name: str
    array_job_id: int | None
    task: int | None
    offset: int | None
    state: str
    priority: int
    reason: str


def members(slurm: Slurm, number: int) -> list[Member]:
    """Return all that the queue has under a job's number, [] where it knows none; raises SlurmError.

    An array's number gives all of its tasks, a task's own number that task, a leader's number all components.
    """
    try:
        out = slurm.run("squeue", "-h", "-r", "-a", "-t", "all", "-j", str(number), "-o", FORMAT)
    except SlurmError as error:
        if "invalid job id" in str(error).lower():
            return []
        raise
    return [_member(line) for line in lines(out)]


def _member(line: str) -> Member:
    parts = line.split(" ", 6)
    if len(parts) != 7 or not is_whole(parts[0]) or not is_whole(parts[3]):
        raise SlurmError(f"squeue said {line[:40]!r} where a job should be")
    number, array, task, priority, state, shown, reason = parts
    leader, plus, offset = shown.partition("+")
    in_array, in_het = is_whole(array) and is_whole(task), bool(plus) and is_whole(leader) and is_whole(offset)
    name = shown if in_het else address(int(number), int(array), int(task)) if in_array else number
    return Member(
        int(number),
        name,
        int(array) if in_array else None,
        int(task) if in_array else None,
        int(offset) if in_het else None,
        state,
        int(priority),
        reason,
    )
