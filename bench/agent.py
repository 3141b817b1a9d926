"""What the node agent makes of a prolog: beside bash's `exit 0`, and a thousand at once."""

from __future__ import annotations

import os
import statistics
import time
from typing import NamedTuple

from bench.measure import Case, Figure
from lab.cluster import Cluster

BASH, ONE, TASK = "bash hook, exit 0", "prolog, asking the node agent", "task prolog, as a small program"
EPILOG = "epilog, asking the node agent"
AT_ONCE = 1000


class AtOnce(NamedTuple):
    """Prologs started as fast as one process can: how many a second, and how many the agent did not answer.

    ``bash``: how many a second bash's `exit 0` takes there and then.
    """

    per_second: float
    bash: float
    one_shot: int


def cases(cluster: Cluster, job: dict[str, str], gpus: dict[str, str]) -> list[Case]:
    """Return the hooks as slurm.conf names them where an agent runs."""
    libexec = f"{cluster.prefix}/libexec"
    return [
        Case(ONE, [f"{libexec}/client-prolog"], gpus),
        Case(EPILOG, [f"{libexec}/client-epilog"], gpus),
        Case(TASK, [f"{libexec}/client-taskprolog"], job),
    ]


def at_once(
    cluster: Cluster, node: str, environment: dict[str, str], nothing: list[str], count: int = AT_ONCE
) -> AtOnce:
    """Start ``count`` prologs of other jobs, one right after the other, and wait for all; then ``nothing``, the same.

    An answer of no agent is a report of the one-shot hook, which counts those that the agent never heard.
    """
    program = f"{cluster.prefix}/libexec/client-prolog"
    rate = _rate(program, environment, count)
    passed = sum(cluster.reports(job)[-1]["source"] == "agent" for job in _jobs(count) if _recorded(cluster, node, job))
    return AtOnce(rate, _rate(nothing[0], environment, count), count - passed)


def _jobs(count: int) -> range:
    return range(10_000, 10_000 + count)


def _recorded(cluster: Cluster, node: str, job: int) -> bool:
    """Wait until the record of a job is written."""
    path = cluster.node_dir(node) / f"spool/reports/{job}"
    limit = time.monotonic() + 60
    while not (path.exists() and any(path.iterdir())) and time.monotonic() < limit:
        time.sleep(0.05)
    return path.exists()


def _rate(program: str, environment: dict[str, str], count: int) -> float:
    null = os.open(os.devnull, os.O_RDWR)
    quiet = [(os.POSIX_SPAWN_DUP2, null, one) for one in (0, 1, 2)]
    began = time.perf_counter()
    pids = [
        os.posix_spawn(program, [program], {**environment, "SLURM_JOB_ID": str(job)}, file_actions=quiet)
        for job in _jobs(count)
    ]
    bad = [pid for pid in pids if os.waitpid(pid, 0)[1]]
    took = time.perf_counter() - began
    os.close(null)
    if bad:
        raise RuntimeError(f"{len(bad)} of {count} prologs failed")
    return count / took


def text(figures: dict[str, Figure], many: AtOnce) -> str:
    """Return the sentences under the table."""
    bash = figures[BASH].times
    prolog, task = (
        statistics.median(one / other for one, other in zip(figures[name].times, bash)) for name in (ONE, TASK)
    )
    return (
        f"With the node agent a prolog takes {prolog:.1f} times bash's `exit 0`, a task prolog {task:.1f} times.\n"
        f"{AT_ONCE:,} prologs at once: {many.per_second:.0f} a second, bash's `exit 0`: {many.bash:.0f}; "
        f"{many.one_shot} not answered by the agent.\n"
    )
