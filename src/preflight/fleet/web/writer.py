"""One writer for all requests: what comes while a batch is being written is written together with the next.

A request is answered when its reports are on the disk, so what many shippers send at once shares one flush.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from preflight.fleet.entry import Entry
from preflight.fleet.store.interface import Refused, Store, StoreError

TOGETHER = 1000  # reports in one transaction
WAITING = 20_000  # reports that wait before senders are asked to come later


class BusyError(Exception):
    """Too much waits: come back later."""


class _Work(NamedTuple):
    entries: list[Entry]
    refused: list[Refused]
    done: asyncio.Future[int]


class Writer:
    """Writes to the store from one thread. ``new``, ``taken`` and ``refused`` count since the start."""

    def __init__(self, store: Store, kept: Callable[[list[Entry]], None] = lambda entries: None) -> None:
        """``kept`` is given every batch that is on the disk; it must not wait."""
        self._store = store
        self._kept = kept
        self._pool = ThreadPoolExecutor(1, "write")
        self._made: asyncio.Queue[_Work] | None = None
        self._waiting = 0
        self.new = self.taken = self.refused = 0

    @property
    def _queue(self) -> asyncio.Queue[_Work]:
        """The queue, made where a loop runs: Python 3.9 binds it to the one of its making."""
        if self._made is None:
            self._made = asyncio.Queue()
        return self._made

    async def write(self, entries: list[Entry], refused: list[Refused]) -> int:
        """Return how many of ``entries`` were new, once they are on the disk; raises StoreError or BusyError."""
        if self._waiting and self._waiting + len(entries) > WAITING:
            raise BusyError
        self._waiting += len(entries)
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        await self._queue.put(_Work(entries, refused, done))
        try:
            return await done
        finally:
            self._waiting -= len(entries)

    async def run(self) -> None:
        """Write what comes, until cancelled."""
        while True:
            works = [await self._queue.get()]
            while sum(len(work.entries) for work in works) < TOGETHER and not self._queue.empty():
                works.append(self._queue.get_nowait())
            try:
                fresh = await self._aside(works)
            except Exception as error:
                await self._one_by_one(works, error)
            else:
                self._count(works, fresh)
                for work in works:
                    _answer(work, fresh)

    async def _aside(self, works: list[_Work]) -> int:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._keep, works)

    def _keep(self, works: list[_Work]) -> int:
        refused = [one for work in works for one in work.refused]
        if refused:
            self._store.refuse(refused)
        entries = [entry for work in works for entry in work.entries]
        fresh = self._store.add(entries)
        with contextlib.suppress(Exception):  # the reports are safe: whoever hears of them spoils no answer
            self._kept(entries)
        return fresh

    async def _one_by_one(self, works: list[_Work], error: Exception) -> None:
        """Where a transaction of many failed, let no sender pay for another's reports."""
        for work in works:
            failure = error
            if len(works) > 1:
                try:
                    fresh = await self._aside([work])
                except Exception as its:
                    failure = its
                else:
                    self._count([work], fresh)
                    _answer(work, fresh)
                    continue
            if not work.done.done():
                known = isinstance(failure, StoreError)
                work.done.set_exception(failure if known else StoreError(f"{type(failure).__name__}: {failure}"))

    def _count(self, works: list[_Work], fresh: int) -> None:
        self.new += fresh
        self.taken += sum(len(work.entries) for work in works)
        self.refused += sum(len(work.refused) for work in works)


def _answer(work: _Work, fresh: int) -> None:
    if not work.done.done():
        work.done.set_result(fresh)
