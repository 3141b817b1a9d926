"""Rows of kind "ethernet": each interface by itself."""

from __future__ import annotations

from preflight.checks.host.row import failed, host_check, passed

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from preflight.checks.finding import Finding


@host_check("ethernet", remedy="ip -s link, ethtool: cable, switch port, negotiated speed, driver")
def ethernet(args: dict[str, Any], told: dict[str, Any]) -> Iterator[Finding]:
    """Each interface of a row is up, at its rate and MTU, and its link did not go down more often than asked."""
    found, least = told["interfaces"], args.get("count_min", 1)
    if len(found) < least:
        yield failed(f"{len(found)} interfaces, {least} asked", observed=len(found), expected=f">= {least}")
    for one in found:
        yield _judge(one, args, told["grown"].get(f"{one['name']} downs", 0))


def _judge(one: dict[str, Any], args: dict[str, Any], downs: int) -> Finding:
    name, state, wanted = one["name"], one["state"], args.get("state", "up")
    if wanted != "any" and state != wanted:
        return failed(f"{name} is {state}", subject=name, observed=state, expected=wanted)
    if "rate_min" in args and (one["speed"] is None or one["speed"] < args["rate_min"]):
        speed = "no speed" if one["speed"] is None else f"{one['speed']:g} Gb/s"
        return failed(f"{name} has {speed}", subject=name, observed=speed, expected=f">= {args['rate_min']:g} Gb/s")
    if "mtu" in args and one["mtu"] != args["mtu"]:
        return failed(f"{name} has MTU {one['mtu']}", subject=name, observed=one["mtu"], expected=f"= {args['mtu']}")
    if "flaps_max" in args and downs > args["flaps_max"]:
        text = f"the link of {name} went down {downs} times in {args.get('window', '1h')}"
        return failed(text, subject=name, observed=downs, expected=f"<= {args['flaps_max']}")
    return passed(f"{name} is {state}", subject=name, observed=state)
