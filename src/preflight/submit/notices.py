"""What `preflight sbatch` says on stderr: what it added to the command line, what does not fit, where to read on."""

import shlex
from collections.abc import Iterable, Mapping, Sequence

from preflight.hostlist import folded
from preflight.report.clean import clean
from preflight.submit.additions import CODE, NOTHING
from preflight.submit.plan import Plan
from preflight.submit.plan.model import Group, Part

LINES = 4
WIDTH = 80 - len("preflight: ")
_LIMIT = 300
_TEXT = 60  # characters of a script's line
_COMMAND = 160
_REASONS = 3
_NODES = 40  # characters of a host list; of a longer one the number of its nodes: `plan` lists them


def wrapped(lines: Iterable[str]) -> list[str]:
    """Return lines wrapped so that each fits 80 columns behind "preflight: ".

    Words stay whole, since options are there to be copied: one that is longer reaches beyond.
    """
    import textwrap

    wrap = textwrap.TextWrapper(WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False).wrap
    return [one for line in lines for one in wrap(line)]


def additions(plan: Plan, additions: Sequence[Mapping[str, str]]) -> list[str]:
    """Return a line for each component to which something is added that it had not: what, from where, what fits."""
    lines = []
    for number, (part, options) in enumerate(zip(plan.parts, additions)):
        own = part.wants.asked
        # Taken back from the component before, so that this one is as it would be without.
        back = {name: getattr(own, name, "") or nothing for name, nothing in NOTHING.items()}
        new = [
            _option(name, value, part) for name, value in options.items() if value != back.get(name) and name != CODE
        ]
        if new:
            whose = f"component {number}: " if len(plan.parts) > 1 else ""
            lines.append(f"{whose}added {' and '.join(new)}{_fitting(part)}")
    return lines


def _option(name: str, value: str, part: Part) -> str:
    where = _where(part) if name in ("require", "comment") else ""
    return f"--{name}={clean(shlex.quote(value), _LIMIT)}{where}"


def _where(part: Part) -> str:
    """Return where the inferred needs come from: " (lines 2, 7)"."""
    lines = sorted({need.line for need in part.wants.needs if need.source == "inferred"})
    numbers = [str(line) for line in lines if line]
    found = [f"line{'s' * (len(numbers) > 1)} {', '.join(numbers)}"] if numbers else []
    found += ["your options"] if 0 in lines else []  # or a variable that stands for one
    return f" ({' and '.join(found)})"


def _fitting(part: Part) -> str:
    nodes = part.nodes
    if nodes is None or not part.enough:  # a line of its own says so
        return ""
    fit = len(nodes.fit)
    # What only the prolog can tell is not promised.
    fits = "may fit" if part.unproven else f"fit{'s' * (fit == 1)}"
    return f"; {fit} of {nodes.total} node{'s' * (nodes.total != 1)} {fits} now"


def shortfalls(plan: Plan, command: str) -> list[str]:
    """Return what the user should know before the job goes off, a line each and not many; [] where all is well.

    The last names the ``command`` that says more.
    """
    lines = [line for part in plan.parts for line in _of_part(part, len(plan.parts) > 1)]
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], f"and {len(lines) - LINES + 1} more"]
    return [*lines, f"{command} says more"] if lines else []


def plan_command(words: Sequence[str], infer: str, by_stdin: bool) -> str:
    """Return the `preflight plan` for sbatch's ``words``; where they are many, or the script is gone, in words."""
    given = [*([] if infer == "warn" else [f"--infer={infer}"]), *words]
    command = f"preflight plan {shlex.join(given)}"
    if by_stdin or len(command) > _COMMAND or clean(command) != command:
        return "preflight plan, with the same words,"
    return command


def _of_part(part: Part, several: bool) -> list[str]:
    lines = []
    if part.nodes is not None and not part.enough:
        lines.append(_too_few(part, several))
    for one in part.inferring:
        if one.fails:
            where = f"line {one.need.line}: " if one.need.line else ""
            nodes = _nodes({node for group in one.fails for node in group.nodes})
            details = [group.detail for group in one.fails]
            why = f" ({details[0]})" if len(details) == 1 and details[0] else ""
            text = clean(one.need.text, _TEXT)
            lines.append(clean(f"{where}{text} needs {one.need.clause.text}, not on {nodes}{why}", _LIMIT))
    return lines


def _too_few(part: Part, several: bool) -> str:
    nodes = part.nodes
    if nodes is None:
        return ""
    here = f" in {','.join(part.partitions)}" if part.partitions else ""
    count = f"only {len(nodes.fit)} of the {part.needed} nodes needed fit" if nodes.fit else "no node fits"
    if nodes.nobody_publishes:
        return f"whether a node fits{here} cannot be told: none has told Slurm what it is (preflight publish)"
    # What most nodes lack; where none lacks a thing, why those that might fit are not counted.
    groups = _merged((*nodes.misfit, *nodes.lacking, *nodes.untold, *nodes.away, *nodes.left_out))
    why = "; ".join(f"{what}: {hosts}" for what, hosts in groups[:_REASONS])
    whose = f"{' '.join(need.clause.text for need in part.wants.needs[:1])}: " if several else ""
    return clean(f"{whose}{count}{here} now{f' ({why})' if why else ''}", _LIMIT)


def _merged(groups: Iterable[Group]) -> list[tuple[str, str]]:
    """Return each cause once, with all its nodes; groups differ in their details too."""
    found: dict[str, set[str]] = {}
    for group in groups:
        found.setdefault(group.what, set()).update(group.nodes)
    return [(what, _nodes(nodes)) for what, nodes in found.items()]


def _nodes(names: set[str]) -> str:
    """Return the host list of nodes, of one that fills a line how many they are."""
    listed = folded(names)
    return listed if len(listed) <= _NODES else f"{len(names)} nodes"
