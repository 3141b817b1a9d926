"""What Slurm's accounting (sacct) keeps of a job that has left the queue. Sites may run without it."""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.slurm.commands import Slurm, SlurmError, lines
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
    "ReqMem",
    "MaxRSS",
)
SIGNALS = 65  # 125, of a job that was out of memory, is Slurm's own number
_NOTHING = ("", "Unknown", "None", "None assigned")
_UNITS = {"K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2}


class Memory(NamedTuple):
    """A job's memory in MiB, None where it is not known: ``asked`` in all, ``used`` at most by one of its tasks."""

    asked: float | None = None
    used: float | None = None


class Past(NamedTuple):
    """A job as accounting has it, the uid that cancelled it (None where nobody did), and its memory."""

    job: JobInfo
    ended_by: int | None
    memory: Memory = Memory()


class Run(NamedTuple):
    """An earlier run of a job that was requeued: how it ended ("NODE_FAIL", "PREEMPTED", "REQUEUED") and where."""

    state: str
    nodes: str


def past(slurm: Slurm, text: str) -> list[Past]:
    """Return what accounting knows of the job, array or task that ``text`` names, [] for nothing.

    Tasks that wait together are left out: the queue has them. Raises SlurmError where there is no accounting or it
    does not answer.
    """
    asked = slurm._replace(time_format="%s")
    out = asked.run("sacct", "-n", "-P", "-j", text, "-o", ",".join(FIELDS))
    split = [line.split("|") for line in lines(out)]
    rows = [dict(zip(FIELDS, line)) for line in split if len(line) == len(FIELDS)]
    used: dict[str, float] = {}
    for row in rows:
        size = mebibytes(row["MaxRSS"])
        if size is not None:
            number = row["JobIDRaw"].partition(".")[0]  # a step's: "42.batch"
            used[number] = max(size, used.get(number, 0.0))
    return [
        _past(row, used.get(row["JobIDRaw"])) for row in rows if is_whole(row["JobIDRaw"]) and "[" not in row["JobID"]
    ]


class Ending(NamedTuple):
    """How a job stands: its name (a user's text), "COMPLETED", "exit code 1", "signal 9" or "", seconds that it ran."""

    name: str
    state: str
    exit: str
    seconds: int | None


def ending(slurm: Slurm, text: str) -> Ending | None:
    """Return how the one job that ``text`` names stands: by accounting, else by the queue; None for none or several.

    Never raises: who asks shows it where it is known.
    """
    try:
        out = slurm.run("sacct", "-X", "-n", "-P", "-j", text, "-o", "State,ExitCode,ElapsedRaw,JobName")
        rows = [line.split("|", 3) for line in out.split("\n") if line.count("|") >= 3]
        if len(rows) == 1:
            state, code, elapsed, name = rows[0]
            status, _, signal = code.partition(":")
            ended = "" if status in ("", "0") else f"exit code {status}"
            if is_whole(signal) and 0 < int(signal) < SIGNALS:
                ended = f"signal {signal}"
            return Ending(name, state, ended, int(elapsed) if is_whole(elapsed) else None)
    except SlurmError:
        pass
    try:
        out = slurm.run("squeue", "-h", "-t", "all", "-j", text, "-o", "%T|%j")
    except SlurmError:
        return None
    rows = [line.split("|", 1) for line in out.split("\n") if "|" in line]
    return Ending(rows[0][1], rows[0][0], "", None) if len(rows) == 1 else None


def earlier_runs(slurm: Slurm, text: str) -> list[Run]:
    """Return the runs of a job before its latest, oldest first; raises SlurmError as `past` does."""
    out = slurm.run("sacct", "-D", "-X", "-n", "-P", "-j", text, "-o", "JobIDRaw,State,NodeList")
    rows = [line.split("|") for line in lines(out)]
    runs = [Run(row[1].partition(" ")[0], "" if row[2] in _NOTHING else row[2]) for row in rows if len(row) == 3]
    return runs[:-1]


def text_of(slurm: Slurm, text: str, field: str) -> str:
    """Return one job's field that holds a user's text, whole; "" where this release has none. Never raises."""
    try:
        return slurm.run("sacct", "-X", "-n", "-P", "-j", text, "-o", field).strip()
    except SlurmError:
        return ""


def mebibytes(text: str) -> float | None:
    """Return the MiB of "214504K", "30M", "1.50G" (ReqMem had a "c" or "n" behind it before 21.08); None for none."""
    size = text.strip().rstrip("cn?")
    try:
        return float(size[:-1]) * _UNITS[size[-1:]] if size[-1:] in _UNITS else None
    except ValueError:
        return None


def _past(row: dict[str, str], used: float | None) -> Past:
    number = int(row["JobIDRaw"])
    array, _, task = row["JobID"].partition("_")
    leader, _, offset = row["JobID"].partition("+")
    in_array, in_het = is_whole(array) and is_whole(task), is_whole(leader) and is_whole(offset)
    state, _, by = row["State"].partition(" by ")
    nodes = "" if row["NodeList"] in _NOTHING else row["NodeList"]
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
        reason="",  # sacct keeps the word for which the job once waited
        priority=1,
        requeue=False,
        batch=False,
        restarts=0,
        nodes=nodes,
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
        start=_time(row["Start"]) if nodes else None,  # of a job that never started it is the time of its end
        end=_time(row["End"]),
        exit_code=row["ExitCode"],
        dependency="",
        reservation="",
    )
    return Past(job, int(by) if is_whole(by) else None, Memory(mebibytes(row["ReqMem"]), used))


def _time(text: str) -> int | None:
    return int(text) if is_whole(text) else None
