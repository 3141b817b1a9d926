"""Rows of kind "service": systemd's units."""

from __future__ import annotations

from preflight.checks.host.row import failed, host_check, passed

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from preflight.checks.finding import Finding


@host_check("service", remedy="systemctl status UNIT; journalctl -u UNIT; systemctl enable --now UNIT")
def service(args: dict[str, Any], told: dict[str, Any]) -> Iterator[Finding]:
    """The units that each row names are active, or are not where it says so."""
    wanted = args.get("state", "active") == "active"
    for one in told["units"]:
        word = "active" if one["active"] else "not active"
        make = passed if one["active"] is wanted else failed
        yield make(f"{one['unit']} is {word}", subject=one["unit"], observed=word, expected=args.get("state", "active"))
