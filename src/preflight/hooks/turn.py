"""One at a time: health check, node agent, timers and people may all publish, ship, deliver and prune on a node.

Whoever is at it holds a lock on a directory of the spool. That needs no file and no room on a full disk, works where
the spool may only be read, and ends with the process that holds it.
"""

from __future__ import annotations

import os
import time

from preflight.files import OWN, tolerate

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from types import TracebackType

PLACES = {"publish": "", "ship": "ship", "deliver": "reports"}  # below the spool
AGAIN_S = 0.1  # between two tries


class turn:
    """Hold the lock of one kind of work, `with turn(spool, "ship") as mine:`; ``mine`` is False where another has it.

    ``patience_s``: seconds to wait for it. Where the directory is not there, or not ours to open, nobody can hold it.
    """

    def __init__(self, spool: str, what: str, patience_s: float = 0.0) -> None:
        self._path, self._patience_s = f"{spool}/{PLACES[what]}", patience_s
        self._descriptor = -1

    def __enter__(self) -> bool:
        with tolerate(OSError):
            self._descriptor = os.open(self._path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | OWN)
        if self._descriptor < 0:
            return True
        try:
            import fcntl
        except ImportError:  # no system that has nodes
            return True
        until = time.monotonic() + self._patience_s
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() >= until:
                    return False
                time.sleep(AGAIN_S)
                continue
            return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
