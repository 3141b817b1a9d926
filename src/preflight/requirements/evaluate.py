"""Does a node satisfy a requirement: a pure question to a view of facts, answered clause by clause."""

from __future__ import annotations

from preflight.catalog.tables import SHIPPED, Tables
from preflight.facts.view import View
from preflight.requirements import names
from preflight.requirements.grammar import Clause, Predicate, Requirement
from preflight.requirements.judges import NO_GPU
from preflight.requirements.logic import some
from preflight.requirements.row import MINOR_VERSION_POLICIES, Answer, Ask, Row
from preflight.requirements.text import safe
from preflight.tuples import NamedTuple

_UNKNOWN_REMEDY = "run 'preflight facts' on the node to see why; of a version, ask only for the parts that nodes state"
_NO_GPU_REMEDY = "ask for GPUs, such as --gpus=1, or drop the GPU clause"


class PredicateResult(NamedTuple):
    """One predicate's answer: ``truth`` is True, False or None (could not be told)."""

    text: str
    truth: bool | None
    observed: str
    reason: str | None
    caveat: str | None


class ClauseResult(NamedTuple):
    """One clause's answer.

    ``status`` is pass, warn (it holds, with a caveat), fail or unknown. ``observed`` is short text, ``message`` one
    sentence, ``remedy`` what the user can do (None on a pass). Texts are printable ASCII.
    """

    text: str
    status: str
    observed: str
    message: str
    remedy: str | None
    predicates: tuple[PredicateResult, ...]


def evaluate(
    requirement: Requirement, view: View, *, cuda_minor: str = "warn", tables: Tables = SHIPPED
) -> list[ClauseResult]:
    """Judge every clause on ``view``.

    ``cuda_minor`` is the policy for CUDA's minor-version compatibility: accept, warn or reject (ValueError else).
    ``tables``: the catalog, with the site's rows.
    """
    if cuda_minor not in MINOR_VERSION_POLICIES:
        raise ValueError(f"minor_version_compatibility is accept, warn or reject, not {safe(cuda_minor, 20)}")
    return [_clause(clause, view, cuda_minor, tables) for clause in requirement.clauses]


def facts_needed(requirement: Requirement) -> frozenset[str]:
    """Return the subjects of facts that evaluating the requirement reads ("os", "gpus", ...)."""
    rows = [_row(one) for clause in requirement.clauses for one in clause.predicates]
    return frozenset(subject for row in rows for subject in (row.subject, *row.also))


def consumable(clause: Clause) -> bool:
    """Return whether the clause hangs on what users' processes can use up, in one of its alternatives at least."""
    return any(_row(predicate).consumable for predicate in clause.predicates)


def _row(predicate: Predicate) -> Row:
    row = names.find(predicate.name)
    if row is None:  # the grammar lets no unknown name through
        raise ValueError(f"unknown requirement name {safe(predicate.name, 40)}")
    return row


def _answer(predicate: Predicate, view: View, cuda_minor: str, tables: Tables) -> Answer:
    row = _row(predicate)
    asked = None if predicate.value is None else row.kind.parse(predicate.value)
    ask = Ask(row, predicate.op, asked, predicate.value or "", predicate.negated, predicate.text(), cuda_minor, tables)
    return row.judge(ask, view)


def _clause(clause: Clause, view: View, cuda_minor: str, tables: Tables) -> ClauseResult:
    answers = [_answer(predicate, view, cuda_minor, tables) for predicate in clause.predicates]
    text = safe(clause.text, 160)
    truth = some(answer.truth for answer in answers)
    caveats = [answer.caveat for answer in answers if answer.truth and answer.caveat]
    clean = any(answer.truth and not answer.caveat for answer in answers)
    observed = ", ".join(dict.fromkeys(answer.observed for answer in answers))
    remedy: str | None = None
    if truth is None:
        status, remedy = "unknown", _UNKNOWN_REMEDY
        reasons = "; ".join(dict.fromkeys(answer.reason for answer in answers if answer.reason))
        message = f"cannot tell whether {text} holds: {reasons}"
    elif truth is False:
        status, remedy = "fail", _remedy(clause, answers)
        message = f"needs {text}; {_statements(answers)}"
    elif clean:
        status, message = "pass", f"{text} holds: {observed}"
    else:
        status = "warn"
        message = f"{text} holds {caveats[0]}"
        advice = (answer.remedy for answer in answers if answer.truth and answer.caveat and answer.remedy)
        remedy = next(advice, _row(clause.predicates[0]).remedy)
    results = tuple(
        PredicateResult(safe(predicate.text(), 160), answer.truth, answer.observed, answer.reason, answer.caveat)
        for predicate, answer in zip(clause.predicates, answers)
    )
    return ClauseResult(clause.text, status, safe(observed, 240), message, remedy, results)


def _statements(answers: list[Answer]) -> str:
    """Return what the node has, each once, as the rest of a sentence."""
    said = [answer.statement or f"the node has {answer.observed}" for answer in answers]
    return " and ".join(dict.fromkeys(said))


def _remedy(clause: Clause, answers: list[Answer]) -> str:
    if any(answer.statement == NO_GPU for answer in answers):
        return _NO_GPU_REMEDY
    told = next((answer.remedy for answer in answers if answer.remedy), None)
    return told or _row(clause.predicates[0]).remedy
