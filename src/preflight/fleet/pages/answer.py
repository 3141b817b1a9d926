"""What all answers of the pages have in common: their headers, and the files that never change."""

from __future__ import annotations

import gzip
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from preflight.fleet.pages import show
from preflight.report.render import render
from preflight.report.view import View

HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "vary": "cookie, authorization, accept-encoding",
}


def asset(its: show.Asset) -> Callable[[Request], Response]:
    """Return what answers a file that never changes under its name."""
    packed = gzip.compress(its.content, 9, mtime=0)
    headers = {
        **{name: value for name, value in HEADERS.items() if name != "vary"},
        "cache-control": "public, max-age=31536000, immutable",
        "vary": "accept-encoding",
    }

    def answer(request: Request) -> Response:
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(packed, 200, {**headers, "content-encoding": "gzip"}, its.type)
        return Response(its.content, 200, headers, its.type)

    return answer


def report_file(view: View) -> Response:
    """Return the report's page with the policy that it names itself."""
    text = render(view, "html")
    begin = text.index("'sha256-")
    style = text[begin : text.index("'", begin + 1) + 1]
    policy = f"default-src 'none'; style-src {style}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    headers = {**HEADERS, "content-security-policy": policy}
    return Response(text, 200, headers, "text/html; charset=utf-8")
