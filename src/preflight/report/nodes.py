"""Nodes as a report names them: many as one host list, each where it is odd, and those of several runs by run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from preflight.digits import is_whole
from preflight.hostlist import folded

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_SHOWN = 8


def fold(nodes: Iterable[str]) -> str:
    """Return node names as a host list, "gpu[001-004,007]"; where one is odd, some of them as they are."""
    return _fold(tuple(nodes))


@lru_cache(maxsize=64)  # most of what a job's reports say stands on the same nodes
def _fold(nodes: tuple[str, ...]) -> str:
    names = list(dict.fromkeys(nodes))
    if len(names) > 1 and all(map(_PLAIN.fullmatch, names)):
        return folded(names)
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


@lru_cache(maxsize=1 << 14)
def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key that puts n2 before n10."""
    parts = re.split(r"([0-9]{1,18})", name)
    return [(1, int(part), "") if is_whole(part) else (0, 0, part) for part in parts]


def where(places: Iterable[tuple[str, str]]) -> str:
    """Return (try, node) pairs as text: "gpu[001-004]", or "n1 (run 0); n2 (run 1)"."""
    return _where(tuple(places))


@lru_cache(maxsize=256)
def _where(places: tuple[tuple[str, str], ...]) -> str:
    by_try: dict[str, list[str]] = {}
    for name, node in places:
        by_try.setdefault(name, []).append(node)
    folded_of = {name: fold(sorted(set(nodes), key=natural)) for name, nodes in by_try.items()}
    return "; ".join(f"{nodes} ({name})" if name else nodes for name, nodes in folded_of.items())
