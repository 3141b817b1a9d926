"""Kind "ethernet": each interface by itself, of /sys/class/net (Documentation/ABI/testing/sysfs-class-net)."""

from __future__ import annotations

import errno

from preflight.digits import whole
from preflight.facts.answer import NOT_LIVE
from preflight.facts.host.kind import Args, CannotTell, Shared, kind
from preflight.facts.host.match import matches
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

CLASS = "/sys/class/net"
MAX_INTERFACES = 512


def interfaces(root: Root) -> list[dict[str, Any]]:
    """Return each interface: name, state, speed (Gb/s, None where it has none), mtu, and how often its link changed."""
    holder = root.holder(CLASS)
    if holder is None:
        raise CannotTell(f"no {CLASS}" if root.live else NOT_LIVE)
    found = []
    for name in (holder.names(CLASS) or [])[:MAX_INTERFACES]:
        state = _word(holder, f"{CLASS}/{name}/operstate")
        if not state:
            continue  # bonding_masters is a file there
        speed = whole(_word(holder, f"{CLASS}/{name}/speed"))
        downs = whole(_word(holder, f"{CLASS}/{name}/carrier_down_count"))
        changes = whole(_word(holder, f"{CLASS}/{name}/carrier_changes"))
        found.append(
            {
                "name": name,
                "state": state,
                "speed": speed / 1000 if speed else None,
                "mtu": whole(_word(holder, f"{CLASS}/{name}/mtu")),
                "device": holder.stat(f"{CLASS}/{name}/device") is not None,
                "downs": downs if downs is not None or changes is None else changes // 2,  # before Linux 4.16
            }
        )
    return found


def _word(holder: Root, path: str) -> str:
    """Return a file's word; "" also where the interface has none: speed answers EINVAL while the link is down."""
    try:
        return (holder.read_text(path, 64) or "").strip()
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENODEV):
            return ""
        raise


@kind(
    "ethernet",
    keys={
        "device": "pattern: the interface, such as eth0 or ens*; left out: each that is hardware's",
        "rate_min": "number Gb/s: of each, such as 25",
        "state": "choice up|down|unknown|any: of each; left out: up",
        "mtu": "count bytes: of each",
        "count_min": "count: of such interfaces; left out: 1",
        "flaps_max": "count: how often a link went down within the window, at most",
        "window": "time: left out: 1h",
    },
    names=("device",),
)
def read(root: Root, args: Args, shared: Shared) -> dict[str, Any]:
    """Each Ethernet interface is up at its rate, and its link stays up."""
    wanted = args.get("device")
    found = [one for one in shared.of(interfaces) if (matches(wanted, one["name"]) if wanted else one["device"])]
    counters = {f"{one['name']} downs": one["downs"] for one in found if one["downs"] is not None}
    return {"interfaces": found, "counters": counters}
