"""Bonded interfaces and their members, of /proc/net/bonding (Documentation/networking/bonding.rst)."""

from __future__ import annotations

from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

DIRECTORY = "/proc/net/bonding"


@fact("bonds", keys={"bonds": [{"name": "text", "up": "flag", "members": [{"name": "text", "up": "flag"}]}]})
def read(root: Root) -> Answer:
    """Bonded interfaces, and which of their members have a link."""
    holder = root.holder(DIRECTORY)
    if holder is None:
        return Answer({"bonds": []}) if root.live or root.is_dir("/proc/net") else unknown(NOT_LIVE)
    found = []
    for name in holder.names(DIRECTORY) or []:
        bond: dict[str, Any] = {"name": name, "up": False, "members": []}
        part = bond
        for line in (holder.read_text(f"{DIRECTORY}/{name}") or "").splitlines():
            key, _, value = line.partition(": ")
            if key == "Slave Interface":
                part = {"name": value.strip(), "up": False}
                bond["members"].append(part)
            elif key == "MII Status":
                part["up"] = value.strip() == "up"
        found.append(bond)
    return Answer({"bonds": found})
