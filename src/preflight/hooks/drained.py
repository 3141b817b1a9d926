"""What Preflight remembers of its own drain of this node, and telling that drain from an admin's."""

from __future__ import annotations

import os
import time

from preflight.checks.finding import Finding
from preflight.facts.cache import boot_id
from preflight.facts.document import FactsDocument
from preflight.files import read_json, tolerate
from preflight.hooks import spool as disk
from preflight.hooks.aside import set_aside
from preflight.hooks.pending import Pending
from preflight.hooks.run import Run
from preflight.policy.model import Policy
from preflight.slurm import node as slurm_node
from preflight.slurm.commands import Slurm
from preflight.times import seconds
from preflight.tuples import NamedTuple
from preflight.verdict import reason_subject, verdict

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

# A drain that a stopped controller has in its queue may take effect until its credential ends: munge's five minutes.
LATE_S = 300.0
KEYS = ("reason", "user", "time")


class Cause(NamedTuple):
    """Why the node is to be drained: the reason, the boot id, the UUIDs of its GPUs, of the one that failed ("").

    ``seq``: number of the last record of the kernel's log that was known then, -1 where it was not read.
    """

    reason: str
    boot: str = ""
    gpus: tuple[str, ...] = ()
    gpu: str = ""
    seq: int = -1


def cause_of(reason: str, finding: Finding | None, document: FactsDocument) -> Cause:
    """Return the cause that ``finding`` is, with what later tells whether a check looked at the same GPU."""
    found = uuids(document)
    seq = (document.facts.get("kernel_log") or {}).get("seq")
    about = found.get(finding.subject, "") if finding else ""
    return Cause(reason, boot_id(), tuple(found.values()), about, seq if isinstance(seq, int) else -1)


def uuids(document: FactsDocument) -> dict[str, str]:
    """Return {subject: UUID} of the GPUs that told theirs: {"gpu3": "GPU-…"}."""
    devices = (document.facts.get("gpus") or {}).get("devices") or []
    return {f"gpu{one.get('index')}": one["uuid"] for one in devices if isinstance(one.get("uuid"), str)}


def remember(run: Run, state: slurm_node.NodeState, cause: Cause) -> None:
    """Keep what identifies our drain, on disk and in memory: without it the node stays drained until an admin comes.

    A node whose reason is not ours any more has become an admin's meanwhile.
    """
    if state.stem != cause.reason:
        return
    more = {"boot": cause.boot, "gpus": list(cause.gpus), "gpu": cause.gpu, "seq": cause.seq}
    record = {"reason": state.stem, "user": state.user, "time": state.time, **more}
    for path in _places(run):
        with tolerate(OSError):
            disk.write_json(path, record)


def ours(run: Run) -> dict[str, Any] | None:
    """Return what we remember of our own drain of this node, or None."""
    for path in _places(run):
        record = read_json(path)
        if isinstance(record, dict) and all(isinstance(record.get(key), str) for key in KEYS):
            return record
        if record is not None or os.path.lexists(path):
            set_aside(path, record)
    return None


def count_well(run: Run, record: dict[str, Any], well: bool) -> None:
    """Count in the record of our drain the health checks in a row that found the node well, and since when.

    Where it cannot be written nothing is counted: the node stays drained until an admin comes, or the disk is right.
    """
    if not well and not record.get("well"):
        return
    since = record.get("well_since")
    now = time.time()
    if not well:
        count, since = 0, 0.0
    else:
        count = _number(record.get("well")) + 1
        since = since if count > 1 and isinstance(since, (int, float)) and since <= now else now
    counted = {**record, "well": count, "well_since": since}
    for path in _places(run):
        if os.path.lexists(path):
            with tolerate(OSError):
                disk.write_json(path, counted)
                record.update(counted)


def waits(record: dict[str, Any], policy: Policy) -> str:
    """Return why a node that is well is not resumed yet, "" where nothing is left to wait for."""
    said = policy.check(cause_check(record))
    needed = policy.drain.resume_after if said.resume_after is None else said.resume_after
    count = _number(record.get("well"))
    if count < needed:
        return f"well in {count} of {needed} health checks in a row"
    text = said.hold_down or policy.drain.hold_down
    lasted = time.time() - float(record.get("well_since") or 0.0)
    if lasted < seconds(text):
        return f"well for {lasted:.0f} s of the hold-down of {text}"
    return ""


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def cause_check(record: dict[str, Any]) -> str:
    """Return the check that drained the node."""
    return str(record["reason"]).partition(":")[2].partition(":")[0]


