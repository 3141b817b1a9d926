"""What each test file takes, as hooks of pytest (tests/conftest.py) and a table of several runs.

A run writes "file, wall seconds, CPU seconds, tests, failed" lines to the file that PREFLIGHT_TEST_TIMES names;
``python -m times ROWS NAME.tsv...`` from tests/ prints several side by side, a column for each NAME, the longest files
first.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "PREFLIGHT_TEST_TIMES"
_CPU = "cpu_s"
_spent: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0, 0])  # of a file: wall s, CPU s, tests, failed
_last = [0.0]


def _cpu_s() -> float:
    """Return the CPU seconds of this process and of the children that it has waited for."""
    return sum(os.times()[:4])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[Any]:
    """Add the CPU seconds since the last report of this process; a daemon's count where it is waited for."""
    report = yield
    now = _cpu_s()
    report.user_properties = [*report.user_properties, (_CPU, now - _last[0])]
    _last[0] = now
    return report


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin to count: what was spent so far is of no test."""
    _last[0] = _cpu_s()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up a phase of a test, in the process that reports (xdist's workers hand theirs to it)."""
    spent = _spent[report.nodeid.partition("::")[0]]
    spent[0] += report.duration
    spent[1] += sum(value for name, value in report.user_properties if name == _CPU)
    spent[2] += report.when == "call"
    spent[3] += report.failed


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the lines."""
    place = os.environ.get(VARIABLE)
    if place and not hasattr(session.config, "workerinput"):
        with open(place, "w", encoding="utf-8") as out:
            for file, (wall, cpu, tests, failed) in _spent.items():
                out.write(f"{file}\t{wall:.1f}\t{cpu:.1f}\t{tests}\t{failed}\n")


def table(runs: dict[str, Path], shown: int) -> str:
    """Return the table: wall and CPU seconds of ``shown`` files, the others and all, in each run; "!": some failed."""
    rows: dict[str, dict[str, list[float]]] = defaultdict(dict)
    for name, place in runs.items():
        for line in place.read_text(encoding="utf-8").splitlines() if place.exists() else ():
            file, *numbers = line.split("\t")
            rows[file][name] = [float(one) for one in numbers]
    ordered = sorted(rows, key=lambda file: -sum(numbers[0] for numbers in rows[file].values()))
    lines = [_line("seconds of wall/CPU", {name: name for name in runs}, runs)]
    lines += [
        _line(file, {name: _cell([numbers]) for name, numbers in rows[file].items()}, runs) for file in ordered[:shown]
    ]
    for title, files in ((f"{len(ordered[shown:])} more files", ordered[shown:]), ("all", ordered)):
        if files:
            cells = {name: _cell([rows[file][name] for file in files if name in rows[file]]) for name in runs}
            lines.append(_line(title, cells, runs))
    return "\n".join(lines)


def _cell(counts: Iterable[list[float]]) -> str:
    listed = list(counts)
    wall, cpu, _, failed = (sum(column) for column in zip(*listed)) if listed else (0.0, 0.0, 0, 0)
    return f"{'! ' if failed else ''}{wall:.0f}/{cpu:.0f}" if listed else ""


def _line(title: str, cells: dict[str, str], names: Iterable[str]) -> str:
    return f"{title.removeprefix('tests/'):<40}" + "".join(f"{cells.get(name, ''):>12}" for name in names)


if __name__ == "__main__":
    print(table({Path(word).stem: Path(word) for word in sys.argv[2:]}, int(sys.argv[1])))
