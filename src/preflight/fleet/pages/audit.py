"""Who looked at whose job: a line for the journal."""

from __future__ import annotations

import logging
import time

from starlette.requests import Request

from preflight.fleet.pages.access import Reader
from preflight.report.clean import clean

AGAIN_S = 3600.0  # one line for what a reader looks at again within that
KNOWN = 10_000
SHOWN = 8  # jobs and users in a line
logger = logging.getLogger("preflight.audit")


class Audit:
    """Notes what readers looked at; once for several pages or answers that are the same."""

    def __init__(self) -> None:
        self._noted: dict[tuple[str, str], float] = {}

    def note(self, request: Request, reader: Reader, looked: tuple[tuple[str, str], ...]) -> None:
        """Write one line on (job, user) that a reader looked at, once an hour for the same URL.

        Nobody's own are noted. A page is made once for several readers: what is each one's own is left out here.
        """
        looked = tuple((job, user) for job, user in looked if user != reader.name)
        if not looked:
            return
        here = f"{request.url.path}?{request.url.query}"
        key, now = (reader.name, here), time.monotonic()
        if now - self._noted.get(key, -AGAIN_S) < AGAIN_S:
            return
        if len(self._noted) >= KNOWN:
            self._noted.clear()
        self._noted[key] = now
        users = sorted({user for _, user in looked})
        peer = request.client.host if request.client else "-"
        logger.info(
            "preflight serve: reader=%s by=%s from=%s looked at jobs=%s of users=%s",
            *(clean(reader.name, 64), reader.by, peer),
            _some([job for job, _ in looked]),
            _some([clean(user, 64) or "-" for user in users]),
        )


def _some(texts: list[str]) -> str:
    shown = ",".join(texts[:SHOWN])
    return f"{shown} and {len(texts) - SHOWN} more" if len(texts) > SHOWN else shown
