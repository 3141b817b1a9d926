"""The job as the environment of Slurm's hooks tells it; nothing is asked of Slurm for it.

Text in it comes from users (comment, requirement): it is data, cleaned only where it is shown.
"""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Mapping
UUID = "GPU0123456789abcdefABCDEF-/"
SPANK_REQUIRE = "SPANK__SLURM_SPANK_OPTION_preflight_require"
SPANK_CODE = "SPANK__SLURM_SPANK_OPTION_preflight_gpu_code"


class Job(NamedTuple):
    """One job on this node. ``gpus``: Slurm's gres positions; ``restart``: None where Slurm does not say.

    ``code``: the summary of its environment's GPU code (`preflight.requirements.summary`), "" where none came along.
    ``ended``: exit status and signal, in an epilog whose Slurm tells them.
    ``visible``: CUDA_VISIBLE_DEVICES, of which "GPU-…" and "MIG-…" are UUIDs; () where it is anything else.
    """

    id: int
    user: str = ""
    uid: int | None = None
    gid: int | None = None
    partition: str = ""
    nodes: str = ""
    gpus: tuple[int, ...] = ()
    gpus_text: str = ""
    constraints: str = ""
    comment: str = ""
    require: str = ""
    restart: int | None = None
    array_job_id: int | None = None
    array_task_id: int | None = None
    het_job_id: int | None = None
    cluster: str = ""
    visible: tuple[str, ...] = ()
    ended: tuple[int, int] | None = None
    code: str = ""


def job_from(environment: Mapping[str, str]) -> Job | None:
    """Return the job of a prolog or epilog, or None where the environment names none (the health check's)."""
    number = _number(environment.get("SLURM_JOB_ID") or environment.get("SLURM_JOBID"))
    if number is None:
        return None
    gpus = environment.get("SLURM_JOB_GPUS", "")
    return Job(
        id=number,
        user=environment.get("SLURM_JOB_USER", ""),
        uid=_number(environment.get("SLURM_JOB_UID")),
        gid=_number(environment.get("SLURM_JOB_GID")),
        partition=environment.get("SLURM_JOB_PARTITION", ""),
        nodes=environment.get("SLURM_JOB_NODELIST") or environment.get("SLURM_NODELIST", ""),
        gpus=positions(gpus) or (),
        gpus_text=gpus,
        constraints=environment.get("SLURM_JOB_CONSTRAINTS", ""),
        comment=environment.get("SLURM_JOB_COMMENT", ""),
        require=environment.get(SPANK_REQUIRE, ""),
        restart=_number(environment.get("SLURM_JOB_RESTART_COUNT") or environment.get("SLURM_RESTART_COUNT")),
        array_job_id=_number(environment.get("SLURM_ARRAY_JOB_ID")),
        array_task_id=_number(environment.get("SLURM_ARRAY_TASK_ID")),
        het_job_id=_number(environment.get("SLURM_HET_JOB_ID")),
        cluster=environment.get("SLURM_CLUSTER_NAME", ""),
        visible=visible(environment.get("CUDA_VISIBLE_DEVICES", "")),
        ended=ended(environment),
        code=environment.get(SPANK_CODE, ""),
    )


def ended(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """Return (exit status, signal) of SLURM_JOB_EXIT_CODE2 ("3:0"), else of the wait(2) status SLURM_JOB_EXIT_CODE."""
    code, colon, signal = environment.get("SLURM_JOB_EXIT_CODE2", "").partition(":")
    both = _number(code), _number(signal)
    if colon and both[0] is not None and both[1] is not None:
        return both[0], both[1]
    status = _number(environment.get("SLURM_JOB_EXIT_CODE"))
    return None if status is None else (status >> 8 & 0xFF, status & 0x7F)


def positions(text: str) -> tuple[int, ...] | None:
    """Return the numbers of "0,2-3"; None where the text is anything else."""
    found: list[int] = []
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        first, last = _number(low), _number(high if dash else low)
        if first is None or last is None or last - first > 4096:
            return None
        found += range(first, last + 1)
    return tuple(found)


def visible(text: str) -> tuple[str, ...]:
    """Return the parts of CUDA_VISIBLE_DEVICES: numbers and UUIDs; () where one is anything else.

    slurmd sets it in the prolog's environment from its own list; nothing of the job's environment comes there (seen on
    22.05, 24.11 and 26.05). It is checked all the same.
    """
    parts = tuple(text.split(",")) if len(text) < 16384 else ()
    return parts if all(_number(part) is not None or is_uuid(part) for part in parts) else ()


def is_uuid(text: str) -> bool:
    """Return whether ``text`` may be a GPU's or MIG device's UUID, "MIG-GPU-…/1/0" of old drivers among them."""
    return text[:4] in ("GPU-", "MIG-") and 8 < len(text) < 80 and not text[4:].strip(UUID)


def _number(text: str | None) -> int | None:
    return int(text) if text and is_whole(text, 11) else None
