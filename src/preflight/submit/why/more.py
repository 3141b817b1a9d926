"""What an answer needs beyond the job's own record, asked only where that answer is given.

Each question is one or two Slurm commands. What cannot be had is left out: the answer is more general then.
"""

from __future__ import annotations

import shlex

from preflight.report.clean import clean
from preflight.slurm.accounting import Memory, earlier_runs, past, text_of
from preflight.slurm.associations import chain, partition_fields, qos
from preflight.slurm.commands import Slurm, SlurmError
from preflight.slurm.job_asks import Asks, Files, asks, files_of
from preflight.slurm.models import JobInfo
from preflight.slurm.reservations import reservations
from preflight.submit.options import Word, scan
from preflight.submit.why.limits import Bound, bound, limit_of
from preflight.submit.why.model import More
from preflight.submit.why.words import killed, slurmd_error

_TIMES = ("ReqNodeNotAvail", "Resources", "Priority", "Reservation", "None", "Nodes required")
_SIZES = ("PartitionNodeLimit", "PartitionConfig", "PartitionTimeLimit", "BadConstraints", "ReqNodeNotAvail",
          "Resources", "Nodes required")  # fmt: skip
_WIDTH = 300


def of_queue(slurm: Slurm, job: JobInfo) -> More:
    """Return what an answer about a job in the queue needs; never raises."""
    more = More()
    code = job.reason.replace("_", " ").partition(",")[0].strip()
    failed = job.state in ("FAILED", "OUT_OF_MEMORY")
    waits = job.state == "PENDING" and job.priority != 0
    limit = limit_of(code) if waits else None
    try:
        if limit or (waits and code.startswith((*_TIMES, *_SIZES))) or failed:
            more = more._replace(asks=_clean(asks(slurm, job.id) or Asks()))
        if limit:
            more = more._replace(bound=_bound(slurm, job, more.asks, code))
        if waits and code.startswith("Partition"):
            more = more._replace(partition=partition_fields(slurm, job.partition.partition(",")[0]))
        if waits and code.startswith(_TIMES):
            more = more._replace(reservations=tuple(reservations(slurm)))
    except SlurmError:
        pass
    try:
        if waits and job.restarts:
            return more._replace(runs=tuple(earlier_runs(slurm, job.name)))
        if failed and (job.state == "OUT_OF_MEMORY" or killed(job.exit_code)):
            own = [one for one in past(slurm, job.name) if one.job.id == job.id]
            return more._replace(memory=own[0].memory) if own else more
    except SlurmError:  # a site without accounting
        pass
    return more


def of_past(slurm: Slurm, job: JobInfo, memory: Memory, lowered: bool) -> More:
    """Return what an answer about a job of which only accounting knows needs; never raises.

    ``lowered``: this sacct lowers exit codes.
    """
    files = _past_files(slurm, job) if slurmd_error(job.exit_code) else Files()
    return More(asks=_clean(Asks(files=files)), memory=memory, lowered=lowered and job.state == "FAILED")


def _bound(slurm: Slurm, job: JobInfo, own: Asks, code: str) -> Bound | None:
    limit = limit_of(code)
    if limit is None:
        return None
    holders = []
    first = job.partition.partition(",")[0]
    if limit.whose == "assoc":
        holders = chain(slurm, own.user or job.user, own.account, first)
    found = bound(limit, own, holders)
    if found is None:  # of a QOS; and Slurm has a word or two that name the other
        named = dict.fromkeys((partition_fields(slurm, first).get("QoS", ""), own.qos))
        rules = [qos(slurm, name, own.user or job.user, job.uid, own.account) for name in named if name]
        found = bound(limit, own, [one for one in rules if one is not None])
    return found


def _past_files(slurm: Slurm, job: JobInfo) -> Files:
    """Return the files of a job that has left the queue: sacct has them since 24.05, and the submit line before."""
    text = {name: text_of(slurm, job.name, name) for name in ("StdOut", "StdErr", "StdIn", "WorkDir")}
    array = f"{job.array_job_id}_{job.array_task_id}" if job.array_task_id is not None else ""
    if not text["StdOut"]:
        named = _named_files(text_of(slurm, job.name, "SubmitLine"))
        directory = named.get("chdir") or text["WorkDir"]
        if not {"output", "error", "input"} & set(named):
            return Files(directory=directory)
        return files_of(named.get("output", ""), named.get("error", ""), named.get("input", ""), directory, array,
                        str(job.id), job.user)  # fmt: skip
    return files_of(text["StdOut"], text["StdErr"], text["StdIn"], text["WorkDir"], array, str(job.id), job.user)


def _named_files(line: str) -> dict[str, str]:
    """Return the files that a command line of sbatch names; what stands in the script is not in it."""
    try:
        options = scan([Word(word) for word in shlex.split(line)[1:]], "command line").options
    except ValueError:
        return {}
    return {name: option.value for name, option in options if option.value}


def _clean(own: Asks) -> Asks:
    """Return it with what its user wrote made safe to show."""
    return own._replace(files=Files(*(clean(path, _WIDTH) for path in own.files)), licenses=clean(own.licenses, 80))
