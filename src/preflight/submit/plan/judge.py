"""Which nodes fit a component now, and the one thing that each other node lacks.

Where a node lacks several things, the one is named that most nodes lack: that makes the fewest groups, and it is what
to look at first. The other things count all the same where changes are proposed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from preflight.facts.view import View
from preflight.hostlist import folded
from preflight.requirements import names
from preflight.requirements.decode import NOTHING
from preflight.requirements.evaluate import ClauseResult
from preflight.requirements.grammar import Clause
from preflight.requirements.kinds import Count, Size, Version
from preflight.slurm.models import Node
from preflight.submit.plan.gres import published
from preflight.submit.plan.kinds import Kinds
from preflight.submit.plan.model import UNPUBLISHED, Group, Need, Nodes
from preflight.submit.plan.publishable import Publishable
from preflight.submit.plan.terms import Lack, Terms
from preflight.tuples import NamedTuple

HOLDS = ("pass", "warn")
_AWAY = ("DRAIN", "DOWN", "FAIL", "ERROR", "UNKNOWN", "FUTURE", "NOT_RESPONDING", "INVALID", "MAINT", "REBOOT")
_BUSY = ("COMPLETING", "RESERVED", "PLANNED", "BLOCKED")
_OPPOSITE = {">=": "<", ">": "<=", "<": ">=", "<=": ">", "=": "is not"}
NO_GPUS = "the job asks for no GPU"


class Row(NamedTuple):
    """One node, judged: what it lacks, which of the user's options leave it out, and the clauses' answers.

    ``view`` is what it published. ``answers`` are one list for all nodes of a kind; ``fails`` are the texts of those
    that do not hold.
    """

    node: Node
    view: View
    answers: Sequence[ClauseResult]
    fails: tuple[str, ...]
    left_out: tuple[str, ...]
    lacks: tuple[Lack, ...]
    away: bool


class _Found:
    """Names of nodes by what is said of them."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], list[str]] = {}

    def add(self, what: str, detail: str, name: str) -> None:
        self._names.setdefault((what, detail), []).append(name)

    def groups(self) -> tuple[Group, ...]:
        """Return the groups, the largest first."""
        largest = sorted(self._names.items(), key=lambda one: -len(one[1]))
        return tuple(Group(what, detail, _sorted(nodes)) for (what, detail), nodes in largest)


def rows(nodes: Iterable[Node], terms: Terms, answers: Sequence[list[ClauseResult]], kinds: Kinds) -> list[Row]:
    """Return the nodes of a component's partitions, judged. ``answers`` by kind."""
    fails = [tuple(one.text for one in answer if one.status == "fail") for answer in answers]
    asked = terms.gpus.type if terms.gpus else None
    lacks: dict[tuple[object, ...], tuple[Lack, ...]] = {}
    away: dict[tuple[str, ...], bool] = {}
    found = []
    for node in nodes:
        kind = kinds.of[node.name]
        size = (node.gres, node.cpus, node.memory, kind, *terms.one_gpu.get(node.name, {}).items())
        if size not in lacks:
            lacks[size] = tuple(terms.lacks(node, published(kinds.views[kind], asked, node.gres)))
        if node.state not in away:
            away[node.state] = is_away(node)
        left_out = terms.left_out(node)
        found.append(Row(node, kinds.views[kind], answers[kind], fails[kind], left_out, lacks[size], away[node.state]))
    return found


def is_away(node: Node) -> bool:
    """Return whether Slurm starts no job there now; a node that is powered down is woken for one."""
    return any(flag.startswith(_AWAY) for flag in node.state)


def is_idle(node: Node) -> bool:
    """Return whether the whole node is free now."""
    return "IDLE" in node.state[:1] and not any(flag.startswith(_BUSY) for flag in node.state)


