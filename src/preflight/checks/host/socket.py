"""Rows of kind "socket": ports and sockets that must be listened on or connected."""

from __future__ import annotations

from preflight.checks.host.row import failed, host_check, passed

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from preflight.checks.finding import Finding


@host_check("socket", remedy="ss -lntup shows who listens; systemctl status of the daemon")
def socket(args: dict[str, Any], told: dict[str, Any]) -> Iterator[Finding]:
    """As many sockets are listened on or connected as each row asks for."""
    count, state = told["count"], args.get("state", "listening")
    most = args.get("count_max")
    least = args.get("count_min", 0 if most is not None else 1)
    text = f"{count} {args.get('proto', 'tcp')} sockets are {state}"
    if count < least:
        yield failed(text, observed=count, expected=f">= {least}", blame="node")
    elif most is not None and count > most:
        yield failed(text, observed=count, expected=f"<= {most}")
    else:
        yield passed(text, observed=count)
