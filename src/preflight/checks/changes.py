"""What changed on the node while the job ran: the epilog's facts beside the prolog's."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, passed, untold
from preflight.checks.registry import Context, JobGpus, check, subject_of
from preflight.facts.view import Facts
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

COUNTERS = {
    "ecc_uncorrected_volatile": "node",
    "ecc_uncorrected_aggregate": "node",
    "remap_uncorrectable": "node",
    "remap_correctable": "node",
    "remap_pending": "node",
    "remap_failure": "node",
    "recovery_action": "node",
    "memory_used": "user",
}
MEMORY_NOISE = 256 << 20  # bytes: what driver and caches move by themselves
SHARED = "ProctrackType=proctrack/cgroup in slurm.conf: the cgroup of a process names its job then"
END = "end the processes: the epilog runs when all of the job's own should be gone"


def changes(before: Facts | None, after: Facts, gpus: JobGpus | None) -> list[dict[str, Any]]:
    """Return [{fact, before, after, blame}] between two collections; ``gpus`` limits them to the job's.

    Of a GPU that the job shares, or has MIG devices of, memory in use is others' too; of its processes those count that
    are the job's, or run on its devices and are not known to be another's.
    """
    if before is None:
        return []
    found: list[dict[str, Any]] = []
    old, new = before.get("memory", {}).get("available"), after.get("memory", {}).get("available")
    if isinstance(old, int) and isinstance(new, int) and old - new > MEMORY_NOISE:
        found.append(_change("memory.available", old, new, "user"))
    earlier = {device.get("uuid"): device for device in before.get("gpus", {}).get("devices") or []}
    for at, device in enumerate(after.get("gpus", {}).get("devices") or []):
        then = earlier.get(device["uuid"]) if device.get("uuid") else None  # a lost GPU does not tell its own
        if then is None or (gpus is not None and not gpus.has(at)):
            continue
        found += _of_device(then, device, at, gpus)
    return found


def _shared(gpus: JobGpus | None, at: int, *devices: dict[str, Any]) -> bool:
    """Return whether other jobs may be on the job's part of the GPU: Slurm shares it, or a process of one is there."""
    if gpus is None or not gpus.job:
        return False
    jobs = [job for device in devices for job in _pids(device, at, gpus).values()]
    return gpus.shared or any(job not in (None, gpus.job) for job in jobs)


class Remaining(NamedTuple):
    """Processes on a GPU: the job's own, and those that on a shared GPU may be anybody's; none of other jobs."""

    own: tuple[int, ...]
    unclear: tuple[int, ...]


def _remaining(device: dict[str, Any], then: dict[str, Any] | None, at: int, gpus: JobGpus | None) -> Remaining:
    """Return whose the processes on the GPU at ``at`` are; ``then``: the GPU in the job's prolog.

    On a shared GPU what ran before the job began is not the job's.
    """
    every = _pids(device, at, gpus)
    if gpus is None or not gpus.job:
        return Remaining(tuple(sorted(every)), ())
    earlier = {one["pid"] for one in (then or {}).get("processes") or []}
    shared = _shared(gpus, at, device, then or {})
    own = [pid for pid, job in every.items() if job == gpus.job or (job is None and not shared)]
    unclear = [pid for pid, job in every.items() if job is None and shared and pid not in earlier]
    return Remaining(tuple(sorted(own)), tuple(sorted(unclear)))


def left_over(before: Facts | None, after: Facts, gpus: JobGpus | None) -> list[int]:
    """Return the processes on the job's GPUs that are its own."""
    found: set[int] = set()
    for at, device in enumerate((after.get("gpus") or {}).get("devices") or []):
        if gpus is not None and gpus.has(at) and "processes" in device:
            found.update(_remaining(device, _earlier(before, device), at, gpus).own)
    return sorted(found)


def _instances(device: dict[str, Any], at: int, gpus: JobGpus | None) -> list[tuple[Any, Any]]:
    """Return (GPU instance, compute instance) of the job's MIG devices on the GPU at ``at``."""
    listed = device.get("mig_devices") or []
    places = [place for parent, place in gpus.slices if parent == at and place < len(listed)] if gpus else []
    return [(listed[place].get("gi"), listed[place].get("ci")) for place in places]


