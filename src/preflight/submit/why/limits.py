"""The limits of accounting: what Slurm's word for one means, on what it is set, and what can be done about it.

There are some two hundred such words, all made of a few parts: whose limit (Assoc, QOS), of what sort (Grp: of all
jobs together, Max, Min), on what (Cpu, Mem, GRES, Jobs, Wall …), and by what measure (a job, a node, a user, minutes).
So they are read by their parts: https://slurm.schedmd.com/resource_limits.html.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from preflight.slurm.associations import Amount, Holder
from preflight.slurm.job_asks import Asks
from preflight.submit.options_values import minutes

_WORD = re.compile(
    r"(?:(?P<whose>Assoc|QOS)(?P<sort>Grp|Max|Min)|(?P<other>Max))"
    r"(?P<what>Jobs|SubmitJobs?|WallDuration|Wall|Cpu|CPU|Memory|Mem|Node|GRES|License|BB|Energy|Billing|Unknown)"
    r"(?P<measure>RunMinutes|RunMins|Minutes|)(?P<per>PerJob|PerNode|PerUser|PerAccount|)(?:Limit|NotSatisfied|)"
)
_TRES = {"Cpu": "cpu", "CPU": "cpu", "Mem": "mem", "Memory": "mem", "Node": "node", "GRES": "gres/", "BB": "bb/",
         "License": "license/", "Energy": "energy", "Billing": "billing", "Unknown": ""}  # fmt: skip
NAMES = {"cpu": "CPUs", "mem": "memory", "node": "nodes", "gres/": "GPUs or other gres", "license/": "licenses",
         "bb/": "burst buffer", "energy": "energy", "billing": "billing units", "": "a resource"}  # fmt: skip


class Limit(NamedTuple):
    """What a reason word says: ``field`` is scontrol's name of the limit, ``set_by`` sacctmgr's.

    ``whose``: "assoc" or "qos". ``tres`` begins the names of what is limited, "" for jobs and time. ``scope``: "group"
    (all jobs of the holder), "user", "account" (all jobs of one in the QOS), "job", "node". ``measure``: "" (at
    once), "minutes", "run-minutes", "jobs", "submit", "wall". ``least``: a minimum.
    """

    word: str
    whose: str
    field: str
    set_by: str
    tres: str
    scope: str
    measure: str
    least: bool = False


def limit_of(word: str) -> Limit | None:
    """Return what a reason word of Slurm's says of a limit; None for a word about something else."""
    found = _WORD.fullmatch(word)
    if found is None:
        return None
    whose = "assoc" if found["whose"] == "Assoc" else "qos"
    sort, what, per = found["sort"] or "Max", found["what"], found["per"]
    if what.startswith(("Jobs", "Submit", "Wall")):
        return _of_jobs(word, whose, sort, what, per)
    if sort == "Max" and not per:
        return None
    minutes_ = {"Minutes": "minutes", "RunMinutes": "run-minutes", "RunMins": "run-minutes"}.get(found["measure"], "")
    scope = {"PerJob": "job", "PerNode": "node", "PerUser": "user", "PerAccount": "account"}.get(per, "group")
    scope = "job" if sort == "Min" else scope
    short = {"job": "PJ", "node": "PN", "user": "PU", "account": "PA", "group": ""}[scope]
    long = {"job": "PerJob", "node": "PerNode", "user": "PerUser", "account": "PerAccount", "group": ""}[scope]
    middle = {"minutes": "Mins", "run-minutes": "RunMins", "": ""}[minutes_]
    return Limit(word, whose, f"{sort}TRES{middle}{short}", f"{sort}TRES{middle}{long}", _TRES[what], scope, minutes_,
                 sort == "Min")  # fmt: skip


def _of_jobs(word: str, whose: str, sort: str, what: str, per: str) -> Limit | None:
    if what.startswith("Wall"):
        if sort == "Grp":
            return Limit(word, whose, "GrpWall", "GrpWall", "", "group", "wall")
        return Limit(word, whose, "MaxWallPJ", "MaxWall", "", "job", "wall")
    kind, measure = ("SubmitJobs", "submit") if what.startswith("Submit") else ("Jobs", "jobs")
    if sort == "Grp":
        return Limit(word, whose, f"Grp{kind}", f"Grp{kind}", "", "group", measure)
    if whose == "assoc":
        return Limit(word, whose, f"Max{kind}", f"Max{kind}", "", "user", measure)
    account = per == "PerAccount"
    return Limit(word, whose, f"Max{kind}{'PA' if account else 'PU'}", f"Max{kind}{per}", "",
                 "account" if account else "user", measure)  # fmt: skip


