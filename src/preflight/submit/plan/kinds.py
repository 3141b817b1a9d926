"""The nodes' published facts, each kind of node decoded and judged once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from preflight.catalog.tables import SHIPPED, Tables
from preflight.facts.view import Unknown, View
from preflight.requirements.decode import is_published, published_by_features, view_of
from preflight.requirements.encode import PREFIXES, is_ours
from preflight.requirements.evaluate import ClauseResult
from preflight.requirements.grammar import Requirement
from preflight.requirements.many import evaluate_many
from preflight.slurm.models import Node
from preflight.submit.gpu_types import is_other, profile_of
from preflight.tuples import NamedTuple


class Given(NamedTuple):
    """The GPUs or MIG devices that a job gets on a node: their number (None where that is not one) and their type."""

    number: int | None
    type: str | None = None


class Kinds:
    """Which nodes published the same: ``views`` are the different ones, ``of`` maps a node's name to one of them.

    ``by_extra``: whether some node published by its Extra. Of a node that has both, what counts is the way in which
    this cluster places (``prefer_extra``): the other is from before it was changed.
    """

    def __init__(self, nodes: Iterable[Node], prefer_extra: bool = True) -> None:
        self._prefer_extra = prefer_extra
        self.views: list[View] = []
        self.of: dict[str, int] = {}
        self.by_extra = False
        self._ours: dict[str, bool] = {}  # of the keys that were seen; thousands of nodes have the same ones
        texts: dict[tuple[str, tuple[str, ...]], int] = {}
        contents: dict[Any, int] = {}
        for node in nodes:
            text = (node.extra, node.active)
            kind = texts.get(text)
            if kind is None:
                kind = texts[text] = self._kind(node, contents)
            self.of[node.name] = kind

    def _kind(self, node: Node, contents: dict[Any, int]) -> int:
        """Return the number of a node's kind; keys and features of others do not make it another."""
        extra = read_extra(node.extra)
        known = self._ours
        known.update((key, is_ours(key)) for key in extra if key not in known)
        ours = {key: value for key, value in extra.items() if known[key] and type(value) in (str, int, float)}
        published = is_published(ours) and (self._prefer_extra or not published_by_features(node.active))
        self.by_extra = self.by_extra or published
        features = () if published else tuple(one for one in node.active if one.startswith(PREFIXES))
        content = (tuple(sorted(ours.items())) if published else (), features)
        if content not in contents:
            contents[content] = len(self.views)
            self.views.append(view_of(ours if published else {}, features))
        return contents[content]

    def judged(
        self, requirement: Requirement, gpus: Given, cuda_minor: str, tables: Tables = SHIPPED
    ) -> Sequence[list[ClauseResult]]:
        """Return each kind's answers, as for a job that gets ``gpus`` on a node."""
        views = [_of_job(view, gpus.number, gpus.type) for view in self.views]
        return list(evaluate_many(requirement, views, cuda_minor=cuda_minor, tables=tables))


def read_extra(text: str) -> dict[str, Any]:
    """Return a node's Extra; {} where it is no JSON object."""
    if not text.startswith("{"):
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _of_job(view: View, gpus: int | None, kind: str | None) -> View:
    """Return the facts as a job sees them that gets ``gpus`` of the node's GPUs, where the node has so many.

    ``kind``: their type. Of one that names a MIG profile it gets MIG devices; without a number, one stands for all.
    """
    profile = profile_of(kind)
    if profile:
        return _with_slices(view, profile, 1 if gpus is None else gpus)
    devices = view.devices()
    if gpus != 0 and not devices and kind and is_other(kind):
        return view._replace(unknown={**view.unknown, "gpus": "what is published is about NVIDIA's GPUs"})
    if gpus is None or (gpus and (not isinstance(devices, list) or len(devices) < gpus)):
        return view
    return view._replace(gpus=tuple(range(gpus)))


def _with_slices(view: View, profile: str, number: int) -> View:
    devices = view.devices()
    if isinstance(devices, Unknown) or not devices:
        return view
    places = [
        (at, place)
        for at, device in enumerate(devices)
        for place, one in enumerate(device.get("mig_devices") or [])
        if one.get("profile") == profile
    ]
    if len(places) < number:
        return view._replace(unknown={**view.unknown, "gpus": f"so many MIG devices {profile} are not published"})
    return view._replace(gpus=(), slices=tuple(places[:number]))
