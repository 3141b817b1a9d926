"""A job that waits for a limit of accounting: the limit, where it is set, and the step that fits it, in words."""

from __future__ import annotations

import math
import re

from preflight.submit.why.limits import NAMES, Bound, limit_minutes, limit_of
from preflight.submit.why.model import More, Step

_SAFE = re.compile(r"[A-Za-z0-9_.@+-]+")
_CAN_NEVER = ", so it can never run as it is"


def said_of(bound: Bound, more: More) -> str:
    """Return what holds the job back; it ends a sentence that began with "Job 12 waits: "."""
    limit, where, most = bound.limit, bound.where, bound.amount.limit or 0.0
    name, allowed = f"({limit.set_by})", _amount(bound, most)
    asked = "an unknown amount" if bound.asked is None else _amount(bound, bound.asked)
    if limit.least:
        text = f"{where} takes jobs that ask for at least {allowed} {name}, and it asks for {asked}"
    elif limit.measure == "wall" and limit.scope == "job":
        text = f"{where} allows a job {allowed} {name}, and its time limit is {asked}"
    elif limit.scope in ("job", "node"):
        each = "on a node" if limit.scope == "node" else "a job"
        text = f"{where} allows {allowed} {each} {name}, and it asks for {asked}"
    elif limit.measure in ("jobs", "submit"):
        text = f"{_jobs_of(bound)} may {'run' if limit.measure == 'jobs' else 'have'} {allowed} at a time {name}"
        text += _used(bound, "do" if limit.measure == "jobs" else "are there")
    else:
        together = " together" if limit.scope != "user" else ""
        ahead = {"run-minutes": " ahead of what runs", "": " at a time"}.get(limit.measure, "")
        text = f"{_jobs_of(bound)}{together} may use {allowed}{ahead} {name}{_used(bound, 'are used')}, and it asks "
        text += f"for {asked}{' alone' if bound.never else ''}{_at_most(bound)}"
    return f"{text}{_CAN_NEVER if bound.never else ''} (Slurm says {limit.word})"


def _jobs_of(bound: Bound) -> str:
    scope = bound.limit.scope
    if bound.holder.kind == "qos" and scope in ("user", "account"):
        return f"jobs of one {scope} in {bound.where}"
    return f"jobs of {bound.where}"


def _used(bound: Bound, word: str) -> str:
    return "" if bound.amount.used is None else f", {_number(bound.amount.used)} {word}"


def _at_most(bound: Bound) -> str:
    return " by its time limit" if "minutes" in bound.limit.measure else ""


def _amount(bound: Bound, amount: float) -> str:
    measure, tres = bound.limit.measure, bound.tres
    if measure == "wall":
        return _time(amount)
    if measure in ("jobs", "submit"):
        return "1 job" if amount == 1 else f"{_number(amount)} jobs"
    if tres == "mem" and not measure:
        return _size(amount)
    kind, _, of = tres.partition("/")
    noun = {"cpu": "CPU", "node": "node", "gres": of or "gres", "license": f"license of {of}", "mem": "MiB"}.get(
        kind, tres)  # fmt: skip
    noun = "GPU" if tres.startswith("gres/gpu") else noun
    if measure:
        return f"{'unlimited' if math.isinf(amount) else _number(amount)} {noun} minutes"
    plural = f"licenses of {of}" if kind == "license" else f"{noun}s" if noun in ("CPU", "GPU", "node") else noun
    return f"{_number(amount)} {noun if amount == 1 else plural}"


def _number(amount: float) -> str:
    return f"{amount:.0f}" if amount == int(amount) else f"{amount:.1f}"


def _size(mebibytes: float) -> str:
    return f"{mebibytes / 1024:g}G" if mebibytes >= 1024 and mebibytes % 1024 == 0 else f"{_number(mebibytes)}M"


def _time(minutes: float) -> str:
    if math.isinf(minutes):
        return "unlimited"
    if minutes < 120:
        return f"{_number(minutes)} minutes"
    return clock_of(minutes)


def clock_of(minutes: float) -> str:
    """Return minutes as Slurm takes a time limit: "2:00:00", "1-12:00:00"."""
    days, left = divmod(int(minutes), 1440)
    text = f"{left // 60:02}:{left % 60:02}:00"
    return f"{days}-{text}" if days else text


def steps_for(bound: Bound, more: More, job: str) -> tuple[Step, ...]:
    """Return what the user can do about it, and what an admin can."""
    steps = [_shorten(bound, more, job) or _less(bound, more, job) if bound.never else _wait(bound, more, job)]
    raised = _raise(bound, more) if bound.never or bound.used_up else None
    return (*steps, raised) if raised else tuple(steps)


def _shorten(bound: Bound, more: More, job: str) -> Step | None:
    """Return the step for a limit on time, or on what size times time come to; None where time is not the matter."""
    limit, most = bound.limit, bound.amount.limit
    if most is None or limit.least or limit.measure not in ("wall", "minutes", "run-minutes"):
        return None
    time = most if limit.measure == "wall" else most // max(1.0, more.asks.tres.get(bound.tres, 1.0))
    if time < 1:
        return None
    return Step("Lower its time limit:", (f"scontrol update JobId={job} TimeLimit={clock_of(time)}",))


