"""GET /metrics: who may ask, in which format the answer goes out, and how seldom the store is asked for it."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response

from preflight.fleet.metrics import gather
from preflight.fleet.metrics.families import Registry, families
from preflight.fleet.pages.access import Access
from preflight.fleet.store.interface import Reader, StoreError

FRESH_S = 5.0  # the same answer for whoever asks within that: nobody makes the store work by asking often
AGE_S = 60.0  # without a new report: nodes fall silent by time alone
HEADERS = {"cache-control": "no-store", "vary": "accept, accept-encoding, authorization"}


class _Kept(NamedTuple):
    numbers: gather.Numbers
    changed: int
    at: float
    asked: float


class Metrics:
    """The metrics of one store. ``collector`` counts what this process took, by result, ``webhook`` what it told."""

    def __init__(
        self,
        store: Reader,
        access: Access,
        collector: Callable[[], Mapping[str, int]],
        webhook: Mapping[str, int] | None = None,
    ) -> None:
        self._store = store
        self._access = access
        self._collector = collector
        self._webhook = webhook
        self._kept: _Kept | None = None
        self._lock: asyncio.Lock | None = None

    async def answer(self, request: Request, aside: Callable[..., Any]) -> Response:
        """Answer a scrape; ``aside`` runs what waits for the store beside the event loop."""
        try:
            if not await aside(self._access.scrapes, request):
                why = "make a token with `preflight fleet reader NAME --metrics`\n"
                return Response(why, 401, {**HEADERS, "www-authenticate": "Bearer"}, "text/plain; charset=utf-8")
            self._lock = self._lock or asyncio.Lock()  # made where a loop runs: Python 3.9
            async with self._lock:
                numbers = await aside(self.numbers)
        except StoreError:
            return Response(
                "the store does not answer\n", 503, {**HEADERS, "retry-after": "5"}, "text/plain; charset=utf-8"
            )
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        body = encode(Registry(families(numbers, self._collector(), self._webhook)))
        headers = {**HEADERS, "content-type": kind}
        if "gzip" in request.headers.get("accept-encoding", ""):
            body, headers = gzip.compress(body, 1, mtime=0), {**headers, "content-encoding": "gzip"}
        return Response(body, 200, headers)

    def numbers(self) -> gather.Numbers:
        """Return the numbers, asked anew where a report has come or a minute went by. Raises StoreError."""
        kept, now = self._kept, time.monotonic()
        if kept is not None and now - kept.asked < FRESH_S:
            return kept.numbers
        changed = gather.changed(self._store)
        if kept is not None and changed == kept.changed and now - kept.at < AGE_S:
            self._kept = kept._replace(asked=now)
            return kept.numbers
        numbers = gather.gather(self._store, round(time.time() * 1000))
        self._kept = _Kept(numbers, changed, now, now)
        return numbers
