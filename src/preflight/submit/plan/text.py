"""A plan as text of 80 columns: the answer first, then why, what to change, what was read, what would be set."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from preflight.report.clean import clean
from preflight.submit.plan.judge import hosts
from preflight.submit.plan.model import Group, Inferring, Need, Part, Placement, Plan

WIDTH = 80
_HOSTS = 240  # characters of one host list; all of it is in --json
_SHOWN = 12  # groups and lines of one kind
NOBODY_PUBLISHES = (
    "No node has told Slurm what it is, so what fits cannot be told: an admin runs preflight publish on each node, or "
    "sets [publish] enabled = true (docs/placement.md)"
)
_NAMED = 3  # clauses that the first sentence names


def render(plan: Plan) -> str:
    """Return the plan for a terminal; every text from users and Slurm is cleaned."""
    lines: list[str] = []
    for number, part in enumerate(plan.parts):
        if len(plan.parts) > 1:
            lines += [f"Component {number}", "-" * len(f"Component {number}"), ""]
        lines += _part(part, plan)
    lines += _inference(plan)
    for note in plan.notes:
        lines += _wrapped(f"Note: {note}", "", "  ")
    return "\n".join(_tidy(lines)) + "\n"


def _part(part: Part, plan: Plan) -> Iterator[str]:
    yield from _answer(part, plan)
    yield from _asks(part)
    if part.nodes is not None:
        nodes = part.nodes
        yield from _section("Why the others do not fit", _groups(nodes.misfit))
        yield from _section("Would fit, but are away", _groups(nodes.away))
        yield from _section("Cannot be told", _groups(nodes.untold))
        yield from _section("Left out by your own options", _groups(nodes.left_out))
        yield from _section("Named in --nodelist, but", _groups(nodes.lacking, head=False))
        yield from _section("Fit with a caveat", _groups(nodes.caveats))
        yield from _section("What you could change", _changes(part))
    binds = "" if plan.infer == "require" else " (--infer=require makes it bind)"
    yield from _section(f"Inferred from the script; a warning only{binds}", _inferred(part))
    yield from _section("Verified on the node by the prolog", _verified(part))
    yield from _section("For Slurm's scheduler", _placement(part.placement))
    yield from _section("Notes", [line for note in part.notes for line in _wrapped(note, "  ", "    ")])


def _answer(part: Part, plan: Plan) -> Iterator[str]:
    if part.nodes is None:
        if plan.problem:
            yield from _wrapped(f"The cluster could not be asked: {plan.problem}", "", "  ")
        else:
            yield from _wrapped(
                "No cluster was asked: Slurm is not installed here. This is what the script asks and needs.", "", ""
            )
        yield ""
        return
    fit, total = len(part.nodes.fit), part.nodes.total
    for sentence in part.no_partition:
        yield from _wrapped(f"{sentence[:1].upper()}{sentence[1:]}.", "", "  ")
    if part.no_partition and not total:
        yield ""
        return
    where = f"partition{'s' if len(part.partitions) > 1 else ''} {', '.join(part.partitions)}"
    where = where if part.partitions else "no partition"
    yield from _wrapped(f"{fit or 'None'} of {total} node{'s' * (total != 1)} of {where} {_how(part, fit)}", "", "  ")
    if fit:
        idle = len(part.nodes.idle)
        yield from _wrapped(f"{_hosts(part.nodes.fit)}; {idle or 'none'} of them idle", "  ", "  ")
        yield from _inferred_too(part)
    if part.nodes.nobody_publishes:
        yield from _wrapped(NOBODY_PUBLISHES, "  ", "  ")
    if 0 < fit < part.needed:
        yield from _wrapped(f"Too few: the job needs {part.needed} nodes.", "", "")
    elif part.nodes.lacking:
        yield "Not all nodes that --nodelist names are among them."
    yield ""


def _how(part: Part, fit: int) -> str:
    """Return the end of the first sentence, which claims no more than is proven."""
    if not fit:
        return f"fits now; the job needs {part.needed}." if part.needed > 1 else "fits now."
    if not part.unproven:
        return f"fit{_s(fit)} now."
    shown = [*part.unproven[:_NAMED], *[f"{len(part.unproven) - _NAMED} more"] * (len(part.unproven) > _NAMED)]
    clauses = " and ".join([", ".join(shown[:-1])] * (len(shown) > 1) + shown[-1:])
    return f"may fit: {clauses} {'are' if len(part.unproven) > 1 else 'is'} told only on the node."


def _inferred_too(part: Part) -> Iterator[str]:
    """Say how many of the nodes that fit also have what only warns, where some are known to lack it."""
    if part.nodes is None or not any(one.fails for one in part.inferring):
        return
    fit = set(part.nodes.fit)
    for one in part.inferring:
        fit -= {name for group in one.fails for name in group.nodes}
        if len(one.untold) < len(part.nodes.fit):  # else no node publishes it
            fit -= set(one.untold)
    verb = "has" if len(fit) < 2 else "have"
    yield from _wrapped(f"{len(fit) or 'none'} of them also {verb} what the script's lines show", "  ", "    ")


def _s(number: int) -> str:
    """Return the ending of a verb: "1 of 8 fits", "none of 8 fits"."""
    return "s" if number < 2 else ""


def _asks(part: Part) -> Iterator[str]:
    asked = part.wants.asked
    said = []
    if part.partitions:
        said.append(f"partition {','.join(part.partitions)}{'' if asked.partition else ' (the default)'}")
    least, most = asked.nodes or (part.needed, part.needed)
    said.append(f"nodes {least}" if least == most else f"nodes {least} to {most}")
    if asked.gpus is not None:
        said.append(f"GPUs {_gpus(part)}")
    for name in ("constraint", "nodelist", "exclude", "reservation", "extra"):
        value = getattr(asked, name)
        if value:
            said.append(f"{name} {value}")
    yield from _wrapped(f"The job asks: {'; '.join(said)}", "", "  ")
    for need in part.wants.needs:
        yield from _wrapped(f"{need.clause.text}  ({_source(need)})", "  ", "    ")
        yield from _evidence(need)
    if not part.wants.needs:
        yield "  no requirement (--require, or require: in the comment)"
    yield ""


def _gpus(part: Part) -> str:
    gpus = part.wants.asked.gpus
    if gpus is None:
        return "none"
    ways = [("in all", gpus.total), ("a node", gpus.per_node), ("a task", gpus.per_task), ("a socket", gpus.per_socket)]
    text = ", ".join([f"{number} {way}" for way, number in ways if number] + [f"{n} {name}" for name, n in gpus.shares])
    return f"{text} of type {gpus.type}" if gpus.type else text


def _source(need: Need) -> str:
    if need.source == "inferred":
        return f"line {need.line}: {need.text}" if need.line else f"inferred: {need.why}"
    return f"{need.source}, line {need.line}" if need.line else need.source


def _evidence(need: Need) -> Iterator[str]:
    """Say why a line needs it, where the line itself does not show the value: the version is in a file elsewhere."""
    values = [one.value for one in need.clause.predicates if one.value is not None]
    if need.source == "inferred" and need.line and not any(value in need.text for value in values):
        yield from _wrapped(need.why, "    ", "      ")


def _groups(groups: Sequence[Group], head: bool = True) -> Iterator[str]:
    """Yield a line for each group; ``head``: what it is stands first, else the detail does."""
    for group in groups[:_SHOWN]:
        said = [f"{len(group.nodes)} nodes"] * (len(group.nodes) > 1) + [group.detail] * bool(head and group.detail)
        brackets = f" ({'; '.join(said)})" if said else ""
        yield from _wrapped(f"{group.what if head else group.detail}: {_hosts(group.nodes)}{brackets}", "  ", "    ")
    if len(groups) > _SHOWN:
        rest = sum(len(group.nodes) for group in groups[_SHOWN:])
        yield f"  and {len(groups) - _SHOWN} more reasons, of {rest} nodes (--json has them)"


def _changes(part: Part) -> Iterator[str]:
    for one in part.changes[:_SHOWN]:
        more = f"{len(one.nodes)} more node{'s' * (len(one.nodes) > 1)}"
        yield from _wrapped(f"{one.text}: {more} ({_hosts(one.nodes)})", "  ", "    ")


def _inferred(part: Part) -> Iterator[str]:
    for one in part.inferring or [Inferring(need, (), ()) for need in part.wants.inferred]:
        yield from _wrapped(f"{one.need.clause.text}  ({_source(one.need)})", "  ", "    ")
        yield from _evidence(one.need)
        for group in one.fails:
            detail = f" ({group.detail})" if group.detail else ""
            yield from _wrapped(f"fails on {_hosts(group.nodes)}{detail}", "    ", "      ")
        for group in one.builds:
            yield from _wrapped(f"would run: {group.what} ({_hosts(group.nodes)})", "    ", "      ")
        if part.nodes is None or not part.nodes.fit:
            continue
        if len(one.untold) == len(part.nodes.fit):
            yield "    cannot be told from here: nodes do not publish it"
        elif one.untold:
            yield from _wrapped(f"not known on {_hosts(one.untold)}", "    ", "      ")
        elif not one.fails:
            yield "    holds on all that fit"


def _verified(part: Part) -> Iterator[str]:
    for clause, why in part.verified:
        yield from _wrapped(f"{clause.text}: {why}", "  ", "    ")


def _placement(placement: Placement | None) -> Iterator[str]:
    if placement is None or not (placement.value or placement.problem):
        return
    if placement.value:
        # Not wrapped: it is there to be copied.
        yield f"  {placement.option}={clean(shlex.quote(placement.value), 4096)}"
    if placement.problem:
        yield from _wrapped(f"nothing is added: {placement.problem}", "  ", "    ")
    for clause in placement.unmet:
        yield from _wrapped(f"no node of the cluster fits {clause.text}: Slurm refuses the job", "  ", "    ")


def _inference(plan: Plan) -> Iterator[str]:
    unread = [one for one in plan.inference.unread if not one.setup]
    lines = [
        line
        for one in unread[:_SHOWN]
        for line in _wrapped(f"{f'line {one.line}: {one.text}' if one.line else one.text}: {one.why}", "  ", "    ")
    ]
    if len(unread) > _SHOWN:
        lines.append(f"  and {len(unread) - _SHOWN} more lines (--json has them)")
    yield from _section("Not read, so perhaps needs", lines)
    setup = [str(one.line) for one in plan.inference.unread if one.setup]
    if setup:
        more = ", …" * (len(setup) > _SHOWN)
        yield from _wrapped(f"Set-up lines not read: {', '.join(setup[:_SHOWN])}{more}", "", "  ")
        yield ""
    notes = [
        line
        for one in plan.inference.notes[:_SHOWN]
        for line in _wrapped(f"line {one.line}: {one.why}" if one.line else one.why, "  ", "    ")
    ]
    yield from _section("Noted", notes)


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield from _wrapped(title, "", "")
        yield from found
        yield ""


def _hosts(nodes: Sequence[str]) -> str:
    text = hosts(nodes)
    return text if len(text) <= _HOSTS else f"{text[:_HOSTS].rpartition(',')[0]},… (--json has all)"


def _wrapped(text: str, first: str, following: str) -> list[str]:
    """Return one text, cleaned and wrapped; a long word such as a host list is cut at commas where it can be."""
    return textwrap.wrap(
        clean(text, 1000), WIDTH, initial_indent=first, subsequent_indent=following, break_on_hyphens=False
    )


def _tidy(lines: list[str]) -> list[str]:
    while lines and not lines[-1]:
        lines.pop()
    return lines
