"""One job as fields of squeue, for releases whose JSON does not have all of it."""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.slurm.commands import Slurm, SlurmError, lines
from preflight.slurm.fields import ask, value
from preflight.slurm.models import JobInfo, address

FIELDS = (
    "JobID", "Name", "ArrayJobID", "ArrayTaskID", "HetJobID", "HetJobOffset", "UserName", "UserID", "Partition",
    "State", "Reason", "PriorityLong", "Requeue", "BatchFlag", "RestartCnt", "NodeList", "NumNodes", "ReqNodes",
    "Feature", "Prefer", "Comment", "admin_comment", "tres-per-node", "SubmitTime", "EligibleTime", "StartTime",
    "EndTime", "exit_code", "Dependency", "Reservation",
)  # fmt: skip
EPOCH = "%s"  # strftime's: seconds since the epoch


def jobs(slurm: Slurm, arguments: tuple[str, ...]) -> list[JobInfo]:
    """Return the jobs that squeue lists with ``arguments``; raises SlurmError."""
    found = [job_of(row) for row in ask(slurm._replace(time_format=EPOCH), "squeue", arguments, FIELDS)]
    # 22.05 has the excluded nodes only as a letter; a host list holds no blanks.
    rows = lines(slurm.run("squeue", "-h", *arguments, "-o", "%A %K %x"))
    parts = [row.split(" ", 2) for row in rows]
    excluded = {(one[0], one[1]): one[2] for one in parts if len(one) == 3}
    return [one._replace(excluded=value(excluded.get((str(one.id), _task(one)), ""))) for one in found]


def _task(one: JobInfo) -> str:
    """Return a job's place in its array as squeue's %K prints it."""
    return one.array_tasks or ("N/A" if one.array_task_id is None else str(one.array_task_id))


def job_of(row: list[str]) -> JobInfo:
    """Return the job of one row, whose times are seconds since the epoch."""
    one = dict(zip(FIELDS, row))
    text = {key: value(one[key]) for key in FIELDS}
    number = _number(one["JobID"])
    task = text["ArrayTaskID"]
    task_id = int(task) if is_whole(task) else None
    array, het = _or_none(one["ArrayJobID"]) if task else None, _or_none(one["HetJobID"])
    return JobInfo(
        id=number,
        name=address(number, array, task_id),
        job_name=one["Name"],
        array_job_id=array,
        array_task_id=task_id,
        array_tasks=task.strip("[]") if task_id is None else "",
        het_job_id=het,
        het_offset=_number(one["HetJobOffset"]) if het else None,
        user=text["UserName"],
        uid=_number(one["UserID"]),
        partition=text["Partition"],
        state=text["State"],
        reason=one["Reason"].strip(),
        priority=_number(one["PriorityLong"]),
        requeue=_flag(one["Requeue"]),
        batch=_flag(one["BatchFlag"]),
        restarts=_number(one["RestartCnt"]),
        nodes=text["NodeList"],
        num_nodes=_number(one["NumNodes"].partition("-")[0]),
        required=text["ReqNodes"],
        excluded="",
        features=text["Feature"],
        prefer=text["Prefer"],
        extra="",
        comment=_free(one["Comment"]),
        admin_comment=_free(one["admin_comment"]),
        gres=text["tres-per-node"].replace("gres:", "gres/"),
        submit=_or_none(one["SubmitTime"]),
        eligible=_or_none(one["EligibleTime"]),
        start=_or_none(one["StartTime"]),
        end=_or_none(one["EndTime"]),
        exit_code=_exit_code(one["exit_code"].strip()),
        dependency=text["Dependency"],
        reservation=text["Reservation"],
    )


def _free(text: str) -> str:
    """Return text that a user wrote, blanks and all."""
    return "" if text == "(null)" else text


def _number(text: str) -> int:
    digits = text.strip()
    if not is_whole(digits):
        raise SlurmError(f"squeue said {digits[:20]!r} where a number should be")
    return int(digits)


def _or_none(text: str) -> int | None:
    """Return a number or a time; a job that was requeued, or has no time limit, has its end as "NONE"."""
    return _number(text) or None if value(text) and text.strip() != "NONE" else None


def _flag(text: str) -> bool:
    return _number(text) != 0


def _exit_code(text: str) -> str:
    """Return "CODE:SIGNAL"; before 24.11 squeue prints the wait status itself (1792 for an exit with 7)."""
    if ":" in text:
        return text
    status = _number(text)
    return f"{status >> 8 & 255}:{status & 127}"
