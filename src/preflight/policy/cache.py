"""The policy's cached form, for the hook: JSON beside nothing that a user can write.

The key is the file's identity (path, device, inode, size, mtime_ns), the package version and the node; checking it is
one stat. A policy that became wrong is answered with the last good one, turned to observe, and says so.
"""

from __future__ import annotations

import os

from preflight import __version__
from preflight.files import read_json, tolerate, write_json
from preflight.policy.model import Policy, from_json, to_json

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any


def cached_policy(path: str, node: str, directory: str) -> Policy:
    """Return the policy for ``node``; never raises.

    ``directory`` is root's runtime directory. A wrong or unreadable file gives the last good policy, else the
    defaults, with mode "observe" and ``problem`` set: nothing is drained or moved by a policy nobody can read.
    """
    key = policy_key(path, node)
    place = f"{directory}/policy-{node}.json"
    stored = read_json(place)
    if isinstance(stored, dict) and key and stored.get("key") == key:
        try:
            policy = from_json(stored["policy"])
            if stored["catalog"] == _catalog_key(policy, node):
                return policy
        except (KeyError, TypeError, AttributeError):
            stored = None
    from preflight.policy.load import PolicyError, for_node, parse_policy, read_text

    try:
        policy = for_node(parse_policy(read_text(path), path), node)
    except PolicyError as error:
        return _last_good(stored, path, node)._replace(mode="observe", problem=str(error).splitlines()[0])
    with tolerate(OSError):  # a full or read-only file system only costs the cache
        write_json(place, {"key": key, "catalog": _catalog_key(policy, node), "policy": to_json(policy)})
    return policy


def _last_good(stored: Any, path: str, node: str) -> Policy:
    from preflight.policy.load import for_node

    with tolerate((KeyError, IndexError, TypeError, AttributeError)):
        if stored["key"][0] == path:
            return from_json(stored["policy"])
    return for_node(Policy(), node)


def _catalog_key(policy: Policy, node: str) -> list[Any]:
    """Return the identity of the site's catalog file, [] where the policy names none."""
    return policy_key(policy.catalog.file, node) if policy.catalog.file else []


def policy_key(path: str, node: str) -> list[Any]:
    """Return the identity of the policy file for ``node``, which a cached form must have; [] without the file."""
    try:
        info = os.stat(path)
    except OSError:
        return []
    return [path, info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, __version__, node]
