"""What a job asks of its nodes, clause by clause, with the place where each stands."""

from __future__ import annotations

from collections.abc import Sequence

from preflight.requirements.grammar import Requirement, RequirementError, from_comment, parse
from preflight.submit.infer import Inference, Inferred
from preflight.submit.plan.model import Need, PlanError, Wants
from preflight.submit.script import Component, Option, asked

WARN, REQUIRE, OFF = "warn", "require", "off"


def wants(components: Sequence[Component], inference: Inference, infer: str, file: str, cwd: str) -> tuple[Wants, ...]:
    """Return what each component asks. Inferred needs are those of the component that the inference names.

    ``file`` names the script in errors. Raises PlanError for a mistaken requirement, OptionError for an option.
    """
    found = []
    for position, component in enumerate(components):
        values = asked(component, cwd)
        needs = [*_stated(component.options.get("require"), "--require", values.require, file)]
        needs += _stated(component.options.get("comment"), "comment", from_comment(values.comment), file)
        known = {need.clause.text for need in needs}
        inferred = _inferred(inference, known, position) if infer != OFF else []
        if infer == REQUIRE:
            needs += [need for need, binds in inferred if binds]
        left = tuple(need for need, binds in inferred if infer == WARN or not binds)
        found.append(Wants(values, tuple(needs), left))
    return tuple(found)


def _stated(option: Option | None, source: str, text: str | None, file: str) -> list[Need]:
    if option is None or text is None:
        return []
    try:
        requirement: Requirement = parse(text)
    except RequirementError as error:
        where = f"{file}: line {option.line}: " if option.line else ""
        raise PlanError(f"{where}{source}: {error}") from None
    return [Need(clause, source, option.line, option.text) for clause in requirement.clauses]


def _inferred(inference: Inference, known: set[str], position: int) -> list[tuple[Need, bool]]:
    """Return the inferred needs that are not stated, but for numbers of GPUs that Slurm itself gives, and whether each
    may bind."""
    return [
        (Need(clause, "inferred", one.line, one.text, one.why, one.package), one.binds)
        for one in inference.needs
        for clause in parse(one.clause).clauses
        if one.component == position and clause.text not in known and not _of_options(one)
    ]


def _of_options(one: Inferred) -> bool:
    """Tell whether a need comes from an option for GPUs: Slurm itself sees to it, on another vendor's nodes too."""
    return one.clause.startswith("gpu.count") and (one.line == 0 or one.text.startswith("#S"))


def requirement_of(needs: Sequence[Need]) -> Requirement:
    """Return the clauses of ``needs`` as one requirement; those of equal text count once."""
    return Requirement(tuple({need.clause.text: need.clause for need in needs}.values()))
