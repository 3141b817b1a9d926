"""A node's token: what lets it write its own reports, and nobody else's.

A token is 32 random bytes, so a plain hash keeps it: there is nothing to guess. The store holds the hash alone. A new
token does not end the old one: both hold until the old one's end, so that a rotation stops no shipper.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import NamedTuple

from preflight.fleet.store.interface import Store

PREFIX = "pf1_"
GRACE_S = 86_400  # how long an earlier token of the node still holds when a new one is made
FRESH_S = 5.0  # how long an answer about a token is believed


class Sender(NamedTuple):
    """Whose token it is; ``cluster`` "" writes for a cluster of any name."""

    cluster: str
    node: str


def make(store: Store, cluster: str, node: str) -> str:
    """Make a token for a node, keep its hash and return it: it is shown this once. Raises StoreError."""
    token = PREFIX + secrets.token_urlsafe(32)
    now = _now_ms()
    store.write(
        "UPDATE tokens SET until_ms = ? WHERE cluster = ? AND node = ? AND (until_ms IS NULL OR until_ms > ?)",
        [(now + GRACE_S * 1000, cluster, node, now + GRACE_S * 1000)],
    )
    store.write(
        "INSERT INTO tokens (hash, cluster, node, made_ms, until_ms) VALUES (?, ?, ?, ?, NULL)",
        [(_hash(token), cluster, node, now)],
    )
    return token


def revoke(store: Store, cluster: str, node: str) -> int:
    """End every token of a node at once and return how many there were. Raises StoreError."""
    return store.write("DELETE FROM tokens WHERE cluster = ? AND node = ?", [(cluster, node)])


class Tokens:
    """Answers whose token it is, asking the store at most every few seconds for each."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[bytes, tuple[float, Sender | None]] = {}

    def remembered(self, header: str) -> Sender | None:
        """Return what `sender` would, None also where the store has to be asked for it."""
        wanted = _wanted(header)
        until, sender = self._known.get(wanted, (0.0, None)) if wanted else (0.0, None)
        return sender if until > time.monotonic() else None

    def sender(self, header: str) -> Sender | None:
        """Return the sender whose token the Authorization header holds, None where it holds none that counts."""
        wanted = _wanted(header)
        if wanted is None:
            return None
        now = time.monotonic()
        known = self._known.get(wanted)
        if known is None or known[0] < now:
            if len(self._known) > 50_000:
                self._known.clear()
            known = self._known[wanted] = (now + FRESH_S, self._ask(wanted))
        return known[1]

    def _ask(self, wanted: bytes) -> Sender | None:
        sql = "SELECT cluster, node FROM tokens WHERE hash = ? AND (until_ms IS NULL OR until_ms > ?)"
        rows = self._store.rows(sql, (wanted, _now_ms()))
        return Sender(*rows[0]) if rows else None


def _wanted(header: str) -> bytes | None:
    kind, _, token = header.partition(" ")
    if kind.lower() != "bearer" or not token.startswith(PREFIX) or len(token) < len(PREFIX) + 40:
        return None
    return _hash(token.strip())


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _now_ms() -> int:
    return round(time.time() * 1000)
