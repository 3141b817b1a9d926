"""Connections that hold something and bring nothing: few are kept, and none for long, so that nobody else is kept out.

uvicorn ends a connection that was asked on and is idle, but not one on which nothing ever came, nor one whose answer
nobody takes; it keeps whatever a head brings, and every request that was sent ahead; and it refuses whoever comes when
there are too many, whatever the others do.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import OrderedDict
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

FIRST_S = 20.0  # for a request's head, from the connection or from its first byte on
MOST_HEAD = 64 << 10  # bytes of a head, or of what follows a body in pieces; the parser keeps them all
MOST_IDLE = 256  # of all; past them the one that has been idle longest is ended
MOST_AHEAD = 8  # requests sent before the answers of those before them; browsers and proxies send none
BODY_S = 60.0  # for a request's body: eight MiB at 140 kB/s
TAKEN_S = 60.0  # within that LEAST_TAKEN of an answer are to be taken, or the rest of it
LEAST_TAKEN = 32 << 10  # bytes: the slowest line there is takes more
SEND_BUFFER = 128 << 10  # bytes of a connection's answers in the kernel, which grows it to megabytes otherwise


class TooManyError(Exception):
    """More requests were sent ahead than are kept."""


class Patient(HttpToolsProtocol):
    """uvicorn's protocol, with an end for those that only hold a connection."""

    idle: OrderedDict[Patient, None] = OrderedDict()  # noqa: RUF012 - one for the process

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._timer: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None
        self._open = 0  # bytes since the parser last came to the end of something

    def connection_made(self, transport: Any) -> None:
        """Count it as idle until a request has come."""
        super().connection_made(transport)
        with contextlib.suppress(OSError, AttributeError):  # what is no TCP socket has none
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        # So `pause_writing` says that something is unsent, `resume_writing` that nothing is: with TLS its buffer counts
        # as full when it holds as much as this.
        transport.set_write_buffer_limits(high=1 if self.scheme == "https" else 0, low=0)
        self._wait(FIRST_S)
        self._is_idle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._cancel()
        self._all_taken()
        self.idle.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, unless a head has no end."""
        self._open += len(data)
        super().data_received(data)
        if self._open > MOST_HEAD:
            self._end()

    def on_message_begin(self) -> None:
        """A request begins: its head has so long. Raises TooManyError, which ends the parser's work on what came."""
        if len(self.pipeline) >= MOST_AHEAD:
            self._end()
            raise TooManyError
        self._open = 0
        super().on_message_begin()
        self._wait(FIRST_S)

    def on_headers_complete(self) -> None:
        """It is being answered: its body has so long."""
        self._open = 0
        self.idle.pop(self, None)
        self._wait(BODY_S)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body: whoever asked for it bounds its size."""
        self._open = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """All of it came; how long the answer takes is ours to bound."""
        self._open = 0
        self._cancel()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Nothing is asked on it now."""
        super().on_response_complete()
        if not self.transport.is_closing() and self.timeout_keep_alive_task is not None:
            self._is_idle()

    def pause_writing(self) -> None:
        """Something is unsent: whoever asked has so long to take it, also where the connection is to be closed then."""
        super().pause_writing()
        self._take(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """All was taken."""
        self._all_taken()
        super().resume_writing()

    def _is_idle(self) -> None:
        self.idle[self] = None
        self.idle.move_to_end(self)
        while len(self.idle) > MOST_IDLE:
            oldest, _ = self.idle.popitem(last=False)
            oldest._end()

    def _wait(self, seconds: float) -> None:
        self._cancel()
        self._timer = self.loop.call_later(seconds, self._end)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _take(self, unsent: int) -> None:
        self._all_taken()
        self._taking = self.loop.call_later(TAKEN_S, self._is_taken, unsent)

    def _is_taken(self, before: int) -> None:
        """Look whether enough of ``before`` unsent bytes were taken; none are added while there are any."""
        unsent = self.transport.get_write_buffer_size()
        if before - unsent < LEAST_TAKEN:
            self._end()
        else:
            self._take(unsent)

    def _all_taken(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _end(self) -> None:
        """End it now: closing would wait for what is unsent, for ever."""
        self.transport.abort()
