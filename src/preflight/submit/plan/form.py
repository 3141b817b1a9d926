"""A plan as JSON, format preflight.plan/1. Fields are added, never renamed; texts are whole, as they were given."""

from typing import Any

from preflight.submit.plan.judge import hosts
from preflight.submit.plan.model import Change, Group, Inferring, Need, Nodes, Part, Placement, Plan

FORMAT = "preflight.plan/1"


def to_json(plan: Plan) -> dict[str, Any]:
    """Return plain JSON values. ``enough`` is null where no cluster was asked; nodes are host lists with a count."""
    return {
        "format": FORMAT,
        "script": plan.script,
        "infer": plan.infer,
        "cluster_asked": plan.cluster_asked,
        "problem": plan.problem or None,
        "enough": plan.enough if plan.cluster_asked else None,
        "components": [_part(part) for part in plan.parts],
        "inference": {
            "needs": [one._asdict() for one in plan.inference.needs],
            "unread": [one._asdict() for one in plan.inference.unread],
            "notes": [one._asdict() for one in plan.inference.notes],
        },
        "notes": list(plan.notes),
    }


def _part(part: Part) -> dict[str, Any]:
    asked = part.wants.asked._asdict()
    asked["gpus"] = asked["gpus"]._asdict() if asked["gpus"] else None
    return {
        "asked": asked,
        "partitions": list(part.partitions),
        "needed": part.needed,
        "requirement": [_need(need) for need in part.wants.needs],
        "verified": [{"clause": clause.text, "why": why} for clause, why in part.verified],
        "unproven": list(part.unproven),
        "enough": part.enough if part.nodes is not None else None,
        "nodes": None if part.nodes is None else _nodes(part.nodes),
        "inferred": [_inferring(one) for one in part.inferring],
        "changes": [_change(one) for one in part.changes],
        "placement": None if part.placement is None else _placement(part.placement),
        "notes": [*part.no_partition, *part.notes],
    }


def _need(need: Need) -> dict[str, Any]:
    given = {"clause": need.clause.text, "source": need.source, "line": need.line, "text": need.text}
    return given | {"why": need.why or None}


def _nodes(nodes: Nodes) -> dict[str, Any]:
    groups = ("misfit", "untold", "away", "left_out", "caveats", "lacking")
    whole: dict[str, Any] = {"total": nodes.total, "fit": _hosts(nodes.fit), "idle": _hosts(nodes.idle)}
    return whole | {name: [_group(one) for one in getattr(nodes, name)] for name in groups}


def _group(group: Group) -> dict[str, Any]:
    return {"what": group.what, "detail": group.detail, **_hosts(group.nodes)}


def _hosts(nodes: tuple[str, ...]) -> dict[str, Any]:
    return {"count": len(nodes), "nodes": hosts(nodes)}


def _inferring(one: Inferring) -> dict[str, Any]:
    return {
        **_need(one.need),
        "fails": [_group(group) for group in one.fails],
        "untold": _hosts(one.untold),
        "builds": [_group(group) for group in one.builds],
    }


def _change(one: Change) -> dict[str, Any]:
    return {"change": one.text, **_hosts(one.nodes)}


def _placement(one: Placement) -> dict[str, Any]:
    return {
        "option": one.option,
        "value": one.value,
        "not_placed": [{"clause": clause.text, "why": why} for clause, why in one.not_placed],
        "unmet": [clause.text for clause in one.unmet],
        "problem": one.problem or None,
    }
