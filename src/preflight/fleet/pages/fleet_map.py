"""The fleet as a map: a cell a node, in the order of a host list, its verdict and Slurm's state in colour and shape."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

from markupsafe import Markup, escape

from preflight.fleet.pages.ask import link
from preflight.fleet.pages.states import States
from preflight.fleet.query.status import Latest
from preflight.report.clean import clean

FEW = 4  # nodes of one stem that make a group of their own
MANY = 3000  # nodes from which cells are drawn smaller
_PARTS = re.compile(r"([0-9]{1,18})")


def draw(nodes: Sequence[Latest], states: States, silent: set[tuple[str, str]]) -> Markup:
    """Return the map's groups, one for each cluster and stem of names; with thousands of nodes every step counts."""
    stems = Counter((one.cluster, _place(one.node)[0]) for one in nodes)
    placed = sorted(
        ((one.cluster, stem if stems[one.cluster, stem] >= FEW else "", *place), one)
        for one in nodes
        for stem, *place in (_place(one.node),)
    )
    parts = []
    for (cluster, stem), its in groupby(placed, key=lambda pair: (pair[0][0], pair[0][1])):
        cells = [_cell(one, states, silent) for _, one in its]
        name = escape(clean(f"{cluster} {stem}".strip() or "nodes", 80))
        title = f'<h3><bdi>{name}</bdi> <span class="quiet">{len(cells)}</span></h3>'
        parts.append(
            f'<section class="cells" data-key="{name}" aria-label="{name}">{title}'
            f'<div class="grid">{"".join(cells)}</div></section>'
        )
    return Markup("".join(parts))


def _cell(one: Latest, states: States, silent: set[tuple[str, str]]) -> str:
    state = states.of(one.cluster, one.node)
    words = one.verdict
    style = f"v-{one.verdict}"
    if state is not None:
        words = f"{words}, {state.state}"
        if state.out:
            style = f"{style} {'o-ours' if state.ours else 'o-others'}"
    if (one.cluster, one.node) in silent:
        words, style = f"{words}, silent", f"{style} silent"
    href, name = _names(one.cluster, one.node)
    return f'<a class="n {style}" href="{href}" title="{name}: {escape(words)}"></a>'


@lru_cache(maxsize=50_000)
def _names(cluster: str, node: str) -> tuple[str, str]:
    return str(escape(link("/node", cluster=cluster, name=node))), str(escape(clean(node, 80)))


@lru_cache(maxsize=50_000)
def _place(node: str) -> tuple[str, tuple[tuple[int, int, str], ...], str]:
    """Return a name's stem, and what puts n2 before n10."""
    parts = _PARTS.split(node)
    stem = node if len(parts) == 1 else parts[0]
    return stem, tuple((1, int(part), "") if at % 2 else (0, 0, part) for at, part in enumerate(parts)), node
