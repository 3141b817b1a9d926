"""What goes over the agent's socket, and where that is. client/prolog.c has the other side.

A request is its length (4 bytes, big-endian), then texts that each end with a NUL: "preflight-agent 1 VERSION
OPERATION SECONDS", and NAME=VALUE for each variable. SECONDS is the instant, by the monotonic clock, from which on
nobody waits for the answer. A prolog or an epilog gets PASS or OTHERWISE, and answers PASS with TAKEN before it ends;
other operations get JSON."""

from __future__ import annotations

import os
import struct

from preflight.tuples import NamedTuple

HELLO = "preflight-agent"
PROTOCOL = "1"
PASS = b"preflight-agent 1 pass\n"
WAIT = b"preflight-agent 1 wait\n"
LONGER, LONGEST_MS = 10, 4000  # times as long as else a client waits that was told so
SHARE = 0.5  # of a hook's deadline at most: the rest is the hook's own
OTHERWISE = b"preflight-agent 1 one-shot\n"
TAKEN = b"taken\n"
HEADER = 4
REQUEST_MAX = 1 << 16
ANSWER_MAX = 16 << 20
HOOKS = ("prolog", "epilog")
OPERATIONS = (*HOOKS, "status", "facts", "check", "metrics", "release", "resume", "refresh")
ENCODING, ERRORS = "utf-8", "surrogateescape"  # as os.environ has it


class Request(NamedTuple):
    """One request; ``until``: seconds of time.monotonic() after which nobody waits for the answer."""

    version: str
    operation: str
    until: float
    environment: dict[str, str]


def longer_s(wait_ms: int, deadline_s: float) -> float:
    """Return how many seconds longer than ``wait_ms`` a client waits that was told to."""
    return longest_s(wait_ms, deadline_s) - wait_ms / 1000


def longest_s(wait_ms: int, deadline_s: float) -> float:
    """Return how many seconds a client waits, from its begin on, that was told to; ``deadline_s``: its hook's."""
    return min(LONGER * wait_ms / 1000, LONGEST_MS / 1000, deadline_s * SHARE)


def socket_path(run_dir: str, node: str) -> str:
    """Return where the agent of ``node`` listens: in a directory that only root may pass."""
    return f"{run_dir}/agent/{node}.sock"


def alias_path(run_dir: str) -> str:
    """Return the link to the socket of the node's only, or latest, agent."""
    return f"{run_dir}/agent.sock"


def length_of(data: bytes | bytearray) -> int | None:
    """Return how many bytes follow the header, None where it has not come whole; raises ValueError for too many."""
    if len(data) < HEADER:
        return None
    length = int(struct.unpack(">I", data[:HEADER])[0])
    if not 0 < length <= REQUEST_MAX:
        raise ValueError(f"a request of {length} bytes")
    return length


def parse(payload: bytes) -> Request:
    """Return the request in ``payload`` (what follows the header); raises ValueError for anything else."""
    if payload[-1:] != b"\0":
        raise ValueError("not ended by a NUL")
    first, *variables = payload[:-1].decode(ENCODING, ERRORS).split("\0")
    words = first.split(" ")
    if len(words) != 5 or words[0] != HELLO or words[1] != PROTOCOL or words[3] not in OPERATIONS:
        raise ValueError("not a request of this protocol")
    environment: dict[str, str] = {}
    for one in variables:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise ValueError("a variable without a name or value")
        environment.setdefault(name, value)  # as getenv has it: the first counts
    until = float(words[4])
    if not 0 <= until < 1e12:
        raise ValueError("no instant")
    return Request(words[2], words[3], until, environment)


def request(version: str, operation: str, until: float, environment: dict[str, str]) -> bytes:
    """Return a request as it goes over the socket; raises ValueError where it would be too long."""
    first = f"{HELLO} {PROTOCOL} {version} {operation} {until:.9f}"
    texts = [first, *(f"{name}={value}" for name, value in environment.items())]
    payload = b"".join(text.encode(ENCODING, ERRORS) + b"\0" for text in texts)
    if len(payload) > REQUEST_MAX:
        raise ValueError(f"a request of {len(payload)} bytes")
    return struct.pack(">I", len(payload)) + payload


def peer(connection: object) -> tuple[int, int]:
    """Return (pid, uid) of the process at the other end, as this user namespace sees it; pid 0 where it cannot."""
    import _socket

    option = getattr(_socket, "SO_PEERCRED", 17)
    told = connection.getsockopt(_socket.SOL_SOCKET, option, 12)  # type: ignore[attr-defined]
    pid, uid, _ = struct.unpack("iII", told)
    return int(pid), int(uid)


def private_directory(run_dir: str) -> str:
    """Make the agent's directory, 0700, and return it; raises OSError where it is not root's own."""
    path = f"{run_dir}/agent"
    os.makedirs(run_dir, mode=0o755, exist_ok=True)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        info = os.lstat(path)
        if info.st_mode & 0o170000 != 0o040000 or info.st_uid != os.geteuid():
            raise OSError(1, "is not a directory of ours", path) from None
        os.chmod(path, 0o700)
    return path
