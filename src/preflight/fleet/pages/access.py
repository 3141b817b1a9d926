"""Who may see what: readers by a token of their own, or by a reverse proxy that has asked them already.

An admin sees all; a user the jobs whose user is of the reader's name, and nothing else. A token for metrics opens
/metrics alone: whatever its name is, no page and no job.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import time
from collections.abc import Sequence
from typing import NamedTuple

from starlette.requests import HTTPConnection

from preflight.fleet.store.interface import Store

PREFIX = "pfr1_"  # a reader's; a node's begins with pf1_
COOKIE = "preflight_reader"
ROLES = ("user", "admin", "metrics")
FRESH_S = 5.0  # how long an answer about a token is believed
KNOWN = 10_000
MAX_NAME = 64


class Reader(NamedTuple):
    """Who looks: ``name`` as Slurm knows the user, ``by`` "token" or "proxy"."""

    name: str
    admin: bool
    by: str = "token"


class Proxy(NamedTuple):
    """A reverse proxy that names the user in ``header``; believed only from ``addresses``."""

    header: str
    addresses: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    admins: frozenset[str]

    def speaks(self, peer: str) -> bool:
        """Return whether a connection from ``peer`` is the proxy's."""
        try:
            address = ipaddress.ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in network for network in self.addresses if network.version == mapped.version)


def proxy(header: str, addresses: Sequence[str], admins: Sequence[str]) -> Proxy:
    """Return the proxy that is believed; raises ValueError with one line for an address that is none."""
    networks = []
    for one in addresses:
        try:
            networks.append(ipaddress.ip_network(one, strict=False))
        except ValueError:
            raise ValueError(f"not an address or network: {one!r}") from None
    return Proxy(header.lower(), tuple(networks), frozenset(admins))


def make(store: Store, name: str, role: str) -> str:
    """Make a reader's token, keep its hash and return it: it is shown this once. Raises StoreError."""
    token = PREFIX + secrets.token_urlsafe(32)
    sql = "INSERT INTO readers (hash, name, role, made_ms) VALUES (?, ?, ?, ?)"
    store.write(sql, [(_hash(token), name, role, round(time.time() * 1000))])
    return token


def revoke(store: Store, name: str) -> int:
    """End every token of a reader at once and return how many there were. Raises StoreError."""
    return store.write("DELETE FROM readers WHERE name = ?", [(name,)])


def any_reader(store: Store) -> bool:
    """Return whether the store knows a reader of pages. Raises StoreError."""
    return bool(store.rows("SELECT 1 FROM readers WHERE role <> 'metrics' LIMIT 1"))


class Access:
    """Answers who asks; the store is asked at most every few seconds for each token."""

    def __init__(self, store: Store, proxy: Proxy | None = None) -> None:
        self._store = store
        self.proxy = proxy
        self._known: dict[bytes, tuple[float, tuple[str, str] | None]] = {}

    def reader(self, request: HTTPConnection) -> Reader | None:
        """Return who asks, None for nobody we know. Raises StoreError. May wait for the store.

        A token counts before the proxy's header; a header that comes twice is nobody's.
        """
        if given := _bearer(request):
            return self.of_token(given)
        its = self._of_proxy(request)
        return its or self.of_token(request.cookies.get(COOKIE, ""))

    def of_token(self, token: str) -> Reader | None:
        """Return whose token it is, None where it is nobody's or opens no page. Raises StoreError."""
        known = self._role(token)
        return None if known is None or known[1] == "metrics" else Reader(known[0], known[1] == "admin")

    def scrapes(self, request: HTTPConnection) -> bool:
        """Return whether who asks may have the metrics: a token made for them, or an admin. Raises StoreError."""
        known = self._role(_bearer(request))
        if known is not None and known[1] == "metrics":
            return True
        reader = self.reader(request)
        return reader is not None and reader.admin

    def _role(self, token: str) -> tuple[str, str] | None:
        """Return name and role of a token."""
        if not token.startswith(PREFIX) or not len(PREFIX) + 40 <= len(token) <= 100:
            return None
        wanted, now = _hash(token), time.monotonic()
        known = self._known.get(wanted)
        if known is None or known[0] < now:
            if len(self._known) >= KNOWN:
                self._known.clear()
            rows = self._store.rows("SELECT name, role FROM readers WHERE hash = ?", (wanted,))
            known = self._known[wanted] = (now + FRESH_S, (rows[0][0], rows[0][1]) if rows else None)
        return known[1]

    def tls_before(self, request: HTTPConnection) -> bool:
        """Return whether the proxy that is believed says that the browser reached it by TLS."""
        if self.proxy is None or request.client is None or not self.proxy.speaks(request.client.host):
            return False
        return request.headers.getlist("x-forwarded-proto") == ["https"]

    def _of_proxy(self, request: HTTPConnection) -> Reader | None:
        if self.proxy is None or request.client is None or not self.proxy.speaks(request.client.host):
            return None
        names = request.headers.getlist(self.proxy.header)
        if len(names) != 1 or not 0 < len(names[0]) <= MAX_NAME or not names[0].isprintable():
            return None
        return Reader(names[0], names[0] in self.proxy.admins, "proxy")


def same_origin(request: HTTPConnection) -> bool:
    """Return whether a POST comes from a page of ours, as the browser says: nobody else's page can say so."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    # Without both it is no browser of these years: then no cookie of a person is at stake.
    return origin is None or origin.partition("://")[2] == request.headers.get("host", "")


def _bearer(request: HTTPConnection) -> str:
    """Return the reader's token in the header, "" where there is none."""
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    return given.strip() if kind.lower() == "bearer" and given.startswith(PREFIX) else ""


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
