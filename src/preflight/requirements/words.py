"""Requirements and their names in plain English: for `preflight require` and the documentation page."""

from preflight.catalog import families
from preflight.requirements import names
from preflight.requirements.grammar import Clause, Predicate, Requirement
from preflight.requirements.kinds import Count, Version
from preflight.requirements.mig import Profiles
from preflight.requirements.row import Row
from preflight.requirements.text import safe

_ORDER = {">=": "is {} or {more}", ">": "is {more} than {}", "<=": "is {} or {less}", "<": "is {less} than {}"}
_EQUAL = {"=": "is {}", "!=": "is not {}"}
_VERSION_WORDS = {"more": "newer", "less": "older"}
_NUMBER_WORDS = {"more": "more", "less": "less"}


def explain(requirement: Requirement) -> list[str]:
    """Return one line for each clause: its text, and what it asks in plain English; printable ASCII."""
    return [f"{safe(clause.text, 160)}: {_clause(clause)}" for clause in requirement.clauses]


def _clause(clause: Clause) -> str:
    return "; or ".join(_predicate(predicate) for predicate in clause.predicates)


def _predicate(predicate: Predicate) -> str:
    row = names.find(predicate.name)
    if row is None:  # the grammar lets no unknown name through
        return safe(predicate.text())
    if len(row.words) == 2:
        negative = predicate.negated or predicate.op == "!="
        return row.words[negative].format(_shown(row, predicate.value or ""))
    if isinstance(row.kind, Profiles):
        profile, number = row.kind.parse(predicate.value or "")
        if number is None:
            return row.words[1 + (predicate.negated or predicate.op == "!=")].format(safe(profile, 48))
        row = row._replace(words=(row.words[0].format(safe(profile, 48)),))
        predicate = predicate._replace(value=str(number))
    said = _compared(row, predicate)
    return f"it is not so that {said}" if predicate.negated else said


def _shown(row: Row, value: str) -> str:
    shown = safe(value, 80)
    return families.title(families.canonical(shown)) if row.fact.startswith("os.") else shown


def _compared(row: Row, predicate: Predicate) -> str:
    """Return the sentence for a version, size or count."""
    op, value = predicate.op, safe(predicate.value or "", 80)
    if row.name == "cuda" and op in (">=", "=", "~="):
        return f"a program built with CUDA {value} runs on the node"
    subject = row.words[0]
    if op is None:
        return f"{subject} is 1 or more"
    if op == "~=":
        return f"{subject} is {value} or a later {value.rpartition('.')[0]}.x"
    words = _VERSION_WORDS if isinstance(row.kind, Version) else _NUMBER_WORDS
    return f"{subject} {(_EQUAL.get(op) or _ORDER[op]).format(value, **words)}"


def table() -> str:
    """Return the names as a Markdown table, from the rows."""
    lines = ["| name | kind | meaning | example | reads |", "|---|---|---|---|---|"]
    lines += [
        f"| {_names(row)} | {row.kind.name} | {row.help} | `{row.example}` | `{row.fact}` |".replace("~", "\\~")
        for row in names.ROWS
    ]
    return "\n".join(lines)


def _names(row: Row) -> str:
    others = families.aliases(row.name) if row in names.DISTRIBUTION_ROWS else ()
    return ", ".join(f"`{name}`" for name in (row.name, *others))


def operators() -> str:
    """Return the operators of each kind as a Markdown table, from the kinds."""
    kinds = {row.kind.name: row.kind for row in names.ROWS}
    lines = ["| kind | operators | bare name |", "|---|---|---|"]
    for kind in kinds.values():
        ops = " ".join(f"`{op}`" for op in kind.operators) or "none"
        bare = "at least one" if isinstance(kind, Count) else "yes" if kind.bare else "refused"
        lines.append(f"| {kind.name} | {ops} | {bare} |")
    return "\n".join(lines)


def page(text: str) -> str:
    """Return the documentation page ``text`` with its generated parts made anew.

    A part stands between the lines ``<!-- names: generated -->`` and ``<!-- names: end -->``, and likewise for
    ``operators``; ValueError where one is missing.
    """
    for part, made in (("names", table()), ("operators", operators())):
        opening, closing = f"<!-- {part}: generated -->", f"<!-- {part}: end -->"
        before, found, rest = text.partition(opening)
        _, ended, after = rest.partition(closing)
        if not (found and ended):
            raise ValueError(f"the page has no part between {opening} and {closing}")
        text = f"{before}{opening}\n{made}\n{closing}{after}"
    return text
