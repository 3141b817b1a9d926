"""An array that fits nowhere: each node answers once, the rest get the same answer, and Slurm is asked little."""

import json
import os

import pytest

from lab.cluster import Cluster
from preflight.slurm.marks import marks

pytestmark = pytest.mark.lab
TASKS = 64
A_TASK = 8  # commands at the most, over all tasks


def _tasks(cluster: Cluster, job: str) -> dict[str, tuple[str, int, str]]:
    """Return each task's state, priority and AdminComment; of a task that waits alone or with others alike."""
    out = cluster.lab.check_run(
        ["squeue", "-h", "-r", "-j", job, "-O", "ArrayTaskID:8,State:16,PriorityLong:16,admin_comment:65536"]
    )
    rows = (line for line in out.splitlines() if line.strip())
    return {row[:8].strip(): (row[8:24].strip(), int(row[24:40]), row[40:].strip()) for row in rows}


def _entries(directory: str) -> list[str]:
    return os.listdir(directory) if os.path.isdir(directory) else []


def _is_over(cluster: Cluster, job: str) -> bool:
    found = _tasks(cluster, job).values()
    return all((state, priority) == ("PENDING", 0) for state, priority, _ in found)


@pytest.mark.parametrize("how", ["by requirement", "by name", "two nodes each"])
def test_an_array_that_fits_nowhere_is_held_at_few_commands(cluster: Cluster, how: str) -> None:
    several = ("--gpus-per-node=1", "-N2", "--ntasks-per-node=1")
    where = {"by name": ("--nodelist=rocky1",), "two nodes each": several}.get(how, ("--gpus=1",))
    job = cluster.lab.sbatch("true", "--require=gpu=b200", f"--array=0-{TASKS - 1}", "-c1", *where)
    cluster.lab.wait_until(lambda: _is_over(cluster, job), 240, "all tasks to be held")
    # What the last prolog still does counts as well.
    pending = [f"{cluster.node_dir(site.name)}/spool/pending" for site in cluster.sites]
    cluster.lab.wait_until(lambda: not any(map(_entries, pending)), 60, "the moves to end")
    found = _tasks(cluster, job)
    assert len(found) == TASKS
    for state, priority, comment in found.values():
        assert (state, priority) == ("PENDING", 0)
        last = marks(comment)[-1]
        assert last.kind == "held", comment
        assert "gpu=b200" in last.text
    calls = cluster.called()
    assert len(calls) <= A_TASK * TASKS, f"{len(calls)} commands: {calls[-30:]}"
    for site in cluster.sites:
        assert "DRAIN" not in cluster.lab.node_state(site.name)
    # A task that never ran is told of like the others.
    never = next(name for name, (_, _, comment) in found.items() if "preflight:moved:" not in comment)
    told = json.loads(cluster.why(f"{job}_{never}", "--json", user=None))
    assert told["kind"] == "held-by-preflight", told
    # Its user can release it, and it runs where nothing excludes it and what it asks for is there.
    assert cluster.lab.run(["scontrol", "release", f"{job}_{never}"], user="pfalice").returncode == 0
