"""What holds a waiting job up, by Slurm's reason and by what is known beyond it: in words, with the steps."""

from __future__ import annotations

import math

from preflight.digits import whole
from preflight.hostlist import HostlistError, folded, names
from preflight.slurm.reservations import Reservation
from preflight.submit.why.bounds import said_of, steps_for, time_words
from preflight.submit.why.case import Case
from preflight.submit.why.limits import limit_minutes
from preflight.submit.why.model import Step, away
from preflight.submit.why.reasons import filled, reason, step_of
from preflight.submit.why.words import clock, soon, verb

_TOO_MANY = ("PartitionConfig", "PartitionNodeLimit", "BadConstraints", "ReqNodeNotAvail", "Resources")
_MARGIN_MIN = 1  # so that a limit that is typed a moment later still fits


def hold_up(case: Case) -> tuple[str, tuple[Step, ...]]:
    """Return what a job waits for, which ends a sentence that began with "Job 12 waits: ", and what to do."""
    more, code = case.evidence.more, code_of(case)
    if more.bound is not None:
        return said_of(more.bound, more), steps_for(more.bound, more, case.address)
    told = _too_many_nodes(case, code) or _too_long(case, code) or _before_reservation(case)
    if told:
        return told
    why = reason(case.job.reason)
    names_ = names_of(case)
    return filled(why, **names_) + _begin(case, code), (step_of(why, **names_), *without_nodelist(case))


def code_of(case: Case) -> str:
    """Return Slurm's word for why the job waits, without what may follow it."""
    return case.job.reason.replace("_", " ").partition(",")[0]


def names_of(case: Case) -> dict[str, str]:
    """Return what is filled into the words and commands of a reason."""
    return {
        "job": case.address,
        "name": case.job.name,
        "array": str(case.job.array_job_id or case.job.id),
        "partition": case.job.partition or "?",
        "dependency": case.job.dependency or "?",
    }


def _begin(case: Case, code: str) -> str:
    start = case.job.eligible
    if code != "BeginTime" or start is None:
        return ""
    return f" ({clock(start, case.evidence.now)}, {soon(start, case.evidence.now)})"


def asked_by_name(case: Case) -> set[str]:
    """Return the nodes that the job asks for by name and that no job starts on now."""
    try:
        asked = names(case.job.required)
    except HostlistError:
        return set()
    return {name for name in asked if name in case.evidence.nodes and away(case.evidence.nodes[name])}


def without_nodelist(case: Case) -> tuple[Step, ...]:
    """Return how to give up nodes asked for by name that are not to be had."""
    gone = asked_by_name(case)
    if not gone and not (case.job.required and code_of(case) in ("ReqNodeNotAvail", "NodeDown")):
        return ()
    text = f"It asks for {case.job.required} by name (--nodelist). To let it run on any other node:"
    return (Step(text, (f"scontrol update JobId={case.job.name} ReqNodeList=",)),)


def _too_many_nodes(case: Case, code: str) -> tuple[str, tuple[Step, ...]] | None:
    """Say of a job that asks for more nodes than there are how many there are."""
    nodes, job = case.evidence.nodes, case.job
    if not code.startswith(_TOO_MANY) or job.required or not nodes:
        return None
    most = min(len(nodes), whole(case.evidence.more.partition.get("MaxNodes", "")) or len(nodes))
    if job.num_nodes <= most:
        return None
    has = "has" if most == len(nodes) else "allows a job"
    means = f"it asks for {job.num_nodes} nodes, and its partition ({job.partition}) {has} {most}, so it can never run"
    again = (f"scancel {case.address}", f"sbatch --nodes={most} SCRIPT")
    return f"{means} as it is", (
        Step("Cancel it, and submit it again for fewer nodes, or to another partition:", again),
        Step("What partitions there are:", ("sinfo -s",)),
    )


