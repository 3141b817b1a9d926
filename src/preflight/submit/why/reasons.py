"""Slurm's reasons for waiting, in plain words with the next step.

The codes are those of squeue's man page (JOB REASON CODES) and https://slurm.schedmd.com/job_reason_codes.html, checked
against the names compiled into Slurm 22.05, 24.11 and 26.05. What is not here is given in Slurm's own word, and said to
be Slurm's.
"""

import re
from typing import NamedTuple

from preflight.submit.why.bounds import general
from preflight.submit.why.model import Step


class Reason(NamedTuple):
    """``means`` ends a sentence that began with "Job 12 waits: ".

    Filled in are {job}, {name} (how scontrol names it), {array}, {partition}, {dependency}.
    """

    means: str
    step: str = ""
    commands: tuple[str, ...] = ()
    who: str = "user"
    known: bool = True


_SHOW = ("scontrol show job {job}",)
_LIMITS = ("scontrol show assoc_mgr flags=assoc",)
_QOS = ("scontrol show assoc_mgr flags=qos",)
_RAISED = re.compile(r"RaisedSignal(?::([0-9]+))?")
_AGAIN = "If it fails each time, cancel it and look at its output; what Slurm says of it:"

REASONS = {
    "None": Reason("the scheduler has not looked at it yet", "Wait a minute and ask again."),
    "WaitingForScheduling": Reason("the scheduler has not looked at it yet", "Wait a minute and ask again."),
    "SchedDefer": Reason("the scheduler has not looked at it yet", "Wait a minute and ask again."),
    "Priority": Reason(
        "jobs with a higher priority are before it",
        "Nothing to change: wait. Expected start, and what makes the priority:",
        ("squeue --start -j {job}", "sprio -j {job}"),
    ),
    "Resources": Reason(
        "what it asks for is in use by other jobs",
        "Nothing to change: it is next in line. Asking for less time or fewer nodes may start it sooner:",
        ("squeue --start -j {job}", "sinfo -p {partition}"),
    ),
    "Dependency": Reason("it depends on another job ({dependency})", "Wait for that job, or drop the dependency:",
                         ("scontrol update JobId={job} Dependency=",)),
    "DependencyNeverSatisfied": Reason(
        "it depends on a job that ended otherwise than it asks ({dependency}), so it will never start",
        "Drop the dependency, or cancel the job:",
        ("scontrol update JobId={job} Dependency=", "scancel {job}"),
    ),
    "BeginTime": Reason("its earliest start time has not come", "Wait, or let it start now:",
                        ("scontrol update JobId={job} StartTime=now",)),
    "ReqNodeNotAvail": Reason(
        "a node that it needs is not available now: in use, reserved, drained or down",
        "See what is with the nodes; a maintenance reservation may be ahead:",
        ("sinfo -R", "scontrol show reservation"),
    ),
    "NodeDown": Reason("a node that it needs is down", "Leave that node out, or wait for it:", ("sinfo -R",)),
    "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions": Reason(
        "the nodes that could run it are down, drained, or kept for other partitions", "See which, and why:",
        ("sinfo -R", "sinfo -p {partition}"),
    ),
    "BadConstraints": Reason(
        "no node can satisfy what it asks for", "Ask for what a node has, and submit it again:",
        ("scancel {job}", "preflight plan SCRIPT"),
    ),
    "Constraints": Reason("no node has what it asks for now", "Wait for a node that fits, or ask for less.", _SHOW),
    "PartitionDown": Reason("its partition ({partition}) is down", "Wait for the admins, or use another partition:",
                            ("sinfo -s", "scontrol update JobId={job} Partition=NAME")),
    "PartitionInactive": Reason(
        "its partition ({partition}) is inactive", "Wait for the admins, or use another partition:",
        ("sinfo -s", "scontrol update JobId={job} Partition=NAME"),
    ),
    "PartitionNodeLimit": Reason(
        "its partition ({partition}) does not allow so many or few nodes, or the nodes are down or drained",
        "What the partition allows; cancel the job, and submit it again for as many nodes:",
        ("scontrol show partition {partition}", "scancel {job}", "sbatch --nodes=N SCRIPT"),
    ),
    "PartitionTimeLimit": Reason(
        "its time limit is longer than its partition ({partition}) allows", "Lower the time limit:",
        ("scontrol show partition {partition}", "scontrol update JobId={job} TimeLimit=HH:MM:SS"),
    ),
    "PartitionConfig": Reason("it asks for what its partition ({partition}) does not have or allow",
                              "What the partition allows:", ("scontrol show partition {partition}",)),
    "AccountNotAllowed": Reason("its account may not use its partition ({partition})",
                                "Use another account or partition:", ("scontrol show partition {partition}",)),
    "QOSNotAllowed": Reason("its QOS may not be used with its account or its partition ({partition})",
                            "Use another QOS:", ("scontrol update JobId={job} QOS=NAME",)),
    "InvalidAccount": Reason("its account is not valid (any more)", "Give it a valid one:",
                             ("sacctmgr show assoc user=$USER format=account,partition,qos",
                              "scontrol update JobId={job} Account=NAME")),
    "InvalidQOS": Reason("its QOS is not valid (any more)", "Give it a valid one:",
                         ("scontrol update JobId={job} QOS=NAME",)),
    "QOSUsageThreshold": Reason("its QOS asks for more usage factor than the account has", "Ask the admins.", _QOS),
    "Reservation": Reason("its reservation has not begun, or is full", "See when it begins, or let it run without one:",
                          ("scontrol show reservation", "scontrol update JobId={job} ReservationName=")),
    "ReservationDeleted": Reason(
        "its reservation was deleted", "Let it run without one, or cancel it:",
        ("scontrol update JobId={job} ReservationName=", "scancel {job}")),
    "ReservationInvalid": Reason(
        "its reservation is not valid (any more)", "Let it run without one, or cancel it:",
        ("scontrol update JobId={job} ReservationName=", "scancel {job}"),
    ),
    "JobArrayTaskLimit": Reason(
        "as many tasks of its array run as the array lets run at once (the % of --array)",
        "Wait for tasks to end, or raise that number:", ("scontrol update JobId={array} ArrayTaskThrottle=N",),
    ),
    "Licenses": Reason("it needs a license that is in use", "Wait; who has them:", ("scontrol show licenses",)),
    "Cleaning": Reason("its last run is still being cleaned up", "Wait a minute and ask again."),
    "Prolog": Reason("the site's prolog on the controller still runs for it", "Wait a minute and ask again."),
    "MaxMemPerLimit": Reason("it asks for more memory on a node than the site allows", "Ask for less:",
                             ("scontrol show partition {partition}",)),
    "DeadLine": Reason("it can no longer end before its deadline",
                       "Cancel it, and submit it again with a later deadline (only an admin can move it):",
                       ("scancel {job}", "sbatch --deadline=TIME SCRIPT")),
    "MaxPoweredUpNodes": Reason("as many cloud nodes are powered up as the site allows", "Wait for one."),
    "BurstBufferResources": Reason("the burst buffer has no room for it", "Wait."),
    "BurstBufferStageIn": Reason("its data is being brought to the burst buffer", "Wait."),
    "BurstBufferOperation": Reason("its burst buffer is being worked on, or has failed", "Slurm says:", _SHOW),
    "FrontEndDown": Reason("no front end node can take it", "Wait for the admins:", ("sinfo -R",)),
    "PowerNotAvail": Reason("there is not enough power for it now", "Wait."),
    "PowerReserved": Reason("the power that it needs is reserved", "Wait."),
    "BlockMaxError": Reason("its Blue Gene block had too many errors", "Ask the admins:", _SHOW),
    "BlockFreeAction": Reason("its Blue Gene block is being freed", "Wait a minute and ask again."),
    "FedJobLock": Reason("another cluster of the federation is about to start it", "Wait a minute and ask again."),
    "MpiPortsBusy": Reason("the ports that its MPI steps need are in use on the nodes", "Wait for jobs to end:",
                           ("sinfo -p {partition}",)),
    "NvidiaImexChannels": Reason("no IMEX channel (GPU memory shared between nodes) is free", "Wait for jobs to end:",
                                 ("squeue -t RUNNING -p {partition}",)),
    "JobHeldUser": Reason("it is held by its user", "Release it when it may start:", ("scontrol release {name}",)),
    "JobHeldAdmin": Reason("it is held by an administrator", "Ask the admins why; to release it:",
                           ("scontrol release {name}",), "admin"),
    "JobHoldMaxRequeue": Reason("it was put back into the queue as often as MaxBatchRequeue lets it",
                                "Once it is clear why its launch fails:", ("scontrol release {name}",), "admin"),
    "JobLaunchFailure": Reason("its last launch failed, and it was put back into the queue", _AGAIN, _SHOW),
    "SystemFailure": Reason("Slurm itself or a node failed under it", "Ask the admins:", _SHOW),
    "NonZeroExitCode": Reason("its last run ended with an exit code other than 0, and it was put back into the queue",
                              _AGAIN, _SHOW),
    "TimeLimit": Reason("its last run reached its time limit, and it was put back into the queue", _AGAIN, _SHOW),
    "OutOfMemory": Reason("its last run used more memory than it asked for, and it was put back into the queue",
                          "Cancel it, and ask for more memory:", ("scancel {job}", "sbatch --mem=… SCRIPT")),
    "InvalidReason": Reason("Slurm gives no reason that it has a word for", "What Slurm says of it:", _SHOW),
    "InactiveLimit": Reason("the site's InactiveLimit was reached", "Ask the admins.", _SHOW),
    "AssociationJobLimit": Reason("its account has as many jobs as it may", "Wait for one to end:", _LIMITS),
    "AssociationResourceLimit": Reason("its account has as much as it may", "Wait for jobs to end:", _LIMITS),
    "AssociationTimeLimit": Reason("its account has used the time that it may", "The limits:", _LIMITS),
    "QOSJobLimit": Reason("its QOS has as many jobs as it may", "Wait for one to end; the limits:", _QOS),
    "QOSResourceLimit": Reason("its QOS has as much as it may", "Wait for jobs to end; the limits:", _QOS),
    "QOSTimeLimit": Reason("its time limit is longer than its QOS allows", "Lower the time limit:", (
        *_QOS, "scontrol update JobId={job} TimeLimit=HH:MM:SS")),
    "AccountingPolicy": Reason("a limit of accounting holds it back", "The limits:", _LIMITS),
}  # fmt: skip


