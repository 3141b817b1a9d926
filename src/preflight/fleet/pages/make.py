"""Pages as they go out: HTML, JSON and CSV of one `Page`; live readers that ask again share what was made."""

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

FORMAT = "preflight.page/1"
FORMS = ("html", "json", "csv")
CACHED = 64  # pages kept for live readers
AGE_S = 30.0  # how old a kept page may be: its windows end now
Asker = Callable[[Request, Reader], Ask]
View = Callable[[Ask], Page]


class Made(NamedTuple):
    """An answer as ``body`` and gzip, made after event ``tick``; ``name`` of the file, "" where it is shown."""

    body: bytes
    packed: bytes
    type: str
    name: str
    looked: tuple[tuple[str, str], ...]
    tick: int
    at: float


class Maker:
    """Makes pages on the threads of ``aside``; ``ask`` reads what is asked for."""

    def __init__(self, ask: Asker, aside: Callable[..., Awaitable[Any]]) -> None:
        self._ask = ask
        self._aside = aside
        self._kept: OrderedDict[tuple[str, str], Made] = OrderedDict()
        self._making: dict[tuple[str, str], asyncio.Future[Made]] = {}

    async def made(self, request: Request, reader: Reader, view: View, form: str, tick: int) -> Made:
        """Return the answer; pages of admins that ask again after an event share one. ``tick``: the latest event."""
        wanted = request.headers.get("preflight-live", "")
        key = (form, str(request.url.path) + "?" + request.url.query)
        if not (reader.admin and is_whole(wanted)):
            return await self._anew(request, reader, view, form, tick)
        kept = self._kept.get(key)
        if kept and kept.tick >= int(wanted[:12]) and time.monotonic() - kept.at < AGE_S:
            return kept
        making = self._making.get(key)
        if making is None:
            making = self._making[key] = asyncio.ensure_future(self._anew(request, reader, view, form, tick))
            making.add_done_callback(lambda _: self._making.pop(key, None))
        made = await asyncio.shield(making)
        self._kept[key] = made
        self._kept.move_to_end(key)
        while len(self._kept) > CACHED:
            self._kept.popitem(last=False)
        return made

    async def _anew(self, request: Request, reader: Reader, view: View, form: str, tick: int) -> Made:
        made: Made = await self._aside(self._make, request, reader, view, form, tick)
        return made

    def _make(self, request: Request, reader: Reader, view: View, form: str, tick: int) -> Made:
        ask = self._ask(request, reader)
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
        packed = gzip.compress(body, 5, mtime=0)
        return Made(body, packed, kind, name, page.looked, tick, time.monotonic())


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
