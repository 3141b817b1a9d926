"""A job's plan: what it asks, held against what the cluster's nodes published."""

from __future__ import annotations

from collections.abc import Sequence

from preflight.policy.model import Policy
from preflight.requirements import names
from preflight.requirements.doubts import doubts
from preflight.requirements.grammar import Predicate, Requirement
from preflight.slurm.models import Node
from preflight.submit.infer import Inference
from preflight.submit.plan import change, judge
from preflight.submit.plan.builds import builds
from preflight.submit.plan.gres import gpus_of, shares_of
from preflight.submit.plan.kinds import Given, Kinds
from preflight.submit.plan.model import Group, Inferring, Nodes, Part, Placement, Plan, Wants
from preflight.submit.plan.needs import requirement_of, wants
from preflight.submit.plan.placement import placement
from preflight.submit.plan.publishable import publishable
from preflight.submit.plan.state import ClusterState
from preflight.submit.plan.terms import Terms, terms_of
from preflight.submit.script import Submission


def plan(
    submission: Submission,
    inference: Inference,
    cluster: ClusterState | None,
    policy: Policy,
    infer: str = "warn",
    cwd: str = ".",
    problem: str = "",
) -> Plan:
    """Return the plan of ``submission``. ``cluster``: None where no Slurm is installed, or (``problem``) none answers.

    ``infer``: "warn" tells on which nodes inferred needs fail, "require" makes them bind, "off" leaves them out.
    Raises PlanError and OptionError for mistakes in what the job asks.
    """
    file = submission.script or "script"
    asked = wants(submission.components, inference, infer, file, cwd)
    shares = cluster.shares if cluster is not None else {}
    terms = [terms_of(one.asked)._replace(one_gpu=shares) for one in asked]
    if cluster is None:
        parts = tuple(_unasked(*one) for one in zip(asked, terms))
    else:
        kinds = Kinds(cluster.nodes, cluster.by_extra)
        parts = tuple(_part(*one, cluster, kinds, policy) for one in zip(asked, terms))
    return Plan(submission.script, infer, parts, inference, cluster is not None, problem, submission.notes)


def _unasked(one: Wants, terms: Terms) -> Part:
    return Part(one, one.asked.partition, terms.needed, (), notes=tuple(doubts(requirement_of(one.needs))))


def _part(one: Wants, terms: Terms, cluster: ClusterState, kinds: Kinds, policy: Policy) -> Part:
    asked = one.asked
    partitions = asked.partition or ((cluster.default,) if cluster.default else ())
    chosen = [node for node in cluster.nodes if set(partitions).intersection(node.partitions)]
    requirement = requirement_of(one.needs)
    features = {feature for node in cluster.nodes for feature in node.features}
    placed = placement(requirement, asked, cluster.by_extra, features)
    if cluster.by_extra and not kinds.by_extra and placed.value != asked.extra:  # such a job would wait for ever
        placed = placed._replace(value=asked.extra, problem="no node has published its facts by Extra")
    places = frozenset(clause.text for clause in requirement.clauses) - {clause.text for clause, _ in placed.not_placed}
    gpus = Given(0) if terms.gpus is None else Given(terms.gpus.exact, terms.gpus.type)
    minor, tables = policy.cuda.minor_version_compatibility, policy.tables()
    answers = kinds.judged(_judged_here(requirement, gpus.number), gpus, minor, tables)
    asks = publishable(requirement, places, cluster.by_extra)
    rows = judge.rows(chosen, terms, answers, kinds)
    nodes = judge.sort(rows, one.needs, asks, gpus.number)
    nodes = nodes._replace(lacking=_lacking(terms, nodes, rows))
    ground = change.Ground(rows, kinds, gpus, minor, tables, asks)
    inferring = _inferring(one, nodes, kinds, gpus, policy)
    return Part(
        one,
        partitions,
        terms.needed,
        placed.not_placed,
        nodes,
        inferring,
        change.changes(ground, one.needs, terms),
        placed if requirement.clauses else Placement(placed.option, "", (), ()),
        (*doubts(requirement), *_notes(one, terms, partitions), *_shares_note(terms, chosen, cluster)),
        tuple(_unproven(requirement, nodes, rows)),
        tuple(_no_partition(partitions, cluster)),
    )


