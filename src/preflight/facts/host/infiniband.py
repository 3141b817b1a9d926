"""Kind "infiniband": each port by itself, of /sys/class/infiniband.

A port is InfiniBand's where its link layer says so: RoCE and iWARP say "Ethernet", AWS's EFA "Unspecified". Counters:
Documentation/ABI/stable/sysfs-class-infiniband.
"""

from __future__ import annotations

from preflight.digits import whole
from preflight.facts.answer import NOT_LIVE
from preflight.facts.host.kind import Args, CannotTell, Shared, kind
from preflight.facts.host.match import matches
from preflight.facts.ib import CLASS, port_of
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

MAX_PORTS = 256
COUNTERS = ("link_downed", "symbol_error", "link_error_recovery", "port_rcv_errors")


def ports(root: Root) -> list[dict[str, Any]]:
    """Return the RDMA ports: device, port, link layer, state, phys_state, rate (Gb/s) and counters."""
    holder = root.holder(CLASS)
    if holder is None:
        if root.live or root.is_dir("/sys/class"):
            return []
        raise CannotTell(NOT_LIVE)
    found: list[dict[str, Any]] = []
    for device in holder.names(CLASS) or []:
        for number in holder.names(f"{CLASS}/{device}/ports") or []:
            place = f"{CLASS}/{device}/ports/{number}"
            layer = (holder.read_text(f"{place}/link_layer", 64) or "").strip()
            port = port_of(holder, device, number)
            if port is None or len(found) >= MAX_PORTS:
                continue
            physical = holder.read_text(f"{place}/phys_state", 64) or ""
            counters = {
                name: whole((holder.read_text(f"{place}/counters/{name}", 64) or "").strip()) for name in COUNTERS
            }
            told = {name: number for name, number in counters.items() if number is not None}
            found.append({**port, "layer": layer, "phys_state": physical.partition(":")[2].strip(), "counters": told})
    return found


@kind(
    "infiniband",
    keys={
        "device": "pattern: the adapter, such as mlx5_*; left out: each",
        "port": "count: its port; left out: each",
        "rate_min": "number Gb/s: of each of these ports, such as 400",
        "rate_max": "number Gb/s: of each at most: more shows another cable or port than was meant",
        "layer": "choice InfiniBand|Ethernet|any: its link layer, Ethernet for RoCE; left out: InfiniBand",
        "state": "choice ACTIVE|INIT|ARMED|DOWN: of each; left out: ACTIVE",
        "count_min": "count: of such ports; left out: 1",
        "link_downed_max": "count: how often a link went down within the window, at most",
        "errors_max": "count: symbol errors, received errors and link recoveries within the window, together",
        "window": "time: left out: 1h",
    },
    names=("device",),
)
def read(root: Root, args: Args, shared: Shared) -> dict[str, Any]:
    """Each InfiniBand port is active at its rate, and its link stays up."""
    found = [
        one
        for one in shared.of(ports)
        if matches(args.get("device", "*"), one["device"])
        and args.get("port") in (None, one["port"])
        and args.get("layer", "InfiniBand") in ("any", one["layer"])
    ]
    counters = {
        f"{one['device']}/{one['port']} {name}": value for one in found for name, value in one["counters"].items()
    }
    return {
        "ports": [{key: value for key, value in one.items() if key != "counters"} for one in found],
        "counters": counters,
    }
