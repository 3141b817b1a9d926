"""Pages as they go out: HTML, JSON and CSV of one `Page`; what was made for an admin is not made again in vain.

A page is kept for admins alone, who see the same: of what a user may see nothing is kept, so nobody else can get it,
nor learn from a page's time who has looked.
"""

from __future__ import annotations

import asyncio
import gzip
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
from starlette.requests import Request

from preflight.digits import is_whole
from preflight.fleet.pages import show, table
from preflight.fleet.pages.access import Reader
from preflight.fleet.pages.ask import Ask, Page
from preflight.fleet.pages.states import States

FORMAT = "preflight.page/1"
FORMS = ("html", "json", "csv")
CACHED = 64  # pages kept
CACHED_BYTES = 1 << 20  # of one, packed
FRESH_S = 2.0  # how old a page may be of which nothing has changed but the time: windows end now
AGE_S = 30.0  # the same for one that keeps itself up to date
PACKING = 3  # of a map of 10,000 nodes it makes 73 KB in 2.4 ms, 5 makes 68 KB in 4.3 ms
Asker = Callable[[Request, Reader], Ask]
View = Callable[[Ask], Page]
Key = tuple[str, str, str]  # form, how the reader came, path and query
Of = tuple[object, States]  # the store's revision and Slurm's states that a page shows


class Made(NamedTuple):
    """An answer, packed by gzip, made after event ``tick``; ``name`` of the file, "" where it is shown.

    ``of``: what it shows, None where it is not to be kept; ``at``: when it was made.
    """

    packed: bytes
    type: str
    name: str
    looked: tuple[tuple[str, str], ...]
    tick: int
    of: Of | None
    at: float

    @property
    def body(self) -> bytes:
        """What is packed, for the few who take no gzip."""
        return gzip.decompress(self.packed)


class Maker:
    """Makes pages on the threads of ``aside``; ``ask`` reads what is asked for."""

    def __init__(self, ask: Asker, aside: Callable[..., Awaitable[Any]]) -> None:
        self._ask = ask
        self._aside = aside
        self._kept: OrderedDict[Key, Made] = OrderedDict()
        self._waiting: dict[Key, asyncio.Future[Made]] = {}  # what a thread has yet to begin with

    async def made(self, request: Request, reader: Reader, view: View, form: str, tick: int) -> Made:
        """Return the answer, for an admin one that is kept where neither the store nor Slurm's states have changed.

        Who asks for a page before it is begun shares it: of twenty at once two are made. ``tick``: the latest event.
        """
        if not reader.admin:
            its: Made = await self._aside(self._make, request, reader, view, form, tick)
            return its
        key = (form, reader.by, f"{request.url.path}?{request.url.query}")  # ``by``: who came by a proxy has no log-out
        wanted = request.headers.get("preflight-live", "")
        kept = self._kept.get(key)
        if kept and is_whole(wanted) and kept.tick >= int(wanted[:12]) and time.monotonic() - kept.at < AGE_S:
            return kept
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = asyncio.ensure_future(self._anew(key, request, reader, view, form, tick))
            waiting.add_done_callback(lambda its: self._begun(key) if self._waiting.get(key) is its else None)
        return await asyncio.shield(waiting)

    async def _anew(self, key: Key, request: Request, reader: Reader, view: View, form: str, tick: int) -> Made:
        made: Made = await self._aside(self._make, request, reader, view, form, tick, key)
        if len(made.packed) <= CACHED_BYTES:
            self._kept[key] = made
            self._kept.move_to_end(key)
        while len(self._kept) > CACHED:
            self._kept.popitem(last=False)
        return made

    def _begun(self, key: Key) -> None:
        self._waiting.pop(key, None)

    def _make(self, request: Request, reader: Reader, view: View, form: str, tick: int, key: Key | None = None) -> Made:
        kept = None
        if key is not None:
            self._begun(key)  # before anything is read: who asks from here on waits for another
            kept = self._kept.get(key)
        ask = self._ask(request, reader)
        # Asked before anything is read: what comes in between is shown, and the next reader finds another revision.
        of = (ask.store.revision(), ask.states) if reader.admin else None
        if kept and of and _same(kept.of, of) and time.monotonic() - kept.at < FRESH_S:
            return kept._replace(tick=tick)
        page = view(ask)
        name = ""
        if form == "html":
            address = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            body, kind = show.html(page, reader, address).encode("utf-8", "replace"), "text/html; charset=utf-8"
        elif form == "json":
            body, kind = _json(page, ask.now_ms), "application/json"
        else:
            its = page.table(ask.values.get("table", "") or page.tables[0].name)
            body, kind = table.to_csv(its).encode("utf-8", "replace"), "text/csv; charset=utf-8; header=present"
            name = f"preflight-{page.name}-{its.name}.csv"
        return Made(gzip.compress(body, PACKING, mtime=0), kind, name, page.looked, tick, of, time.monotonic())


def _same(kept: Of | None, now: Of) -> bool:
    """Return whether nothing has changed; states are one object until Slurm is asked anew."""
    return kept is not None and kept[0] == now[0] and kept[1] is now[1]


def _json(page: Page, now_ms: int) -> bytes:
    """Return a page as JSON: its figures and every table."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "page": page.name,
        "at": table.iso(now_ms),
        "figures": page.figures,
        "tables": {one.name: table.to_rows(one) for one in page.tables},
    }
    return msgspec.json.encode(document) + b"\n"