def _pids(device: dict[str, Any], at: int, gpus: JobGpus | None) -> dict[int, int | None]:
    """Return the processes on the GPU at ``at``, or on the job's MIG devices of it, each with its job where known."""
    every = device.get("processes") or []
    if gpus is not None and at not in gpus.positions:
        instances = _instances(device, at, gpus)
        every = [one for one in every if one.get("gi") is not None and (one["gi"], one.get("ci")) in instances]
    return {one["pid"]: one.get("job") for one in every}


def _of_device(then: dict[str, Any], now: dict[str, Any], at: int, gpus: JobGpus | None) -> Iterator[dict[str, Any]]:
    name = subject_of(now)
    shared = _shared(gpus, at, then, now)
    others = shared or (gpus is not None and at not in gpus.positions)
    for key, blame in COUNTERS.items():
        if key == "memory_used" and others:
            continue
        noise = MEMORY_NOISE if key == "memory_used" else 0
        old, new = then.get(key), now.get(key)
        if isinstance(old, int) and isinstance(new, int) and abs(new - old) > noise:
            yield _change(f"{name}.{key}", old, new, blame)
    if "processes" not in then or "processes" not in now:
        return
    earlier = [] if shared else sorted(_pids(then, at, gpus))
    later = list(_remaining(now, then, at, gpus).own)
    if earlier != later:
        yield _change(f"{name}.processes", earlier, later, "user")


def _change(fact: str, before: Any, after: Any, blame: str) -> dict[str, Any]:
    return {"fact": fact, "before": before, "after": after, "blame": blame}


@check(
    "gpu.processes",
    reads=("gpus",),
    phases=("epilog",),
    action="warn",
    remedy=END,
    device=True,
    blame="user",
    source="nvml",
)
def processes(context: Context, limit: float | None) -> Iterator[Finding]:
    """The job left no process on its GPUs."""
    for at, device in enumerate(context.node.facts.get("gpus", {}).get("devices") or []):
        if context.gpus is None or not context.gpus.has(at) or "processes" not in device:
            continue
        remaining = _remaining(device, _earlier(context.before, device), at, context.gpus)
        where = subject_of(device) if at in context.gpus.positions else context.gpus.label(at, device)
        yield _judged(remaining, where, subject_of(device))


def _earlier(before: Facts | None, device: dict[str, Any]) -> dict[str, Any] | None:
    """Return the same GPU in the prolog's facts, by UUID."""
    listed = ((before or {}).get("gpus") or {}).get("devices") or []
    return next((one for one in listed if one.get("uuid") and one["uuid"] == device.get("uuid")), None)


def _judged(remaining: Remaining, where: str, subject: str) -> Finding:
    if remaining.own:
        text = _few(remaining.own)
        message = f"{len(remaining.own)} processes left on {where}: {text}"
        return failed(message, subject=subject, expected="none", observed=text)
    if remaining.unclear:
        text = _few(remaining.unclear)
        message = (
            f"{len(remaining.unclear)} processes on {where}, which jobs share, and whose they are is not known: {text}"
        )
        return untold(message, subject=subject, expected="none", observed=text, remedy=SHARED)
    return passed("no process left", subject=subject, expected="none", observed="none")


def _few(pids: tuple[int, ...]) -> str:
    return ", ".join(map(str, pids[:8]))


RISEN = "tell the job's user that results may be wrong; drain and reset the GPU"


@check("gpu.ecc.risen", reads=("gpus",), phases=("epilog",), action="warn", remedy=RISEN, device=True, source="nvml")
def risen(context: Context, limit: float | None) -> Iterator[Finding]:
    """No uncorrected ECC error came while the job ran."""
    for change in changes(context.before, context.node.facts, context.gpus):
        subject, _, key = change["fact"].partition(".")
        if key == "ecc_uncorrected_aggregate" and change["after"] > change["before"]:
            count = change["after"] - change["before"]
            text = f"{count} uncorrected ECC errors on {subject} while the job ran"
            yield failed(text, subject=subject, expected="0", observed=count)
