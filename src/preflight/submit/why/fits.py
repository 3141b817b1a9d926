"""Which nodes fit a job that waits or is held, by the facts that nodes publish: what `preflight plan` says of it."""

from preflight.hostlist import HostlistError, folded, names
from preflight.policy.model import Policy
from preflight.report.clean import clean
from preflight.requirements.grammar import RequirementError, from_comment
from preflight.slurm.commands import Slurm, SlurmError
from preflight.slurm.marks import marks
from preflight.slurm.models import JobInfo
from preflight.submit.infer import Inference
from preflight.submit.options import OptionError
from preflight.submit.plan import ClusterState, Plan, PlanError, plan
from preflight.submit.plan.ask import read_cluster
from preflight.submit.plan.judge import hosts
from preflight.submit.script import read
from preflight.submit.why.model import Report

_GROUPS, _CHANGES = 5, 2
_NO_NODE = ("Constraints", "BadConstraints")


class Fitting:
    """Answers for the jobs of one cluster, which is read once and only when a job asks."""

    def __init__(self, slurm: Slurm, policy: Policy) -> None:
        self._slurm, self._policy = slurm, policy
        self._cluster: ClusterState | None = None

    def lines(self, job: JobInfo, reports: tuple[Report, ...]) -> tuple[str, ...]:
        """Return what nodes fit, and what the others lack; () where it is no question, or cannot be told."""
        ours = [mark for mark in marks(job.admin_comment) if mark.kind == "held" and mark.run == job.restarts - 1]
        if job.state != "PENDING" or not (job.reason.partition(",")[0] in _NO_NODE or (job.priority == 0 and ours)):
            return ()
        requirement = asked_of(job, reports)
        if not requirement and not job.features:
            return ()
        try:
            if self._cluster is None:
                self._cluster = read_cluster(self._slurm)
            submission = read(_options(job, requirement), {})
            made = plan(submission, Inference((), (), ()), self._cluster, self._policy, "off")
        except (SlurmError, PlanError, OptionError, RequirementError, HostlistError, ValueError):
            return ()
        return tuple(clean(line, 400) for line in _told(made))


def asked_of(job: JobInfo, reports: tuple[Report, ...]) -> str:
    """Return the job's own requirement: from its latest report, else from its comment; "" where neither tells."""
    for report in reversed(reports):
        clauses = (report["requirement"] or {}).get("clauses", ())
        own = [clause["text"] for clause in clauses if clause["source"] in ("--require", "comment")]
        if own:
            return ", ".join(own)
    return from_comment(job.comment) or ""


def _options(job: JobInfo, requirement: str) -> list[str]:
    """Return the job's options as sbatch takes them, without the exclusions that our own moves added."""
    sent = {mark.node for mark in marks(job.admin_comment)}
    excluded = folded(set(names(job.excluded)) - sent) if job.excluded else ""
    options = {
        "partition": job.partition,
        "exclude": excluded,
        "constraint": job.features,
        "nodes": str(job.num_nodes or 1),
        "gres": ",".join(one.removeprefix("gres/") for one in job.gres.split(",") if one.startswith("gres/gpu")),
        "require": requirement,
    }
    return [*(f"--{name}={value}" for name, value in options.items() if value), "--wrap=true"]


def _told(made: Plan) -> list[str]:
    nodes = made.parts[0].nodes
    if nodes is None or not nodes.total:
        return []
    known = nodes.total - sum(len(group.nodes) for group in nodes.untold)
    if not known:  # nothing is published: only the prolog can tell
        return []
    lines = []
    if nodes.fit:
        lines.append(f"By the facts that nodes publish these fit: {hosts(nodes.fit)}.")
    else:
        lines.append("By the facts that nodes publish none fits now.")
    for group in nodes.away[:_GROUPS]:
        why = f" ({group.detail})" if group.detail else ""
        lines.append(f"{hosts(group.nodes)} would fit, but no job starts there: {group.what.lower()}{why}")
    for group in (*nodes.misfit, *nodes.left_out)[:_GROUPS]:
        has = f" ({group.detail})" if group.detail else ""
        lines.append(f"{group.what}: {hosts(group.nodes)}{has}")
    if nodes.untold:
        untold = {name for group in nodes.untold for name in group.nodes}
        lines.append(f"not told by what they publish: {hosts(sorted(untold))}")
    lines += [f"more nodes would fit: {change.text}" for change in made.parts[0].changes[:_CHANGES]]
    return lines
