"""Pages of docs/ with a part between marks that is made from the registries."""

from preflight.checks.registry import Check, every_check
from preflight.facts.host.kind import Kind, every_kind
from preflight.facts.keys import Key, parse_keys
from preflight.facts.registry import NVML, Fact, every_fact


def page(text: str, name: str) -> str:
    """Return the page ``text`` with its generated part made anew; ``name``: "checks", "facts" or "kinds".

    Raises ValueError where the marks are missing.
    """
    opening, closing = f"<!-- {name}: generated -->", f"<!-- {name}: end -->"
    before, found, rest = text.partition(opening)
    _, ended, after = rest.partition(closing)
    if not (found and ended):
        raise ValueError(f"the page has no part between {opening} and {closing}")
    return f"{before}{opening}\n{_ENTRIES[name]()}\n{closing}{after}"


def checks() -> str:
    """Return one section a check, by name."""
    return "\n".join(_check(one) for _, one in sorted(every_check().items()))


def facts() -> str:
    """Return one section a subject, by name."""
    return "\n".join(_fact(one) for _, one in sorted(every_fact().items()))


def kinds() -> str:
    """Return one section a kind of [[host]] row, by name."""
    return "\n".join(_kind(one) for _, one in sorted(every_kind().items()))


_ENTRIES = {"checks": checks, "facts": facts, "kinds": kinds}
PAGES = {"checks": "checks", "facts": "facts", "kinds": "host-health"}


def _check(check: Check) -> str:
    limit = "none" if check.limit is None else f"{check.limit:g} {check.unit}".strip()
    rows = {
        "phases": ", ".join(check.phases),
        "facts": ", ".join(check.reads) or "those that the clauses name",
        "action": check.action,
        "limit": limit,
        "remedy": check.remedy,
    }
    lines = "\n".join(f"- {name}: {value}" for name, value in rows.items())
    return f"\n### `{check.name}`\n\n{check.help}\n\n{lines}"


def _kind(kind: Kind) -> str:
    rows = "\n".join(
        f"| `{key}` | {_type(declared)} | {declared.partition(': ')[2]} |" for key, declared in kind.keys.items()
    )
    where = ", ".join(kind.phases) + ("; too dear for a prolog" if kind.dear else "")
    table = f"| key | | |\n|---|---|---|\n{rows}"
    return f"\n### `{kind.name}`\n\n{kind.help} Phases: {where}.\n\n{table}"


def _type(declared: str) -> str:
    """Return the words of a key's type: "size", "one of root, users", "path, needed"."""
    words = declared.partition(":")[0].split()
    name, must = words[0].removesuffix("!"), words[0].endswith("!")
    if name in ("choice", "choices"):
        name = f"{'one' if name == 'choice' else 'some'} of {words[1].replace('|', ', ')}"
    elif len(words) > 1:
        name = f"{name} ({' '.join(words[1:])})"
    return f"{name}, needed" if must else name


def _fact(fact: Fact) -> str:
    where = f"Read in the {fact.child} child" if fact.child else "Read in the process itself"
    if fact.child not in ("", NVML):
        where += f", within {fact.budget_s:g} s"
    kept = "kept until a file that it came from changes" if fact.static else "anew in each run"
    if fact.keep_s:
        kept += f"; a prolog takes what was read in the last {fact.keep_s / 60:g} minutes"
    rows = "\n".join(_rows(parse_keys(fact.keys), ""))
    return f"\n### `{fact.subject}`\n\n{fact.help} {where}; {kept}.\n\n{rows}"


def _rows(keys: dict[str, Key], indent: str) -> list[str]:
    lines = []
    for name, key in keys.items():
        about = " ".join(part for part in (key.kind, key.unit, "or null" if key.nullable else "") if part)
        lines.append(f"{indent}- `{name}` ({about})" + (f": {key.help}" if key.help else ""))
        lines += _rows(key.rows, f"{indent}  ")
    return lines


def main() -> None:
    """Write the generated parts of checks.md, facts.md and host-health.md back: `python -m preflight.cli.generated`."""
    for name in _ENTRIES:
        path = f"docs/{PAGES[name]}.md"
        with open(path, encoding="utf-8") as file:
            text = page(file.read(), name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    main()
