"""Jobs and nodes of a running lab, read field by field."""

import os
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")
# squeue prints any text between its fields as it stands; no name in a test holds this character.
_SEPARATOR = "\x1f"
_FIELDS = {
    "id": "%A", "array_job_id": "%F", "array_task_id": "%K", "name": "%j", "user": "%u", "uid": "%U",
    "partition": "%P", "state": "%T", "reason": "%r", "priority": "%Q", "nodes": "%N", "node_count": "%D",
    "required_nodes": "%n", "excluded_nodes": "%x", "features": "%f", "start": "%S", "comment": "%k", "command": "%o",
    "workdir": "%Z", "exec_host": "%B",
}  # fmt: skip
_LONG_FIELDS = {"admin_comment": "AdminComment", "restarts": "RestartCnt", "requeue": "Requeue", "batch": "BatchFlag"}
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "DEADLINE", "OUT_OF_MEMORY", "BOOT_FAIL")


class _Cluster(Protocol):
    work: str

    def run(
        self, cmd: Sequence[str], user: str | None = None, env: Mapping[str, str] | None = None, timeout: float = 60,
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]: ...  # fmt: skip

    def check_run(
        self, cmd: Sequence[str], user: str | None = None, env: Mapping[str, str] | None = None, timeout: float = 60,
        stdin: str = "",
    ) -> str: ...  # fmt: skip

    def wait_until(self, predicate: Callable[[], T], timeout: float, what: str) -> T: ...


class Jobs:
    """What a test asks of jobs and nodes; mixed into Lab."""

    def sbatch(
        self: _Cluster,
        script_or_wrap: str,
        *options: str,
        user: str | None = "pfalice",
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Submit a script (text that starts with "#!") or one shell line; return the job's id as sbatch prints it.

        The job runs in ``work`` and writes ``slurm-<id>.out`` there. Raises LabError if sbatch refuses it.
        """
        base = ["sbatch", "--parsable", *options]
        if script_or_wrap.startswith("#!"):
            text = self.check_run(base, user, env, stdin=script_or_wrap)
        else:
            text = self.check_run([*base, f"--wrap={script_or_wrap}"], user, env)
        return text.strip().split(";")[0]

    def job(self: _Cluster, jobid: str | int) -> dict[str, str]:
        """Return one job's fields (see _FIELDS and _LONG_FIELDS), those of its first row if it is an array; {} if unknown."""
        return _job(self, str(jobid))

    def output(self: _Cluster, jobid: str | int) -> str:
        """Return what the job wrote to its default output file; "" as long as there is none."""
        try:
            with open(os.path.join(self.work, f"slurm-{jobid}.out"), encoding="utf-8", errors="replace") as text:
                return text.read()
        except FileNotFoundError:
            return ""

    def wait_job(self: _Cluster, jobid: str | int, states: str | Iterable[str], timeout: float = 60) -> dict[str, str]:
        """Wait until the job is in one of ``states`` (squeue's long names); return its fields."""
        wanted = {states} if isinstance(states, str) else set(states)

        def reached() -> dict[str, str]:
            return fields if (fields := _job(self, str(jobid))).get("state") in wanted else {}

        return self.wait_until(reached, timeout, f"job {jobid} to be {' or '.join(sorted(wanted))}")

    def hurry(self: _Cluster, jobid: str | int, timeout: float = 30) -> None:
        """Make a pending, requeued job eligible now. Test only: it waits until the job has left its nodes first,
        since slurmctld sets the begin time when the job completes."""
        jobid = str(jobid)
        self.wait_until(lambda: _job(self, jobid).get("state") == "PENDING", timeout, f"job {jobid} to be pending")
        self.check_run(["scontrol", "update", f"JobId={jobid}", "StartTime=now"])

    def node_state(self: _Cluster, name: str) -> str:
        """Return the node's state with its flags, as "IDLE" or "IDLE+DRAIN"."""
        return _node(self, name)[0]

    def node_reason(self: _Cluster, name: str) -> str | None:
        """Return the node's reason as set, without user and time; None if it has none."""
        return _node(self, name)[1]

    def wait_nodes(self: _Cluster, states: Iterable[str] = ("IDLE",), timeout: float = 20) -> None:
        """Wait until every node is in one of ``states`` (no flags beside it)."""
        wanted = set(states)

        def ready() -> bool:
            seen = set(self.check_run(["sinfo", "-h", "-N", "-o", "%T"]).split())
            return bool(seen) and {state.upper() for state in seen} <= wanted

        self.wait_until(ready, timeout, f"nodes to be {' or '.join(sorted(wanted))}")

    def reset(self: _Cluster, timeout: float = 30) -> None:
        """Cancel every job, wait until all have left, and bring every node back: for a lab that many tests share."""
        names = self.check_run(["sinfo", "-h", "-N", "-o", "%N"]).split()
        self.run(["scancel", "--hurry", "--user=pfalice"])
        self.run(["scancel", "--hurry", "--user=pfbob"])
        self.run(["scancel", "--hurry", "--user=root"])
        self.wait_until(lambda: not self.check_run(["squeue", "-h"]).strip(), timeout, "all jobs to leave")
        for name in sorted(set(names)):
            if _node(self, name)[0] != "IDLE":
                self.run(["scontrol", "update", f"NodeName={name}", "State=RESUME"])
        self.wait_nodes(timeout=timeout)


def _job(lab: _Cluster, jobid: str) -> dict[str, str]:
    values = lab.run(["squeue", "-h", "-t", "all", "-j", jobid, "-o", _SEPARATOR.join(_FIELDS.values())])
    rows = values.stdout.split("\n")
    if values.returncode != 0 or not rows[0]:
        return {}
    fields = dict(zip(_FIELDS, rows[0].split(_SEPARATOR), strict=False))
    widths = ",".join(f"{name}:1024" for name in _LONG_FIELDS.values())
    row = lab.run(["squeue", "-h", "-t", "all", "-j", jobid, "-O", widths]).stdout.split("\n")[0]
    for position, name in enumerate(_LONG_FIELDS):
        fields[name] = row[position * 1024 : (position + 1) * 1024].rstrip()
    return fields


def _node(lab: _Cluster, name: str) -> tuple[str, str | None]:
    text = lab.check_run(["scontrol", "show", "node", name])
    state = re.search(r"\bState=(\S+)", text)
    reason = re.search(r"^ *Reason=(.*?)(?: \[[^\]]*\])?$", text, re.MULTILINE)
    return (state.group(1) if state else "", reason.group(1) if reason else None)