def _shares_note(terms: Terms, nodes: Sequence[Node], cluster: ClusterState) -> list[str]:
    """Return that a job may ask more shares than one GPU has, where how many that are is not told."""
    for name, number in terms.gpus.shares if terms.gpus is not None and not cluster.several else ():
        for node in nodes:
            gpus = gpus_of(node.gres)
            told = name in cluster.shares.get(node.name, {})
            if gpus > 1 and not told and shares_of(node.gres, name) >= number > shares_of(node.gres, name) // gpus:
                return [
                    f"how many {name} one GPU of {node.name} has is not told: a job that asks for more waits for ever"
                ]
    return []


def _unproven(requirement: Requirement, nodes: Nodes, rows: Sequence[judge.Row]) -> list[str]:
    """Return the clauses that not all nodes which fit prove."""
    fit = frozenset(nodes.fit)
    proven = [{one.text for one in row.answers if one.status in judge.HOLDS} for row in rows if row.node.name in fit]
    return [one.text for one in requirement.clauses if not all(one.text in some for some in proven)]


def _no_partition(partitions: Sequence[str], cluster: ClusterState) -> list[str]:
    """Return a sentence for each partition that no node is in."""
    known = sorted({name for node in cluster.nodes for name in node.partitions})
    there = f"there are: {', '.join(known)}" if known else "there are none"
    return [f"there is no partition {name} with nodes; {there}" for name in partitions if name not in known]


def _judged_here(requirement: Requirement, gpus: int | None) -> Requirement:
    """Return the clauses that nodes are judged by: not those on a number of GPUs that Slurm has yet to choose."""
    if gpus is not None:
        return requirement
    return Requirement(tuple(one for one in requirement.clauses if not any(map(_counts, one.predicates))))


def _counts(one: Predicate) -> bool:
    return one.name == "gpu.count" and (one.negated or one.op not in (None, ">=", ">"))


def _about_gpus(one: Predicate) -> bool:
    row = names.find(one.name)
    return row is not None and row.scope == "gpu"


def _lacking(terms: Terms, nodes: Nodes, rows: Sequence[judge.Row]) -> tuple[Group, ...]:
    """Return the nodes that --nodelist names and that are not among those that fit."""
    known = {row.node.name for row in rows}
    missing = terms.required - set(nodes.fit)
    why = dict.fromkeys(missing - known, "is not in the partition")
    why |= dict.fromkeys(missing & known, "does not fit now")
    groups = {text: tuple(sorted(name for name in why if why[name] == text)) for text in dict.fromkeys(why.values())}
    return tuple(Group("--nodelist", text, found) for text, found in groups.items())


def _inferring(one: Wants, nodes: Nodes, kinds: Kinds, gpus: Given, policy: Policy) -> tuple[Inferring, ...]:
    """Return how each inferred need fares on the nodes that fit."""
    fared = []
    for need in one.inferred:
        answers = kinds.judged(
            Requirement((need.clause,)), gpus, policy.cuda.minor_version_compatibility, policy.tables()
        )
        fails: dict[tuple[str, str], list[str]] = {}
        untold = []
        for name in nodes.fit:
            answer = answers[kinds.of[name]][0]
            if answer.status == "fail":
                what = judge.missing(need.clause, kinds.views[kinds.of[name]])
                fails.setdefault((what, answer.observed), []).append(name)
            elif answer.status == "unknown":
                untold.append(name)
        groups = tuple(Group(what, seen, tuple(found)) for (what, seen), found in fails.items())
        missed = [name for names in fails.values() for name in names]
        fared.append(Inferring(need, groups, tuple(untold), builds(need, missed, kinds, policy.tables())))
    return tuple(fared)


def _notes(one: Wants, terms: Terms, partitions: Sequence[str]) -> list[str]:
    """Return what was not looked at, and what is Slurm's to decide."""
    asked = one.asked
    notes: list[str] = []
    if not partitions:
        notes.append("the job names no partition, and the cluster has no default one: give --partition")
    if terms.features.left:
        notes.append(terms.features.left)
    if asked.reservation:
        notes.append(f"--reservation={asked.reservation}: Slurm knows its nodes; they are not looked at here")
    if asked.clusters:
        notes.append(f"--clusters={asked.clusters}: only this cluster's nodes are looked at")
    if asked.exclusive is not None:
        notes.append("--exclusive: the job needs whole nodes, so only idle ones start it at once")
    gpu_clauses = any(_about_gpus(part) for need in one.needs for part in need.clause.predicates)
    if terms.gpus is not None and terms.gpus.exact is None and gpu_clauses:
        notes.append(
            "how many GPUs the job gets on a node is Slurm's choice: GPU clauses are judged on all of a node's"
        )
    return notes
