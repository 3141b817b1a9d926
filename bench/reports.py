"""`preflight report` of a job of many nodes: CPU time and the most memory of the whole command, each form."""

import copy
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.measure import Case, peak
from preflight.tuples import NamedTuple

SIZES = (1024, 4096)
FORMS = ("text", "html", "json")
JOB = 4711


class Figure(NamedTuple):
    """One form of one job: the least CPU seconds of the rounds, and MiB."""

    nodes: int
    form: str
    seconds: float
    memory: float


def figures(report: dict[str, Any], program: str, directory: Path, rounds: int) -> list[Figure]:
    """Measure the reports of jobs whose nodes each made ``report``, with UUIDs, times and free memory of their own."""
    found = []
    for nodes in SIZES:
        config = _written(report, directory / str(nodes), nodes)
        for form in FORMS:
            command = [program, "report", str(JOB), "--format", form, "--config", config, "-o", os.devnull]
            case = Case(form, command, {"PATH": os.environ.get("PATH", os.defpath)})
            found.append(Figure(nodes, form, min(_cpu_s(case) for _ in range(rounds)), peak(case)))
    return found


def _written(report: dict[str, Any], place: Path, nodes: int) -> str:
    folder = place / "reports" / str(JOB)
    folder.mkdir(parents=True, mode=0o700)
    place.chmod(0o700)
    for number in range(nodes):
        one = copy.deepcopy(report)
        name = f"gpu{number:04}"
        one.update(node=name, id=f"{name}/{JOB}/0/prolog/x", started=f"2026-11-24T14:{number // 60 % 60:02}:00.000Z")
        one["job"].update(id=JOB, nodes=f"gpu[0000-{nodes - 1:04}]")
        for at, finding in enumerate(one["findings"]):
            finding["duration_ms"] = (number + at) % 97 / 10
        for at, gpu in enumerate(one["facts"]["gpus"]["devices"]):
            gpu["uuid"] = f"GPU-{number}-{at}"
        one["facts"]["memory"]["available"] = number
        (folder / f"{name}.0.prolog.json").write_text(json.dumps(one, separators=(",", ":")), encoding="utf-8")
        (folder / f"{name}.0.prolog.json").chmod(0o600)
    config = place / "preflight.toml"
    config.write_text(f'version = 1\nmode = "observe"\n[report]\nspool = "{place}"\n', encoding="utf-8")
    return str(config)


def _cpu_s(case: Case) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(case.command, env=case.environment, stdin=subprocess.DEVNULL, stderr=sys.stderr, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def text(found: Iterable[Figure]) -> str:
    """Return a line for each size."""
    lines = []
    for nodes in SIZES:
        each = [f"{one.form} {one.seconds:.2f} s, {one.memory:.0f} MiB" for one in found if one.nodes == nodes]
        lines.append(f"`preflight report` of a job on {nodes:,} nodes (CPU time, memory): {'; '.join(each)}.\n")
    return "".join(lines)
