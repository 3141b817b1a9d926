"""Kind "users": processes of users who have no job on this node."""

from __future__ import annotations

from preflight.facts.accounts import uid_of
from preflight.facts.host.kind import Args, Shared, kind
from preflight.facts.host.process import table
from preflight.facts.processes import Process, owner
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

SHOWN = 8
STEPD = "slurmstepd"  # the ancestor of every process of a job, but of those that a login (pam_slurm_adopt) made
UID_MIN = 1000  # where login.defs (shadow 4) begins to give uids to people
NOBODY = 65534


def whole(args: Args) -> str:
    """Return why users can make a row fail: always."""
    return "users start such processes"


@kind(
    "users",
    keys={
        "allow": "texts: users whose processes may be here, names or numbers",
        "uid_min": "count: users from this uid on; left out: 1000",
        "strict": "flag: true: processes outside of jobs count also of users who have a job here (logins into it too)",
    },
    dear=True,
    users=whole,
)
def read(root: Root, args: Args, shared: Shared) -> dict[str, Any]:
    """No user without a job here has processes here."""
    every: list[Process] = shared.of(table)
    by_pid = {one.pid: one for one in every}
    least = args.get("uid_min", UID_MIN)
    allowed = {uid_of(root, name) for name in args.get("allow") or []}
    here: set[int] = set()
    strays: list[tuple[int, Process]] = []
    for one in every:
        uid = owner(root, one.pid) if one.parent != 2 and one.pid != 2 else 0
        if uid is None or uid < least or uid in allowed or uid == NOBODY:
            continue
        if _of_job(one, by_pid):
            here.add(uid)
        else:
            strays.append((uid, one))
    strict = bool(args.get("strict"))
    left = [(uid, one) for uid, one in strays if strict or uid not in here]
    told = [{"uid": uid, "pid": one.pid, "name": one.name} for uid, one in left[:SHOWN]]
    return {"count": len(left), "strays": told}


def _of_job(one: Process, by_pid: dict[int, Process]) -> bool:
    seen = 0
    found: Process | None = one
    while found is not None and found.pid > 1 and seen < 128:
        if found.name == STEPD:
            return True
        found, seen = by_pid.get(found.parent), seen + 1
    return False
