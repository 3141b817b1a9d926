"""Jobs a minute: python -m bench.jobs, as root; one cluster of eight slurmd, without hooks, one-shot and with agents.

Each round runs the same jobs under each set of hooks in turn, so that a machine whose speed drifts slows all alike. A
job has all GPUs of its node, and the clauses of the other figures. What counts is the time from the first job's start
to the last one's: of a node's ten jobs nine have waited for the epilog before them and their own prolog.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from lab.cluster import CLIENTS, Cluster, Site  # noqa: E402
from nvml import sim  # noqa: E402
from preflight.tuples import NamedTuple  # noqa: E402

NODES, JOBS = 8, 80
NONE, ONE_SHOT, AGENT = "no hooks", "one-shot", "agent"
HOOKS = (NONE, ONE_SHOT, AGENT)
KINDS = {"of one second": "sleep 1", "of `true`": "true"}
REQUIRE = "cuda>=12.4, ubuntu>=22.04|rhel>=9, gpu=h100, gpu.memory>=80G"
NAMES = ("prolog", "epilog", "taskprolog")


class Figure(NamedTuple):
    """Jobs a minute under one set of hooks: the median, and the median of its ratios to no hooks, round by round."""

    hooks: str
    rate: float
    ratio: float


def figures(kind: str, rounds: int, cluster: Cluster) -> list[Figure]:
    """Return the figures of jobs of a ``kind`` (of KINDS) under each of HOOKS, ``rounds`` times in turn."""
    rates: dict[str, list[float]] = {hooks: [] for hooks in HOOKS}
    for _ in range(rounds):
        for hooks in HOOKS:
            _use(cluster, hooks)
            rates[hooks].append(_rate(cluster, KINDS[kind]))
    ratios = {hooks: [one / other for one, other in zip(rates[hooks], rates[NONE])] for hooks in HOOKS}
    return [Figure(hooks, statistics.median(rates[hooks]), statistics.median(ratios[hooks])) for hooks in HOOKS]


def made() -> Cluster:
    """Return the cluster, not started: eight nodes of eight simulated H100s, each with its agent."""
    sites = [Site(f"g{one}", "ubuntu", sim.example("h100x8"), 8) for one in range(NODES)]
    return Cluster(sites, agent=True)


def _use(cluster: Cluster, hooks: str) -> None:
    clients = CLIENTS if hooks == AGENT else {}
    paths = {name: f"{cluster.prefix}/libexec/{clients.get(name, name)}" for name in NAMES}
    cluster.lab.reconfigure(**({} if hooks == NONE else paths) or dict.fromkeys(NAMES))
    cluster.lab.wait_nodes()


def _rate(cluster: Cluster, command: str) -> float:
    """Run JOBS jobs and return how many start a minute; raises RuntimeError where one was moved or a node drained."""
    lab = cluster.lab
    place = Path(lab.work, f"starts-{time.monotonic_ns()}")
    place.mkdir()
    place.chmod(0o777)
    wrap = f": >{place}/$SLURM_ARRAY_TASK_ID; {command}"
    ask = ["--exclusive", "--gres=gpu:8", f"--require={REQUIRE}", f"--array=1-{JOBS}", "--output=/dev/null"]
    number = lab.check_run(["sbatch", "--parsable", *ask, f"--wrap={wrap}"], timeout=60).stdout.split()[0]
    limit = time.monotonic() + 600
    while lab.check_run(["squeue", "-h", "-j", number, "-o", "%i"]).stdout.split():
        if time.monotonic() > limit:
            raise RuntimeError("the jobs did not end in ten minutes")
        time.sleep(1)
    lab.wait_nodes(timeout=60)
    starts = sorted(one.stat().st_mtime for one in place.iterdir())
    if len(starts) != JOBS:
        raise RuntimeError(f"{len(starts)} of {JOBS} jobs ran")
    return (JOBS - 1) / (starts[-1] - starts[0]) * 60


def text(kind: str, found: Sequence[Figure]) -> str:
    """Return a line."""
    none = next(one for one in found if one.hooks == NONE)
    rest = ", ".join(f"{one.hooks} {one.ratio:.2f} times" for one in found if one is not none)
    return f"Jobs {kind}, {JOBS} on {NODES} slurmd: {none.rate:.0f} a minute without hooks, {rest}.\n"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with made() as cluster:
        for kind in KINDS:
            print(text(kind, figures(kind, options.rounds, cluster)), end="", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
