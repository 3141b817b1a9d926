"""Jobs a minute: python -m bench.jobs, as root; one cluster of eight slurmd, without hooks, one-shot and with agents.

Each round runs the same jobs under each set of hooks in turn, so that a machine whose speed drifts slows all alike;
another round begins as long as it would end within --minutes. A job has all GPUs of its node, and the clauses of the
other figures. What counts is the time from the first job's start to the last one's: of a node's ten jobs nine have
waited for the epilog before them and their own prolog.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from lab.cluster import CLIENTS, Cluster, Site  # noqa: E402
from nvml import sim  # noqa: E402

NODES = 8
NONE, ONE_SHOT, AGENT = "no hooks", "one-shot", "agent"
HOOKS = (NONE, ONE_SHOT, AGENT)
KINDS = {"of one second": "sleep 1", "of `true`": "true"}
REQUIRE = "cuda>=12.4, ubuntu>=22.04|rhel>=9, gpu=h100, gpu.memory>=80G"
NAMES = ("prolog", "epilog", "taskprolog")

Rates = dict[tuple[str, str], list[float]]


def measured(cluster: Cluster, jobs: int, minutes: float) -> Rates:
    """Return how many jobs started a minute, by kind (of KINDS) and hooks (of HOOKS), a figure a round."""
    rates: Rates = {(kind, hooks): [] for kind in KINDS for hooks in HOOKS}
    began = time.monotonic()
    while True:
        round_began = time.monotonic()
        for hooks in HOOKS:
            _use(cluster, hooks)
            for kind in KINDS:
                rates[kind, hooks].append(_rate(cluster, KINDS[kind], jobs))
        now = time.monotonic()
        if now + (now - round_began) > began + minutes * 60:
            return rates


def made() -> Cluster:
    """Return the cluster, not started: eight nodes of eight simulated H100s, each with its agent."""
    sites = [Site(f"g{one}", "ubuntu", sim.example("h100x8"), 8) for one in range(NODES)]
    return Cluster(sites, agent=True)


def _use(cluster: Cluster, hooks: str) -> None:
    paths: dict[str, str | None] = dict.fromkeys(NAMES)
    if hooks != NONE:
        paths = {name: f"{cluster.prefix}/libexec/{_program(name, hooks)}" for name in NAMES}
    cluster.lab.reconfigure(**paths)
    cluster.lab.wait_nodes(timeout=60)


def _program(name: str, hooks: str) -> str:
    return CLIENTS.get(name, name) if hooks == AGENT else name


def _rate(cluster: Cluster, command: str, jobs: int) -> float:
    """Run ``jobs`` jobs and return how many start a minute; raises RuntimeError where one did not run."""
    lab = cluster.lab
    place = Path(lab.work, f"starts-{time.monotonic_ns()}")
    place.mkdir()
    place.chmod(0o777)
    wrap = f": >{place}/$SLURM_ARRAY_TASK_ID; {command}"
    ask = ["--exclusive", "--gres=gpu:8", f"--require={REQUIRE}", f"--array=1-{jobs}", "--output=/dev/null"]
    lab.check_run(["sbatch", *ask, f"--wrap={wrap}"], timeout=60)
    limit = time.monotonic() + 600
    while lab.check_run(["squeue", "-h", "-o", "%i"]).split():
        if time.monotonic() > limit:
            raise RuntimeError("the jobs did not end in ten minutes")
        time.sleep(1)
    lab.wait_nodes(timeout=60)
    starts = sorted(one.stat().st_mtime for one in place.iterdir())
    if len(starts) != jobs:
        raise RuntimeError(f"{len(starts)} of {jobs} jobs ran")
    return (jobs - 1) / (starts[-1] - starts[0]) * 60


def text(rates: Rates, jobs: int) -> str:
    """Return a line a kind: the median rate without hooks, the medians of the others' ratios to it, round by round."""
    lines = []
    for kind in KINDS:
        none = rates[kind, NONE]
        rest = [
            f"{hooks} {statistics.median(one / other for one, other in zip(rates[kind, hooks], none)):.2f} times"
            for hooks in HOOKS
            if hooks != NONE
        ]
        rate = f"{statistics.median(none):.0f} a minute without hooks"
        lines.append(f"Jobs {kind}, {jobs} on {NODES} slurmd, {len(none)} rounds: {rate}, {', '.join(rest)}.\n")
    return "".join(lines)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=4.5, help="how long rounds may take together; 0: one round")
    parser.add_argument("--jobs", type=int, default=80, help="of each kind under each set of hooks in a round")
    options = parser.parse_args()
    with made() as cluster:
        print(text(measured(cluster, options.jobs, options.minutes), options.jobs), end="", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
