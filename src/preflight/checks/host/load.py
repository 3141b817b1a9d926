"""Rows of kind "load": the load averages, which users' processes make."""

from __future__ import annotations

from preflight.checks.host.row import failed, host_check, passed

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from preflight.checks.finding import Finding


@host_check("load", remedy="look at top, and for processes in state D: a file system that hangs makes load, too")
def load(args: dict[str, Any], told: dict[str, Any]) -> Iterator[Finding]:
    """The load averages are not above what each row asks for."""
    for name in ("one", "five", "fifteen"):
        bound = args.get(f"{name}_max")
        if bound is not None:
            text, expected = f"load {told[name]:g} ({name} minute{'s' * (name != 'one')})", f"<= {bound:g}"
            make = failed if told[name] > bound else passed
            yield make(text, observed=f"{told[name]:g}", expected=expected)
