"""The fleet as a map: a cell a node, in the order of a host list, its verdict and Slurm's state in colour and shape."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from itertools import groupby

from markupsafe import Markup, escape

from preflight.fleet.pages.ask import link
from preflight.fleet.pages.states import State, States
from preflight.fleet.query.standing import Roster, Standing
from preflight.report.clean import clean
from preflight.report.model import VERDICTS

FEW = 4  # nodes of one stem that make a group of their own
MANY = 3000  # nodes from which cells are drawn smaller
_PARTS = re.compile(r"([0-9]{1,18})")


def draw(its: Standing, states: States, silent_before_ms: int) -> Markup:
    """Return the map's groups, one for each cluster and stem of names; with thousands of nodes every step counts.

    ``silent_before_ms``: a node whose latest report is older is silent.
    """
    started, verdicts = its.started_ms, its.verdicts
    looks: dict[tuple[int, bool, int], tuple[str, str]] = {}  # few: nodes of one line of sinfo share their state
    parts = []
    for cluster, name, members in _groups(its.roster):
        known = states.about(cluster)
        cells = []
        for at, node, middle in members:
            state = known.get(node)
            key = (verdicts[at], started[at] < silent_before_ms, id(state))
            look = looks.get(key)
            if look is None:
                look = looks[key] = _look(VERDICTS[key[0]], state, key[1])
            cells.append(f'<a class="n {look[0]}{middle}{look[1]}"></a>')
        title = f'<h3><bdi>{name}</bdi> <span class="quiet">{len(cells):,}</span></h3>'
        parts.append(
            f'<section class="cells" data-key="{name}" aria-label="{name}">{title}'
            f'<div class="grid">{"".join(cells)}</div></section>'
        )
    return Markup("".join(parts))


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
def _groups(roster: Roster) -> list[tuple[str, str, list[tuple[int, str, str]]]]:
    """Return each group's cluster, name and nodes: place, name, and what stands between class and words of its cell."""
    places = [(cluster, *_place(node)) for cluster, node in roster.names]
    stems = Counter(its[:2] for its in places)
    placed = sorted(
        ((cluster, stem if stems[cluster, stem] >= FEW else "", *its), at)
        for at, (cluster, stem, *its) in enumerate(places)
    )
    found = []
    for (cluster, stem), its in groupby(placed, key=lambda pair: (pair[0][0], pair[0][1])):
        members = []
        for _, at in its:
            node = roster.names[at][1]
            href, shown = escape(link("/node", cluster=cluster, name=node)), escape(clean(node, 80))
            members.append((at, node, f'" href="{href}" title="{shown}: '))
        found.append((cluster, str(escape(clean(f"{cluster} {stem}".strip() or "nodes", 80))), members))
    return found


def _place(node: str) -> tuple[str, tuple[tuple[int, int, str], ...], str]:
    """Return a name's stem, and what puts n2 before n10."""
    parts = _PARTS.split(node)
    stem = node if len(parts) == 1 else parts[0]
    return stem, tuple((1, int(part), "") if at % 2 else (0, 0, part) for at, part in enumerate(parts)), node
