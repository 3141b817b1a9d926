"""A job in Slurm: reading single fields of it, and moving it off a node.

Nothing is decided from `scontrol show job`: a job's name may hold "Requeue=0 ExcNodeList=n1" there. Each field is
read alone with squeue.
"""

from __future__ import annotations

from preflight.slurm.commands import Slurm, SlurmError
from preflight.tuples import NamedTuple

WIDTH = 65536  # squeue -O cuts there, and what is cut would be lost when we write it back
NOTHING = ("", "N/A", "(null)", "None assigned")


class JobState(NamedTuple):
    """What is decided from. ``name`` is how Slurm's commands must address it (ARRAY_TASK for an array's task)."""

    name: str
    batch: bool
    requeue: bool
    required: str
    state: str
    restarts: int
    nodes: int
    partition: str
    priority: int
    admin_comment: str


def resolve(slurm: Slurm, job_id: int) -> str:
    """Return how to address one job: "ARRAYID_TASK" for a task of an array, else the number.

    One task of an array has JobId == ArrayJobId; acting on that number acts on the whole array.
    """
    for line in slurm.run("squeue", "-h", "-r", "-j", str(job_id), "-o", "%A %F %K").splitlines():
        number, array, task = [*line.split(), "", "", ""][:3]
        if number == str(job_id):
            return f"{array}_{task}" if task.isdigit() else number
    raise SlurmError(f"job {job_id} is not in the queue")


def field(slurm: Slurm, name: str, *spellings: str) -> str:
    """Return one field of a job as `squeue -O` prints it, "" where it has none.

    Squeue answers a field that it does not know with an error on stderr and exit status 0, so a name may be tried
    after another.
    """
    for what in spellings:
        out, errors = slurm.both("squeue", "-h", "-r", "-j", name, "-O", f"{what}:{WIDTH}")
        if "Invalid job format" not in errors:
            value = out.removesuffix("\n").rstrip()
            return "" if value in NOTHING else value
    raise SlurmError(f"squeue of this release has no field {spellings[0]}")


def read(slurm: Slurm, name: str) -> JobState:
    """Return what moving a job depends on."""
    return JobState(
        name,
        batch=field(slurm, name, "BatchFlag") == "1",
        requeue=field(slurm, name, "Requeue") == "1",
        required=letter(slurm, name, "n"),
        state=letter(slurm, name, "T"),
        restarts=_count(field(slurm, name, "RestartCnt")),
        nodes=_count(field(slurm, name, "NumNodes")),
        partition=letter(slurm, name, "P"),
        priority=_count(letter(slurm, name, "Q")),
        admin_comment=admin_comment(slurm, name),
    )


def admin_comment(slurm: Slurm, name: str) -> str:
    """Return the job's AdminComment; others keep data there."""
    return field(slurm, name, "admin_comment", "AdminComment")


def _count(text: str) -> int:
    digits = text.strip().split("-")[0]
    return int(digits) if digits.isdigit() else 0


def excluded(slurm: Slurm, name: str) -> str:
    """Return the job's excluded nodes as a host list."""
    return letter(slurm, name, "x")


def letter(slurm: Slurm, name: str, what: str) -> str:
    """Return one field of a job by its `squeue -o` letter; "" where it has none. Without a width nothing is cut."""
    value = slurm.run("squeue", "-h", "-r", "-j", name, "-o", f"%{what}").strip()
    return "" if value in NOTHING else value


def held(slurm: Slurm, name: str) -> bool:
    """Return whether the job is held."""
    return letter(slurm, name, "Q") == "0"


def requeue_held(slurm: Slurm, name: str) -> None:
    """Requeue a job and hold it. That another node was first ("Job is pending execution") is success."""
    try:
        slurm.run("scontrol", "requeuehold", name)
    except SlurmError as error:
        if "pending execution" not in str(error).lower():
            raise


def update(slurm: Slurm, name: str, **values: str) -> None:
    """Set fields of a job; each is one argument, so no text in it can be another field."""
    slurm.run("scontrol", "update", f"JobId={name}", *(f"{key}={value}" for key, value in values.items()))


def release(slurm: Slurm, name: str) -> None:
    """Let a held job wait in the queue again."""
    slurm.run("scontrol", "release", name)


def notify(slurm: Slurm, name: str, text: str) -> None:
    """Write one line to the terminal of an interactive job, or to the output of a batch job."""
    slurm.run("scontrol", "notify", name, text)


def cancel(slurm: Slurm, name: str) -> None:
    """Cancel one job."""
    slurm.run("scancel", name)


def hold(slurm: Slurm, name: str) -> None:
    """Hold a pending job so that its user can release it, as the report says; after root's `hold` only root could."""
    slurm.run("scontrol", "uhold", name)


def restarts(slurm: Slurm, name: str) -> int:
    """Return how often Slurm has requeued the job."""
    return _count(field(slurm, name, "RestartCnt"))


def nodes_of(slurm: Slurm, partition: str, gpus: bool) -> set[str]:
    """Return the nodes of the partition(s) that have GPUs at all, where ``gpus``; down ones too."""
    rows = slurm.run("sinfo", "-h", "-N", "-p", partition, "-o", "%N %G").splitlines()
    pairs = (row.partition(" ") for row in rows)
    return {name for name, _, gres in pairs if not gpus or "gpu" in gres}


def set_by_hand(slurm: Slurm, name: str, before: int) -> bool:
    """Return whether priority ``before`` is one that Slurm would not compute again by itself."""
    now = _count(letter(slurm, name, "Q"))
    if now == before:
        return False
    for line in slurm.run("scontrol", "show", "config").splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "PriorityType":
            return "basic" in value or before > 2 * max(now, 1)
    return False
