"""The policy's cached form, for the hook: JSON beside nothing that a user can write.

The key is the identity of each file (path, device, inode, size, mtime_ns), the package version and the node; checking
it is a stat a file. A policy that became wrong is answered with the last good one, turned to observe, and says so.
"""

from __future__ import annotations

import time

from preflight import __version__
from preflight.files import read_json, tolerate, write_json
from preflight.policy.files import drop_ins, identity
from preflight.policy.model import Policy, from_cache, to_cache
from preflight.policy.site_files import entry_points, site_key

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

# An editor or a copy may be half way through a file that was written just now.
SETTLE_S = 2.0
_NOT_OURS = (KeyError, IndexError, TypeError, AttributeError, ValueError)


def cached_policy(
    path: str, node: str, directory: str, examine: Callable[[Policy], Iterable[str]] | None = None
) -> Policy:
    """Return the policy for ``node``; never raises.

    ``directory`` is root's runtime directory. A wrong or unreadable file gives the last good policy, else the
    defaults, with mode "observe" and ``problem`` set: nothing is drained or moved by a policy nobody can read. A file
    younger than SETTLE_S may be half of one, and does not replace a good policy yet.
    ``examine`` yields further warnings, once a policy.
    """
    return _look(path, node, directory, examine)[0]


def remembered_policy(path: str, node: str, directory: str, problem: str) -> Policy:
    """Return the last good policy of ``path``, turned to observe, without a look at any file of it; else the defaults.

    ``problem``: why its files are not looked at.
    """
    good = _stored(read_json(f"{directory}/policy-{node}.json"), path) or Policy()
    return good._replace(site_points=good.site_points or (), mode="observe", problem=problem)


def _look(
    path: str, node: str, directory: str, examine: Callable[[Policy], Iterable[str]] | None
) -> tuple[Policy, list[Any]]:
    """Return the policy for ``node``, and the identity of the files that it is of: [] where the next look may differ.

    Whether a file is young is asked once: asked again, it may have become old enough meanwhile.
    """
    key = policy_key(path, node)
    young = _young(key)
    place = f"{directory}/policy-{node}.json"
    stored = read_json(place)
    good = _stored(stored, path)
    same = good is not None and bool(key) and stored["key"] == key
    if good is not None and same and stored.get("beside") == _beside(good):
        return good, [] if young else key
    from preflight.policy.load import PolicyError, for_node, read_policy

    try:
        policy = for_node(read_policy(path), node)
    except PolicyError as error:
        last = for_node(Policy(), node) if good is None else good
        wrong = str(error).splitlines()[0]
        return last._replace(site_points=last.site_points or (), mode="observe", problem=wrong), []
    changed = key != policy_key(path, node)  # as it was read
    if good is not None and not same and (young or changed):
        return good, []
    if examine is not None:
        policy = policy._replace(warnings=(*policy.warnings, *examine(policy)))
    policy = policy._replace(site_points=entry_points(policy))
    if changed:
        return policy, []
    with tolerate(OSError):  # a full or read-only file system only costs the cache
        write_json(place, {"key": key, "beside": _beside(policy), "policy": to_cache(policy)})
    return policy, [] if young else key


class PolicyInForce:
    """`cached_policy` for whom asks again and again: read anew only where a file of the policy is another."""

    def __init__(
        self, path: str, node: str, directory: str, examine: Callable[[Policy], Iterable[str]] | None = None
    ) -> None:
        self._path, self._node, self._directory, self._examine = path, node, directory, examine
        self._policy: Policy | None = None
        self._key: list[Any] = []
        self._beside: list[Any] = []

    def get(self) -> Policy:
        """Return the policy in force; never raises."""
        key = policy_key(self._path, self._node)
        known = self._policy
        if known is not None and key and key == self._key and self._beside == _beside(known):
            return known
        policy, self._key = _look(self._path, self._node, self._directory, self._examine)
        self._policy = policy if self._key else None
        self._beside = _beside(policy)
        return policy


def _stored(stored: Any, path: str) -> Policy | None:
    """Return the policy of the cached form if that is of the file ``path``, else None."""
    with tolerate(_NOT_OURS):
        if stored["key"][0] == path:
            return from_cache(stored["policy"])
    return None


def _young(key: list[Any]) -> bool:
    """Return whether a file of the policy was written less than SETTLE_S ago, by a clock that has not jumped since."""
    written = max((one[4] for one in (key[:5], *key[7:]) if one), default=0)
    return 0 <= time.time() - written / 1e9 < SETTLE_S


def _beside(policy: Policy) -> list[Any]:
    """Return the identity of what is read with the policy: the site's catalog file, where its packages stand."""
    return [identity(policy.catalog.file) if policy.catalog.file else [], site_key(policy)]


def policy_key(path: str, node: str) -> list[Any]:
    """Return the identity of the policy for ``node``, which a cached form must have; [] without the file."""
    file = identity(path)
    if not file:
        return []
    return [*file, __version__, node, *(identity(one) for one in drop_ins(path))]
