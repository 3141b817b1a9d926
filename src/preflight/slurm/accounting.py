"""What Slurm's accounting (sacct) keeps of a job that has left the queue. Sites may run without it."""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.slurm.commands import Slurm
from preflight.slurm.models import JobInfo, address
from preflight.tuples import NamedTuple

# None of them holds text that a user wrote.
FIELDS = (
    "JobIDRaw",
    "JobID",
    "User",
    "UID",
    "Partition",
    "State",
    "ExitCode",
    "NodeList",
    "NNodes",
    "Submit",
    "Start",
    "End",
)
_NOTHING = ("", "Unknown", "None", "None assigned")


class Past(NamedTuple):
    """A job as accounting has it, and the uid that cancelled it (None where nobody did)."""

    job: JobInfo
    ended_by: int | None


def past(slurm: Slurm, text: str) -> list[Past]:
    """Return what accounting knows of the job, array or task that ``text`` names, [] for nothing.

    Raises SlurmError where there is no accounting or it does not answer.
    """
    asked = slurm._replace(time_format="%s")
    out = asked.run("sacct", "-X", "-n", "-P", "-j", text, "-o", ",".join(FIELDS))
    rows = [line.split("|") for line in out.splitlines()]
    return [_past(dict(zip(FIELDS, row, strict=True))) for row in rows if len(row) == len(FIELDS) and is_whole(row[0])]


def _past(row: dict[str, str]) -> Past:
    number = int(row["JobIDRaw"])
    array, _, task = row["JobID"].partition("_")
    leader, _, offset = row["JobID"].partition("+")
    in_array, in_het = is_whole(array) and is_whole(task), is_whole(leader) and is_whole(offset)
    state, _, by = row["State"].partition(" by ")
    job = JobInfo(
        id=number,
        name=address(number, int(array), int(task)) if in_array else str(number),
        job_name="",
        array_job_id=int(array) if in_array else None,
        array_task_id=int(task) if in_array else None,
        array_tasks="",
        het_job_id=int(leader) if in_het else None,
        het_offset=int(offset) if in_het else None,
        user=row["User"],
        uid=int(row["UID"]) if is_whole(row["UID"]) else -1,
        partition=row["Partition"],
        state=state,
        reason="",
        priority=1,
        requeue=False,
        batch=False,
        restarts=0,
        nodes="" if row["NodeList"] in _NOTHING else row["NodeList"],
        num_nodes=int(row["NNodes"]) if is_whole(row["NNodes"]) else 0,
        required="",
        excluded="",
        features="",
        prefer="",
        extra="",
        comment="",
        admin_comment="",
        gres="",
        submit=_time(row["Submit"]),
        eligible=None,
        start=_time(row["Start"]),
        end=_time(row["End"]),
        exit_code=row["ExitCode"],
        dependency="",
        reservation="",
    )
    return Past(job, int(by) if is_whole(by) else None)


def _time(text: str) -> int | None:
    return int(text) if is_whole(text) else None