class Bound(NamedTuple):
    """The limit that binds a job: its holder, on what ("cpu"), how much, and what the job asks of it.

    ``asked`` None: not known. ``where``: the holder in words.
    """

    limit: Limit
    holder: Holder
    tres: str
    amount: Amount
    asked: float | None
    where: str

    @property
    def never(self) -> bool:
        """Return whether the job alone is beyond the limit: then waiting is in vain."""
        if self.limit.least:
            return True
        if self.asked is None or self.amount.limit is None:
            return self.limit.scope in ("job", "node")
        return self.asked > self.amount.limit

    @property
    def used_up(self) -> bool:
        """Return whether what is used already (of minutes, which accumulate) has reached the limit."""
        used, most = self.amount.used, self.amount.limit
        return self.limit.measure in ("minutes", "wall") and used is not None and most is not None and used >= most


def bound(limit: Limit, asks: Asks, holders: list[Holder]) -> Bound | None:
    """Return what binds the job, of ``holders`` nearest first; None where none of them has such a limit."""
    for exceeded_only in (True, False):
        for at, holder in enumerate(holders):
            for name, amount in holder.values.get(limit.field, {}).items():
                if amount.limit is None or not _is_meant(limit, name):
                    continue
                asked = asked_of(limit, name, asks)
                if exceeded_only and not _exceeds(limit, amount, asked):
                    continue
                owner = _set_on(limit, name, amount, holders, at)
                return Bound(limit, owner, name, amount, asked, _where(owner, holders))
    return None


def _is_meant(limit: Limit, name: str) -> bool:
    kind = limit.tres
    if not kind:
        return True
    return name.startswith(kind) if kind.endswith("/") else name == kind


def _exceeds(limit: Limit, amount: Amount, asked: float | None) -> bool:
    if asked is None or amount.limit is None:
        return False
    if limit.least:
        return asked < amount.limit
    used = 0.0 if limit.scope in ("job", "node") else amount.used or 0.0
    return used + asked > amount.limit or (limit.measure in ("minutes", "wall") and used >= amount.limit)


def _set_on(limit: Limit, name: str, amount: Amount, holders: list[Holder], at: int) -> Holder:
    """Return where a limit is set: what is not of a group is passed on to all below, and shown at users as well.

    Slurm shows it at an account in between or does not.
    """
    owner = holders[at]
    if limit.scope == "group" or owner.kind == "qos":
        return owner
    for above in holders[at + 1 :]:
        most = above.amount(limit.field, name).limit
        if most is not None and most != amount.limit:
            break
        owner = owner if most is None else above
    return owner


def _where(holder: Holder, holders: list[Holder]) -> str:
    if holder.kind == "qos":
        return f"QOS {holder.name}"
    if holder.kind == "user":
        only = f", partition {holder.partition}" if holder.partition else ""
        return f"user {holder.name} in account {holder.account}{only}"
    own = next((one.account for one in holders if one.kind != "qos"), holder.account)
    return f"account {holder.name}" + (f", above its account {own}" if own != holder.name else "")


def asked_of(limit: Limit, name: str, asks: Asks) -> float | None:
    """Return how much of a limit the job uses up alone; None where it is not known."""
    time = limit_minutes(asks)
    if limit.measure in ("jobs", "submit"):
        return 1.0
    if limit.measure == "wall":
        return time
    amount = asks.tres.get(name)
    if amount is None:
        return 0.0 if asks.tres and limit.least else None
    if limit.scope == "node":
        return float(math.ceil(amount / max(1, asks.nodes)))
    return amount if not limit.measure else None if time is None else amount * time


def limit_minutes(asks: Asks) -> float | None:
    """Return the job's time limit in minutes, infinite without one; None where it is not known."""
    try:
        found = minutes(asks.time_limit)
    except ValueError:
        return None
    return math.inf if found < 0 else float(found)
