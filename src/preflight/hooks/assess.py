"""From a run to findings: which facts are needed, whose GPUs they are, what the checks say."""

from __future__ import annotations

from preflight.checks.finding import Finding
from preflight.checks.registry import Asked, Context, JobGpus, untold_minor
from preflight.checks.run import checks_for, run_checks
from preflight.facts.document import FactsDocument
from preflight.facts.view import Facts, View
from preflight.hooks.source import Source
from preflight.policy.model import Policy
from preflight.requirements.evaluate import facts_needed
from preflight.requirements.grammar import RequirementError, from_comment, parse
from preflight.slurm.environment import Job
from preflight.slurm.gres import Gres
from preflight.tuples import NamedTuple

ALWAYS = ("os", "kernel", "arch", "libc", "cpu", "memory", "tmp", "shm")
DESCRIBES = ("toolkits",)  # for the report's reader; a child of its own reads them, so not again in the epilog


class Question(NamedTuple):
    """What is to be judged. ``gpus``: NVML indexes asked for by hand; ``before``: the prolog's facts, in the epilog."""

    phase: str
    node: str
    policy: Policy
    job: Job | None = None
    require: str = ""
    gpus: tuple[int, ...] | None = None
    gres: Gres = Gres()
    before: Facts | None = None


class Assessment(NamedTuple):
    """What was found. ``gpus`` None: the whole node was judged."""

    document: FactsDocument
    findings: list[Finding]
    asked: tuple[Asked, ...]
    broken: tuple[tuple[str, str, str], ...]
    gpus: JobGpus | None


def assess(question: Question, source: Source, deadline: float, document: FactsDocument | None = None) -> Assessment:
    """Return the findings of ``question``; facts come from ``document`` where one is given, else from ``source``.

    ``deadline`` is the time.monotonic() instant after which facts are taken as far as they came.
    """
    asked, broken = requirements(question)
    if document is None:
        document = source.collect(subjects(question, asked), deadline)
    gpus = job_gpus(question, document)
    node = document.view()
    context = Context(
        phase=question.phase,
        node=node,
        job=job_view(node, gpus),
        policy=question.policy,
        asked=asked,
        broken=broken,
        gpus=gpus,
        configured=question.gres.minors if question.job is None else (),
        before=question.before,
        today=document.collected[:10],
    )
    return Assessment(document, run_checks(context), asked, broken, gpus)


def requirements(question: Question) -> tuple[tuple[Asked, ...], tuple[tuple[str, str, str], ...]]:
    """Return all that is asked, each with its source, and (text, source, why) of what cannot be read."""
    job = question.job
    texts = [(question.require, "--require")]
    broken = []
    if job is not None:
        texts += [(job.require, "--require"), (from_comment(job.comment) or "", "comment")]
        if from_comment(job.comment) == "":
            broken.append(("require:", "comment", "nothing follows require:"))
    for one in question.policy.expect:
        partitions = job.partition.split(",") if job else []
        if not one.partitions or set(partitions) & set(one.partitions) or job is None:
            texts.append((one.require, "policy"))
    asked = []
    for text, source in texts:
        if not text:
            continue
        try:
            asked.append(Asked(parse(text), source))
        except RequirementError as error:
            broken.append((text, source, error.message))
    return tuple(asked), tuple(broken)


def subjects(question: Question, asked: tuple[Asked, ...]) -> frozenset[str]:
    """Return the fact subjects to read: NVML only where the job has GPUs, or something asks for it."""
    context = Context(question.phase, View({}, {}), View({}, {}), question.policy)
    wanted = set(ALWAYS if question.phase == "epilog" else ALWAYS + DESCRIBES)
    for one in asked:
        wanted |= facts_needed(one.requirement)
    no_gpus = question.job is not None and not question.job.gpus_text
    if no_gpus:
        by_site = {name for one in asked if one.source == "policy" for name in facts_needed(one.requirement)}
        wanted -= {"gpus"} - by_site  # a job without GPUs fails a GPU clause whatever the node has
    for check, _, _ in checks_for(context):
        if not (check.device and no_gpus):
            wanted.update(check.reads)
    return frozenset(wanted)


def job_gpus(question: Question, document: FactsDocument) -> JobGpus | None:
    """Return which of the node's GPUs are the job's; None where there is no job and none were named."""
    devices = (document.facts.get("gpus") or {}).get("devices") or []
    if question.job is None:
        if question.gpus is None:
            return None
        return _found(question.gpus, [device.get("index") for device in devices], "gpu")
    job = question.job
    if not job.gpus_text:
        return JobGpus()
    if not job.gpus:
        return JobGpus(problem=f"SLURM_JOB_GPUS={job.gpus_text[:40]!r} is not a list of numbers")
    minors = [device.get("minor") for device in devices]
    if question.gres.problem:
        if len(job.gpus) == len(devices) and all(isinstance(minor, int) for minor in minors):
            return JobGpus(tuple(range(len(devices))))  # the job has all of them: no number needs to be known
        return JobGpus(problem=question.gres.problem)
    if any(number >= len(question.gres.minors) for number in job.gpus):
        return JobGpus(
            problem=f"SLURM_JOB_GPUS={job.gpus_text[:40]} is beyond gres.conf's {len(question.gres.minors)} GPUs"
        )
    found = _found(tuple(question.gres.minors[number] for number in job.gpus), minors, "/dev/nvidia")
    silent = [device for device in devices if untold_minor(device)]
    if found.missing and silent:
        return JobGpus(problem=f"{len(silent)} GPUs did not tell their minor number")
    return found


def _found(wanted: tuple[int, ...], numbers: list[int | None], prefix: str) -> JobGpus:
    positions = tuple(numbers.index(one) for one in wanted if one in numbers)
    return JobGpus(positions, tuple(f"{prefix}{one}" for one in wanted if one not in numbers))


def job_view(node: View, gpus: JobGpus | None) -> View:
    """Return the facts as the job sees them: its own GPUs, and no GPU where it has none."""
    if gpus is None:
        return node
    if gpus.problem:
        return View(node.facts, {**node.unknown, "gpus": gpus.problem})
    if not gpus.some:
        unknown = {name: why for name, why in node.unknown.items() if name.split(".")[0] != "gpus"}
        return View({**node.facts, "gpus": {"count": 0, "devices": []}}, unknown)
    return node._replace(gpus=gpus.positions, slices=gpus.slices)
