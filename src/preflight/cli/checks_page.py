"""docs/checks.md, whose parts between marks are made from the registry."""

from preflight.checks.registry import Check, every_check

OPENING, CLOSING = "<!-- checks: generated -->", "<!-- checks: end -->"


def page(text: str) -> str:
    """Return the documentation page ``text`` with its generated part made anew; ValueError where the marks miss."""
    before, found, rest = text.partition(OPENING)
    _, ended, after = rest.partition(CLOSING)
    if not (found and ended):
        raise ValueError(f"the page has no part between {OPENING} and {CLOSING}")
    return f"{before}{OPENING}\n{entries()}\n{CLOSING}{after}"


def entries() -> str:
    """Return one section a check, by name."""
    return "\n".join(_entry(check) for _, check in sorted(every_check().items()))


def _entry(check: Check) -> str:
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
