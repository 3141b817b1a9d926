"""A job in Slurm: reading single fields of it, and moving it off a node.

Nothing is decided from `scontrol show job`: a job's name may hold "Requeue=0 ExcNodeList=n1" there. Each field is
read alone with squeue.
"""

from __future__ import annotations

import random
import time

from preflight.digits import is_whole
from preflight.slurm.commands import Slurm, SlurmError
from preflight.slurm.fields import hosts
from preflight.tuples import NamedTuple

ROUNDS = 12  # of writing a field that others write too
WIDTH = 65536  # squeue -O cuts there, and what is cut would be lost when we write it back
ID = 40  # columns for a job's names, "ARRAY_TASK" among them
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
    priority: int
    admin_comment: str


def resolve(slurm: Slurm, job_id: int) -> str:
    """Return how to address one job: "ARRAYID_TASK" for a task of an array, else the number.

    One task of an array has JobId == ArrayJobId; acting on that number acts on the whole array.
    """
    for line in slurm.run("squeue", "-h", "-r", "-j", str(job_id), "-o", "%A %F %K").splitlines():
        number, array, task = [*line.split(), "", "", ""][:3]
        if number == str(job_id):
            return f"{array}_{task}" if is_whole(task) else number
    raise SlurmError(f"job {job_id} is not in the queue")


def field(slurm: Slurm, name: str, *spellings: str) -> str:
    """Return one field of a job as `squeue -O` prints it, "" where it has none.

    Squeue answers a field that it does not know with an error on stderr and exit status 0, so a name may be tried
    after another. Raises SlurmError where the answer holds no row of this job: an empty answer is no value.
    """
    for what in spellings:
        out, errors = slurm.both("squeue", "-h", "-r", "-j", name, "-O", f"JobArrayID:{ID},JobID:{ID},{what}:{WIDTH}")
        if "Invalid job format" not in errors:
            return _value(_of_job(_rows(out), name, what))
    raise SlurmError(f"squeue of this release has no field {spellings[0]}")


def letter(slurm: Slurm, name: str, what: str) -> str:
    """Return one field of a job by its `squeue -o` letter; "" where it has none. Without a width nothing is cut.

    Raises SlurmError where the answer holds no row of this job.
    """
    out = slurm.run("squeue", "-h", "-r", "-j", name, "-o", f"%i %A =%{what}")
    rows = [(line.partition(" =")[0].split(), line.partition(" =")[2]) for line in out.splitlines()]
    return _value(_of_job(rows, name, f"%{what}"))


def _rows(out: str) -> list[tuple[list[str], str]]:
    """Return ([names of the job], value) of each row of `squeue -O`; a value with newlines spans lines."""
    rows: list[tuple[list[str], str]] = []
    for line in out.splitlines():
        if len(line) >= 2 * ID and is_whole(line[ID : 2 * ID].strip()):
            rows.append((line[: 2 * ID].split(), line[2 * ID :].rstrip()))
        elif rows:
            rows[-1] = (rows[-1][0], f"{rows[-1][1]}\n{line}".rstrip())
    return rows


def _of_job(rows: list[tuple[list[str], str]], name: str, what: str) -> str:
    """Return the value of the row that is about ``name``; of a heterogeneous job squeue prints every component."""
    for names, value in rows:
        if name in names:
            return value
    raise SlurmError(f"squeue gave no {what} of job {name}")


def _value(text: str) -> str:
    return "" if text.strip() in NOTHING else text.strip()


def _flag(text: str, what: str) -> bool:
    if text not in ("0", "1"):
        raise SlurmError(f"squeue said {text[:20]!r} for {what}, not 0 or 1")
    return text == "1"


def read(slurm: Slurm, name: str) -> JobState:
    """Return what moving a job depends on."""
    return JobState(
        name,
        batch=_flag(field(slurm, name, "BatchFlag"), "BatchFlag"),
        requeue=_flag(field(slurm, name, "Requeue"), "Requeue"),
        required=letter(slurm, name, "n"),
        state=letter(slurm, name, "T"),
        restarts=_count(field(slurm, name, "RestartCnt")),
        nodes=_count(field(slurm, name, "NumNodes")),
        priority=_count(letter(slurm, name, "Q")),
        admin_comment=admin_comment(slurm, name),
    )


def admin_comment(slurm: Slurm, name: str) -> str:
    """Return the job's AdminComment; others keep data there."""
    return field(slurm, name, "admin_comment", "AdminComment")


def _count(text: str) -> int:
    digits = text.strip().split("-")[0]
    if not is_whole(digits):
        raise SlurmError(f"squeue said {text[:20]!r} where a number should be")
    return int(digits)


def excluded(slurm: Slurm, name: str) -> str:
    """Return the job's excluded nodes as a host list."""
    return letter(slurm, name, "x")


def priority(slurm: Slurm, name: str) -> int:
    """Return the job's priority; 0: it is held."""
    return _count(letter(slurm, name, "Q"))


def held(slurm: Slurm, name: str) -> bool:
    """Return whether the job is held."""
    return letter(slurm, name, "Q") == "0"


def uid(slurm: Slurm, name: str) -> int:
    """Return the uid of the job's user; job ids are used again after MaxJobId."""
    return _count(letter(slurm, name, "U"))


def partition(slurm: Slurm, name: str) -> str:
    """Return the job's partitions: of a running job the one it runs in, of a waiting one all it was submitted to."""
    return letter(slurm, name, "P")


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


def exclude(slurm: Slurm, name: str, node: str) -> None:
    """Add ``node`` to the job's excluded nodes. The field can only be replaced, and other nodes write it too: write
    the union and read again until ours is in it twice, a random moment apart."""
    from preflight.hostlist import folded, names

    seen = 0
    for attempt in range(ROUNDS):
        now = names(excluded(slurm, name))
        seen = seen + 1 if node in now else 0
        if seen == 2:
            return
        if not seen:
            update(slurm, name, ExcNodeList=folded(now | {node}))
        time.sleep(random.uniform(0.05, 0.15) * (1 + attempt / 4))
    raise SlurmError(f"{node} does not stay in ExcNodeList of job {name}: another program writes it")


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
    rows = slurm.run("sinfo", "-h", "-p", partition, "-o", "%N %G").splitlines()
    pairs = (row.partition(" ") for row in rows)
    return {name for names, _, gres in pairs if not gpus or "gpu" in gres for name in hosts(names)}


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