def _too_long(case: Case, code: str) -> tuple[str, tuple[Step, ...]] | None:
    """Say of a job whose time limit is beyond its partition's what that is."""
    most = case.evidence.more.partition.get("MaxTime", "")
    if code != "PartitionTimeLimit" or not most:
        return None
    means = (
        f"its time limit ({time_words(case.evidence.more) or '?'}) is longer than its partition ({case.job.partition}) "
        f"allows ({most}), so it can never run as it is"
    )
    return means, (Step("Lower the time limit:", (f"scontrol update JobId={case.job.name} TimeLimit={most}",)),)


def _before_reservation(case: Case) -> tuple[str, tuple[Step, ...]] | None:
    """Say of a job that would run into a reservation of its nodes when that begins, and what would still fit before."""
    ahead = _in_the_way(case)
    if ahead is None:
        return None
    now, job = case.evidence.now, case.job
    kind = "a maintenance" if ahead.maintenance else "a reservation of others"
    begins = f"{clock(ahead.start, now)}, {soon(ahead.start, now)}"
    limit = time_words(case.evidence.more)
    means = f"{kind} of its nodes begins ({begins}; {ahead.name}), and its time limit ({limit}) reaches into it"
    left = math.floor((ahead.start - now) / 60) - _MARGIN_MIN
    wait = Step(f"Or wait until it is over ({clock(ahead.end, now)}).")
    drop = [Step("Or let it run on any other node:", (f"scontrol update JobId={job.name} ReqNodeList=",))]
    drop = drop if job.required else []
    if left < 1:
        return means, (Step(f"Wait until it is over ({clock(ahead.end, now)})."), *drop)
    return means, (
        Step("Lower its time limit so that it ends before:", (f"scontrol update JobId={job.name} TimeLimit={left}",)),
        *drop,
        wait,
    )


def _in_the_way(case: Case) -> Reservation | None:
    """Return the reservation ahead that leaves the job too few nodes until it would end; None where it is another
    thing that keeps it."""
    minutes = limit_minutes(case.evidence.more.asks)
    here = {name for name, node in case.evidence.nodes.items() if not away(node)}
    needed = max(1, case.job.num_nodes)
    if minutes is None or len(here) < needed or case.job.reservation:
        return None
    for one in case.evidence.more.reservations:
        if case.evidence.now < one.start < case.evidence.now + minutes * 60 and len(here - one.nodes) < needed:
            return one
    return None


def put_back(case: Case) -> str:
    """Return by what Slurm put the job back into the queue, as a sentence; "" where it never did."""
    if not case.job.restarts:
        return ""
    times = "once" if case.job.restarts == 1 else f"{case.job.restarts} times"
    runs = case.evidence.more.runs
    if runs:
        last = runs[-1]
        on = last.nodes or "its nodes"
        because = {
            "NODE_FAIL": f"since {on} failed while it ran there (NODE_FAIL)",
            "PREEMPTED": f"from {on}, to give way to a job of higher priority (PREEMPTED)",
            "REQUEUED": f"from {on}, by hand or after a failed launch (REQUEUED)",
        }.get(last.state, f"from {on} ({last.state})")
        return f" Slurm has put it back into the queue {times}, {'last ' if times != 'once' else ''}{because}."
    ran = [stay for stay in case.of_run(case.run - 1) if stay.outcome in ("ready", "degraded", "unknown")]
    on = f", last from {ran[0].nodes}" if ran else ""
    return (
        f" Slurm has put it back into the queue {times}{on}, not Preflight (preemption, a node that failed, or "
        "scontrol requeue)."
    )


def names_that_are_away(case: Case) -> str:
    """Return that nodes it asks for by name are away, as a sentence; "" where none is."""
    gone = asked_by_name(case)
    if not gone:
        return ""
    nodes = folded(gone)
    states = {flag.lower() for name in gone for flag in case.evidence.nodes[name].state if flag not in ("IDLE",)}
    state = "down" if any(flag.startswith("down") for flag in states) else "drained"
    return f" It still asks for {nodes} by name, which {verb(nodes, 'is', 'are')} {state}."
