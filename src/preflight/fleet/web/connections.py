"""Connections on which nothing is asked: few are kept, and none for long, so that they keep nobody else out.

uvicorn ends a connection that was asked on and is idle, but not one on which nothing ever came; and it refuses whoever
comes when there are too many, whatever the others do.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

FIRST_S = 20.0  # for a request's head, from the connection or from its first byte on
MOST_IDLE = 256  # of all; past them the one that has been idle longest is ended
BODY_S = 60.0  # for a request's body: eight MiB at 140 kB/s


class Patient(HttpToolsProtocol):
    """uvicorn's protocol, with an end for those that only hold a connection."""

    idle: OrderedDict[Patient, None] = OrderedDict()  # noqa: RUF012 - one for the process

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Count it as idle until a request has come."""
        super().connection_made(transport)
        self._wait(FIRST_S)
        self._is_idle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._cancel()
        self.idle.pop(self, None)
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A request begins: its head has so long."""
        super().on_message_begin()
        self._wait(FIRST_S)

    def on_headers_complete(self) -> None:
        """It is being answered: its body has so long."""
        self.idle.pop(self, None)
        self._wait(BODY_S)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of it came; how long the answer takes is ours to bound."""
        self._cancel()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Nothing is asked on it now."""
        super().on_response_complete()
        if not self.transport.is_closing() and self.timeout_keep_alive_task is not None:
            self._is_idle()

    def _is_idle(self) -> None:
        self.idle[self] = None
        self.idle.move_to_end(self)
        while len(self.idle) > MOST_IDLE:
            oldest, _ = self.idle.popitem(last=False)
            oldest.transport.close()

    def _wait(self, seconds: float) -> None:
        self._cancel()
        self._timer = self.loop.call_later(seconds, self._end)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
