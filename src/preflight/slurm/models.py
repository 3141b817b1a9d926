"""A node and a job as Slurm has them, the same whichever way they were read.

Text that Slurm prints as "(null)", "N/A" or "none" is "" here. Comments, names and Extra come from users and other
programs: they are data, whole and unescaped, and may hold newlines.
"""

from __future__ import annotations

from preflight.tuples import NamedTuple


class Node(NamedTuple):
    """One node. ``state``: its base state first, then its flags, in Slurm's words ("IDLE", "DRAIN").

    ``features`` are the available ones, ``active`` those active now. ``memory`` is RealMemory in MiB; ``gres`` is what
    is configured ("gpu:h100:8(S:0-1)"), ``extra`` raw text.
    """

    name: str
    state: tuple[str, ...]
    reason: str
    partitions: tuple[str, ...]
    features: tuple[str, ...]
    active: tuple[str, ...]
    extra: str
    gres: str
    cpus: int
    memory: int


class JobInfo(NamedTuple):
    """One job in the queue, or ended less than MinJobAge ago. Numbers and times are None where Slurm has none.

    ``name`` is how Slurm's commands must address it: ARRAY_TASK for one task of an array, else the number;
    ``job_name`` is what its user called it. ``array_tasks``: of an array's tasks that wait together, which
    ("1-3,7%2"). ``state`` as squeue says it; ``reason`` "None" where nothing holds it up. ``nodes``, ``required``,
    ``excluded``: host lists; ``num_nodes`` is the least it asks for, while it waits. Times are seconds since the epoch,
    ``start`` and ``end`` expected ones while it waits or runs. ``exit_code``: "CODE:SIGNAL", also before it has ended.
    ``gres``: what it asks for on each node ("gres/gpu:2"). ``extra`` is "" before Slurm 24.11, which cannot be asked.
    """

    id: int
    name: str
    job_name: str
    array_job_id: int | None
    array_task_id: int | None
    array_tasks: str
    het_job_id: int | None
    het_offset: int | None
    user: str
    uid: int
    partition: str
    state: str
    reason: str
    priority: int
    requeue: bool
    batch: bool
    restarts: int
    nodes: str
    num_nodes: int
    required: str
    excluded: str
    features: str
    prefer: str
    extra: str
    comment: str
    admin_comment: str
    gres: str
    submit: int | None
    eligible: int | None
    start: int | None
    end: int | None
    exit_code: str
    dependency: str
    reservation: str

    @property
    def hold(self) -> bool:
        """Return whether the job is held: Slurm's own sign of it is priority 0."""
        return self.priority == 0

    def is_called(self, text: str) -> bool:
        """Return whether ``text`` names this very job: its number, ARRAY_TASK or HET+OFFSET."""
        names = [str(self.id), self.name]
        if self.het_job_id is not None:
            names.append(f"{self.het_job_id}+{self.het_offset}")
        return text in names


def address(number: int, array_job_id: int | None, array_task_id: int | None) -> str:
    """Return how Slurm's commands must address a job; a number that is an array's acts on all of its tasks."""
    return str(number) if array_task_id is None else f"{array_job_id}_{array_task_id}"
