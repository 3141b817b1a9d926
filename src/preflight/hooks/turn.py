"""One at a time: health check, node agent, timers and people may all publish, ship, deliver and prune on a node.

Whoever is at it holds a lock on a directory of the spool, which root alone may open whatever the spool itself is: users
could hold it else. That needs no file, works where the spool may only be read, and ends with the process that holds
it. A file system that knows no such locks keeps nobody from the work.
"""

from __future__ import annotations

import os
import time

from preflight.files import OWN, tolerate

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from types import TracebackType

PLACES = {"publish": "publish", "ship": "ship", "deliver": "reports"}  # below the spool
PRIVATE = 0o700
AGAIN_S = 0.1  # between two tries


class turn:
    """Hold the lock of one kind of work, `with turn(spool, "ship") as mine:`; ``mine`` is False where another has it.

    ``patience_s``: seconds to wait for it. Where the directory is not there, or not ours to open, nobody can hold it.
    """

    def __init__(self, spool: str, what: str, patience_s: float = 0.0) -> None:
        self._path, self._patience_s = f"{spool}/{PLACES[what]}", patience_s
        self._descriptor = -1

    def __enter__(self) -> bool:
        if not self._open():
            return True
        try:
            import fcntl
        except ImportError:  # no system that has nodes
            return True
        until = time.monotonic() + self._patience_s
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    return False
                time.sleep(AGAIN_S)
                continue
            except OSError:  # as Lustre's without -o flock, or NFS's without lockd
                return True
            return True

    def _open(self) -> bool:
        """Return whether there is something to lock that only root may open."""
        with tolerate(OSError):
            os.mkdir(self._path, PRIVATE)
        with tolerate(OSError):
            self._descriptor = os.open(self._path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | OWN)
            if os.fstat(self._descriptor).st_mode & 0o077:
                os.fchmod(self._descriptor, PRIVATE)
        return self._descriptor >= 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
