"""Kind "socket": ports and sockets that must be listened on or connected, of /proc/net (proc(5))."""

from __future__ import annotations

from preflight.digits import whole
from preflight.facts.answer import NOT_LIVE
from preflight.facts.host.kind import Args, CannotTell, Shared, kind
from preflight.facts.host.match import matches
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

MAX_TABLE = 16 << 20
LISTENING, CONNECTED = "listening", "connected"
# include/net/tcp_states.h: ESTABLISHED 1, LISTEN 10; an unconnected UDP socket has CLOSE, 7. include/uapi/linux/net.h:
# a UNIX socket's SS_UNCONNECTED 1, SS_CONNECTED 3; of its flags __SO_ACCEPTCON 0x10000 is listening.
TCP = {"0A": LISTENING, "01": CONNECTED}
UDP = {"07": LISTENING, "01": CONNECTED}


def of_inet(root: Root, proto: str) -> list[dict[str, Any]]:
    """Return the TCP or UDP sockets: local and remote "ADDRESS:PORT", and the state."""
    found: list[dict[str, Any]] = []
    tables = [root.live_read(f"/proc/net/{name}", MAX_TABLE) for name in (proto, f"{proto}6")]
    if tables[0] is None:
        raise CannotTell(f"no /proc/net/{proto}" if root.live else NOT_LIVE)
    for text in tables:
        for line in (text or "").splitlines()[1:]:
            words = line.split()
            state = (TCP if proto == "tcp" else UDP).get(words[3]) if len(words) > 3 else None
            if state:
                found.append({"local": _address(words[1]), "remote": _address(words[2]), "state": state})
    return found


def _address(text: str) -> str:
    """Return "127.0.0.1:22" of "0100007F:0016": words of four bytes as this machine orders them."""
    import sys

    digits, _, port = text.partition(":")
    data = b"".join(int(digits[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(digits), 8))
    if len(data) == 4:
        name = ".".join(str(one) for one in data)
    else:
        import socket

        name = socket.inet_ntop(socket.AF_INET6, data)
        name = name.removeprefix("::ffff:") if "." in name else name
    return f"{name}:{int(port, 16)}"


def of_unix(root: Root) -> list[dict[str, Any]]:
    """Return the UNIX sockets that have a path."""
    text = root.live_read("/proc/net/unix", MAX_TABLE)
    if text is None:
        raise CannotTell("no /proc/net/unix" if root.live else NOT_LIVE)
    found = []
    for line in text.splitlines()[1:]:
        words = line.split(None, 7)
        if len(words) == 8:
            listens = int(words[3], 16) & 0x10000
            state = LISTENING if listens else CONNECTED if words[5] == "03" else None
            if state or words[4] == "0002":  # a datagram socket that is bound is listened on
                found.append({"local": words[7], "remote": "", "state": state or LISTENING})
    return found


def tcp(root: Root) -> list[dict[str, Any]]:
    """Return the TCP sockets."""
    return of_inet(root, "tcp")


def udp(root: Root) -> list[dict[str, Any]]:
    """Return the UDP sockets."""
    return of_inet(root, "udp")


TABLES = {"tcp": tcp, "udp": udp, "unix": of_unix}


@kind(
    "socket",
    keys={
        "proto": "choice tcp|udp|unix: left out: tcp",
        "port": "count: the local port",
        "address": "pattern: the local address, or a UNIX socket's path",
        "remote": "pattern: the other end, ADDRESS:PORT",
        "state": f"choice {LISTENING}|{CONNECTED}: left out: {LISTENING}",
        "count_min": "count: of such sockets; left out: 1, or 0 where count_max stands",
        "count_max": "count: at most",
    },
    needs=(("port", "address", "remote"),),
    names=("address", "port", "remote"),
    dear=True,
    users=lambda args: "users can open such sockets" if "count_max" in args else "",
)
def read(root: Root, args: Args, shared: Shared) -> dict[str, Any]:
    """Ports and sockets are listened on, or connected."""
    found = [one for one in shared.of(TABLES[args.get("proto", "tcp")]) if _is(one, args)]
    return {"count": len(found), "sockets": found[:8]}


def _is(one: dict[str, Any], args: Args) -> bool:
    if one["state"] != args.get("state", LISTENING):
        return False
    address, _, port = one["local"].rpartition(":")
    if args.get("proto") == "unix":
        address, port = one["local"], ""
    if "port" in args and whole(port) != args["port"]:
        return False
    return matches(args.get("address", "*"), address) and matches(args.get("remote", "*"), one["remote"])
