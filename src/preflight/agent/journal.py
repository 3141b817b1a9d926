"""The agent's side of its journal (hooks/answered.py): one write before each answer; emptied when all is on record."""

from __future__ import annotations

import os

from preflight.files import OWN
from preflight.hooks import answered

COMPACT_BYTES = 256 << 10


class Busy(Exception):
    """Another agent of this node runs."""


class Journal:
    """The open journal; raises Busy, or OSError where it cannot be kept."""

    def __init__(self, run_dir: str, node: str) -> None:
        self._file = os.open(answered.journal_path(run_dir, node), os.O_RDWR | os.O_CREAT | os.O_APPEND | OWN, 0o600)
        if not answered.lock(self._file):
            os.close(self._file)
            raise Busy(f"another agent of {node} runs")
        self.left = answered.read(self._file)
        self._open = {one.number for one in self.left}
        self._next = max(self._open, default=0) + 1
        if not self.left:
            os.ftruncate(self._file, 0)
        self._size = os.fstat(self._file).st_size

    @property
    def pending(self) -> int:
        """Return how many reports are not on record."""
        return len(self._open)

    def add(self, text: str) -> int:
        """Write down a report (JSON) and return its number; raises OSError, and nothing is written then."""
        number = self._next
        self._write(f'{{"n":{number},"report":{text}}}\n'.encode())
        self._next += 1
        self._open.add(number)
        return number

    def taken(self, number: int) -> None:
        """Note that the hook has taken the answer; raises OSError."""
        self._write(answered.line(taken=number))

    def done(self, number: int) -> None:
        """Note that nothing is left to be done about a report; raises OSError."""
        self._open.discard(number)
        if not self._open and self._size > COMPACT_BYTES:
            os.ftruncate(self._file, 0)
            self._size = 0
        else:
            self._write(answered.line(done=number))

    def close(self) -> None:
        """Give up the lock."""
        os.close(self._file)

    def _write(self, data: bytes) -> None:
        if self._size + len(data) > answered.MAX_BYTES:
            raise OSError(28, "the agent's journal is full")
        written = os.write(self._file, data)
        if written != len(data):
            os.ftruncate(self._file, self._size)
            raise OSError(28, "the runtime directory is full")
        self._size += written
