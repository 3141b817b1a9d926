"""What stands for pyslurm 25.11 where there is none: no package of Slurm 25.11 can be had to build it against.

Written by hand after what 25.11.2 gives on a real Slurm 25.11.7: names of attributes, types, and that Slurm's 0 and
unset are None there but for priority and uid. The objects hold the state that the contract's lab has. With
PREFLIGHT_LAB_RELEASE=/a/prefix of a Slurm 25.11, and pyslurm beside Preflight, the contract runs on the real one.
"""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

SUBMITTED, STARTED, ENDED = 1795541000, 1795541010, 1795541020
HOSTILE_NAME = "ev|il Requeue=0\nExcNodeList=c[1-9] x"
HOSTILE_COMMENT = " require: cuda>=12 \nJobId=7 Priority=9"
HOSTILE_REASON = "look | at State=IDLE  twice"
EXTRA = '{"rack":"r 1 | x","driver":550054015}'


class RPCError(Exception):
    """Written by hand: pyslurm.RPCError, which is raised where the controller refuses."""


class NotText:
    """Written by hand: an attribute whose bytes are not UTF-8; put on a class, it raises as pyslurm's do when read."""

    def __get__(self, one: Any, kind: Any = None) -> str:
        return b"\xff".decode()


class Collection(dict[Any, Any]):
    """Written by hand: pyslurm.Jobs and pyslurm.Nodes are mappings by id and by name; values() are the objects."""


def node(name: str, **attributes: Any) -> SimpleNamespace:
    """Return a hand-written pyslurm.Node with the documented attributes that Preflight reads."""
    unset = {
        "state": "IDLE", "reason": None, "partitions": ["main", "urgent"], "available_features": [],
        "active_features": [], "extra": None, "configured_gres": {}, "total_cpus": 4, "real_memory": 4096,
        "allocated_tres": {}, "idle_cpus": 4, "effective_cpus": 4,
    }  # fmt: skip
    return SimpleNamespace(**{"name": name, **unset, **attributes})


def job(number: int, **attributes: Any) -> SimpleNamespace:
    """Return a hand-written pyslurm.Job of a held batch job with the documented attributes that Preflight reads."""
    unset = {
        "name": "wrap", "array_id": None, "array_task_id": None, "array_tasks_waiting": None, "heterogeneous_id": None,
        "heterogeneous_offset": None, "user_name": "pfalice", "partition": "main", "state": "PENDING",
        "state_reason": "JobHeldUser", "priority": 0, "is_requeueable": True, "is_batch_job": True, "requeue_count": 0,
        "allocated_nodes": None, "num_nodes": 1, "required_nodes": None, "excluded_nodes": None, "constraints": [],
        "preferred_features": [], "extra": None, "comment": None, "admin_comment": None, "gres_per_node": {},
        "submit_time": SUBMITTED, "eligible_time": None, "start_time": None, "end_time": None, "exit_code": 0,
        "exit_code_signal": 0, "dependencies": None, "reservation": None,
    }  # fmt: skip
    return SimpleNamespace(**{"id": number, **unset, **attributes})


def no_dependency(**kinds: Any) -> dict[str, Any]:
    """Return what pyslurm.Job.dependencies is where a job has some: every kind is a key."""
    # "singleton" is False for the "singleton(unfulfilled)" of a job that waits.
    empty: dict[str, Any] = {
        kind: [] for kind in ("after", "afterany", "afterburstbuffer", "aftercorr", "afternotok", "afterok")
    }
    return {**empty, "singleton": False, "satisfy": "all", **kinds}


IDS = {"hostile": "10", "running": "11", "array": "12", "het": "15", "ended": "17", "after": "18"}
GOING: dict[str, Any] = {
    "state": "RUNNING", "state_reason": "None", "allocated_nodes": "c2", "priority": 4294901700,
    "eligible_time": SUBMITTED, "start_time": STARTED, "end_time": STARTED + 3600,
}  # fmt: skip


def nodes() -> list[SimpleNamespace]:
    """Return the contract's nodes, by hand."""
    return [
        node("c1", state="IDLE+DRAIN", reason=HOSTILE_REASON, partitions=["main", "urgent", "few"],
             available_features=["fast", "ubuntu"], active_features=["fast", "ubuntu"], extra=EXTRA),
        node("c2", state="MIXED", configured_gres={"gpu:h100": 2}, allocated_tres={"cpu": 3}, idle_cpus=1),
        node("c3", partitions=[]),
    ]  # fmt: skip


def jobs(uid: int) -> list[SimpleNamespace]:
    """Return the contract's jobs, by hand: Slurm keeps the tasks of an array that wait together as one job."""
    made = [
        job(10, name=HOSTILE_NAME, comment=HOSTILE_COMMENT, is_requeueable=False, excluded_nodes="c1",
            constraints=["fast|ubuntu"], gres_per_node={"gres/gpu": 1}),
        job(11, required_nodes="c2", gres_per_node={"gres/gpu": 1}, **GOING),
        job(13, array_id=12, **GOING),  # task 0: pyslurm says None for Slurm's 0
        job(12, array_id=12, array_tasks_waiting="1-2"),
        job(15, heterogeneous_id=15),  # offset 0, None likewise
        job(16, heterogeneous_id=15, heterogeneous_offset=1),
        job(17, **{**GOING, "state": "FAILED", "state_reason": "NonZeroExitCode", "exit_code": 7, "end_time": ENDED}),
        job(18, state_reason="Dependency", dependencies=no_dependency(afterany=["11(unfulfilled)"])),
    ]  # fmt: skip
    for one in made:
        one.user_id = uid
    return made


def module(made_nodes: Iterable[Any], made_jobs: Iterable[Any]) -> Any:
    """Return the hand-written stand-in of the module pyslurm, holding these."""
    by_name, by_id = {one.name: one for one in made_nodes}, {one.id: one for one in made_jobs}

    def load_job(job_id: int) -> Any:
        if job_id not in by_id:
            raise RPCError("Invalid job id specified")
        return by_id[job_id]

    return SimpleNamespace(
        Nodes=SimpleNamespace(load=lambda: Collection(by_name)),
        Jobs=SimpleNamespace(load=lambda: Collection(by_id)),
        Job=SimpleNamespace(load=load_job),
    )
