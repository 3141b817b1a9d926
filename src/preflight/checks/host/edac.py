"""Rows of kind "edac": memory errors that the kernel counted."""

from __future__ import annotations

from preflight.checks.host.row import failed, host_check, passed

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from preflight.checks.finding import Finding


@host_check("edac", remedy="ras-mc-ctl --errors names the module; replace it")
def edac(args: dict[str, Any], told: dict[str, Any]) -> Iterator[Finding]:
    """No memory controller counted more errors than each row asks for."""
    within = f" in {args['window']}" if "window" in args else ""
    numbers = told["grown"] if within else told["counters"]
    for name, number in numbers.items():
        controller, _, word = name.partition(" ")
        bound = args.get(f"{word}_max")
        if bound is not None:
            make = failed if number > bound else passed
            text = f"{number} {word} memory errors{within}"
            yield make(text, subject=controller, observed=number, expected=f"<= {bound}")
