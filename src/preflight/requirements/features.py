"""A requirement as an expression of node Features, over those that the cluster's nodes have."""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.facts.view import View
from preflight.requirements import encode, installed, names
from preflight.requirements.evaluate import evaluate
from preflight.requirements.grammar import Clause, Predicate, Requirement
from preflight.requirements.kinds import Version
from preflight.requirements.placeable import (
    Compiled,
    NotPlaceable,
    must_ask_for_more,
    must_ask_for_newer,
    one_profile,
    one_word,
    read,
    released_cuda,
)
from preflight.requirements.row import Row

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_VERSION = Version()
_SPECIAL = "[]*()&|,{}<>=!;:@+"


def to_constraint(requirement: Requirement, features: Iterable[str]) -> Compiled:
    """Return the requirement for --constraint over ``features``, those that the cluster's nodes have.

    A clause that no node fits is placed all the same, by a feature that none has: Slurm then refuses the job.
    """
    known = sorted(set(features))
    placed, rest, texts, unmet = [], [], [], []
    for clause in requirement.clauses:
        try:
            fits = sorted({one for predicate in clause.predicates for one in _features(predicate, known)})
        except NotPlaceable as why:
            rest.append((clause, str(why)))
            continue
        placed.append(clause)
        if not fits:
            unmet.append(clause)
        texts.append(fits or [f"no_node_has_{clause.predicates[0].name}"])
    # One clause needs no parentheses, nor does a single feature.
    shown = ["|".join(one) if len(one) == 1 or len(texts) == 1 else f"({'|'.join(one)})" for one in texts]
    return Compiled("&".join(dict.fromkeys(shown)), tuple(placed), tuple(rest), tuple(unmet))


def join_constraint(own: str, ours: str) -> str:
    """Return the user's own --constraint and ours as one; raises NotPlaceable where Slurm's grammar allows none."""
    own = own.strip()
    if not own or not ours:
        return own or ours
    if any(char in own for char in "[]*(),"):
        raise NotPlaceable("your own --constraint has counts or parentheses, to which nothing can be added")
    mine = f"({own})" if "|" in own else own
    return f"{mine}&({ours})" if "|" in ours and "(" not in ours else f"{mine}&{ours}"


def _features(predicate: Predicate, known: list[str]) -> list[str]:
    """Return the features of which each proves the predicate."""
    row, asked, negated = read(predicate)
    if row.name == "gpu":
        word, profile = one_word(asked, negated)
        if profile:
            if word:
                raise NotPlaceable("a GPU's name and a MIG profile are features of their own, and it asks for both")
            return _cut(known, row, profile, 1)
        _published([one for one in known if _gpu_word(one)], row)
        return [f"gpu_{word}"] if f"gpu_{word}" in known else []
    if row.name in ("gpu.count", "mig.count"):
        must_ask_for_more(predicate)
    if row.name == "mig.profile":
        return _cut(known, row, *one_profile(predicate, asked))
    if row.name == "cuda" and predicate.op in (">=", "=", "~="):
        released_cuda(asked, negated)
        starts = _of(known, f"{encode.FROM}_")
        if any(_VERSION.read(one.removeprefix(f"{encode.FROM}_")) > (*asked, 0)[:2] for one in starts):
            raise NotPlaceable("some nodes have GPUs that need a newer CUDA, which a feature does not tell")
        return [one for one in _published(_of(known, f"{encode.RUNS}_"), row) if _runs(one, asked[:2])]
    if row.judge is installed.judge:
        must_ask_for_newer(predicate)
    prefix = _prefix(row)
    if not prefix:
        raise NotPlaceable(f"{row.name} is not among the features that are published")
    group = [one for one in _of(known, prefix) if not one.startswith((f"{encode.RUNS}_", f"{encode.FROM}_"))]
    requirement = Requirement((Clause((predicate,), ""),))
    return [one for one in _published(group, row) if _proves(requirement, row, prefix, one)]


def _cut(known: list[str], row: Row, profile: str, least: int) -> list[str]:
    """Return the features that state ``least`` or more MIG devices of a profile."""
    if not encode.plain(profile):
        raise NotPlaceable(f"{profile} cannot stand in a feature")
    found = _published(_of(known, "gpu_mig_"), row)
    mine = [one for one in found if one.startswith(f"gpu_mig_{profile}_")]
    return [one for one in mine if is_whole(one.rpartition("_")[2]) and int(one.rpartition("_")[2]) >= least]


def _prefix(row: Row) -> str:
    """Return the beginning of the features that state what the row reads; "" where none does."""
    if row.name == "os" or row in names.DISTRIBUTION_ROWS:
        return "os_"
    if row.name in ("gpu.count", "gpu.arch", "gpu.code", "mig.count"):
        return str(row.feature)
    return next((group.prefix for group in encode.GROUPS if group.fact == row.fact), "")


def _of(known: list[str], prefix: str) -> list[str]:
    return [one for one in known if one.startswith(prefix) and not any(char in one for char in _SPECIAL)]


def _gpu_word(feature: str) -> bool:
    return feature.startswith("gpu_") and "_" not in feature[4:]


def _published(group: list[str], row: Row) -> list[str]:
    if not group:
        raise NotPlaceable(f"no node publishes {row.name}")
    return group


def _runs(feature: str, asked: tuple[int, ...]) -> bool:
    value = feature.removeprefix(f"{encode.RUNS}_")
    return value != "none" and _VERSION.compare(">=", asked, value) is True


def _proves(requirement: Requirement, row: Row, prefix: str, feature: str) -> bool:
    """Tell whether a node with ``feature`` passes, by evaluating what the feature states."""
    value: Any = feature.removeprefix(prefix)
    facts: dict[str, dict[str, Any]]
    if prefix == "os_":
        os_id, version = encode.system_of(feature)
        facts = {"os": {"id": os_id, "version": version or None}}
    elif row.name == "gpu.count":
        number = int(value) if is_whole(value, 3) else 0
        facts = {"gpus": {"devices": [{}] * number}}
    elif row.name == "mig.count":
        number = int(value) if is_whole(value, 4) else 0
        facts = {"gpus": {"devices": [{"mig_devices": [{}] * number}]}}
    elif row.fact == "gpus.compute_capability":
        facts = {"gpus": {"devices": [{"compute_capability": value}]}}
    else:
        subject, _, key = row.fact.partition(".")
        facts = {subject: {key: None if value == "none" else value}}
        if row.fact == "driver.cuda":
            facts = {"driver": {"version": None}} if value == "none" else facts
    return evaluate(requirement, View(facts, {}))[0].status in ("pass", "warn")