def reason(word: str) -> Reason:
    """Return what Slurm's ``word`` (%r of squeue) means; ``known`` is False where only Slurm's word is there."""
    text = word.replace("_", " ").strip()
    code = text.partition(",")[0].strip()
    for name in (text, text.removeprefix("(").removesuffix(")"), code):
        if name in REASONS:
            return REASONS[name]
    if code == "InvaildReason":  # so spelt by 24.11
        return REASONS["InvalidReason"]
    if text.startswith("Nodes required for job are DOWN"):
        return REASONS["Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions"]
    signal = _RAISED.match(code)
    if signal:
        return Reason(
            f"its last run was ended by signal {signal[1]}, and it was put back into the queue", _AGAIN, _SHOW
        )
    limit = general(code)
    if limit is not None:
        means, step = limit
        return Reason(means, step.text, step.commands)
    return Reason(f'Slurm\'s own word for it is "{text or "none"}"', "What Slurm says of it:", _SHOW, known=False)


def step_of(why: Reason, **names: str) -> Step:
    """Return the step of a reason with names filled in."""
    return Step(why.step, tuple(_filled(command, names) for command in why.commands), why.who)


def filled(why: Reason, **names: str) -> str:
    """Return what a reason means with names filled in."""
    return _filled(why.means, names)


def _filled(text: str, names: dict[str, str]) -> str:
    for name, value in names.items():  # not str.format: values are Slurm's and users' text
        text = text.replace(f"{{{name}}}", value)
    return text
