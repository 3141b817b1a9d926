"""A job in Slurm: reading single fields of it, and moving it off a node.

Nothing is decided from `scontrol show job`: a job's name may hold "Requeue=0 ExcNodeList=n1" there. Each field is
read alone with squeue.
"""

from __future__ import annotations

import random
import time

from preflight.digits import is_whole
from preflight.slurm.commands import Slurm, SlurmError, lines
from preflight.slurm.conf_file import setting
from preflight.slurm.fields import ask, hosts
from preflight.tuples import NamedTuple

ROUNDS = 12  # of writing a field that others write too
WHOLE = 64 << 20  # bytes of squeue's answer where an array has many thousand tasks
FIELDS = (
    "JobID", "ArrayJobID", "ArrayTaskID", "BatchFlag", "Requeue", "RestartCnt", "NumNodes", "PriorityLong", "UserID",
    "ReqNodes", "State", "admin_comment", "Comment", "Prefer", "Feature",
)  # fmt: skip
WIDTH = 65536  # squeue -O cuts there, and what is cut would be lost when we write it back
ID = 40  # columns for a job's names, "ARRAY_TASK" among them
OVER = (
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED",
    "TIMEOUT",
)  # fmt: skip
NOTHING = ("", "N/A", "(null)", "None assigned")


class JobState(NamedTuple):
    """What is decided from. ``name`` is how Slurm's commands must address it (ARRAY_TASK for an array's task).

    ``array``: the number of its array, "" for none; ``comment`` as its user gave it. ``prefers``: whether it may have a
    --prefer, which Slurm shows among the features of a job that runs.
    """

    name: str
    batch: bool
    requeue: bool
    required: str
    state: str
    restarts: int
    nodes: int
    priority: int
    admin_comment: str
    comment: str = ""
    prefers: bool = False
    uid: int = -1
    array: str = ""


class Queued(NamedTuple):
    """One row of the queue: a job, or a task of an array; ``partition`` all of them while it waits.

    ``fresh``: slurmctld has no record of its own for the task, so it has never run; one task of an array, which has
    its number, looks so too.
    """

    name: str
    state: str
    priority: int
    partition: str
    excluded: str
    fresh: bool = False

    @property
    def waits(self) -> bool:
        """Return whether it waits and nobody holds it."""
        return self.state == "PENDING" and self.priority > 0


def find(slurm: Slurm, job_id: int) -> JobState:
    """Return what moving one job depends on, all of one moment; raises SlurmError where it is not in the queue.

    One task of an array has JobId == ArrayJobId; acting on that number acts on the whole array.
    """
    for row in rows_of(slurm, str(job_id), FIELDS):
        number, array, task, batch, requeue, restarts, nodes, priority, uid, *texts = row
        if number.strip() != str(job_id):
            continue
        required, state, admin_comment, comment, prefer, feature = texts
        in_array = is_whole(task.strip())
        return JobState(
            f"{array.strip()}_{task.strip()}" if in_array else str(job_id),
            batch=_flag(batch.strip(), "BatchFlag"),
            requeue=_flag(requeue.strip(), "Requeue"),
            required=text(required),
            state=text(state),
            restarts=count(restarts),
            nodes=count(nodes),
            priority=count(priority),
            admin_comment=text(admin_comment),
            comment=text(comment),
            prefers=bool(text(prefer) or text(feature)),
            uid=count(uid),
            array=array.strip() if in_array else "",
        )
    raise SlurmError(f"job {job_id} is not in the queue")


def is_over(slurm: Slurm, job_id: int) -> bool:
    """Return whether the job has ended and is known yet; an empty answer of squeue's may be no answer.

    Raises SlurmError, of a job that Slurm has forgotten too.
    """
    states = slurm.run("squeue", "-h", "-r", "-t", "all", "-j", str(job_id), "-o", "%A %T").split("\n")
    return any(row.partition(" ")[0] == str(job_id) and row.partition(" ")[2] in OVER for row in states)


def rows_of(slurm: Slurm, name: str, fields: tuple[str, ...]) -> list[list[str]]:
    """Return the fields of a job, of each task of an array, or of each component of a heterogeneous job."""
    return ask(slurm._replace(limit=WHOLE), "squeue", ("-r", "-j", name), fields)


def queued(slurm: Slurm, name: str) -> list[Queued]:
    """Return the rows of the queue of a job, or of all tasks of an array; raises SlurmError."""
    # Before 24.11 only a letter gives the excluded nodes; nothing that is asked for here holds a "|".
    out = slurm._replace(limit=WHOLE).run("squeue", "-h", "-r", "-j", name, "-o", "%A|%F|%K|%T|%Q|%P|%x")
    found = []
    for line in lines(out):
        number, array, task, state, priority, partition, excluded = [*line.split("|", 6), *[""] * 7][:7]
        in_array = is_whole(task)
        called = f"{array}_{task}" if in_array else number
        found.append(Queued(called, state, count(priority), partition, text(excluded), in_array and number == array))
    return found


