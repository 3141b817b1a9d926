"""The fixtures of the checks "host.KIND": a row of the policy, and what its reader tells of a node."""

from __future__ import annotations

from typing import Any

from preflight.facts.host.kind import kind_of
from preflight.policy.model import HostRow, Policy

EMPTY: dict[str, Any] = {"rows": [], "stuck_at": None}
MOUNT = {"path": "/home", "source": "fs1:/home", "type": "nfs4", "options": "rw,relatime,vers=4.2"}
SPACE = {
    "path": "/scratch",
    "size": 1000 << 30,
    "free": 500 << 30,
    "used": 450 << 30,
    "inodes": 1000,
    "inodes_free": 900,
    "inodes_used": 100,
    "public": None,
}


def row(kind: str, args: dict[str, Any], action: str = "") -> HostRow:
    """Return a row as the policy's reader makes it."""
    found = kind_of(kind)
    return HostRow(kind, "", action, ("health",), found.users(args), args, "p.toml:3")


# kind -> (keys of the row, what is told of a sound node, of a bad one, and of one where it does not apply)
ROWS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any] | None]] = {
    "mount": ({"path": "/home", "type": "nfs*", "options": ["rw"]}, {"mounts": [MOUNT]}, {"mounts": []}, None),
    "space": (
        {"path": "/scratch", "free_min": "5%", "inodes_free_min": "5%"},
        SPACE,
        {**SPACE, "free": 1 << 30},
        {**SPACE, "inodes": 0, "inodes_free": 0, "inodes_used": 0},
    ),
}


def case(kind: str, told: dict[str, Any], action: str = "") -> dict[str, Any]:
    """Return the arguments of a Case: what is told of the one row that the policy has."""
    args = ROWS[kind][0]
    entries = [{"kind": kind, "args": args, **told}]
    return {"changes": {f"{kind_of(kind).fact}.rows": entries}, "policy": Policy(host=(row(kind, args, action),))}
