"""One requirement asked of many nodes: nodes that are alike in what it reads are judged once."""

from __future__ import annotations

import marshal

from preflight.catalog.tables import SHIPPED, Tables
from preflight.facts.view import View
from preflight.requirements.evaluate import ClauseResult, evaluate, facts_needed
from preflight.requirements.grammar import Requirement

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Of a GPU: what requirements read, and what their answers name. A serial number must not make two nodes differ.
_OF_GPU = ("index", "name", "memory", "compute_capability", "ecc", "mig", "mig_devices", "nvlink", "error")
_NO_REFERENCES = 2  # marshal's format in which equal values give equal bytes


def evaluate_many(
    requirement: Requirement, views: Iterable[View], *, cuda_minor: str = "warn", tables: Tables = SHIPPED
) -> Iterator[list[ClauseResult]]:
    """Yield for each view what `evaluate` answers, in their order; do not change the lists, alike nodes share them."""
    subjects = sorted(facts_needed(requirement))
    answers: dict[bytes, list[ClauseResult]] = {}
    for view in views:
        key = _key(view, subjects)
        found = answers.get(key) if key is not None else None
        if found is None:
            found = evaluate(requirement, view, cuda_minor=cuda_minor, tables=tables)
            if key is not None:
                answers[key] = found
        yield found


def _key(view: View, subjects: list[str]) -> bytes | None:
    """Return bytes that are equal only where the facts read are; None for facts that cannot be written so."""
    facts = view.facts
    values = [_gpus(facts.get(one)) if one == "gpus" else facts.get(one) for one in subjects]
    try:
        return marshal.dumps((values, view.unknown, view.gpus, view.slices), _NO_REFERENCES)
    except ValueError:
        return None


def _gpus(found: object) -> object:
    devices = found.get("devices") if isinstance(found, dict) else None
    if not isinstance(devices, list) or not all(isinstance(one, dict) for one in devices):
        return found
    return [([(name, one[name]) for name in _OF_GPU if name in one], one.get("errors")) for one in devices]
