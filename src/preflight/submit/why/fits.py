"""Which nodes fit a job that waits or is held, by the facts that nodes publish: what `preflight plan` says of it."""

from __future__ import annotations

import re
from typing import NamedTuple

from preflight.digits import is_whole
from preflight.hostlist import HostlistError, folded, names
from preflight.policy.model import Policy
from preflight.report.clean import clean
from preflight.requirements.encode import PREFIXES
from preflight.requirements.grammar import RequirementError, from_comment
from preflight.slurm.commands import Slurm, SlurmError
from preflight.slurm.fields import ask, value
from preflight.slurm.marks import marks
from preflight.slurm.models import JobInfo
from preflight.submit.infer import Inference
from preflight.submit.options import OptionError
from preflight.submit.plan import ClusterState, PlanError, plan
from preflight.submit.plan.ask import read_cluster
from preflight.submit.plan.judge import hosts
from preflight.submit.plan.model import Group, Nodes, Part
from preflight.submit.script import read
from preflight.submit.why.model import Candidates, Report

_GROUPS, _CHANGES = 5, 2
_NO_NODE = ("Constraints", "BadConstraints")
_TRES = ("tres-per-job", "tres-per-node", "tres-per-socket", "tres-per-task")  # squeue's fields
_OPTION = {"tres-per-job": "gpus", "tres-per-node": "gpus-per-node", "tres-per-socket": "gpus-per-socket",
           "tres-per-task": "gpus-per-task"}  # fmt: skip
_GPU = re.compile(r"gres[:/]gpu(?:[:=]([A-Za-z][^:=,]*))?(?:[:=]([0-9]+))?(?:,|$)")
_FEATURE = re.compile(r"[A-Za-z0-9_.%+-]+")


class Fits(NamedTuple):
    """What nodes publish of what a job asks: ``lines`` to show, and the nodes ``left``, None where that is not told."""

    lines: tuple[str, ...] = ()
    left: Candidates | None = None


class Fitting:
    """Answers for the jobs of one cluster, which is read once and only when a job asks."""

    def __init__(self, slurm: Slurm, policy: Policy) -> None:
        self._slurm, self._policy = slurm, policy
        self._cluster: ClusterState | None = None

    def look(self, job: JobInfo, reports: tuple[Report, ...]) -> Fits:
        """Return what nodes fit, and what the others lack; nothing where it is no question, or cannot be told."""
        sent = [mark for mark in marks(job.admin_comment) if mark.kind in ("held", "moved")]
        held = any((mark.kind, mark.run) == ("held", max(job.restarts - 1, 0)) for mark in sent)
        no_node = job.reason.partition(",")[0] in _NO_NODE
        if job.state != "PENDING" or not (no_node or (held if job.priority == 0 else sent)):
            return Fits()
        requirement = asked_of(job, reports)
        # What sent it away is part of what it asks: without it every node would seem to fit.
        if not requirement and (sent or not job.features):
            return Fits()
        try:
            if self._cluster is None:
                self._cluster = read_cluster(self._slurm, self._policy.publish.via)
            submission = read(_options(job, requirement, _gpus(self._slurm, job), _from_require(reports)), {})
            made = plan(submission, Inference((), (), ()), self._cluster, self._policy, "off").parts[0]
        except (SlurmError, PlanError, OptionError, RequirementError, HostlistError, ValueError):
            return Fits()
        refused = refused_by(job, reports)
        lines = tuple(clean(line, 400) for line in _told(made, refused, faulty_of(reports))) if no_node or held else ()
        return Fits(lines, _left(made, job, refused) if sent and not job.required else None)


def refused_by(job: JobInfo, reports: tuple[Report, ...]) -> frozenset[str]:
    """Return the nodes whose prolog did not let this job run, in any of its runs."""
    bad = {str(report["node"]) for report in reports
           if report["phase"] == "prolog" and report["verdict"] in ("mismatch", "unhealthy")}  # fmt: skip
    return frozenset(bad | {mark.node for mark in marks(job.admin_comment)})


def faulty_of(reports: tuple[Report, ...]) -> frozenset[str]:
    """Return the nodes that were faulty when the job came there: the job's needs do not say why they refused it."""
    return frozenset(
        str(report["node"]) for report in reports if (report["phase"], report["verdict"]) == ("prolog", "unhealthy")
    )


def asked_of(job: JobInfo, reports: tuple[Report, ...]) -> str:
    """Return the job's own requirement: from its latest report, else from its comment; "" where neither tells."""
    for report in reversed(reports):
        clauses = (report["requirement"] or {}).get("clauses", ())
        own = [clause["text"] for clause in clauses if clause["source"] in ("--require", "comment")]
        if own:
            return ", ".join(own)
    return from_comment(job.comment) or ""


def _from_require(reports: tuple[Report, ...]) -> bool:
    """Return whether the requirement was given with --require, which sets the job's constraint where nodes publish."""
    return any(clause["source"] == "--require" for report in reports
               for clause in (report["requirement"] or {}).get("clauses", ()))  # fmt: skip