def is_replaced(record: dict[str, Any], document: FactsDocument) -> bool:
    """Return whether other hardware stands behind the node's name since: another boot, and none of its GPUs left."""
    before = record.get("gpus")
    booted = record.get("boot") not in ("", None, boot_id())
    return booted and isinstance(before, list) and is_other_hardware(before, uuids(document))


def is_other_hardware(before: list[Any], now: dict[str, str]) -> bool:
    """Return whether none of the GPUs of ``before`` (UUIDs) is among those that are there now, and there are some."""
    return bool(before) and bool(now) and not set(map(str, before)) & set(now.values())


def forget(run: Run) -> None:
    """Forget our drain: it was resumed, or is not ours any more."""
    for path in _places(run):
        disk.unlink(path)


def _places(run: Run) -> Iterator[str]:
    yield f"{run.policy.report.spool}/drain-{run.node}.json"
    yield f"{run.run_dir}/drain-{run.node}.json"


def adopt(run: Run, state: slurm_node.NodeState, pending: Pending) -> bool:
    """Remember a drain whose hook never heard that it was made; return whether it is the node's.

    Nobody else writes a reason of ours word for word in the minutes in which the command may still take effect.
    """
    entry = pending.entry
    began = entry.get("at")
    if not isinstance(began, float) or "DRAIN" not in state.flags or state.stem != entry.get("drain"):
        return False
    first, last = int(began - LATE_S), began + LATE_S + run.policy.hook.deadline_s  # Slurm prints whole seconds
    if not any(first <= one <= last for one in slurm_node.instants(state.time)):
        return False
    gpus = entry.get("gpus")
    told = tuple(str(one) for one in gpus) if isinstance(gpus, list) else ()
    seq = entry.get("seq")
    known = seq if isinstance(seq, int) else -1
    remember(run, state, Cause(state.stem, str(entry.get("boot") or ""), told, str(entry.get("gpu") or ""), known))
    return True


def is_ours(slurm: Slurm, state: slurm_node.NodeState, record: dict[str, Any]) -> bool:
    """Return whether the node is drained with exactly the reason, user and time of our drain; raises SlurmError.

    24.11 leaves all three on a node that was resumed. At a reboot 24.11 and later append to the reason, and set user
    (SlurmUser) and time anew: so Slurm is asked who that is, and only then.
    """
    if "DRAIN" not in state.flags or not state.stem.startswith(slurm_node.PREFIX):
        return False
    if (state.reason, state.user, state.time) == tuple(record[key] for key in KEYS):
        return True
    rebooted = state.reason != state.stem == record["reason"] and slurm_node.not_before(state.time, record["time"])
    return rebooted and state.user == slurm_node.slurm_user(slurm)


def is_well(record: dict[str, Any], findings: list[Finding], document: FactsDocument) -> bool:
    """Return whether the check that drained the node passes, and has looked at what failed then.

    Other hardware behind the same name needs only be well itself. A GPU is told by its UUID, wherever it is counted
    now. Where it is gone, another one in its place after a reboot is the repair; without a reboot nobody has looked at
    it. An expectation that the site took back is asked no more.
    """
    parts = record["reason"].split(":", 3)
    check, subject = parts[1] if len(parts) > 1 else "", parts[2] if len(parts) > 2 else ""
    same = [one for one in findings if one.check == check]
    if verdict(findings) not in ("ready", "degraded") or any(one.status in ("fail", "unknown") for one in same):
        return False
    passed = {reason_subject(one.subject) for one in same if one.status == "pass"}
    if is_replaced(record, document):
        return True
    if check == "expectation":
        return subject in passed or subject not in {reason_subject(one.subject) for one in same}
    gpu = record.get("gpu")
    if not gpu:
        return bool(passed & {subject, "node"})
    now = {uuid: name for name, uuid in uuids(document).items()}
    if gpu in now:
        return bool(passed & {now[gpu], "node"})
    return bool(passed) and record.get("boot") not in ("", None, boot_id())
