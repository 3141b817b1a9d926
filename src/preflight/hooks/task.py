"""The task prolog, as the job's user: one line on the job's output, and two variables. Always returns 0."""

from __future__ import annotations

import sys

from preflight import jsonio
from preflight.digits import is_whole
from preflight.hooks.notes import note_path

# How SLURM_STEP_ID names the batch step on 26.05; earlier releases leave it out there.
BATCH_STEP = ("-5", "4294967291")

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Mapping


def task(run_dir: str, environment: Mapping[str, str]) -> int:
    """Print what slurmstepd understands: "print TEXT" and "export NAME=VALUE"."""
    node, job = environment.get("SLURMD_NODENAME", ""), environment.get("SLURM_JOB_ID", "")
    if not node or "/" in node or not is_whole(job):
        return 0
    try:
        with open(note_path(run_dir, node, int(job)), encoding="utf-8") as file:
            note = jsonio.loads(file.read(65536))
        said, report, message = (str(note[key]) for key in ("verdict", "report", "message"))
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    lines = [f"export PREFLIGHT_VERDICT={_clean(said)}", f"export PREFLIGHT_REPORT={_clean(report)}"]
    if said != "ready" and _speaks(environment):
        more = f" (preflight report {job})"
        lines.insert(0, f"print preflight: {_clean(node)}: {_clean(said)}: {_clean(message)[:200]}{more}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    return 0


def _speaks(environment: Mapping[str, str]) -> bool:
    """Return whether this task is the one that speaks for its node: once a job, in the batch step or else step 0.

    A batch script runs on the first node only; on the others their first task of step 0 speaks.
    """
    step = environment.get("SLURM_STEP_ID")
    if step is None or step in BATCH_STEP:
        return True
    spoken = environment.get("ENVIRONMENT") == "BATCH" and environment.get("SLURM_NODEID") == "0"
    return step == "0" and environment.get("SLURM_LOCALID") == "0" and not spoken


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
