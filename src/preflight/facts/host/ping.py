"""Kind "ping": whether another host answers, by ICMP (RFC 792, RFC 4443) or by a TCP connection."""

from __future__ import annotations

import os
import time

from preflight.facts.answer import NOT_LIVE
from preflight.facts.host.kind import WAITING, Args, CannotTell, Shared, kind
from preflight.facts.rootfs import Root
from preflight.times import seconds

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

ECHO = {False: (8, 0), True: (128, 129)}  # request and reply: of ICMP, of ICMPv6
MAX_COUNT = 20


@kind(
    "ping",
    keys={
        "host": "text!: a name or an address",
        "port": "count: connect to this TCP port instead of sending ICMP echoes",
        "count": "count: how many are sent; left out: 3",
        "answers_min": "count: of them answered, at least; left out: 1",
        "timeout": "time: for each; left out: 1s",
    },
    names=("host",),
    fact=WAITING,
    dear=True,
)
def read(root: Root, args: Args, shared: Shared) -> dict[str, Any]:
    """Another host answers."""
    if not root.live:
        raise CannotTell(NOT_LIVE)
    import socket

    wait_s = max(0.1, seconds(args.get("timeout", "1s")))
    count = min(args.get("count", 3), MAX_COUNT)
    port = args.get("port")
    kind_of_socket = socket.SOCK_STREAM if port else socket.SOCK_DGRAM
    try:
        family, _, _, _, address = socket.getaddrinfo(args["host"], port, type=kind_of_socket)[0]
    except (OSError, UnicodeError) as error:
        return {"address": None, "sent": 0, "answers": 0, "error": f"no such host: {getattr(error, 'strerror', error)}"}
    found = {"address": address[0], "sent": count, "answers": 0, "error": None}
    for number in range(count):
        try:
            if port:
                with socket.create_connection((str(address[0]), port), wait_s):
                    found["answers"] += 1
            else:
                found["answers"] += _echo(socket, family, address, number, wait_s)
        except PermissionError as error:
            raise CannotTell("ICMP needs root") from error
        except OSError as error:
            found["error"] = error.strerror or type(error).__name__
        if found["answers"] >= args.get("answers_min", 1):
            break
    return found


def _echo(socket: Any, family: int, address: Any, number: int, wait_s: float) -> int:
    """Send one echo request and return 1 where its reply came within ``wait_s``."""
    six = family == socket.AF_INET6
    request, reply = ECHO[six]
    mark = os.getpid() & 0xFFFF
    protocol = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
    head = bytes((request, 0, 0, 0)) + mark.to_bytes(2, "big") + number.to_bytes(2, "big")
    packet = head + b"preflight"
    if not six:  # the kernel sums ICMPv6 itself
        packet = packet[:2] + _sum(packet).to_bytes(2, "big") + packet[4:]
    with socket.socket(family, socket.SOCK_RAW, protocol) as raw:
        raw.connect(address)
        raw.send(packet)
        until = time.monotonic() + wait_s
        while (left := until - time.monotonic()) > 0:
            raw.settimeout(left)
            try:
                data = raw.recv(2048)
            except (TimeoutError, socket.timeout):  # one and the same from Python 3.10 on
                return 0
            body = data if six else data[(data[0] & 15) * 4 :]
            if body[:1] == bytes((reply,)) and body[4:8] == head[4:8]:
                return 1
    return 0


def _sum(data: bytes) -> int:
    """Return the checksum of RFC 1071."""
    even = data + b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(even[at : at + 2], "big") for at in range(0, len(even), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
