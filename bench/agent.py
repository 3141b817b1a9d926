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
    """Prologs started as fast as one process can: how many a second, and how many the agent did not answer."""

    per_second: float
    one_shot: int


def cases(cluster: Cluster, job: dict[str, str], gpus: dict[str, str]) -> list[Case]:
    """Return the hooks as slurm.conf names them where an agent runs."""
    libexec = f"{cluster.prefix}/libexec"
    return [
        Case(ONE, [f"{libexec}/client-prolog"], gpus),
        Case(EPILOG, [f"{libexec}/client-epilog"], gpus),
        Case(TASK, [f"{libexec}/client-taskprolog"], job),
    ]


def at_once(cluster: Cluster, node: str, environment: dict[str, str], count: int = AT_ONCE) -> AtOnce:
    """Start ``count`` prologs of other jobs, one right after the other, and wait for all."""
    program = f"{cluster.prefix}/libexec/client-prolog"
    before = cluster.ask_agent(node, "status")["answers"]["one-shot"]
    null = os.open(os.devnull, os.O_RDWR)
    quiet = [(os.POSIX_SPAWN_DUP2, null, one) for one in (0, 1, 2)]
    began = time.perf_counter()
    pids = [
        os.posix_spawn(program, [program], {**environment, "SLURM_JOB_ID": str(10_000 + at)}, file_actions=quiet)
        for at in range(count)
    ]
    bad = [pid for pid in pids if os.waitpid(pid, 0)[1]]
    took = time.perf_counter() - began
    os.close(null)
    if bad:
        raise RuntimeError(f"{len(bad)} of {count} prologs failed")
    return AtOnce(count / took, cluster.ask_agent(node, "status")["answers"]["one-shot"] - before)


def text(figures: dict[str, Figure], many: AtOnce) -> str:
    """Return the sentences under the table."""
    bash = figures[BASH].times
    prolog, task = (
        statistics.median(one / other for one, other in zip(figures[name].times, bash)) for name in (ONE, TASK)
    )
    return (
        f"With the node agent a prolog takes {prolog:.1f} times bash's `exit 0`, a task prolog {task:.1f} times.\n"
        f"{AT_ONCE:,} prologs at once: {many.per_second:.0f} a second, {many.one_shot} not answered by the agent.\n"
    )
