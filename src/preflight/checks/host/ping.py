"""Rows of kind "ping": other hosts that must answer. The node is not known to be at fault where one does not."""

from __future__ import annotations

from preflight.checks.host.row import failed, host_check, passed

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from preflight.checks.finding import Finding


@host_check("ping", remedy="is it the node's link, or the other host? ask another node; ip route get HOST")
def ping(args: dict[str, Any], told: dict[str, Any]) -> Iterator[Finding]:
    """The hosts that the rows name answer."""
    least = args.get("answers_min", 1)
    why = f": {told['error']}" if told["error"] else ""
    text = f"{told['answers']} of {told['sent']} answers from {args['host']}"
    if told["answers"] < least:
        yield failed(f"{text}{why}", observed=told["answers"], expected=f">= {least}")
    else:
        yield passed(text, observed=told["answers"], expected=f">= {least}")
