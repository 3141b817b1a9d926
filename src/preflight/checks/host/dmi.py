"""Rows of kind "dmi": versions of firmware, board and machine."""

from __future__ import annotations

from preflight.checks.host.row import failed, host_check
from preflight.facts.host.match import any_matches, is_regex

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from preflight.checks.finding import Finding


@host_check("dmi", remedy="preflight facts --json shows host.rows; bring the firmware to the site's version")
def dmi(args: dict[str, Any], told: dict[str, Any]) -> Iterator[Finding]:
    """Each pattern of a row matches a line of what the firmware says of the machine."""
    for pattern in args["match"]:
        if not any_matches(pattern, told["lines"]):
            near = _near(pattern, told["lines"])
            yield failed(f"the firmware says nothing like {pattern}", observed=near, expected=pattern)


def _near(pattern: str, lines: list[str]) -> str | None:
    """Return the line about the same field, None where none is."""
    if is_regex(pattern.lstrip("!")):
        return None
    head = pattern.rpartition(": ")[0]
    return next((line for line in lines if head and line.startswith(head)), None)