def _gpus(slurm: Slurm, job: JobInfo) -> dict[str, str]:
    """Return the job's options on GPUs (and its tasks, where they count), from squeue's tres-per-…; raises SlurmError.

    "gres:gpu:h100:2" on 22.05, "gres/gpu:h100:2" since; a count that is not written is 1.
    """
    rows = ask(slurm, "squeue", ("-j", str(job.id)), ("JobID", "NumTasks", *_TRES))
    own = next((row for row in rows if row[0].strip() == str(job.id)), None)
    if own is None:
        return {}
    found = {}
    for field, text in zip(_TRES, own[2:]):
        counts = [f"{kind}:{count or 1}" if kind else count or "1" for kind, count in _GPU.findall(value(text))]
        if counts:
            found[_OPTION[field]] = ",".join(counts)
    tasks = own[1].strip()
    if "gpus-per-task" in found and is_whole(tasks):
        found["ntasks"] = tasks
    return found


def _options(job: JobInfo, requirement: str, gpus: dict[str, str], from_require: bool) -> list[str]:
    """Return the job's options as sbatch takes them, without the exclusions that our own moves added.

    Nor with a constraint that Preflight set for the requirement: that says the same, in Slurm's words.
    """
    sent = {mark.node for mark in marks(job.admin_comment)}
    excluded = folded(names(job.excluded) - sent)
    placed = from_require and all(one.startswith(PREFIXES) for one in _FEATURE.findall(job.features))
    options = {
        "partition": job.partition,
        "exclude": excluded,
        "constraint": "" if placed else job.features,
        "nodes": str(job.num_nodes or 1),
        **gpus,
        "require": requirement,
    }
    return [*(f"--{name}={value}" for name, value in options.items() if value), "--wrap=true"]


def _only_verified(made: Part) -> bool:
    """Return whether nothing of the requirement is published: then only a node's prolog can tell."""
    asked = {need.clause.text for need in made.wants.needs}
    return bool(asked) and asked <= {clause.text for clause, _ in made.verified}


def _unknown(made: Part, nodes: Nodes) -> set[str]:
    """Return the nodes of which what they publish does not tell whether they fit."""
    untold = {name for group in nodes.untold for name in group.nodes}
    return untold | {*nodes.fit, *_names_of(nodes.away)} if _only_verified(made) else untold


def _names_of(groups: tuple[Group, ...]) -> set[str]:
    return {name for group in groups for name in group.nodes}


def _left(made: Part, job: JobInfo, refused: frozenset[str]) -> Candidates | None:
    """Return the nodes that the job does not exclude; one that refused it and is not known to lack anything is untold.

    None where the nodes were not judged.
    """
    nodes = made.nodes
    if nodes is None or not nodes.total:
        return None
    out = names(job.excluded)
    untold = _unknown(made, nodes)
    fit, away = set(nodes.fit) - untold, _names_of(nodes.away) - untold
    untold |= (fit | away) & refused
    misfit: dict[str, set[str]] = {}
    for group in (*nodes.misfit, *nodes.left_out):
        misfit.setdefault(clean(group.what, 200), set()).update(set(group.nodes) - out)
    return Candidates(
        tuple(sorted(fit - untold - out)),
        tuple(sorted(away - untold - out)),
        tuple(sorted(untold - out)),
        tuple((what, tuple(sorted(own))) for what, own in misfit.items() if own),
        made.needed,
    )


def _told(made: Part, refused: frozenset[str], faulty: frozenset[str]) -> list[str]:
    """Return the lines; a node that refused the job is told only where what it publishes says why."""
    nodes = made.nodes
    if nodes is None or not nodes.total:
        return []
    unknown = _unknown(made, nodes)
    lacking = _names_of((*nodes.misfit, *nodes.left_out))
    if not lacking and len(unknown) == nodes.total:  # nothing of it is published: only the prolog can tell
        return []
    lines = []
    fit = sorted(set(nodes.fit) - unknown - refused)
    if fit:
        lines.append(f"By the facts that nodes publish these fit: {hosts(fit)}.")
    else:
        lines.append("By the facts that nodes publish none fits now.")
    for group in nodes.away[:_GROUPS]:
        own = sorted(set(group.nodes) - unknown - refused)
        why = f" ({group.detail})" if group.detail else ""
        if own:
            lines.append(f"{hosts(own)} would fit, but no job starts there: {group.what.lower()}{why}")
    for group in (*nodes.misfit, *nodes.left_out)[:_GROUPS]:
        has = f" ({group.detail})" if group.detail else ""
        lines.append(f"{group.what}: {hosts(group.nodes)}{has}")
    if unknown - refused:
        lines.append(f"not told by what they publish: {hosts(sorted(unknown - refused))}")
    unexplained = refused - lacking
    if unexplained & faulty:
        lines.append(f"faulty when it came there: {hosts(sorted(unexplained & faulty))}")
    if unexplained - faulty:
        lines.append(f"did not fit when it came there: {hosts(sorted(unexplained - faulty))}")
    more = [change for change in made.changes if not set(change.nodes) <= unexplained]
    lines += [f"more nodes would fit: {change.text}" for change in more[:_CHANGES]]
    return lines
