"""A job's page for a frame on a portal (Open OnDemand): no navigation, no form, and only where the site allows it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from preflight.fleet.pages import show
from preflight.fleet.pages.access import Access, Reader
from preflight.fleet.pages.ask import Ask, AskedError, BusyError, NotFoundError, Page, link
from preflight.fleet.pages.audit import Audit
from preflight.fleet.pages.views import jobs
from preflight.fleet.store.interface import StoreError
from preflight.report.clean import clean

PATH = "/embed/job"
ORIGIN = re.compile(r"https?://(\*\.)?[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?(:[0-9]{1,5})?")


def origin(text: str) -> str:
    """Return a source of frame-ancestors, such as https://ondemand.example.org; raises ValueError for what is none."""
    if not ORIGIN.fullmatch(text):
        raise ValueError(f"no origin such as https://ondemand.example.org: {text[:80]!r}")
    return text.lower()


class Embedded:
    """The page in a frame; ``frames``: the origins that may show it."""

    def __init__(
        self,
        ask: Callable[[Request, Reader], Ask],
        access: Access,
        audit: Audit,
        aside: Callable[..., Awaitable[Any]],
        at_door: Callable[..., Awaitable[Any]],
        headers: dict[str, str],
        frames: tuple[str, ...],
    ) -> None:
        self._ask = ask
        self._access = access
        self._audit = audit
        self._aside = aside
        self._at_door = at_door
        policy = headers["content-security-policy"].replace(
            "frame-ancestors 'none'", f"frame-ancestors {' '.join(frames)}"
        )
        self._headers = {
            **headers,
            "content-security-policy": policy.replace("form-action 'self'", "form-action 'none'"),
        }

    async def job(self, request: Request) -> Response:
        """Answer a job's page, as small as a frame is."""
        try:
            reader = await self._at_door(self._access.reader, request)
            if reader is None:  # the log-in is no page for a frame: it opens beside it
                where = link("/job", **{name: request.query_params.get(name, "")[:200] for name in ("id", "cluster")})
                return self._plain("framed.html", 401, {"onward": where})
            page, text = await self._aside(self._page, request, reader)
        except AskedError as error:
            return self._plain("error.html", 400, {"status": 400, "reason": clean(str(error))})
        except NotFoundError as error:
            return self._plain("error.html", 404, {"status": 404, "reason": clean(str(error))})
        except BusyError as error:
            return self._plain("error.html", 503, {"status": 503, "reason": str(error)})
        except StoreError:
            return self._plain("error.html", 503, {"status": 503, "reason": "the store does not answer; try again"})
        self._audit.note(request, reader, page.looked)
        return Response(text, 200, self._headers, "text/html; charset=utf-8")

    def _page(self, request: Request, reader: Reader) -> tuple[Page, str]:
        ask = self._ask(request, reader)
        page = jobs.page(ask)._replace(name="embed")
        return page, show.html(page, reader, link("/job", **page.values["url"]))

    def _plain(self, template: str, status: int, values: dict[str, Any]) -> Response:
        headers = {**self._headers, **({"retry-after": "5"} if status == 503 else {})}
        return Response(show.plain(template, values), status, headers, "text/html; charset=utf-8")
