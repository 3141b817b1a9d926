"""Commands timed in turn, so that a machine whose speed drifts slows all of them alike."""

from __future__ import annotations

import glob
import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Case(NamedTuple):
    """A command to time; ``environment`` is all that it gets, ``status`` how it must end."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    status: int = 0


class Figure(NamedTuple):
    """Milliseconds of wall time of one case, and how many times the reference it took, round by round."""

    name: str
    median: float
    low: float
    high: float
    ratio: float
    times: Sequence[float]


def measure(cases: Sequence[Case], rounds: int, reference: str) -> list[Figure]:
    """Run every case once a round, ``rounds`` times after one that does not count; raises where one fails.

    ``low`` and ``high`` are the quartiles, ``ratio`` is the median over rounds of its time by that of the case named
    ``reference`` in the same round.
    """
    times: dict[str, list[float]] = {case.name: [] for case in cases}
    for turn in range(rounds + 1):
        for case in cases:
            took = _run(case)
            if turn:
                times[case.name].append(took)
    figures = []
    for name, taken in times.items():
        low, median, high = statistics.quantiles(taken, n=4)
        figures.append(Figure(name, median, low, high, _ratio(taken, times[reference]), taken))
    return figures


def _ratio(taken: Sequence[float], others: Sequence[float]) -> float:
    return statistics.median(one / other for one, other in zip(taken, others))


def difference(one: Figure, other: Figure) -> float:
    """Return the median over rounds of how many milliseconds ``one`` took more than ``other`` in the same round."""
    return statistics.median(a - b for a, b in zip(one.times, other.times))


def _run(case: Case) -> float:
    with open(os.devnull, "r+b") as null:
        began = time.perf_counter()
        done = subprocess.run(case.command, env=case.environment, stdin=null, stdout=null, stderr=null, check=False)
        took = (time.perf_counter() - began) * 1000
    if done.returncode != case.status:
        raise RuntimeError(f"{case.name}: exit status {done.returncode}: {' '.join(case.command)}")
    return took


def peak(case: Case) -> float:
    """Return the most MiB that a command and its children held at once (PSS: shared pages count once)."""
    with open(os.devnull, "r+b") as null:
        process = subprocess.Popen(case.command, env=case.environment, stdin=null, stdout=null, stderr=null)
        most = 0
        while process.poll() is None:
            most = max(most, sum(_pss(pid) for pid in _tree(process.pid)))
            time.sleep(0.002)
    return most / 1024


def _tree(root: int) -> list[int]:
    found = [root]
    for pid in found:
        for path in glob.glob(f"/proc/{pid}/task/*/children"):
            try:
                found += map(int, Path(path).read_text(encoding="ascii").split())
            except OSError:
                continue  # it has ended
    return found


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def table(figures: Sequence[Figure], reference: str, beside: Mapping[str, Figure] | None = None) -> str:
    """Return the figures as a Markdown table, with a column of how many times each of ``beside`` they took."""
    more = beside or {}
    heads = ["", "median ms", "quartiles", *(f"times {name}" for name in (reference, *more))]
    lines = [f"| {' | '.join(heads)} |".replace("|  |", "| |"), f"|---|{'---:|' * (len(heads) - 1)}"]
    for one in figures:
        ratios = [f"{_ratio(one.times, other.times):.2f}" for other in more.values()]
        cells = [one.name, f"{one.median:.1f}", f"{one.low:.1f} to {one.high:.1f}", f"{one.ratio:.1f}", *ratios]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
