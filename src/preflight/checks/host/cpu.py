"""Rows of kind "cpu": sockets, cores, threads and the frequency governor."""

from __future__ import annotations

from preflight.checks.host.row import failed, host_check, passed, skipped
from preflight.facts.host.match import matches

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from preflight.checks.finding import Finding


@host_check(
    "cpu", remedy="compare with the order; BIOS (SMT, cores per socket), /sys/devices/system/cpu/offline, cpupower"
)
def cpu(args: dict[str, Any], told: dict[str, Any]) -> Iterator[Finding]:
    """As many sockets, cores and threads are online as each row asks for, with the governor that it asks for."""
    for key in ("sockets", "cores", "threads"):
        if key in args:
            off = f", {told['offline']} CPUs are offline" if told["offline"] else ""
            make = passed if told[key] == args[key] else failed
            yield make(f"{told[key]} {key}{off}", subject=key, observed=told[key], expected=f"= {args[key]}")
    if "governor" not in args:
        return
    wrong = {name: number for name, number in told["governors"].items() if not matches(args["governor"], name)}
    if not told["governors"]:
        yield skipped("the kernel scales no frequency here", subject="governor")
    elif wrong:
        text = ", ".join(f"{number} CPUs have {name}" for name, number in wrong.items())
        yield failed(text, subject="governor", observed=",".join(wrong), expected=args["governor"], blame="site")
    else:
        yield passed("the governor is set", subject="governor", observed=",".join(told["governors"]))
