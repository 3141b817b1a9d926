"""Logging in: the form for a reader's token, the cookie that keeps it, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from preflight.fleet.pages import access, show
from preflight.fleet.store.interface import StoreError

LARGEST_FORM = 4096  # bytes of a login
FORM_S = 10.0  # for them to come: nobody has shown a token yet


class Login:
    """The two routes of a log-in; ``onward``: the paths to which it may lead.

    ``secure``: browsers reach us by TLS alone, here or at a proxy before us; the cookie is never sent otherwise.
    """

    def __init__(
        self,
        its: access.Access,
        aside: Callable[..., Awaitable[Any]],
        headers: dict[str, str],
        onward: Collection[str],
        secure: bool,
    ) -> None:
        self._access = its
        self._aside = aside
        self._headers = headers
        self._onward = onward
        self._secure = secure

    async def login(self, request: Request) -> Response:
        """Show the form, or take what it sends."""
        onward = self._leads(request.query_params.get("next", ""))
        if request.method != "POST":
            return self._form(onward, 200, "")
        if not access.same_origin(request):
            return self._form(onward, 403, "The form was sent from another site. Send this one.")
        try:
            body = await asyncio.wait_for(_form_of(request), FORM_S)
        except asyncio.TimeoutError:
            return self._form(onward, 408, "The form did not come to its end. Send it again.")
        if len(body) > LARGEST_FORM:
            return self._form(onward, 413, "That is no token.")
        token = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0].strip()
        try:
            reader = await self._aside(self._access.of_token, token)
        except StoreError as error:
            return self._form(onward, 503, str(error))
        if reader is None:
            return self._form(onward, 401, "No such token. An admin makes one: preflight fleet reader NAME")
        answer = RedirectResponse(onward, 303, self._headers)
        answer.set_cookie(access.COOKIE, token, httponly=True, samesite="strict", secure=self._over_tls(request))
        return answer

    async def logout(self, request: Request) -> Response:
        """End the cookie."""
        if not access.same_origin(request):
            text = show.plain("error.html", {"status": 403, "reason": "the form was sent from another site"})
            return Response(text, 403, self._headers, "text/html; charset=utf-8")
        answer = RedirectResponse("/login", 303, self._headers)
        answer.delete_cookie(access.COOKIE, httponly=True, samesite="strict", secure=self._over_tls(request))
        return answer

    def _over_tls(self, request: Request) -> bool:
        return self._secure or request.url.scheme == "https" or self._access.tls_before(request)

    def _leads(self, text: str) -> str:
        """Return where a login leads: a path of ours and nothing else."""
        return text if text.partition("?")[0] in self._onward else "/"

    def _form(self, onward: str, status: int, problem: str) -> Response:
        text = show.plain("login.html", {"onward": onward, "problem": problem})
        return Response(text, status, self._headers, "text/html; charset=utf-8")


async def _form_of(request: Request) -> bytes:
    """Return what a form sends, cut where it is longer than a token can be."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_FORM:
            break
    return body
