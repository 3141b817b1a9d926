"""The collector: takes reports (`POST /api/v1/reports`), says how it is (`GET /healthz`, `GET /metrics`), and
shows the pages."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from preflight import __version__
from preflight.fleet.api.routes import Api
from preflight.fleet.entry import EntryReader
from preflight.fleet.forget import forget_days, supersede
from preflight.fleet.metrics.route import Metrics
from preflight.fleet.pages.app import Options, Pages
from preflight.fleet.store.interface import Refused, Store, StoreError
from preflight.fleet.tell import events
from preflight.fleet.tell.webhook import Webhook
from preflight.fleet.tokens import Sender, Tokens
from preflight.fleet.web import batch
from preflight.fleet.web.limits import Limits
from preflight.fleet.web.resumed import end_resumed
from preflight.fleet.web.words import Words
from preflight.fleet.web.writer import BusyError, Writer

T = TypeVar("T")
warnings = logging.getLogger("preflight.serve")
RETRY_S = 5
LOOK_S = 60.0  # between two looks at whether somebody resumed a node that is drained
REFUSED_SHOWN = 20


class Collector:
    """The state behind the routes: a store, one writer, the tokens and what each sender has sent lately.

    ``keep_days``: reports of earlier days are forgotten; what was derived from them stays. 0 keeps all.
    """

    def __init__(self, store: Store, keep_days: int = 0, options: Options | None = None) -> None:
        self.store = store
        self.keep_days = keep_days
        options = options or Options()
        self.watch = options.watch
        self.writer = Writer(store, options.otlp.kept) if options.otlp else Writer(store)
        self.webhook = Webhook(store, options.webhook, warnings.warning) if options.webhook else None
        self.tokens = Tokens(store)
        self.limits = Limits()
        self._reader = EntryReader()
        self._words = Words(store)
        # One body at a time, for what it holds may be large; and in one thread, for each has a heap of its own.
        self._pool = ThreadPoolExecutor(1, "decode")
        self._health = ThreadPoolExecutor(1, "health")  # one connection, however many ask
        self._well = -1.0

    async def reports(self, request: Request) -> Response:
        """Take a batch; the answer comes when it is on the disk."""
        header = request.headers.get("authorization", "")
        try:
            sender = self.tokens.remembered(header) or await self._aside(self.tokens.sender, header)
        except StoreError as error:
            return _later(503, str(error))
        if sender is None:
            return _answer(401, {"error": "no valid token: make one with `preflight fleet token NODE`"})
        if (wait := self.limits.wait_s(sender.node)) > 0:
            return _later(429, f"node {sender.node} sends more than its share", wait)
        try:
            body = await _body(request)
        except batch.BatchError as error:
            return await self._refused(sender, str(error), b"")
        if body is None:
            return _answer(400, {"error": "the sender went away in the middle"})
        try:
            its = await self._aside(self._read, body, request.headers.get("content-encoding", ""), sender)
        except batch.BatchError as error:
            return await self._refused(sender, str(error), body)
        except StoreError as error:
            return _later(503, str(error))
        except MemoryError:
            return _later(503, "the collector's memory is full")
        self.limits.count(sender.node, len(its.entries) + len(its.refused), its.size)
        try:
            await self.writer.write(its.entries, [one for _, one in its.refused])
        except BusyError:
            return _later(503, "too much waits to be written")
        except StoreError as error:
            return _later(503, str(error))
        refused = [{"report": place, "reason": one.reason} for place, one in its.refused]
        counts = {"accepted": len(its.entries), "refused": len(refused), "foreign": its.foreign}
        return _answer(200, {**counts, "reasons": refused[:REFUSED_SHOWN]})

    async def _aside(self, function: Callable[..., T], *arguments: object) -> T:
        """Run ``function`` beside the event loop, after what was asked before."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    def _read(self, body: bytes, encoding: str, sender: Sender) -> batch.Batch:
        return batch.read(batch.plain(body, encoding), sender, self._reader, self.store.pack, self._words)

    async def _refused(self, sender: Sender, reason: str, body: bytes) -> Response:
        """Answer a body of which nothing can be kept; one line of it stays in the quarantine."""
        try:
            its = Refused(round(time.time() * 1000), sender.node, reason, len(body), body[: batch.HEAD])
            await self.writer.write([], [its])
        except (StoreError, BusyError) as error:
            return _later(503, str(error) or "too much waits to be written")
        self.limits.count(sender.node, 1, batch.MAX_PLAIN)  # it may have cost as much, and no shipper sends such
        return _answer(413 if "larger" in reason or "more than" in reason else 400, {"error": reason})

    async def healthz(self, request: Request) -> Response:
        """Say whether the store answers, and what was taken since the start."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._health, self._ask_store)
        except StoreError:
            return _answer(503, {"status": "store", "error": "the store does not answer"})
        counts = {"taken": self.writer.taken, "new": self.writer.new, "refused": self.writer.refused}
        return _answer(200, {"status": "ok", "preflight": __version__, **counts})

    def counts(self) -> dict[str, int]:
        """Return the reports that were taken since the start, by what became of them."""
        its = self.writer
        return {"new": its.new, "known": its.taken - its.new, "refused": its.refused}

    def _ask_store(self) -> None:
        """Ask the store, once a second at most whoever asks; raises StoreError."""
        if time.monotonic() - self._well > 1:
            self.store.rows("SELECT count(*) FROM nodes")
            self._well = time.monotonic()

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Run the writer as long as the server runs."""
        if self.webhook is not None:
            self.webhook.start()
        tasks = [asyncio.create_task(its()) for its in (self.writer.run, self._forget, self._resumed)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            if self.webhook is not None:
                await run_in_threadpool(self.webhook.stop)

    async def _forget(self) -> None:
        """Forget the days past ``keep_days``, nodes that are no more and events that nobody was told of, each hour."""
        while True:
            now = round(time.time() * 1000)
            bound = self.webhook.bound if self.webhook else partial(events.bound, self.store)
            steps: list[Callable[[], object]] = [partial(supersede, self.store), partial(bound, now)]
            if self.keep_days:  # first, and whatever becomes of the others: else the disk fills
                steps.insert(0, partial(forget_days, self.store, self.keep_days, now))
            for step in steps:
                try:
                    await run_in_threadpool(step)
                except StoreError as error:  # another collector was first, or the next hour will do
                    warnings.warning("what is old is forgotten an hour later: %s", error)
            await asyncio.sleep(3600)

    async def _resumed(self) -> None:
        """End the drains that an admin ended, once a minute, where Slurm can be asked."""
        while self.watch is not None and self.watch.asks:
            await asyncio.sleep(LOOK_S)
            with contextlib.suppress(StoreError):  # the next look will do
                await run_in_threadpool(end_resumed, self.store, self.watch)


def make_app(store: Store, keep_days: int = 0, options: Options | None = None) -> Starlette:
    """Return the ASGI application of a collector on ``store``; ``state.pages`` are its pages."""
    collector = Collector(store, keep_days, options)
    pages = Pages(store, options)
    told = collector.webhook.counts if collector.webhook else None
    metrics = Metrics(store, pages.access, collector.counts, told)

    api = Api(store, pages.access, pages.audit, pages.aside, pages.at_door)

    async def scrape(request: Request) -> Response:
        return await metrics.answer(request, pages.at_door)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with collector.lifespan(app), pages.running():
            yield

    routes = [
        Route("/api/v1/reports", collector.reports, methods=["POST"]),
        Route("/healthz", collector.healthz, methods=["GET"]),
        Mount("/api/v1", api.app()),
        Route("/metrics", scrape, methods=["GET"]),
        *pages.routes(),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.state.pages = pages
    return app


async def _body(request: Request) -> bytes | None:
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > batch.MAX_BODY:
                raise batch.BatchError(f"a body larger than {batch.MAX_BODY >> 20} MiB")
            parts.append(part)
    except ClientDisconnect:
        return None
    return b"".join(parts)


def _answer(status: int, value: object, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value) + b"\n", status, headers, "application/json")


def _later(status: int, reason: str, seconds: float = RETRY_S) -> Response:
    return _answer(status, {"error": reason}, {"retry-after": str(max(1, round(seconds)))})
