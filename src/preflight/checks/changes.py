"""What changed on the node while the job ran: the epilog's facts beside the prolog's."""

from __future__ import annotations

from preflight.checks.finding import Finding
from preflight.checks.registry import Context, JobGpus, check, subject_of
from preflight.facts.view import Facts

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
LEFT = "end the processes: the epilog runs when all of the job's own should be gone"


def changes(before: Facts | None, after: Facts, gpus: JobGpus | None) -> list[dict[str, Any]]:
    """Return [{fact, before, after, blame}] between two collections; ``gpus`` limits them to the job's.

    Of a GPU that the job has MIG devices of, memory in use is others' too, and of its processes those count that run on
    the job's devices.
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
        whole = gpus is None or at in gpus.positions
        found += _of_device(then, device, None if whole else _instances(device, at, gpus))
    return found


def _instances(device: dict[str, Any], at: int, gpus: JobGpus | None) -> list[tuple[Any, Any]]:
    """Return (GPU instance, compute instance) of the job's MIG devices on the GPU at ``at``."""
    listed = device.get("mig_devices") or []
    places = [place for parent, place in gpus.slices if parent == at and place < len(listed)] if gpus else []
    return [(listed[place].get("gi"), listed[place].get("ci")) for place in places]


def _pids(device: dict[str, Any], instances: list[tuple[Any, Any]] | None) -> list[int]:
    """Return the processes on a GPU, or on those instances of it."""
    every = device.get("processes") or []
    if instances is not None:
        every = [one for one in every if one.get("gi") is not None and (one["gi"], one.get("ci")) in instances]
    return sorted(one["pid"] for one in every)


def _of_device(
    then: dict[str, Any], now: dict[str, Any], instances: list[tuple[Any, Any]] | None
) -> Iterator[dict[str, Any]]:
    name = subject_of(now)
    for key, blame in COUNTERS.items():
        if key == "memory_used" and instances is not None:
            continue
        noise = MEMORY_NOISE if key == "memory_used" else 0
        old, new = then.get(key), now.get(key)
        if isinstance(old, int) and isinstance(new, int) and abs(new - old) > noise:
            yield _change(f"{name}.{key}", old, new, blame)
    if "processes" not in then or "processes" not in now:
        return
    earlier, later = _pids(then, instances), _pids(now, instances)
    if earlier != later:
        yield _change(f"{name}.processes", earlier, later, "user")


def _change(fact: str, before: Any, after: Any, blame: str) -> dict[str, Any]:
    return {"fact": fact, "before": before, "after": after, "blame": blame}


@check("gpu.processes", reads=("gpus",), phases=("epilog",), action="warn", remedy=LEFT, device=True)
def processes(context: Context, limit: float | None) -> Iterator[Finding]:
    """The job left no process on its GPUs."""
    for at, device in enumerate(context.node.facts.get("gpus", {}).get("devices") or []):
        if context.gpus is None or not context.gpus.has(at) or "processes" not in device:
            continue
        whole = at in context.gpus.positions
        pids = _pids(device, None if whole else _instances(device, at, context.gpus))
        status, observed = ("fail", ", ".join(map(str, pids[:8]))) if pids else ("pass", "none")
        where = subject_of(device) if whole else context.gpus.label(at, device)
        message = f"{len(pids)} processes left on {where}: {observed}" if pids else "no process left"
        remedy = LEFT if pids else None
        yield Finding("gpu.processes", status, "user", subject_of(device), "none", observed, message, remedy, "nvml")


RISEN = "tell the job's user that results may be wrong; drain and reset the GPU"


@check("gpu.ecc.risen", reads=("gpus",), phases=("epilog",), action="warn", remedy=RISEN, device=True)
def risen(context: Context, limit: float | None) -> Iterator[Finding]:
    """No uncorrected ECC error came while the job ran."""
    for change in changes(context.before, context.node.facts, context.gpus):
        subject, _, key = change["fact"].partition(".")
        if key == "ecc_uncorrected_aggregate" and change["after"] > change["before"]:
            count = change["after"] - change["before"]
            text = f"{count} uncorrected ECC errors on {subject} while the job ran"
            yield Finding("gpu.ecc.risen", "fail", "node", subject, "0", str(count), text, RISEN, "nvml")
