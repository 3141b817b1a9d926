"""The fleet as a map: a cell a node, in the order of a host list, its verdict and Slurm's state in colour and shape."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

from markupsafe import Markup, escape

from preflight.fleet.pages.ask import link
from preflight.fleet.pages.states import State, States
from preflight.fleet.query.status import Latest
from preflight.report.clean import clean

FEW = 4  # nodes of one stem that make a group of their own
MANY = 3000  # nodes from which cells are drawn smaller
_PARTS = re.compile(r"([0-9]{1,18})")


def draw(nodes: Sequence[Latest], states: States, silent: set[tuple[str, str]]) -> Markup:
    """Return the map's groups, one for each cluster and stem of names; with thousands of nodes every step counts."""
    known = {cluster: states.about(cluster) for cluster in {one.cluster for one in nodes}}
    parts = []
    for name, members in _groups(tuple((one.cluster, one.node) for one in nodes)):
        cells = []
        for at, href, shown in members:
            one = nodes[at]
            state = known[one.cluster].get(one.node)
            style, words = _look(one.verdict, state, (one.cluster, one.node) in silent)
            cells.append(f'<a class="n {style}" href="{href}" title="{shown}: {words}"></a>')
        title = f'<h3><bdi>{name}</bdi> <span class="quiet">{len(cells)}</span></h3>'
        parts.append(
            f'<section class="cells" data-key="{name}" aria-label="{name}">{title}'
            f'<div class="grid">{"".join(cells)}</div></section>'
        )
    return Markup("".join(parts))


@lru_cache(maxsize=4096)
def _look(verdict: str, state: State | None, silent: bool) -> tuple[str, str]:
    """Return the classes of a cell, and what is said of it."""
    style, words = f"v-{verdict}", verdict
    if state is not None:
        words = f"{words}, {state.state}"
        if state.out:
            style = f"{style} {'o-ours' if state.ours else 'o-others'}"
    if silent:
        style, words = f"{style} silent", f"{words}, silent"
    return style, str(escape(clean(words, 80)))


@lru_cache(maxsize=4)
def _groups(names: tuple[tuple[str, str], ...]) -> list[tuple[str, list[tuple[int, str, str]]]]:
    """Return each group's name and its nodes: place in ``names``, URL, name as HTML. Nodes seldom come or go."""
    stems = Counter((cluster, _place(node)[0]) for cluster, node in names)
    placed = sorted(
        ((cluster, stem if stems[cluster, stem] >= FEW else "", *place), at)
        for at, (cluster, node) in enumerate(names)
        for stem, *place in (_place(node),)
    )
    found = []
    for (cluster, stem), its in groupby(placed, key=lambda pair: (pair[0][0], pair[0][1])):
        members = []
        for _, at in its:
            href = str(escape(link("/node", cluster=names[at][0], name=names[at][1])))
            members.append((at, href, str(escape(clean(names[at][1], 80)))))
        found.append((str(escape(clean(f"{cluster} {stem}".strip() or "nodes", 80))), members))
    return found


def _place(node: str) -> tuple[str, tuple[tuple[int, int, str], ...], str]:
    """Return a name's stem, and what puts n2 before n10."""
    parts = _PARTS.split(node)
    stem = node if len(parts) == 1 else parts[0]
    return stem, tuple((1, int(part), "") if at % 2 else (0, 0, part) for at, part in enumerate(parts)), node
