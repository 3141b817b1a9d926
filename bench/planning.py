"""`plan` and `sbatch`, whole commands, on a real slurmctld of many nodes, against Slurm's own answer in the same run.

No slurmd runs: Slurm knows the nodes by slurm.conf, and each has published its facts and a key of its own in its Extra.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from bench.measure import Case, difference, measure, peak
from bench.placing import fleet
from lab import Lab
from preflight.requirements.encode import extra_of
from preflight.slurm.node_text import LONG
from preflight.tuples import NamedTuple

SIZES = (2_000, 10_000)
NOT_NOW = 3  # plan's exit code: no slurmd answers, so no node fits now
OWN, PLAN, SBATCH = "scontrol show node", "plan", "sbatch"
OF_SBATCH = "sbatch alone"


class Figures(NamedTuple):
    """Medians, round by round: milliseconds of Slurm's own answer, what `plan` and `sbatch` take beyond it, and MiB.

    ``times``: what plan takes in all, by Slurm's own answer in the same round. ``lines``: whether every node holds a
    text of several lines.
    """

    nodes: int
    lines: bool
    own: float
    times: float
    plan: float
    sbatch: float
    memory: float


class Controller(Lab):
    """A slurmctld whose nodes never answer."""

    def wait_nodes(self, states: Iterable[str] = ("IDLE",), timeout: float = 20) -> None:
        """Return at once."""


@contextmanager
def controller(nodes: int) -> Iterator[Controller]:
    """A cluster of ``nodes`` nodes gpu00001 …, each with its own published Extra."""
    names = f"gpu[00001-{nodes:05}]"
    conf = (
        f"SlurmdTimeout=0\nNodeName={names} NodeAddr=127.0.0.1 CPUs=64 RealMemory=512000 Gres=gpu:8 State=UNKNOWN\n"
        f"PartitionName=gpu Nodes={names} State=UP"
    )
    kinds = [extra_of(view) for view in fleet(3)]
    with Controller(nodes=(), slurm_conf_extra=conf) as lab:
        extras = (json.dumps({"asset": f"A{one:06}", **kinds[one % 3]}, separators=(",", ":")) for one in range(nodes))
        lines = (f"update NodeName=gpu{one + 1:05} Extra={extra}\n" for one, extra in enumerate(extras))
        lab.check_run(["scontrol"], stdin="".join(lines), timeout=600)
        yield lab


def figures(spec: str, rounds: int) -> list[Figures]:
    """Measure each size, with texts of one line and of several."""
    found = []
    for nodes in SIZES:
        with controller(nodes) as lab:
            found.append(_measured(lab, nodes, False, spec, rounds))
            lab.check_run(["scontrol", "update", f"NodeName=gpu[00001-{nodes:05}]", "Comment=two\nlines"])
            found.append(_measured(lab, nodes, True, spec, rounds))
    return found


def _measured(lab: Lab, nodes: int, lines: bool, spec: str, rounds: int) -> Figures:
    environment = {"SLURM_CONF": lab.slurm_conf, "PATH": os.environ.get("PATH", os.defpath), "HOME": lab.work}
    ours = [sys.executable, "-m", "preflight"]
    job = ["-p", "gpu", "--gpus-per-node=8", f"--comment=require: {spec}", "--wrap=true"]
    cases = [
        Case(OWN, ["scontrol", *LONG], environment),
        Case(OF_SBATCH, ["sbatch", "--hold", *job], environment),
        Case(PLAN, [*ours, "plan", *job], environment, NOT_NOW),
        Case(SBATCH, [*ours, "sbatch", "--hold", *job], environment),
    ]
    taken = {one.name: one for one in measure(cases, rounds, OWN)}
    own = taken[OWN]
    both = own._replace(times=[a + b for a, b in zip(own.times, taken[OF_SBATCH].times)])
    memory = max(peak(case) for case in cases[2:])
    return Figures(
        nodes,
        lines,
        own.median,
        taken[PLAN].ratio,
        difference(taken[PLAN], own),
        difference(taken[SBATCH], both),
        memory,
    )


def text(found: Iterable[Figures]) -> str:
    """Return a line for each."""
    lines = []
    for one in found:
        what = f"{one.nodes:,} nodes, each with its own published Extra{' and a comment of two lines' * one.lines}"
        plan = f"plan takes {one.plan:.0f} ms ({one.times:.1f} times it in all)"
        lines.append(
            f"{what}: beyond Slurm's own answer ({one.own:.0f} ms) {plan}, sbatch {one.sbatch:.0f} ms; at most "
            f"{one.memory:.0f} MiB in all processes.\n"
        )
    return "".join(lines)
