"""Rows of kind "memory": main memory, swap and huge pages."""

from __future__ import annotations

from preflight.checks.host.row import failed, host_check, passed, untold
from preflight.facts.host.match import amount, shown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from preflight.checks.finding import Finding

REMEDY = (
    "compare with the machine's order and its BIOS: a module that failed is missing; swapon, or the pool of huge pages"
)
WORDS = {"physical": "main memory", "swap": "swap", "total": "memory and swap"}


@host_check("memory", remedy=REMEDY)
def memory(args: dict[str, Any], told: dict[str, Any]) -> Iterator[Finding]:
    """Main memory, swap and huge pages are as much as each row asks for."""
    for what, word in WORDS.items():
        have, free = _of(told, what, ""), _of(told, what, "_free")
        for key, value in ((f"{what}_min", have), (f"{what}_max", have), (f"{what}_free_min", free)):
            if key not in args:
                continue
            if value is None or have is None:
                yield untold(f"the kernel does not tell {word}", subject=what)
                continue
            least = key.endswith("min")
            bound = amount(args[key], have)
            slack = amount(args["fudge"], int(bound)) if "fudge" in args and "free" not in key else 0.0
            text = f"{shown(value)} {word}{' free' if 'free' in key else ''}"
            expected = f"{'>=' if least else '<='} {args[key]}" + (f" (fudge {args['fudge']})" if slack else "")
            wrong = value < bound - slack if least else value > bound + slack
            yield (failed if wrong else passed)(text, subject=what, observed=shown(value), expected=expected)
    for key, name in (("hugepages_min", "hugepages"), ("hugepages_free_min", "hugepages_free")):
        if key in args:
            number = told.get(name)
            pages = 0 if number is None else number
            text, expected = f"{pages} {name.replace('_', ' ')}", f">= {args[key]}"
            blame = "user" if name.endswith("free") else ""
            if pages < args[key]:
                yield failed(text, subject="hugepages", observed=pages, expected=expected, blame=blame)
            else:
                yield passed(text, subject="hugepages", observed=pages, expected=expected)


def _of(told: dict[str, Any], what: str, ending: str) -> int | None:
    if what != "total":
        value: int | None = told[f"{what}{ending}"]
        return value
    parts = [told[f"physical{ending}"], told[f"swap{ending}"]]
    return None if None in parts else sum(parts)
