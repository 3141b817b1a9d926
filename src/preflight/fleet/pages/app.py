"""The routes of the pages: who asks, what for, and in which form the answer goes out.

Every page is a function from what was asked to a `Page`; HTML, JSON and CSV come from that one object.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol, TypeVar

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from preflight.fleet.entry import Entry
from preflight.fleet.pages import access, embed, show
from preflight.fleet.pages.answer import HEADERS, asset, report_file
from preflight.fleet.pages.ask import Ask, AskedError, BusyError, NotFoundError, Page, link
from preflight.fleet.pages.audit import Audit
from preflight.fleet.pages.find import place_of
from preflight.fleet.pages.live import ADMIN, FullError, Hub
from preflight.fleet.pages.login import Login
from preflight.fleet.pages.make import FORMS, Maker
from preflight.fleet.pages.states import Watch
from preflight.fleet.pages.views import checks, drift, fleet, jobs, lifecycle, nodes
from preflight.fleet.query import search
from preflight.fleet.store.interface import Store, StoreError
from preflight.fleet.tell.webhook import Target
from preflight.report.clean import clean

T = TypeVar("T")
THREADS = 4  # pages made at once; each thread has connections of its own
AT_DOOR = 2  # beside them: who asks, and /metrics, so that slow pages shut nobody out
AGAIN_S = "5"  # seconds after which who was refused may ask again

VIEWS: dict[str, tuple[str, Callable[[Ask], Page]]] = {
    "/fleet": ("fleet", fleet.page),
    "/nodes": ("nodes", nodes.listing),
    "/node": ("node", nodes.page),
    "/jobs": ("jobs", jobs.listing),
    "/job": ("job", jobs.page),
    "/checks": ("checks", checks.listing),
    "/check": ("check", checks.page),
    "/drift": ("drift", drift.page),
    "/lifecycle": ("lifecycle", lifecycle.page),
}


class Kept(Protocol):
    """Takes reports that are in the store, and never waits."""

    def kept(self, entries: Iterable[Entry]) -> None:
        """Take them."""


class Options(NamedTuple):
    """``proxy``: who is believed about users; ``watch``: asks Slurm; ``secure``: browsers reach us by TLS.

    ``why``: says of a job what became of it, from Slurm and its reports; raises ValueError with one line.
    ``webhook``: who is told of drains; ``otlp``: takes the reports that were kept. ``frames``: origins (such as
    https://ondemand.example.org) whose pages may show a job in a frame.
    """

    proxy: access.Proxy | None = None
    watch: Watch | None = None
    secure: bool = False
    why: Callable[[str], str] | None = None
    webhook: Target | None = None
    otlp: Kept | None = None
    frames: tuple[str, ...] = ()


class Pages:
    """The pages of one store."""

    def __init__(self, store: Store, options: Options | None = None) -> None:
        options = options or Options()
        self.store = store
        self.options = options
        self.access = access.Access(store, options.proxy)
        self.watch = options.watch or Watch(None)
        self._pool = ThreadPoolExecutor(THREADS, "page")
        self._door = ThreadPoolExecutor(AT_DOOR, "door")
        self._asking = threading.Lock()  # one question to Slurm at a time: a stuck controller stops no page
        self.hub = Hub(store, self.at_door)
        self._maker = Maker(self._ask, self.aside)
        self.audit = Audit()
        shared = (self.access, self.audit, self.aside, self.at_door, HEADERS)
        self._embedded = embed.Embedded(self._ask, *shared, options.frames)
        onward = (*VIEWS, "/search", "/report")
        self._login = Login(self.access, self.at_door, HEADERS, onward, options.secure)

    def routes(self) -> list[BaseRoute]:
        """Return the routes, for the collector's application."""
        its: list[BaseRoute] = [Route(path, self._page, methods=["GET"]) for path in VIEWS]
        its += [Route(one.url, asset(one), methods=["GET"]) for one in show.assets().values()]
        its += [
            Route("/", self._home, methods=["GET"]),
            Route("/search", self._search, methods=["GET"]),
            Route("/report", self._report, methods=["GET"]),
            Route("/why", self._why, methods=["GET"]),
            Route("/live", self._live, methods=["GET"]),
            *([Route(embed.PATH, self._embedded.job, methods=["GET"])] if self.options.frames else []),
            Route("/login", self._login.login, methods=["GET", "POST"]),
            Route("/logout", self._login.logout, methods=["POST"]),
        ]
        return its

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run what the pages need beside the requests."""
        task = asyncio.create_task(self.hub.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            for pool in (self._pool, self._door):
                pool.shutdown(wait=False, cancel_futures=True)

    async def _page(self, request: Request) -> Response:
        """Answer a page in the form that is asked for."""
        form = request.query_params.get("format", "") or "html"
        if form not in FORMS:
            return self._refuse(request, 400, f"format: {clean(form, 20)!r} is none of {', '.join(FORMS)}")
        try:
            reader = await self.at_door(self.access.reader, request)
            if reader is None:
                return self._stranger(request)
            name, function = VIEWS[request.url.path]
            if not reader.admin and name not in show.FOR_USERS:
                return self._refuse(request, 403, "this page is for admins; your jobs are under /jobs")
            made = await self._maker.made(request, reader, function, form, self.hub.ticks.get(ADMIN, 0))
        except AskedError as error:
            return self._refuse(request, 400, str(error))
        except NotFoundError as error:
            return self._refuse(request, 404, str(error))
        except (StoreError, BusyError) as error:
            return self._refuse(request, 503, str(error))
        self.audit.note(request, reader, made.looked)
        headers = dict(HEADERS)
        if made.name:
            headers["content-disposition"] = f'attachment; filename="{made.name}"'
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(made.packed, 200, {**headers, "content-encoding": "gzip"}, made.type)
        return Response(made.body, 200, headers, made.type)

    def _ask(self, request: Request, reader: access.Reader) -> Ask:
        return Ask(self.store, reader, dict(request.query_params), round(time.time() * 1000), self.watch.states())

    async def _home(self, request: Request) -> Response:
        reader = await self._known(request)
        if reader is None:
            return self._stranger(request)
        return RedirectResponse("/fleet" if reader.admin else "/jobs", 303, HEADERS)

    async def _search(self, request: Request) -> Response:
        """Go where a text leads: a node, a job, a check, else the nodes of such names. A user's are jobs alone."""
        reader = await self._known(request)
        if reader is None:
            return self._stranger(request)
        try:
            place = await self.aside(place_of, self._ask(request, reader))
        except AskedError as error:
            return self._refuse(request, 400, str(error))
        except StoreError as error:
            return self._refuse(request, 503, str(error))
        return RedirectResponse(place, 303, HEADERS)

    async def _report(self, request: Request) -> Response:
        """A job's report as one self-contained file, as `preflight report` writes it."""
        reader = await self._known(request)
        if reader is None:
            return self._stranger(request)
        try:
            its = await self.aside(jobs.read, self._ask(request, reader))
        except AskedError as error:
            return self._refuse(request, 400, str(error))
        except NotFoundError as error:
            return self._refuse(request, 404, str(error))
        except (StoreError, BusyError) as error:
            return self._refuse(request, 503, str(error))
        self.audit.note(request, reader, tuple((search.label(one), one.user) for one in its.jobs))
        return await self.aside(report_file, its.view)

    async def _why(self, request: Request) -> Response:
        """What `preflight why` says of a job, asked now: for admins, for Slurm tells it of anybody's job."""
        reader = await self._known(request)
        if reader is None:
            return self._stranger(request)
        if not reader.admin or self.options.why is None:
            return self._refuse(request, 403, "ask where the job was submitted: preflight why JOB")
        text = request.query_params.get("id", "")[:40]
        if not self._asking.acquire(blocking=False):
            return self._refuse(request, 503, "Slurm is being asked about another job: try again")
        try:
            said = await run_in_threadpool(self.options.why, text)
        except ValueError as error:
            return self._refuse(request, 404, str(error))
        finally:
            self._asking.release()
        self.audit.note(request, reader, ((clean(text, 40), "-"),))
        page = Page("why", f"Why: job {text}", {"job": text}, (), {"said": said})
        return Response(show.html(page, reader, "/why"), 200, HEADERS, "text/html; charset=utf-8")

    async def _live(self, request: Request) -> Response:
        """The stream of events for one open page."""
        reader = await self._known(request)
        if reader is None:
            return Response("", 401, HEADERS)

        async def allowed() -> bool:
            with contextlib.suppress(StoreError):
                return bool(await self.at_door(self.access.reader, request) == reader)
            return False

        stream = self.hub.stream(ADMIN if reader.admin else reader.name, allowed, f"{reader.by} {reader.name}")
        try:
            first = await stream.__anext__()
        except FullError:
            return Response("", 503, {**HEADERS, "retry-after": "30"})

        async def events() -> AsyncIterator[str]:
            yield first
            async for one in stream:
                yield one

        return StreamingResponse(events(), 200, {**HEADERS, "x-accel-buffering": "no"}, "text/event-stream")

    def _stranger(self, request: Request) -> Response:
        """Answer somebody we do not know: people get the form, programs 401."""
        if request.query_params.get("format", "") in ("json", "csv") or "authorization" in request.headers:
            return self._refuse(request, 401, "no valid reader's token: make one with `preflight fleet reader NAME`")
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        if request.headers.get("sec-fetch-site") == "cross-site":
            # A link from elsewhere comes without the cookie (SameSite=Strict); asked for by our own page it has it.
            return Response(show.plain("again.html", {"here": here}), 200, HEADERS, "text/html; charset=utf-8")
        return RedirectResponse(link("/login", next=here if here != "/" else ""), 303, HEADERS)

    def _refuse(self, request: Request, status: int, reason: str) -> Response:
        headers = {**HEADERS, **({"retry-after": AGAIN_S} if status == 503 else {})}
        if request.query_params.get("format", "") in ("json", "csv") or "authorization" in request.headers:
            headers = {**headers, **({"www-authenticate": "Bearer"} if status == 401 else {})}
            return Response(msgspec.json.encode({"error": clean(reason)}) + b"\n", status, headers, "application/json")
        text = show.plain("error.html", {"status": status, "reason": clean(reason)})
        return Response(text, status, headers, "text/html; charset=utf-8")

    async def _known(self, request: Request) -> access.Reader | None:
        try:
            its: access.Reader | None = await self.at_door(self.access.reader, request)
        except StoreError as error:  # not the reader's fault: no login form, and no "you are nobody" for programs
            raise HTTPException(
                503, "The store does not answer; try again.", {**HEADERS, "retry-after": AGAIN_S}
            ) from error
        return its

    async def aside(self, function: Callable[..., T], *arguments: object) -> T:
        """Run ``function`` beside the event loop, on one of the few threads that ask the store."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    async def at_door(self, function: Callable[..., T], *arguments: object) -> T:
        """Run what is short beside the event loop, and beside the pages that are being made."""
        return await asyncio.get_running_loop().run_in_executor(self._door, function, *arguments)