def _less(bound: Bound, more: More, job: str) -> Step:
    """Return the step for a job that asks for too much (or too little) of something that is fixed at submission."""
    asks = "at least that" if bound.limit.least else "no more than that"
    option = _option(bound, more)
    return Step(f"Cancel it, and submit it again asking for {asks}:",
                (f"scancel {job}", f"sbatch {option} SCRIPT" if option else "sbatch … SCRIPT"))  # fmt: skip


def _option(bound: Bound, more: More) -> str:
    """Return the option of sbatch that asks for what is allowed, "" where there is no one option."""
    most, tres, asks = int(bound.amount.limit or 0), bound.tres, more.asks
    if most < 1:
        return ""
    if tres == "cpu":
        return f"--ntasks={most}" if asks.tasks >= asks.tres.get("cpu", 1) else f"--cpus-per-task={most}"
    if tres == "node":
        return f"--nodes={most}"
    if tres == "mem":
        each = most if bound.limit.scope == "node" else most // max(1, asks.nodes)
        return f"--mem={each}M" if each else ""
    if tres.startswith("gres/gpu"):
        return f"--gpus{'-per-node' if bound.limit.scope == 'node' else ''}={most}"
    if tres.startswith("license/"):
        return f"--licenses={tres.partition('/')[2]}:{most}"
    return ""


def _wait(bound: Bound, more: More, job: str) -> Step:
    limit, holder = bound.limit, bound.holder
    if bound.used_up:
        return Step("What was used counts less with time, or is reset, as the site decides; ask the admins:",
                    (f"sshare -l -A {holder.name}" if holder.kind == "account" else "sshare -l",))  # fmt: skip
    if holder.kind == "qos":
        own = f" -u {more.asks.user}" if limit.scope == "user" and _SAFE.fullmatch(more.asks.user) else ""
        whose = "one of your jobs" if limit.scope == "user" else "jobs"
        return Step(f"Nothing to change: it starts when {whose} in that QOS {'ends' if own else 'end'}:",
                    (f"squeue -t RUNNING{own} -O JobID,UserName,QOS,TimeLeft",))  # fmt: skip
    if holder.kind == "user":
        return Step("Nothing to change: it starts when one of your jobs ends:",
                    (f"squeue -t RUNNING -u {holder.name} -A {holder.account}",))  # fmt: skip
    return Step("Nothing to change: it starts when jobs of that account, or of those below it, end:",
                ("squeue -t RUNNING -O JobID,UserName,Account,TimeLeft",))  # fmt: skip


def _raise(bound: Bound, more: More) -> Step | None:
    """Return how an admin sets the limit to what the job asks."""
    holder, limit = bound.holder, bound.limit
    if bound.asked is None or not _SAFE.fullmatch(holder.name) or not _SAFE.fullmatch(holder.account or "x"):
        return None
    if bound.used_up:
        return None
    value = "-1" if math.isinf(bound.asked) else str(math.ceil(bound.asked))
    value = f"{bound.tres}={value}" if bound.tres else value
    on = {
        "qos": f"modify qos {holder.name}",
        "account": f"modify account {holder.name}",
        "user": f"modify user where name={holder.name} account={holder.account}"
        + (f" partition={holder.partition}" if holder.partition else ""),
    }[holder.kind]
    return Step(f"If it is to run as it is, raise the limit of {bound.where}:",
                (f"sacctmgr -i {on} set {limit.set_by}={value}",), "admin")  # fmt: skip


def general(word: str) -> tuple[str, Step] | None:
    """Return what a reason word means where the limit itself could not be read; None where it is no limit."""
    limit = limit_of(word)
    if limit is None:
        return None
    whose = "an account or user limit" if limit.whose == "assoc" else "a limit of its QOS"
    what = {"jobs": "jobs that run", "submit": "jobs in the queue", "wall": "time"}.get(
        limit.measure, NAMES[limit.tres] + (" by time" if limit.measure else ""))  # fmt: skip
    each = {"group": "of all jobs together", "user": "of one user's jobs together", "account": "of one account's jobs "
            "together", "job": "of a job", "node": "of a job on a node"}[limit.scope]  # fmt: skip
    flags = "qos" if limit.whose == "qos" else "assoc"
    step = {
        "group": "Wait for jobs to end, unless it asks for more than the limit by itself",
        "user": "Wait for one of your jobs to end, unless it asks for more than the limit by itself",
        "account": "Wait for jobs of your account to end, unless it asks for more than the limit by itself",
        "job": "Ask for more" if limit.least else "Ask for less time" if limit.measure == "wall" else "Ask for less",
        "node": "Ask for less on each node",
    }[limit.scope]
    means = f"{whose} on {what} {each} ({limit.set_by}) holds it back (Slurm says {word})"
    return means, Step(f"{step}; the limit ({limit.field}) and what is used of it:",
                       (f"scontrol show assoc_mgr flags={flags}",))  # fmt: skip


def time_words(more: More) -> str:
    """Return the job's time limit in words, "" where it is not known."""
    found = limit_minutes(more.asks)
    return "" if found is None else _time(found)