def sort(judged: Sequence[Row], needs: Sequence[Need], asks: Publishable, given: int | None) -> Nodes:
    """Return every node in its place. ``told``: which answers nodes must give; ``given``: how many GPUs the job gets on
    a node, None where that is not one number.

    The other clauses are the prolog's to verify: only where one surely fails is the node none that fits.
    """
    fit: list[Row] = []
    misfit, untold, away, left_out, caveats = _Found(), _Found(), _Found(), _Found(), _Found()
    kept = [row for row in judged if not row.left_out]
    alike = Counter((row.lacks, row.fails) for row in kept)
    often: Counter[str] = Counter()
    for (lacks, fails), number in alike.items():
        for what in (*(lack.what for lack in lacks), *fails):
            often[what] += number
    clauses = {need.clause.text: need.clause for need in needs}
    for row in judged:
        name = row.node.name
        if row.left_out:
            left_out.add(row.left_out[0], "", name)
        elif row.lacks or row.fails:
            what = max(_lacking(row), key=lambda one: often[one])
            misfit.add(*_said(row, what, clauses, given), name)
        elif (unknown := _unknown(row, asks)) is not None:
            untold.add(*_why(unknown), name)
        elif row.away:
            away.add("+".join(row.node.state), row.node.reason, name)
        else:
            fit.append(row)
            for one in row.answers:
                if one.status == "warn":
                    caveats.add(one.text, one.message, name)
    return Nodes(
        total=len(judged),
        fit=_sorted(row.node.name for row in fit),
        idle=_sorted(row.node.name for row in fit if is_idle(row.node)),
        misfit=misfit.groups(),
        untold=untold.groups(),
        away=away.groups(),
        left_out=left_out.groups(),
        caveats=caveats.groups(),
        lacking=(),
    )


def _lacking(row: Row) -> list[str]:
    return [*(lack.what for lack in row.lacks), *row.fails]


def _said(row: Row, what: str, clauses: dict[str, Clause], given: int | None) -> tuple[str, str]:
    for lack in row.lacks:
        if lack.what == what:
            return lack.what, lack.detail
    answer = next(one for one in row.answers if one.text == what)
    label = missing(clauses[what], row.view)
    if given == 0 and answer.observed == "no GPU":
        return label, NO_GPUS
    gets = given is not None and what.startswith("gpu.count") and answer.observed == _counted(given)
    return label, f"the job gets {answer.observed}" if gets else answer.observed


def _counted(gpus: int) -> str:
    return f"{gpus} GPU{'s' * (gpus > 1)}"


def _why(answer: ClauseResult) -> tuple[str, str]:
    """Return what is not told, and why."""
    reasons = list(dict.fromkeys(one.reason for one in answer.predicates if one.reason))
    if reasons == [NOTHING]:
        return UNPUBLISHED, ""
    return f"{answer.text} not told", "; ".join(reasons)


def _unknown(row: Row, asks: Publishable) -> ClauseResult | None:
    return next((one for one in row.answers if asks.misses(one, row.view)), None)


def missing(clause: Clause, view: View) -> str:
    """Return what a node lacks that fails a clause: "driver < 550" for driver>=550, else "not " and the clause.

    Programs of a CUDA may fail on a driver whose own CUDA is newer: its GPU is too old for them.
    """
    if len(clause.predicates) == 1:
        one = clause.predicates[0]
        row = names.find(one.name)
        if one.name == "cuda" and one.op in (">=", "=", "~=") and _is_newer(view, one.value or ""):
            return f"not {clause.text}"
        ordered = row is not None and isinstance(row.kind, (Version, Size, Count))
        if ordered and row not in names.DISTRIBUTION_ROWS and not one.negated and one.op in _OPPOSITE:
            return f"{one.name} {_OPPOSITE[one.op]} {one.value}"
        if one.op is None:
            return f"{one.name}" if one.negated else f"no {one.name}"
    return f"not {clause.text}"


def _is_newer(view: View, cuda: str) -> bool:
    """Tell whether the driver's own CUDA is that release or a newer one."""
    own, version = view.get("driver.cuda"), Version()
    return isinstance(own, str) and version.compare(">=", version.parse(cuda), own) is True


def _sorted(nodes: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(nodes))


def hosts(nodes: Sequence[str]) -> str:
    """Return nodes as one host list."""
    return folded(set(nodes)) if nodes else ""
