"""What users call a job by ("12", "12_3" of an array, "12+1" of a heterogeneous job), and which job that is."""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.slurm.commands import SlurmError
from preflight.slurm.models import JobInfo


def parts(text: str) -> tuple[int, str, int | None]:
    """Return a job id's number, "_", "+" or "", and what follows; raises SlurmError for anything else."""
    sign = "_" if "_" in text else "+" if "+" in text else ""
    number, _, part = text.partition(sign) if sign else (text, "", "0")
    if not all(is_whole(one, 11) for one in (number, part)):
        raise SlurmError(f"{text[:40]!r} is no job id: give one as 12, 12_3 (of an array) or 12+1 (heterogeneous)")
    return int(number), sign, int(part) if sign else None


def pick(found: list[JobInfo], text: str) -> JobInfo:
    """Return the job that ``text`` names; raises SlurmError where it is not among those ``found``.

    The number of an array is its tasks that wait together, where there are any, else one of its tasks.
    """
    number, sign, _ = parts(text)
    same = [one for one in found if one.is_called(text)]
    if not same and not sign:
        same = [one for one in found if number in (one.array_job_id, one.het_job_id)]
    if not same:
        raise SlurmError(f"job {text} is not in the queue (a job that ended is forgotten after MinJobAge)")
    return same[0]
