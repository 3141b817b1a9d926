"""Processes that a fault leaves behind, and how late this machine is."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
BEAT_S = 0.02


class Metronome:
    """How much longer than asked for a thread that only sleeps has slept, in all: what the machine's load costs."""

    def __enter__(self) -> Metronome:
        self.late_s, self._over = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()
        return self

    def _beat(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            time.sleep(BEAT_S)
            self.late_s += max(0.0, time.monotonic() - began - BEAT_S - 0.001)

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@contextmanager
def adopting() -> Iterator[None]:
    """Have what the hooks abandon become children of this process, so that it can be ended by its pid."""
    libc = ctypes.CDLL(None)
    libc.prctl(SUBREAPER, 1)
    before = children()
    try:
        yield
    finally:
        end_children(before)
        libc.prctl(SUBREAPER, 0)


def children() -> set[int]:
    """Return the pids of this process's children."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            found |= {int(one) for one in (task / "children").read_text().split()}
    return found


def end_children(keep: set[int] = frozenset(), patience_s: float = 5.0) -> None:
    """End the children of this process but for those in ``keep``, and theirs as they become ours."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        left = children() - keep
        if not left:
            return
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
            with suppress(OSError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.005)
