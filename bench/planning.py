"""`plan` over a large cluster, in one process: all that comes on top of Slurm's own answer."""

import json
import statistics
import time
from typing import Any

from bench.placing import NODES, fleet
from preflight.hostlist import folded
from preflight.policy.model import Policy
from preflight.requirements.encode import extra_of
from preflight.slurm.by_commands import ByCommands
from preflight.slurm.models import Node
from preflight.submit.infer import Inference
from preflight.submit.plan import ClusterState, plan
from preflight.submit.plan.kinds import Given, Kinds
from preflight.submit.plan.text import render
from preflight.submit.script import Submission, read
from preflight.tuples import NamedTuple

_STATES = ("idle", "mixed", "allocated", "idle+drain")
_RACK = 20  # nodes that share what their site wrote into Extra


class Answered:
    """A Slurm whose sinfo has answered: its rows are given in the form that is asked for, in no time."""

    each_s = 20.0

    def __init__(self, rows: list[tuple[str, ...]]) -> None:
        self._rows = rows
        self._text = ""
        self.spent = 0.0

    def _replace(self, **_: object) -> "Answered":
        return self

    def run(self, *_: str) -> str:
        return "slurm 22.05.8"

    def both(self, command: str, *arguments: str) -> tuple[str, str]:
        began = time.perf_counter()
        mark = arguments[-1].partition(":0")[2].partition(",")[0]
        text = "".join("".join(f"{value}{mark}" for value in row) + "\n" for row in self._rows)
        self.spent = time.perf_counter() - began
        return text, ""


class Figures(NamedTuple):
    """Median seconds of the whole plan and of decoding and judging alone, nodes that fit, and sinfo's rows."""

    whole: float
    judged: float
    fit: int
    rows: int


def rows(racks: bool) -> list[tuple[str, ...]]:
    """Return sinfo's rows of 10,000 nodes: of three kinds in four states; ``racks``: and each rack with its own key."""
    groups: dict[tuple[str, ...], set[str]] = {}
    for number, view in enumerate(fleet()):
        extra: dict[str, Any] = extra_of(view) if number < 3 else _PUBLISHED[number % 3]
        if number < 3:
            _PUBLISHED[number] = extra
        text = json.dumps({"rack": f"r{number // _RACK}", **extra} if racks else extra)
        state = _STATES[number // 3 % len(_STATES)]
        groups.setdefault(("gpu", state, "none", "x", "x", text, "gpu:8", "64", "512000"), set()).add(f"gpu{number:05}")
    return [(folded(names), *fields) for fields, names in groups.items()]


_PUBLISHED: dict[int, dict[str, Any]] = {}


def seconds(spec: str, racks: bool, rounds: int = 5) -> Figures:
    """Measure: from sinfo's text to plan's text."""
    slurm = Answered(rows(racks))
    submission = read(["-p", "gpu", "--gpus-per-node=8", f"--require={spec}", "--wrap=true"], {}, None, "/")
    whole, judged, fit = [], [], 0
    for _ in range(rounds):
        began = time.perf_counter()
        nodes = ByCommands(slurm).nodes()  # type: ignore[arg-type]
        fit = _planned(submission, nodes)
        whole.append(time.perf_counter() - began - slurm.spent)
        judged.append(_judged(submission, nodes))
    return Figures(statistics.median(whole), statistics.median(judged), fit, len(slurm._rows))


def _planned(submission: Submission, nodes: list[Node]) -> int:
    made = plan(submission, Inference((), (), ()), ClusterState(nodes, "gpu", True), Policy(), "off", "/")
    render(made)
    found = made.parts[0].nodes
    if found is None or found.total != NODES:
        raise RuntimeError(f"the plan should have looked at {NODES} nodes: {found}")
    return len(found.fit)


def _judged(submission: Submission, nodes: list[Node]) -> float:
    from preflight.requirements.grammar import parse

    requirement = parse(submission.components[0].options["require"].value or "")
    began = time.perf_counter()
    kinds = Kinds(nodes)
    kinds.judged(requirement, Given(8), "warn")
    return time.perf_counter() - began
