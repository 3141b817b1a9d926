"""Values that a requirement name takes, for generated predicates."""

from __future__ import annotations

import re

from preflight.requirements.row import Row


def allowed(row: Row, op: str | None, value: str | None) -> str | None:
    """Return ``value`` where the name takes it, else that of the name's own example."""
    if value is None or op is None:
        return value
    try:
        row.kind.check(op, row.kind.parse(value))
    except ValueError:
        example = re.split(r"[=<>~!]+", row.example)[-1]
        return example if "." in example or op != "~=" else f"{example}.4"
    return value
