"""`preflight check` on many nodes at once, through srun: Slurm starts the tasks, and equal answers are said once."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from preflight.digits import is_whole
from preflight.hostlist import folded, names
from preflight.report.clean import clean

WAIT_S = 60  # for nodes to be free, and to answer
MAX_OUTPUT = 32 << 20
_LABELLED = re.compile(r"\s*([0-9]+): ?(.*)")
# The name first, so that a task's number can be told from its node; the status last.
_SCRIPT = 'echo "node $SLURMD_NODENAME"; "$@" 2>&1; echo "status $?"'


class EverywhereError(Exception):
    """srun did not run the check: one line, why."""


class Answer(NamedTuple):
    """What ``nodes`` (a host list) answered alike: their exit ``status`` and ``text``. -1: no answer came."""

    nodes: str
    number: int
    status: int
    text: str


def check(nodes: str, command: Sequence[str], srun: str = "srun", partition: str = "") -> list[Answer]:
    """Run ``command`` once on each of ``nodes`` (a host list); raises EverywhereError, or HostlistError for no list.

    The worst answers come first. Nodes that are drained or busy are waited for WAIT_S seconds, all together.
    """
    wanted = sorted(names(nodes))
    options = [f"--nodelist={nodes}", f"--nodes={len(wanted)}", "--ntasks-per-node=1", "--label", "--input=none"]
    options += ["--mem=0", "--overlap", f"--immediate={WAIT_S}", "--job-name=preflight-check", "--kill-on-bad-exit=0"]
    options += [f"--partition={partition}"] if partition else []
    inherited = ("SLURM_", "SRUN_")  # of a job that this runs in
    outside = {key: one for key, one in os.environ.items() if key == "SLURM_CONF" or not key.startswith(inherited)}
    try:
        done = subprocess.run(
            [srun, *options, "sh", "-c", _SCRIPT, "sh", *command],
            capture_output=True,
            timeout=4 * WAIT_S,
            env=outside,
            check=False,
        )
    except OSError as error:
        raise EverywhereError(f"{srun}: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise EverywhereError(f"srun did not come back within {4 * WAIT_S} s") from None
    answers = read(done.stdout[:MAX_OUTPUT].decode("utf-8", "replace"), wanted)
    if all(one.status == -1 for one in answers):
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise EverywhereError(lines[-1][:200] if lines else f"srun ended with {done.returncode} and no answer")
    return answers


def short(text: str) -> str:
    """Return a report's JSON as verdict and what is not well, without times and sizes; other text as it is."""
    try:
        report = json.loads(text)
        lines = [str(report["verdict"])]
        for one in report["findings"]:
            if one["status"] not in ("pass", "skip"):
                lines.append(f"  {one['status']} {one['check']} {one['subject']}: {one['message']}")
                lines += [f"    {one['remedy']}"] if one["status"] == "fail" and one["remedy"] else []
    except (ValueError, KeyError, TypeError, RecursionError):
        return text
    return "\n".join(clean(line) for line in lines)


def read(output: str, wanted: Sequence[str]) -> list[Answer]:
    """Return what labelled output says, equal answers together; a node of ``wanted`` without one has status -1."""
    lines: dict[int, list[str]] = defaultdict(list)
    for line in output.splitlines():
        if found := _LABELLED.fullmatch(line):
            lines[int(found[1])].append(found[2])
    alike: dict[tuple[int, str], list[str]] = defaultdict(list)
    silent = set(wanted)
    for its in lines.values():
        if not its[0].startswith("node ") or not its[-1].startswith("status "):
            continue  # it was ended in the middle
        node, status = its[0].removeprefix("node "), its[-1].removeprefix("status ")
        if node in silent and is_whole(status):
            silent.discard(node)
            alike[int(status), short("\n".join(its[1:-1]))].append(node)
    if silent:
        alike[-1, "no answer"] = [node for node in wanted if node in silent]
    answers = [Answer(folded(nodes), len(nodes), status, text) for (status, text), nodes in alike.items()]
    return sorted(answers, key=lambda one: (one.status == 0, one.number, one.nodes))
