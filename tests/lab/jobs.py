"""Jobs and nodes of a running lab, read field by field."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterable, Mapping

from lab.commands import Commands, LabError
from lab.users import USERS

_FIELDS = {
    "id": "%A", "array_job_id": "%F", "array_task_id": "%K", "user": "%u", "uid": "%U", "partition": "%P",
    "state": "%T", "reason": "%r", "priority": "%Q", "nodes": "%N", "node_count": "%D", "required_nodes": "%n",
    "excluded_nodes": "%x", "features": "%f", "start": "%S", "batch_host": "%B",
    "name": "%j", "comment": "%k", "command": "%o",
}  # fmt: skip
# Only `squeue -O` has these, in columns of a width; the text is the last.
_LONG_FIELDS = {"restarts": "RestartCnt", "requeue": "Requeue", "batch": "BatchFlag"}
_ADMIN_COMMENT = ("admin_comment", "AdminComment")  # 22.05, later ones
_WIDTH, _TEXT_WIDTH = 32, 65536
_ABSENT = ("(null)", "N/A", "n/a")


class Jobs(Commands):
    """What a test asks of jobs and nodes."""

    _admin_comment = _ADMIN_COMMENT  # what this Slurm may call it

    def sbatch(
        self, script_or_wrap: str, *options: str, user: str | None = "pfalice", env: Mapping[str, str] | None = None
    ) -> str:
        """Submit a script (text that starts with "#!") or one shell line; return the job's id.

        The job runs in ``work`` and writes ``slurm-<id>.out`` there. Raises LabError if sbatch refuses it.
        """
        base = ["sbatch", "--parsable", *options]
        if script_or_wrap.startswith("#!"):
            text = self.check_run(base, user, env, stdin=script_or_wrap)
        else:
            text = self.check_run([*base, f"--wrap={script_or_wrap}"], user, env)
        return text.strip().split(";")[0]

    def output(self, jobid: str | int) -> str:
        """Return what the job wrote to its default output file; "" as long as there is none."""
        try:
            with open(os.path.join(self.work, f"slurm-{jobid}.out"), encoding="utf-8", errors="replace") as text:
                return text.read()
        except FileNotFoundError:
            return ""

    def job(self, jobid: str | int) -> dict[str, str]:
        """Return one job's fields as squeue gives them, "" where it has none; {} if Slurm does not know the job.

        Keys: id array_job_id array_task_id user uid partition state reason priority nodes node_count required_nodes
        excluded_nodes features start batch_host name comment command admin_comment restarts requeue batch. Of an
        array it is the first row: name the task ("12_3").
        """
        part = f"\x1f{secrets.token_hex(8)}\x1f"  # stands in no user's text
        row = self._squeue(jobid, part.join(_FIELDS.values()))
        if row is None:
            return {}
        fields = {**dict(zip(_FIELDS, row.split(part))), **self._long_fields(jobid)}
        return {name: "" if value in _ABSENT else value for name, value in fields.items()}

    def job_state(self, jobid: str | int) -> str | None:
        """Return the job's state (squeue's long name), None if Slurm does not know the job."""
        return self._squeue(jobid, "%T")

    def array_ids(self, jobid: str | int) -> dict[str, str]:
        """Return {task id: the job id of its own} of an array's tasks; tasks that never started share the array's."""
        text = self.check_run(["squeue", "-h", "-r", "-t", "all", "-j", str(jobid), "-o", "%K %A"])
        return dict(line.split() for line in text.splitlines())

    def wait_job(self, jobid: str | int, states: str | Iterable[str], timeout: float = 60) -> dict[str, str]:
        """Wait until the job is in one of ``states`` (squeue's long names); return its fields."""
        wanted = {states} if isinstance(states, str) else set(states)
        what = f"job {jobid} to be {' or '.join(sorted(wanted))}"
        try:
            self.wait_until(lambda: self.job_state(jobid) in wanted, timeout, what)
        except Exception as error:
            error.add_note(f"the job: {self.job(jobid)}")
            raise
        return self.job(jobid)

    def hurry(self, jobid: str | int, timeout: float = 30) -> None:
        """Make a requeued job eligible now instead of after ``requeue_delay``; for tests only.

        Waits until it is pending (the job has left its nodes) first: while it completes, slurmctld ignores StartTime.
        """
        self.wait_until(lambda: self.job_state(jobid) == "PENDING", timeout, f"job {jobid} to be pending")
        # A node that ran it refuses a credential made in the second in which the last one was revoked.
        time.sleep(1.1)
        if self.job_state(jobid) == "PENDING":  # a short one may have run meanwhile
            done = self.run(["scontrol", "update", f"JobId={jobid}", "StartTime=now"])
            if done.returncode and "already finished" not in done.stderr:
                raise LabError(f"job {jobid} cannot be made eligible: {done.stderr.strip()}")

    def node_state(self, name: str) -> str:
        """Return the node's state with its flags, as "IDLE" or "IDLE+DRAIN"."""
        state = re.search(r"\bState=(\S+)", self.check_run(["scontrol", "show", "node", name]))
        return state.group(1) if state else ""

    def node_reason(self, name: str) -> str | None:
        """Return the node's reason as it was set, without user and time; None if it has none."""
        text = self.check_run(["scontrol", "show", "node", name])
        reason = re.search(r"^ *Reason=(.*?)(?: \[[^\]]*@[^\]]*\])?$", text, re.MULTILINE)
        return reason.group(1) if reason else None

    def wait_nodes(self, states: Iterable[str] = ("IDLE",), timeout: float = 20) -> None:
        """Wait until every node is in exactly one of ``states`` (sinfo's, upper case; "IDLE*" does not answer)."""
        wanted = set(states)

        def reached() -> bool:
            seen = {state.upper() for state in self.check_run(["sinfo", "-h", "-N", "-o", "%T"]).split()}
            return bool(seen) and seen <= wanted

        self.wait_until(reached, timeout, f"all nodes to be {' or '.join(sorted(wanted))}")

    def reset(self, timeout: float = 30) -> None:
        """Cancel every job, wait until all have left, bring every node back: for a lab that many tests share."""

        def left() -> bool:
            if not self.check_run(["squeue", "-h", "-a"]).strip():
                return True
            # Again and again: a job cancelled in its prolog may be requeued by the prolog's failure.
            for user in ("root", *USERS):
                self.run(["scancel", f"--user={user}"])
            return False

        self.wait_until(left, timeout, "all jobs to leave")
        states = dict(line.split() for line in self.check_run(["sinfo", "-h", "-N", "-o", "%N %T"]).splitlines())
        away = [name for name, state in states.items() if state != "idle"]
        for name in away:
            self.run(["scontrol", "update", f"NodeName={name}", "State=RESUME"])
        if away:
            self.wait_nodes(timeout=timeout)

    def _squeue(self, jobid: str | int, letters: str) -> str | None:
        end = f"\x1e{secrets.token_hex(8)}\x1e"
        done = self.run(["squeue", "-h", "-a", "-t", "all", "-j", str(jobid), "-o", letters + end])
        row, found, _ = done.stdout.partition(end)
        return row if found else None

    def _long_fields(self, jobid: str | int) -> dict[str, str]:
        columns = ",".join(f"{name}:{_WIDTH}" for name in _LONG_FIELDS.values())
        line = ""
        for name in self._admin_comment:
            words = ["-O", f"{columns},{name}:{_TEXT_WIDTH}"]
            done = self.run(["squeue", "-h", "-a", "-t", "all", "-j", str(jobid), *words])
            # A name that squeue does not know is left out with status 0.
            if "Invalid job format" not in done.stderr:
                line, self._admin_comment = done.stdout, (name,)
                break
        starts = range(0, _WIDTH * len(_LONG_FIELDS), _WIDTH)
        fields = {name: line[start : start + _WIDTH].rstrip() for name, start in zip(_LONG_FIELDS, starts)}
        text = line[_WIDTH * len(_LONG_FIELDS) :][:_TEXT_WIDTH]
        return {**fields, "admin_comment": text.rstrip()}
