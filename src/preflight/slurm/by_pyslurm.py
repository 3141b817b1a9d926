"""The back end that reads by pyslurm 25.11 (https://pyslurm.github.io/25.11/): no text to parse.

What pyslurm gives only in another form is put back as Slurm writes it: GRES without sockets, an array's waiting tasks
without their limit. What it cannot say as Slurm does is read by the commands (docs/decisions/pyslurm.md): how a job
ended, since it takes 128 off an exit code, and on what a job depends; few nodes, since it loads all for them; and what
it fails to convert.
"""

from __future__ import annotations

from preflight.slurm.commands import FEW, SlurmError
from preflight.slurm.job_ids import parts, pick
from preflight.slurm.models import JobInfo, Node, address
from preflight.slurm.node import flags

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    from preflight.slurm.by_commands import ByCommands

    Read = TypeVar("Read")

# In these a job that was never requeued has the exit code 0:0, and nothing to take 128 off.
_NO_EXIT_CODE = ("PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETED")


class ByPyslurm:
    """Reads with ``pyslurm``, the imported module; ``tell`` hears why something was read by ``commands`` instead."""

    def __init__(self, pyslurm: Any, commands: ByCommands, tell: Callable[[str], None]) -> None:
        self._pyslurm, self._commands, self._tell = pyslurm, commands, tell

    def nodes(self, names: set[str] | None = None) -> list[Node]:
        """Return the nodes of the cluster, those called ``names`` where given; raises SlurmError."""
        if names is not None and len(names) <= FEW:
            return self._commands.nodes(names)
        return self._or(lambda: self._nodes(names), lambda: self._commands.nodes(names))

    def job(self, text: str) -> JobInfo:
        """Return the job that ``text`` names; raises SlurmError where it is not in the queue."""
        asked = parts(text)
        found = self._or(lambda: self._job(text, *asked), lambda: self._commands.job(text))
        return self._commands.job(text) if found is None else found

    def _or(self, read: Callable[[], Read], otherwise: Callable[[], Read]) -> Read:
        try:
            return read()
        except Exception as error:  # a binding's faults are its own; the commands say what is really wrong
            self._tell(f"pyslurm: {type(error).__name__}: {error}; reading by commands")
            return otherwise()

    def _nodes(self, names: set[str] | None) -> list[Node]:
        found: list[Node] = []
        failed: dict[str, Exception] = {}
        for one in self._pyslurm.Nodes.load().values():
            if names is not None and one.name not in names:
                continue
            try:
                found.append(node_of(one))
            except Exception as error:  # a GRES such as bandwidth:lustre:no_consume:4G, text that is not UTF-8
                failed[one.name] = error
        if failed:
            name, why = next(iter(failed.items()))
            self._tell(f"pyslurm: node {name}: {type(why).__name__}: {why}; reading {len(failed)} by commands")
            found += self._commands.nodes(set(failed))
        return found

    def _job(self, text: str, number: int, sign: str, part: int | None) -> JobInfo | None:
        """Return the job, None where pyslurm cannot say all of it as Slurm does."""
        if not sign:  # of an array one record is loaded, and not always the one that is meant
            alone = self._pyslurm.Job.load(number)
            if alone.array_id is None and alone.id == number:
                return job_of(alone) if _is_told_whole(alone) else None
        # Only those that may be meant: any other's text may fail to convert.
        records = [one for one in self._pyslurm.Jobs.load().values() if _is_under(one, number)]
        found = [job_of(one) for one in records]
        if sign == "_" and part is not None:
            found = [_task_of(one, number, part) for one in found]
        meant = pick(found, text)
        return meant if all(_is_told_whole(one) for one in records if one.id == meant.id) else None


def _is_under(one: Any, number: int) -> bool:
    """Return whether a pyslurm.Job has this number, or is of the array or the heterogeneous job that has."""
    return number in (one.id, one.array_id, one.heterogeneous_id)


def _is_told_whole(one: Any) -> bool:
    """Return whether a pyslurm.Job has all that Slurm says of it: its exit code, and what it depends on."""
    return one.state in _NO_EXIT_CODE and not one.requeue_count and one.dependencies is None


def node_of(one: Any) -> Node:
    """Return a pyslurm.Node as ours."""
    return Node(
        one.name,
        _state(one),
        one.reason or "",
        tuple(one.partitions or ()),
        tuple(one.available_features or ()),
        tuple(one.active_features or ()),
        one.extra or "",
        _gres(one.configured_gres),
        one.total_cpus,
        one.real_memory or 0,
    )


def _state(one: Any) -> tuple[str, ...]:
    """Return the state as sinfo has it: a node that holds something with no CPU in use, a suspended job, is mixed."""
    base, *others = flags(one.state)
    if base == "IDLE" and one.allocated_tres and one.idle_cpus == one.effective_cpus:
        base = "MIXED"
    return (base, *others)


def job_of(one: Any) -> JobInfo:
    """Return a pyslurm.Job that depends on none as ours.

    Slurm's 0 is None in pyslurm, also of task 0 and of a job's first component.
    """
    array, waiting, het = one.array_id, one.array_tasks_waiting or "", one.heterogeneous_id
    task = None if array is None or waiting else one.array_task_id or 0
    return JobInfo(
        id=one.id,
        name=address(one.id, array, task),
        job_name=one.name or "",
        array_job_id=array,
        array_task_id=task,
        array_tasks=waiting,
        het_job_id=het,
        het_offset=None if het is None else one.heterogeneous_offset or 0,
        user=one.user_name or "",
        uid=one.user_id,
        partition=one.partition or "",
        state=one.state,
        reason=one.state_reason or "None",
        priority=one.priority or 0,
        requeue=bool(one.is_requeueable),
        batch=bool(one.is_batch_job),
        restarts=one.requeue_count or 0,
        nodes=one.allocated_nodes or "",
        num_nodes=one.num_nodes or 0,
        required=one.required_nodes or "",
        excluded=one.excluded_nodes or "",
        features=",".join(one.constraints or ()),
        prefer=",".join(one.preferred_features or ()),
        extra=one.extra or "",
        comment=one.comment or "",
        admin_comment=one.admin_comment or "",
        gres=_gres(one.gres_per_node, "gres/"),
        submit=one.submit_time,
        eligible=one.eligible_time,
        start=one.start_time,
        end=one.end_time,
        exit_code=f"{one.exit_code or 0}:{one.exit_code_signal or 0}",
        dependency="",
        reservation=one.reservation or "",
    )


def _task_of(one: JobInfo, array: int, task: int) -> JobInfo:
    """Return one waiting task where ``one`` stands for several that wait together and has it; else ``one``."""
    if one.array_job_id != array or not one.array_tasks:
        return one
    from preflight.slurm.environment import positions

    if "..." in one.array_tasks or ":" in one.array_tasks:
        raise SlurmError(f"tasks {one.array_tasks[:40]} of job {array} are not listed whole")
    waiting = positions(one.array_tasks)
    if waiting is None:
        raise SlurmError(f"tasks {one.array_tasks[:40]} of job {array} are no list of numbers")
    if task not in waiting:
        return one
    return one._replace(name=address(one.id, array, task), array_task_id=task, array_tasks="")


def _gres(counts: Mapping[str, Any] | None, prefix: str = "") -> str:
    """Return {"gpu:h100": 8} as "gpu:h100:8", each with ``prefix``."""
    return ",".join(f"{prefix}{name.removeprefix(prefix)}:{count}" for name, count in (counts or {}).items())
