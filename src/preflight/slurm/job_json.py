"""One job from `squeue --json` (24.11 on), by the names of Slurm's data_parser plugin."""

from __future__ import annotations

from preflight import jsonio
from preflight.slurm.commands import SlurmError
from preflight.slurm.models import JobInfo, address

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    Model = TypeVar("Model")

# Of several words for a job's state squeue shows the first of these, else the base state.
SHOWN = (
    "COMPLETING", "STAGE_OUT", "CONFIGURING", "RESIZING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT",
    "STOPPED", "REVOKED", "RESV_DEL_HOLD", "SIGNALING",
)  # fmt: skip


def parsed(text: str) -> list[JobInfo]:
    """Return the jobs of `squeue --json`; raises SlurmError where it is none, or says that it failed."""
    return listed(text, "squeue", "jobs", job_of)


def listed(text: str, command: str, key: str, make: Callable[[Mapping[str, Any]], Model]) -> list[Model]:
    """Return what ``make`` gives of each entry of a command's JSON; raises SlurmError where that cannot be read."""
    try:
        document = jsonio.loads(text)
        errors = document.get("errors") or []
        if errors:
            raise SlurmError(f"{command}: {errors[0].get('description') or errors[0].get('error') or 'failed'}")
        return [make(one) for one in document[key]]
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise SlurmError(f"the JSON of {command} cannot be read: {type(error).__name__}: {error}") from error


def job_of(one: Mapping[str, Any]) -> JobInfo:
    """Return one job of the document."""
    het = _number(one["het_job_id"]) or None
    array, task = _number(one["array_job_id"]) or None, _number(one["array_task_id"])
    return JobInfo(
        id=one["job_id"],
        name=address(one["job_id"], array, task),
        job_name=one["name"],
        array_job_id=array,
        array_task_id=task,
        array_tasks=one["array_task_string"] if task is None else "",
        het_job_id=het,
        het_offset=_number(one["het_job_offset"]) if het else None,
        user=one["user_name"],
        uid=one["user_id"],
        partition=one["partition"],
        state=shown_state(one["job_state"]),
        reason=one["state_description"] or one["state_reason"],  # as squeue's %r
        priority=_number(one["priority"]) or 0,
        requeue=one["requeue"],
        batch=one["batch_flag"],
        restarts=one["restart_cnt"],
        nodes=one["nodes"],
        num_nodes=_number(one["node_count"]) or 0,
        required=one["required_nodes"],
        excluded=one["excluded_nodes"],
        features=one["features"],
        prefer=one["prefer"],
        extra=one["extra"],
        comment=one["comment"],
        admin_comment=one["admin_comment"],
        gres=one["tres_per_node"],
        submit=_number(one["submit_time"]) or None,
        eligible=_number(one["eligible_time"]) or None,
        start=_number(one["start_time"]) or None,
        end=_number(one["end_time"]) or None,
        exit_code=_exit_code(one["exit_code"]),
        dependency=one["dependency"],
        reservation=one["resv_name"],
    )


def shown_state(states: list[str]) -> str:
    """Return the word that squeue shows for a job whose state has these: ["RUNNING", "COMPLETING"] is completing."""
    return next((word for word in SHOWN if word in states), states[0])


def _number(value: Any) -> int | None:
    """Return a number as data_parser writes those that may be unset or infinite; None where it has none."""
    if isinstance(value, dict):
        return int(value["number"]) if value["set"] and not value["infinite"] else None
    return None if value is None else int(value)


def _exit_code(value: Mapping[str, Any]) -> str:
    return f"{_number(value['return_code']) or 0}:{_number(value['signal']['id']) or 0}"
