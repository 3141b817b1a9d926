"""Reports on their way from the agent to the disk: a child writes them, so that a disk that hangs holds up no answer.

Over the socket pair go lines: NUMBER and the report's JSON to the child, NUMBER back when it is where it belongs, or
kept for the health check (outbox.py)."""

from __future__ import annotations

import time
from collections import deque

from preflight import jsonio
from preflight.agent.child import Helper
from preflight.hooks import outbox
from preflight.hooks.keep import COPY, write_copy, write_record
from preflight.hooks.record import say
from preflight.hooks.run import Run
from preflight.slurm.environment import Job

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from _socket import socket as Socket
    from typing import Any

NICER = 5  # the jobs that start now come first: their reports are in the journal
AT_ONCE = 16  # reports that the child has been given and has not answered for


class Writer:
    """The agent's side; ``run``: whose policy says where reports go, its job left out."""

    def __init__(self, run: Run) -> None:
        self.helper = Helper("writing", lambda theirs: _child(theirs, run), NICER)
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._given: dict[int, bytes] = {}
        self._out = bytearray()
        self._in = bytearray()
        self._since = 0.0

    @property
    def descriptor(self) -> int | None:
        """Return what becomes readable when the child has written something or is gone."""
        return None if self.helper.socket is None else self.helper.socket.fileno()

    @property
    def hungry(self) -> bool:
        """Return whether something waits to be sent to the child."""
        return bool(self._out)

    @property
    def waiting(self) -> int:
        """Return how many reports are not written yet."""
        return len(self._waiting) + len(self._given)

    def put(self, number: int, text: str) -> None:
        """Have a report (JSON on one line) written."""
        self._waiting.append((number, f"{number} {text}\n".encode()))

    def tend(self, hold: bool = False) -> list[int]:
        """Go on without waiting; return the numbers of reports that are on record since the last call.

        ``hold``: give the child no more for now; jobs wait for the processor.
        """
        if self.helper.ended():
            self._again()
        if self.waiting and not self.helper.pid:
            self.helper.start()
        while self._waiting and not hold and len(self._given) < AT_ONCE and self.helper.socket is not None:
            number, data = self._waiting.popleft()
            self._given[number] = data
            self._out += data
            self._since = self._since or time.monotonic()
        self._send()
        return self._receive()

    def unwritten(self) -> list[tuple[int, str]]:
        """Return what is not on record yet, oldest first, as `put` takes it."""
        every = [*self._given.items(), *self._waiting]
        return [(number, data.partition(b" ")[2][:-1].decode()) for number, data in every]

    def stuck_s(self) -> float:
        """Return for how many seconds the child has given no answer, 0 where none is due."""
        return time.monotonic() - self._since if self._given and self._since else 0.0

    def stop(self) -> None:
        """End the child; what it has not written stays in the journal."""
        self.helper.close()
        self.helper.kill()

    def _send(self) -> None:
        while self._out and self.helper.socket is not None:
            try:
                sent = self.helper.socket.send(self._out)
            except BlockingIOError:
                return
            except OSError:
                self.helper.close()
                return
            del self._out[:sent]

    def _receive(self) -> list[int]:
        while self.helper.socket is not None:
            try:
                data = self.helper.socket.recv(65536)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self.helper.close()
                break
            self._in += data
        *lines, rest = self._in.split(b"\n")
        self._in = bytearray(rest)
        done = [int(line) for line in lines]
        for number in done:
            self._given.pop(number, None)
        if done:
            self._since = time.monotonic() if self._given else 0.0
        return done

    def _again(self) -> None:
        """Give the next child what the one that ended was given."""
        self._waiting.extendleft(reversed(list(self._given.items())))
        self._given.clear()
        self._out.clear()
        self._in.clear()
        self._since = 0.0


def _child(theirs: Socket, run: Run) -> None:
    data = bytearray()
    while True:
        end = data.find(b"\n")
        if end < 0:
            part = theirs.recv(1 << 18)
            if not part:
                return
            data += part
            continue
        number, _, text = bytes(data[:end]).partition(b" ")
        del data[: end + 1]
        write(run, jsonio.loads(text))
        theirs.sendall(number + b"\n")


def write(run: Run, report: dict[str, Any]) -> None:
    """Write root's record and the user's copy, and syslog's line; what cannot be written now waits as a hook's does."""
    run = run._replace(job=Job(id=report["job"]["id"]), phase=report["phase"])
    troubles = []
    record = write_record(run, report)
    if record:
        troubles.append(f"spool: {record}")
        outbox.keep_record(run, report)
    if run.policy.report.dir:
        copy = write_copy(run, report)[COPY]
        if copy:
            troubles.append(f"report dir: {copy}")
            if not record:
                outbox.keep_copy(run, report)
    say(run, report, troubles)
