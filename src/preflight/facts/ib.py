"""InfiniBand ports, from /sys/class/infiniband. RoCE ports (Ethernet link layer) are listed apart.

Every RDMA device is listed there. Only a port whose link layer is "InfiniBand" is one: AWS's EFA says "Unspecified"
(older kernels: "Unknown"), RoCE and iWARP say "Ethernet".
"""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.registry import FILES, fact
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

CLASS = "/sys/class/infiniband"
MAX_PORTS = 256
LAYERS = {"InfiniBand": True, "Ethernet": False}  # of the others none is either


@fact(
    "ib",
    keys={
        "ports": [
            {"device": "text", "port": "count", "state": "text: ACTIVE, DOWN, INIT, ARMED", "rate": "number? Gb/s"}
        ],
        "roce": [{"device": "text", "port": "count", "state": "text", "rate": "number? Gb/s"}],
        "rate": "number? Gb/s: the highest of the active InfiniBand ports",
    },
    child=FILES,
    budget_s=5,
)
def read(root: Root) -> Answer:
    """InfiniBand ports, and those whose link layer is Ethernet (``roce``).

    Subject key ``rate``: the highest of the active InfiniBand ports, None without one. ``state`` is the kernel's word
    ("ACTIVE", "DOWN", "INIT", "ARMED"). A port that states no link layer is in neither list, and the rate is unknown
    where no other port is an active one.
    """
    holder = root.holder(CLASS)
    if holder is None and not root.live and not root.is_dir("/sys/class"):
        return unknown(NOT_LIVE)  # an image's empty /sys says nothing about the machine
    ports: list[dict[str, Any]] = []
    roce: list[dict[str, Any]] = []
    silent = ""
    for device in (holder.names(CLASS) or []) if holder else []:
        assert holder is not None
        for port in holder.names(f"{CLASS}/{device}/ports") or []:
            found = port_of(holder, device, port)
            if found is None or len(ports) + len(roce) >= MAX_PORTS:
                continue
            layer = holder.read_text(f"{CLASS}/{device}/ports/{port}/link_layer", 64)
            if layer is None:
                silent = f"{device} port {port} states no link layer"
            elif layer.strip() in LAYERS:
                (ports if LAYERS[layer.strip()] else roce).append(found)
    rates = [port["rate"] for port in ports if port["state"] == "ACTIVE" and port["rate"] is not None]
    if silent and not rates:
        return Answer({"ports": ports, "roce": roce}, {"rate": silent})
    return Answer({"ports": ports, "roce": roce, "rate": max(rates, default=None)})


def port_of(root: Root, device: str, port: str) -> dict[str, Any] | None:
    """Return {device, port, state, rate (Gb/s)} of a port, None where it tells no state."""
    state = root.read_text(f"{CLASS}/{device}/ports/{port}/state", 64)
    if state is None or not is_whole(port):
        return None
    rate = root.read_text(f"{CLASS}/{device}/ports/{port}/rate", 64) or ""
    word = state.partition(":")[2] or state  # "4: ACTIVE"
    return {"device": device, "port": int(port), "state": word.strip(), "rate": _rate(rate)}


def _rate(text: str) -> float | int | None:
    """Return Gb/s of "400 Gb/sec (4X NDR)" or "2.5 Gb/sec (1X SDR)"."""
    number = text.strip().split(" ")[0]
    if not is_whole(number.replace(".", "", 1)):
        return None
    rate = float(number)
    return int(rate) if rate.is_integer() else rate
