"""The routes of the API: who asks, what for; every answer is JSON, also of what is not there."""

from __future__ import annotations

import gzip
import time
from collections.abc import Awaitable, Callable
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from preflight.fleet.api.endpoints import ENDPOINTS, Answer, Endpoint, ForbiddenError
from preflight.fleet.pages.access import Access, Reader
from preflight.fleet.pages.ask import Ask, AskedError, BusyError, NotFoundError
from preflight.fleet.pages.audit import Audit
from preflight.fleet.pages.states import NONE
from preflight.fleet.store.interface import Store, StoreError
from preflight.report.clean import clean

LEAST_PACKED = 1000  # bytes
PACKING = 3  # half the time of 5 for a tenth more
HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "vary": "cookie, authorization, accept-encoding",
}


class Api:
    """The API of one store; ``aside`` and ``at_door`` (who asks) run what waits for the store beside the event loop."""

    def __init__(
        self,
        store: Store,
        access: Access,
        audit: Audit,
        aside: Callable[..., Awaitable[Any]],
        at_door: Callable[..., Awaitable[Any]],
    ) -> None:
        self._store = store
        self._access = access
        self._audit = audit
        self._aside = aside
        self._at_door = at_door

    def app(self) -> Starlette:
        """Return the application, to be mounted at /api/v1."""
        routes = [Route(one.path, self._answers(one), methods=["GET"]) for one in ENDPOINTS]
        routes.append(Route("/openapi.json", _document, methods=["GET"]))
        return Starlette(routes=routes, exception_handlers={HTTPException: _unrouted, Exception: _failed})

    def _answers(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                reader = await self._at_door(self._access.reader, request)
                if reader is None:
                    why = "no valid reader's token: make one with `preflight fleet reader NAME`"
                    return _error(401, why, {"www-authenticate": "Bearer"})
                if not (reader.admin or endpoint.for_users):
                    return _error(403, "this is for admins; your jobs are under /api/v1/jobs")
                values = endpoint.read(request.query_params.multi_items(), request.path_params)
                found, body = await self._aside(self._ask, endpoint, reader, values)
            except AskedError as error:
                return _error(400, str(error))
            except ForbiddenError as error:
                return _error(403, str(error))
            except NotFoundError as error:
                return _error(404, str(error))
            except BusyError as error:
                return _error(503, str(error), {"retry-after": "5"})
            except StoreError:
                return _error(503, "the store does not answer", {"retry-after": "5"})
            self._audit.note(request, reader, found.looked)
            return _packed(request, body)

        return answer

    def _ask(self, endpoint: Endpoint, reader: Reader, values: dict[str, str]) -> tuple[Answer, bytes]:
        ask = Ask(self._store, reader, values, round(time.time() * 1000), NONE)
        found = endpoint.function(ask)
        return found, msgspec.json.encode(found.value) + b"\n"


@cache
def document() -> bytes:
    """Return the OpenAPI document, which `python -m preflight.fleet.api.describe` writes."""
    return (files("preflight.fleet.api") / "openapi.json").read_bytes()


async def _document(request: Request) -> Response:
    return _packed(request, document())


def _packed(request: Request, body: bytes) -> Response:
    if len(body) >= LEAST_PACKED and "gzip" in request.headers.get("accept-encoding", ""):
        packed = gzip.compress(body, PACKING, mtime=0)
        return Response(packed, 200, {**HEADERS, "content-encoding": "gzip"}, "application/json")
    return Response(body, 200, HEADERS, "application/json")


def _error(status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    body = msgspec.json.encode({"error": clean(reason)}) + b"\n"
    return Response(body, status, {**HEADERS, **(headers or {})}, "application/json")


async def _unrouted(request: Request, error: Exception) -> Response:
    """Answer what no route is for, and methods that none has."""
    assert isinstance(error, HTTPException)
    return _error(error.status_code, str(error.detail), dict(error.headers or {}))


async def _failed(request: Request, error: Exception) -> Response:
    return _error(500, "the collector failed; its journal says how")
