"""Rows of kind "infiniband": each port by itself, so that one of eight that is down is found."""

from __future__ import annotations

from preflight.checks.host.row import failed, host_check, passed

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from preflight.checks.finding import Finding

REMEDY = "ibstat, iblinkinfo: cable, switch port, subnet manager (INIT waits for it); the driver's firmware"
ERRORS = ("symbol_error", "link_error_recovery", "port_rcv_errors")


@host_check("infiniband", remedy=REMEDY)
def infiniband(args: dict[str, Any], told: dict[str, Any]) -> Iterator[Finding]:
    """Each InfiniBand port of a row is in its state and at its rate, and its link stays up."""
    ports, least = told["ports"], args.get("count_min", 1)
    if len(ports) < least:
        text = f"{len(ports)} InfiniBand ports, {least} asked"
        yield failed(text, observed=len(ports), expected=f">= {least}")
    for one in ports:
        yield _judge(one, args, told["grown"], f"{one['device']}/{one['port']}")


def _judge(one: dict[str, Any], args: dict[str, Any], grown: dict[str, int], subject: str) -> Finding:
    state, rate, wanted = one["state"], one["rate"], args.get("state", "ACTIVE")
    window = args.get("window", "1h")
    downs = grown.get(f"{subject} link_downed", 0)
    errors = sum(grown.get(f"{subject} {name}", 0) for name in ERRORS)
    if state != wanted:
        physical = f" ({one['phys_state']})" if one.get("phys_state") else ""
        return failed(f"{subject} is {state}{physical}", subject=subject, observed=state, expected=wanted)
    if "rate_min" in args and (rate is None or rate < args["rate_min"]):
        text = f"{subject} runs at {rate} Gb/s"
        return failed(text, subject=subject, observed=rate, expected=f">= {args['rate_min']:g} Gb/s")
    if "rate_max" in args and (rate is None or rate > args["rate_max"]):
        text = f"{subject} runs at {rate} Gb/s"
        return failed(text, subject=subject, observed=rate, expected=f"<= {args['rate_max']:g} Gb/s")
    if "link_downed_max" in args and downs > args["link_downed_max"]:
        text = f"the link of {subject} went down {downs} times in {window}"
        return failed(text, subject=subject, observed=downs, expected=f"<= {args['link_downed_max']}")
    if "errors_max" in args and errors > args["errors_max"]:
        text = f"{errors} errors on {subject} in {window}"
        return failed(text, subject=subject, observed=errors, expected=f"<= {args['errors_max']}")
    return passed(f"{subject} is {state} at {rate} Gb/s", subject=subject, observed=rate)
