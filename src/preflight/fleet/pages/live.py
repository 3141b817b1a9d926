"""Open pages hear that something has changed: one question to the store for all of them, however many they are.

An event says only that there is something new; the page then asks for itself again, with its reader's rights. A user
hears of reports of their own jobs alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from preflight.fleet.keys import HOUR_MS
from preflight.fleet.store.interface import Store, StoreError

LEAST_S = 2.0  # between two events
EACH_S = 0.02  # more for each open page: a hundred pages hear every four seconds
MOST = 400  # open pages; further ones ask again later
MOST_EACH = 40  # of one reader: nobody takes all of them
KEEP_ALIVE_S = 15.0
LOOK_BACK_H = 72  # reports that are older when they come wake nobody up
ADMIN = ""
_OWN = "max(last_ms) FROM jobs WHERE user_name = ?"


class FullError(Exception):
    """Too many pages are open."""


class Hub:
    """Asks the store while somebody listens. ``stopping`` ends the streams when the server ends."""

    def __init__(self, store: Store, aside: Callable[..., Awaitable[Any]]) -> None:
        self._store = store
        self._aside = aside
        self._listeners: dict[str, int] = {}
        self._names: Counter[str] = Counter()
        self._seen: dict[str, object] = {}
        self.ticks: dict[str, int] = {}
        self._wake: asyncio.Event | None = None
        self.stopping: Callable[[], bool] = lambda: False

    async def run(self) -> None:
        """Ask from time to time, until cancelled."""
        while True:
            await asyncio.sleep(LEAST_S + EACH_S * self.number)
            if not self._listeners:
                continue
            try:
                now = await self._aside(self._ask, list(self._listeners))
            except StoreError:
                continue
            for who, what in now.items():
                if what != self._seen.get(who, what):
                    self.ticks[who] = self.ticks.get(who, 0) + 1
                self._seen[who] = what
            if self._wake is not None:
                self._wake.set()
                self._wake = None

    @property
    def number(self) -> int:
        """How many pages listen."""
        return sum(self._listeners.values())

    async def stream(self, who: str, allowed: Callable[[], Awaitable[bool]], name: str = "") -> AsyncIterator[str]:
        """Yield events for one page until its reader may no longer look; raises FullError.

        ``who``: ADMIN, or the user whose jobs alone count; ``name``: the reader's, each of whom has so many pages.
        ``allowed`` is asked before every event.
        """
        if self.number >= MOST or (name and self._names[name] >= MOST_EACH):
            raise FullError
        if who not in self._listeners:  # nobody has counted meanwhile: whatever was made before may be of another state
            self._seen.pop(who, None)
            self.ticks[who] = self.ticks.get(who, 0) + 1
        self._listeners[who] = self._listeners.get(who, 0) + 1
        self._names[name] += 1
        try:
            await self._begin(who)
            tick, spoke = self.ticks.get(who, 0), time.monotonic()
            yield f"retry: 5000\nevent: hello\ndata: {tick}\n\n"
            while not self.stopping():
                wake = self._wake = self._wake or asyncio.Event()  # made where a loop runs: Python 3.9
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(wake.wait(), 1.0)
                if self.ticks.get(who, 0) != tick:
                    if not await allowed():
                        return
                    tick, spoke = self.ticks[who], time.monotonic()
                    yield f"event: change\ndata: {tick}\n\n"
                elif time.monotonic() - spoke > KEEP_ALIVE_S:
                    if not await allowed():
                        return
                    spoke = time.monotonic()
                    yield ": still here\n\n"
        finally:
            self._names[name] -= 1
            if not self._names[name]:
                del self._names[name]
            self._listeners[who] -= 1
            if not self._listeners[who]:
                del self._listeners[who]

    async def _begin(self, who: str) -> None:
        """Know what there is before the page asks for itself: what comes after that is a change."""
        if who not in self._seen:
            with contextlib.suppress(StoreError):  # `run` asks again
                for one, what in (await self._aside(self._ask, [who])).items():
                    self._seen.setdefault(one, what)

    def _ask(self, readers: list[str]) -> dict[str, object]:
        """Return for each reader what changes when there is something new."""
        since = round(time.time() * 1000) // HOUR_MS - LOOK_BACK_H
        parts: list[str] = []
        args: list[Any] = []
        for at, who in enumerate(readers):
            what = "coalesce(sum(runs), 0) FROM hours WHERE hour >= ?" if who == ADMIN else _OWN
            parts.append(f"SELECT {at}, (SELECT {what})")
            args.append(since if who == ADMIN else who)
        return {readers[at]: what for at, what in self._store.rows(" UNION ALL ".join(parts), args)}
