"""Whose GPUs: which of those that NVML lists are the job's, and which Slurm's configuration gives the node."""

from __future__ import annotations

from preflight.checks.registry import Expected, JobGpus, untold_minor
from preflight.facts.document import FactsDocument
from preflight.slurm.environment import Job, is_uuid
from preflight.slurm.gres import Gres

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    from preflight.slurm.gres.match import Place

    Named = tuple[int | tuple[int, int], ...]


def job_gpus(job: Job | None, named: Named | None, gres: Gres, document: FactsDocument) -> JobGpus | None:
    """Return which of the node's GPUs are judged: the job's, or those ``named`` by NVML's index; None for all.

    A MIG device is named by its GPU's index and its own on that GPU.
    """
    devices = _devices(document)
    if job is None:
        return None if named is None else _by_index(named, devices)
    return _of_job(job, gres, devices)._replace(job=job.id, shared=gres.shared)


def _of_job(job: Job, gres: Gres, devices: list[dict[str, Any]]) -> JobGpus:
    if not job.gpus_text:
        return JobGpus()
    if not job.gpus:
        return JobGpus(problem=f"SLURM_JOB_GPUS={job.gpus_text[:40]!r} is not a list of numbers")
    from preflight.slurm.gres.match import places

    table, problem = places(gres, devices)
    if not problem:
        problem = _doubt(job, gres, table)
    uuids = job.visible if len(job.visible) == len(job.gpus) else ("",) * len(job.gpus)
    if problem and job.visible and all(is_uuid(one) for one in job.visible):
        uuids = job.visible
    found: list[Place] = []
    for at, uuid in enumerate(uuids):
        number = job.gpus[at] if at < len(job.gpus) else len(table)
        by_uuid = _by_uuid(uuid, devices) if is_uuid(uuid) else None
        if by_uuid is not None:
            found.append(by_uuid)
        elif not problem and number < len(table):
            found.append(table[number])
        else:
            return _all(job, gres, devices) or JobGpus(problem=problem or _beyond(job, table))
    return _sum(found, devices)


def _beyond(job: Job, table: list[Place]) -> str:
    return f"SLURM_JOB_GPUS={job.gpus_text[:40]} is beyond the {len(table)} GPUs that Slurm's configuration gives"


def _doubt(job: Job, gres: Gres, table: list[Place]) -> str:
    """Return why the table cannot be the one that slurmd has: a GPU that it found at its start is gone from NVML."""
    detects = gres.autodetect.lower() not in ("", "off")
    if detects and gres.total and len(table) < gres.total:
        return f"{len(table)} of the {gres.total} GPUs that slurm.conf gives this node are there"
    return "" if max(job.gpus) < len(table) else _beyond(job, table)


def _by_uuid(uuid: str, devices: list[dict[str, Any]]) -> Place | None:
    """Return the device of that UUID; a missing one only where every GPU has told its own, else None."""
    from preflight.slurm.gres.match import Place

    told = True
    for at, device in enumerate(devices):
        if device.get("uuid") == uuid:
            return Place(((at, None),))
        slices = device.get("mig_devices")
        told = told and isinstance(device.get("uuid"), str) and not (device.get("mig") and slices is None)
        for place, one in enumerate(slices or ()):
            if uuid in (one.get("uuid"), f"MIG-{device.get('uuid')}/{one.get('gi')}/{one.get('ci')}"):
                return Place(((at, place),))
    return Place(missing=uuid) if told and devices else None


def _all(job: Job, gres: Gres, devices: list[dict[str, Any]]) -> JobGpus | None:
    """Return all GPUs for a job that has as many as there are: no number needs to be known."""
    whole = all(isinstance(device.get("minor"), int) and not device.get("mig") for device in devices)
    if whole and len(set(job.gpus)) == len(devices) and gres.total in (None, len(devices)):
        return JobGpus(tuple(range(len(devices))))
    return None


def _sum(found: list[Place], devices: list[dict[str, Any]]) -> JobGpus:
    missing = tuple(dict.fromkeys(one.missing for one in found if one.missing))
    silent = [device for device in devices if untold_minor(device)]
    if missing and silent:
        return JobGpus(problem=f"{len(silent)} GPUs did not tell their minor number")
    every = dict.fromkeys(one for place in found for one in place.found)
    others = [one.other for one in found if one.other]
    return JobGpus(
        positions=tuple(at for at, slice_ in every if slice_ is None),
        missing=missing,
        slices=tuple((at, slice_) for at, slice_ in every if slice_ is not None),
        other=others[0] if others and not every and not missing else "",
    )


def _by_index(wanted: Named, devices: list[dict[str, Any]]) -> JobGpus:
    numbers = [device.get("index") for device in devices]
    positions: list[int] = []
    slices: list[tuple[int, int]] = []
    missing: list[str] = []
    for one in wanted:
        index, mig = one if isinstance(one, tuple) else (one, None)
        at = numbers.index(index) if index in numbers else None
        cut = [] if at is None else [device.get("index") for device in devices[at].get("mig_devices") or []]
        if at is not None and mig is None:
            positions.append(at)
        elif at is not None and mig in cut:
            slices.append((at, cut.index(mig)))
        else:
            missing.append(f"gpu{index}" if mig is None else f"gpu{index} mig{mig}")
    return JobGpus(tuple(positions), tuple(missing), slices=tuple(slices))


def expected(gres: Gres, document: FactsDocument) -> Expected:
    """Return the GPUs that Slurm's configuration gives the node, and which of them NVML does not list."""
    if not gres.lines and not gres.total and not gres.problem:
        return Expected()
    from preflight.slurm.gres.match import places

    devices = _devices(document)
    table, problem = places(gres, devices)
    others = [place.other for place in table if place.other]
    total = (len(table) if gres.total is None else gres.total) - len(others)
    if others and total <= 0:
        return Expected(other=others[0])
    missing = tuple(place.missing for place in table if place.missing)
    if missing and any(untold_minor(device) for device in devices):
        return Expected(total, problem="some GPUs did not tell their minor number: none can be called missing")
    if gres.autodetect.lower() in ("", "off"):
        return Expected(min(total, len(table) or total), missing, problem=problem)
    there = _listed(devices)
    if there is not None and not problem and len(table) - len(others) < total <= there:
        problem = f"slurmd takes {len(table)} of slurm.conf's {total} GPUs: their types name none that is there"
    return Expected(total, missing, 0 if there is None else max(0, total - there), problem)


def _listed(devices: list[dict[str, Any]]) -> int | None:
    """Return how many GPUs, whole or MIG devices, NVML lists; None where MIG devices were not read."""
    if any(device.get("mig") and device.get("mig_devices") is None for device in devices):
        return None
    return sum(len(device.get("mig_devices") or ()) or 1 for device in devices)


def _devices(document: FactsDocument) -> list[dict[str, Any]]:
    return (document.facts.get("gpus") or {}).get("devices") or []
