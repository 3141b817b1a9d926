"""From a run to findings: which facts are needed, whose GPUs they are, what the checks say."""

from __future__ import annotations

from preflight.checks.finding import Finding
from preflight.checks.registry import (
    ENVIRONMENT,
    Configured,
    Context,
    Earlier,
    Expected,
    JobEnd,
    JobGpus,
    SourcedRequirement,
)
from preflight.checks.run import checks_for, run_checks
from preflight.facts.document import FactsDocument
from preflight.facts.view import Facts, View
from preflight.hooks.gpus import expected, job_gpus
from preflight.hooks.reading import Reading
from preflight.policy.model import Policy
from preflight.policy.site_files import any_files
from preflight.slurm.environment import Job
from preflight.slurm.gres import Gres
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from preflight.checks.run import Memo
    from preflight.hooks.standing import Standing

ALWAYS = ("os", "kernel", "arch", "libc", "cpu", "memory", "tmp", "shm")
DESCRIBES = ("toolkits",)  # for the report's reader; a child of its own reads them, so not again in the epilog

FEW = 64  # expectations for a node, up to which each is judged and listed in every run
SHOWN = 400  # of a requirement that cannot be read: it goes into every report, and a user wrote it


class Question(NamedTuple):
    """What is to be judged. ``gpus``: NVML indexes asked for by hand, of a MIG device its
    GPU's and its own; ``before``: the prolog's facts, in the epilog.

    ``clock_jump_s``, ``flaps``, ``ran_s``, ``earlier``, ``samples``, ``configured``, ``ends`` and ``last_boot`` as in
    `preflight.checks.registry.Context`. ``standing``: the file that remembers which of many expectations held, "" for
    none.
    """

    phase: str
    node: str
    policy: Policy
    job: Job | None = None
    require: str = ""
    gpus: tuple[int | tuple[int, int], ...] | None = None
    gres: Gres = Gres()
    before: Facts | None = None
    clock_jump_s: float = 0.0
    flaps: dict[str, int] = {}  # noqa: RUF012 - a NamedTuple default, never written
    ran_s: float | None = None
    earlier: Earlier = Earlier()
    samples: dict[str, list[tuple[float, int]]] = {}  # noqa: RUF012 - a NamedTuple default, never written
    configured: Configured | None = None
    ends: tuple[JobEnd, ...] = ()
    last_boot: list[dict[str, Any]] | None = None
    standing: str = ""


class Assessment(NamedTuple):
    """What was found. ``gpus`` None: the whole node was judged."""

    document: FactsDocument
    findings: list[Finding]
    asked: tuple[SourcedRequirement, ...]
    broken: tuple[tuple[str, str, str], ...]
    gpus: JobGpus | None


def assess(
    question: Question,
    reading: Reading,
    deadline: float,
    document: FactsDocument | None = None,
    memo: Memo | None = None,
) -> Assessment:
    """Return the findings of ``question``; facts come from ``document`` where one is given, else by ``reading``.

    ``deadline`` is the time.monotonic() instant after which facts are taken as far as they came.
    ``memo``: what checks found before.
    """
    recorded = document is not None
    many = _many(question, memo)
    asked, broken, needed = (
        _wanted(question, many) if memo is None else memo.once(_asks(question, many), lambda: _wanted(question, many))
    )
    if document is None:
        document = reading.collect(needed, deadline)
    if many is not None:
        many.judge(document.view())
        asked = (*asked, *many.asked())
    gpus = _whose(question, document, memo)
    node = document.view()
    context = Context(
        phase=question.phase,
        node=node,
        job=job_view(node, gpus),
        policy=question.policy,
        asked=asked,
        broken=broken,
        gpus=gpus,
        expected=expected(question.gres, document) if question.job is None else Expected(),
        before=question.before,
        today=document.collected[:10],
        clock_jump_s=question.clock_jump_s,
        flaps=question.flaps,
        ran_s=question.ran_s,
        earlier=question.earlier,
        samples=question.samples,
        configured=question.configured,
        ends=question.ends,
        last_boot=question.last_boot,
        held=() if many is None else tuple((group.paths, len(group.texts), group.at) for group in many.groups),
    )
    findings = run_checks(context, memo)
    if many is not None:
        many.keep(node, findings)
    if not recorded and reading.source.reads_live and any_files(question.policy):
        from preflight.hooks.site.run import site_findings

        findings += site_findings(context, reading.source, deadline)
    return Assessment(document, findings, asked, broken, gpus)


def _many(question: Question, memo: Memo | None = None) -> Standing | None:
    """Return what is known of the site's many expectations, None where they are few or nothing is remembered."""
    if not question.standing or len(question.policy.expect) <= FEW:
        return None
    from preflight.hooks.standing import Standing

    return Standing(question.standing, question.policy, memo)


def _wanted(
    question: Question, many: Standing | None
) -> tuple[tuple[SourcedRequirement, ...], tuple[tuple[str, str, str], ...], frozenset[str]]:
    """Return `requirements` of a question, and the `subjects` that it needs."""
    asked, broken = requirements(question, many)
    return asked, broken, subjects(question, asked, many)