def field(slurm: Slurm, name: str, *spellings: str) -> str:
    """Return one field of a job as `squeue -O` prints it, "" where it has none.

    Squeue answers a field that it does not know with an error on stderr and exit status 0, so a name may be tried
    after another. Raises SlurmError where the answer holds no row of this job: an empty answer is no value.
    """
    for what in spellings:
        out, errors = slurm.both("squeue", "-h", "-r", "-j", name, "-O", f"JobArrayID:{ID},JobID:{ID},{what}:{WIDTH}")
        if "Invalid job format" not in errors:
            return text(_of_job(_rows(out), name, what))
    raise SlurmError(f"squeue of this release has no field {spellings[0]}")


def letter(slurm: Slurm, name: str, what: str) -> str:
    """Return one field of a job by its `squeue -o` letter; "" where it has none. Without a width nothing is cut.

    Raises SlurmError where the answer holds no row of this job.
    """
    out = slurm.run("squeue", "-h", "-r", "-j", name, "-o", f"%i %A =%{what}")
    rows = [(line.partition(" =")[0].split(), line.partition(" =")[2]) for line in lines(out)]
    return text(_of_job(rows, name, f"%{what}"))


def _rows(out: str) -> list[tuple[list[str], str]]:
    """Return ([names of the job], value) of each row of `squeue -O`; a value with newlines spans lines."""
    rows: list[tuple[list[str], str]] = []
    for line in lines(out):
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


def text(printed: str) -> str:
    """Return a field as squeue prints it without the blanks around it; "" where it says that there is none."""
    return "" if printed.strip() in NOTHING else printed.strip()


def _flag(text: str, what: str) -> bool:
    if text not in ("0", "1"):
        raise SlurmError(f"squeue said {text[:20]!r} for {what}, not 0 or 1")
    return text == "1"


def admin_comment(slurm: Slurm, name: str) -> str:
    """Return the job's AdminComment; others keep data there."""
    return field(slurm, name, "admin_comment", "AdminComment")


def count(printed: str) -> int:
    """Return the number that squeue prints, of a range the lower one; raises SlurmError where there is none."""
    digits = printed.strip().split("-")[0]
    if not is_whole(digits):
        raise SlurmError(f"squeue said {printed[:20]!r} where a number should be")
    return int(digits)


def excluded(slurm: Slurm, name: str) -> str:
    """Return the job's excluded nodes as a host list."""
    return letter(slurm, name, "x")


def priority(slurm: Slurm, name: str) -> int:
    """Return the job's priority; 0: it is held."""
    return count(letter(slurm, name, "Q"))


def held(slurm: Slurm, name: str) -> bool:
    """Return whether the job is held."""
    return letter(slurm, name, "Q") == "0"


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


def exclude(slurm: Slurm, name: str, nodes: set[str]) -> None:
    """Add ``nodes`` to the job's excluded ones. The field can only be replaced, and other nodes write it too: write
    the union and read again until ours are in it twice, a random moment apart."""
    from preflight.hostlist import folded, names

    seen = 0
    for attempt in range(ROUNDS):
        now = names(excluded(slurm, name))
        seen = seen + 1 if nodes <= now else 0
        if seen == 2:
            return
        if not seen:
            update(slurm, name, ExcNodeList=folded(now | nodes))
        time.sleep(random.uniform(0.05, 0.15) * (1 + attempt / 4))
    raise SlurmError(f"{folded(nodes)} does not stay in ExcNodeList of job {name}: another program writes it")


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
    return count(field(slurm, name, "RestartCnt"))


def nodes_of(slurm: Slurm, partition: str, gpus: bool) -> set[str]:
    """Return the nodes of the partition(s) that have GPUs at all, where ``gpus``; down ones too."""
    rows = lines(slurm.run("sinfo", "-h", "-p", partition, "-o", "%N %G"))
    pairs = (row.partition(" ") for row in rows)
    return {name for names, _, gres in pairs if not gpus or "gpu" in gres for name in hosts(names)}


def set_by_hand(slurm: Slurm, name: str, before: int) -> bool:
    """Return whether priority ``before`` is one that Slurm would not compute again by itself.

    Under priority/basic a priority is never computed again. Under priority/multifactor one set by hand is told by
    standing above all that the factors give.
    """
    kind = setting(slurm, "PriorityType")
    if "basic" in kind:
        return True
    return bool(kind) and before > 2 * max(priority(slurm, name), 1)
