"""Bonded interfaces: each member has its link, or the node runs on half its rate without a word."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, passed, skipped, untold
from preflight.checks.registry import Context, check
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

HEALTH = ("health",)

LINK = "cat /proc/net/bonding/BOND; cable and switch port of the member"


@check("net.bond", reads=("bonds",), phases=HEALTH, action="warn", remedy=LINK, subject="bonds")
def bond(context: Context, limit: float | None) -> Iterator[Finding]:
    """Each member of a bonded interface has a link."""
    bonds = context.node.get("bonds.bonds")
    if isinstance(bonds, Unknown):
        yield untold(bonds)
        return
    for one in bonds:
        down = [member["name"] for member in one["members"] if not member["up"]]
        if down:
            text = f"{one['name']}: no link on {', '.join(down)}"
            yield failed(text, subject=one["name"], observed=f"{len(down)} of {len(one['members'])} down")
        else:
            yield passed(f"{len(one['members'])} members have a link", subject=one["name"])
    if not bonds:
        yield skipped("no bonded interface")