def _whose(question: Question, document: FactsDocument, memo: Memo | None) -> JobGpus | None:
    job = question.job
    if memo is None or job is None:
        return job_gpus(job, question.gpus, question.gres, document)
    key = ("gpus", memo.versions.get("gpus"), question.gres, job.gpus_text, job.gpus, job.visible)
    found = memo.once(key, lambda: job_gpus(job, question.gpus, question.gres, document))
    return None if found is None else found._replace(job=job.id)


def _asks(question: Question, many: Standing | None) -> tuple[object, ...]:
    """Return what `_wanted` depends on beside the policy."""
    job = question.job
    own = None if job is None else (job.require, job.comment, job.code, job.partition, bool(job.gpus_text))
    return question.phase, question.require, own, None if many is None else many.known


def requirements(
    question: Question, many: Standing | None = None
) -> tuple[tuple[SourcedRequirement, ...], tuple[tuple[str, str, str], ...]]:
    """Return all that is asked, each with its source, and (text, source, why) of what cannot be read.

    ``many`` has the site's rows that hold for all partitions, which are left out here.
    """
    job = question.job
    texts = [(question.require, "--require")]
    broken = []
    if job is not None:
        in_comment = _in_comment(job.comment)
        texts += [(job.require, "--require"), (in_comment or "", "comment")]
        if in_comment == "":
            broken.append(("require:", "comment", "nothing follows require:"))
    partitions = set(job.partition.split(",")) if job else set()
    for one in question.policy.expect:
        everywhere = not one.partitions
        if (everywhere and many is None) or (not everywhere and (job is None or partitions & set(one.partitions))):
            texts.append((one.require, "policy"))
    asked: list[SourcedRequirement] = []
    for text, source in dict.fromkeys(texts):  # rows of several partitions may ask the same
        if not text:
            continue
        from preflight.requirements.grammar import RequirementError, parse  # a quarter of a hook's modules

        try:
            asked.append(SourcedRequirement(parse(text), source))
        except RequirementError as error:
            shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"
            broken.append((shown, source, error.message))
    if job is not None and job.code and job.gpus_text and question.phase == "prolog":
        from preflight.requirements.summary import read

        try:
            found = read(job.code)
        except ValueError:  # a user's text: nothing of it is shown
            broken.append(("", ENVIRONMENT, "it is no summary that preflight sbatch makes"))
        else:
            asked += [SourcedRequirement(found.requirement, f"{ENVIRONMENT} {found.id}")] if found else []
    return tuple(asked), tuple(broken)


def _in_comment(comment: str) -> str | None:
    """Return the requirement in a job's comment, as `preflight.requirements.grammar.from_comment` does."""
    if ":" not in comment:
        return None
    from preflight.requirements.grammar import from_comment

    return from_comment(comment)


def _needed(asked: Sequence[SourcedRequirement]) -> list[tuple[str, frozenset[str]]]:
    """Return (source, subjects of facts that evaluating it reads) of each requirement."""
    if not asked:
        return []
    from preflight.requirements.evaluate import facts_needed

    return [(one.source, facts_needed(one.requirement)) for one in asked]


def subjects(question: Question, asked: tuple[SourcedRequirement, ...], many: Standing | None = None) -> frozenset[str]:
    """Return the fact subjects to read: NVML only where the job has GPUs, or something asks for it."""
    context = Context(question.phase, View({}, {}), View({}, {}), question.policy)
    wanted = set(ALWAYS if question.phase == "epilog" else ALWAYS + DESCRIBES)
    needed = _needed(asked)
    wanted.update(*(names for _, names in needed))
    by_site: set[str] = set()
    if many is not None:
        by_site.update(many.subjects(), *(names for _, names in _needed(many.asked())))
        wanted |= by_site
    no_gpus = question.job is not None and not question.job.gpus_text
    if no_gpus:
        by_site.update(name for source, names in needed if source == "policy" for name in names)
        wanted -= {"gpus"} - by_site  # a job without GPUs fails a GPU clause whatever the node has
    for check, _, _ in checks_for(context):
        if not (check.device and no_gpus):
            wanted.update(check.reads)
    return frozenset(wanted)


def job_view(node: View, gpus: JobGpus | None) -> View:
    """Return the facts as the job sees them: its own GPUs, and no GPU where it has none."""
    if gpus is None:
        return node
    if gpus.problem or gpus.other:
        why = gpus.problem or f"the job's GPUs are not NVIDIA's ({gpus.other})"
        return View(node.facts, {**node.unknown, "gpus": why})
    if not gpus.some:
        unknown = {name: why for name, why in node.unknown.items() if name.split(".")[0] != "gpus"}
        return View({**node.facts, "gpus": {"count": 0, "devices": []}}, unknown)
    return node._replace(gpus=gpus.positions, slices=gpus.slices)
