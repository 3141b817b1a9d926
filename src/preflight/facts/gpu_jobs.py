"""Which job a process is of: Slurm's own cgroup of it, which no user can leave."""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.facts.rootfs import Root


def job_of(root: Root, pid: int) -> int | None:
    """Return the number of the job whose steps hold process ``pid``, None where its cgroup names none.

    Slurm's cgroup plugins, v1: /slurm/uid_1000/job_42/step_0/task_0 (slurm_NODE with several slurmd), v2:
    /system.slice/slurmstepd.scope/job_42/step_0/user/task_0 (NODE_slurmstepd.scope). The first job_N below a
    directory of Slurm's counts: what follows it a user may have made.
    """
    try:
        text = root.read_text(f"/proc/{pid}/cgroup", 65536)
    except OSError:
        return None
    for line in (text or "").splitlines():
        job = job_of_group(line.split(":", 2)[-1])
        if job is not None:
            return job
    return None


def job_of_group(path: str) -> int | None:
    """Return the number of the job whose control group ``path`` is or lies in, None where it is none of Slurm's."""
    parts = path.strip("/").split("/")
    if "slurm" not in parts[0] and not (parts[0] == "system.slice" and len(parts) > 1 and "slurm" in parts[1]):
        return None
    for part in parts[1:4]:
        number = part[4:]
        if part.startswith("job_") and is_whole(number, 11):
            return int(number)
    return None


def with_jobs(root: Root, processes: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return the processes of a GPU, each with its ``job`` where that is known."""
    found = []
    for one in processes:
        job = job_of(root, int(str(one["pid"])))
        found.append(one if job is None else {**one, "job": job})
    return found
