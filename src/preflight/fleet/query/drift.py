"""Drift: nodes of one kind that are not alike."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple

from preflight.fleet.query.profiles import Flat, flats
from preflight.fleet.store.interface import Reader

# What a node is, by which nodes are of one class.
KIND = ("arch.machine", "gpus.name", "gpus.count", "cpu.count")
LEAST_NODES = 3  # of a class: of two different nodes none is the odd one
MOST = 0.5  # a value that at most half of the class shares is nobody's majority
PREFLIGHT, POLICY = "preflight.version", "preflight.policy"


class Outlier(NamedTuple):
    """Nodes of a class whose ``fact`` is ``value`` where the ``majority`` of the class's ``of`` nodes has another.

    ``since_ms``: when the first of them was seen with it, None where the store does not say.
    """

    kind: str
    of: int
    fact: str
    majority: str
    value: str
    nodes: tuple[str, ...]
    since_ms: int | None


class _Node(NamedTuple):
    number: int
    cluster: str
    name: str
    hash: bytes
    facts: Flat


def drift(store: Reader) -> list[Outlier]:
    """Return the outliers of every class, those of the fewest nodes first."""
    classes: dict[tuple[str, str], list[_Node]] = defaultdict(list)
    for node in _nodes(store):
        classes[node.cluster, kind_of(node.facts)].append(node)
    found = []
    for (_, kind), nodes in classes.items():
        if len(nodes) >= LEAST_NODES:
            found += _outliers(store, kind, nodes)
    return sorted(found, key=lambda one: (len(one.nodes), one.kind, one.fact))


def kind_of(facts: Flat) -> str:
    """Return a class's name: "8 x NVIDIA H100 80GB HBM3, x86_64, 192 CPUs"."""
    count = facts.get("gpus.count", "-")
    gpus = f"{count} x {facts.get('gpus.name', 'GPU')}" if count not in ("-", "0") else "no GPU"
    return f"{gpus}, {facts.get('arch.machine', '-')}, {facts.get('cpu.count', '-')} CPUs"


def _nodes(store: Reader) -> list[_Node]:
    sql = (
        "SELECT l.node, n.cluster, n.name, l.hash, l.preflight, l.policy FROM latest l JOIN nodes n ON n.node = l.node"
        " ORDER BY n.cluster, n.name"
    )
    rows = store.rows(sql)
    known = flats(store, {bytes(hash_) for _, _, _, hash_, _, _ in rows})
    shared: dict[tuple[bytes, str, str], Flat] = {}
    nodes = []
    for number, cluster, name, hash_, preflight, policy in rows:
        key = (bytes(hash_), preflight, policy)
        if key not in shared:
            shared[key] = {**known.get(key[0], {}), PREFLIGHT: preflight, POLICY: policy[:12] or "-"}
        nodes.append(_Node(number, cluster, name, key[0], shared[key]))
    return nodes


def _outliers(store: Reader, kind: str, nodes: list[_Node]) -> list[Outlier]:
    """Nodes that share all their facts are looked at once."""
    alike: dict[int, list[_Node]] = defaultdict(list)
    for node in nodes:
        alike[id(node.facts)].append(node)
    found = []
    for fact in sorted({fact for group in alike.values() for fact in group[0].facts} - set(KIND)):
        # Not every phase reads every fact: a node whose latest report has none of this one says nothing about it.
        counts: Counter[str] = Counter()
        for group in alike.values():
            if fact in group[0].facts:
                counts[group[0].facts[fact]] += len(group)
        majority, number = counts.most_common(1)[0]
        of = sum(counts.values())
        if len(counts) == 1 or of < LEAST_NODES or number <= MOST * of:
            continue
        for value in counts.keys() - {majority}:
            its = [node for group in alike.values() if group[0].facts.get(fact) == value for node in group]
            names = tuple(sorted(node.name for node in its))
            found.append(Outlier(kind, of, fact, majority, value, names, _since(store, fact, its)))
    return found


def _since(store: Reader, fact: str, nodes: list[_Node]) -> int | None:
    """When the first of ``nodes`` was seen with the profile, or software, that it has now."""
    firsts = []
    for node in nodes[:50]:
        if fact in (PREFLIGHT, POLICY):
            column = "preflight" if fact == PREFLIGHT else "policy"
            same = f"l.node = s.node AND l.{column} = s.{column}"
            sql = f"SELECT min(s.first_ms) FROM node_software s JOIN latest l ON {same} WHERE s.node = ?"
            rows = store.rows(sql, (node.number,))
        else:
            sql = "SELECT min(first_ms) FROM node_profiles WHERE node = ? AND hash = ?"
            rows = store.rows(sql, (node.number, node.hash))
        firsts += [first for (first,) in rows if first is not None]
    return min(firsts, default=None)
