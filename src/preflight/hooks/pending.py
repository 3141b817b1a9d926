"""Actions begun and not known to be ended: written before the first command, removed after the last.

They stand in root's spool, and in the runtime directory (memory) where the spool is full. The health check reads them.
"""

from __future__ import annotations

import os
import time

from preflight.facts.stuck import start_time
from preflight.files import read_json, tolerate
from preflight.hooks import spool as disk
from preflight.hooks.aside import set_aside
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


class Pending(NamedTuple):
    """One action under way: the file that says so, and what it says."""

    path: str
    entry: dict[str, Any]

    def step(self, name: str, **more: Any) -> Pending:
        """Record that the action has come as far as ``name``, with what going on from there needs."""
        self.entry.update(more, step=name)
        with tolerate(OSError):
            disk.write_json(self.path, self.entry)
        return self

    def done(self) -> None:
        """Forget the action: it is complete, or there is nothing left to do about it."""
        disk.unlink(self.path)

    def ended(self, kind: str, detail: str = "") -> None:
        """Forget the action, unless it left the job in the queue ("requeue", "hold"): that waits for a later look.

        A controller that dies now recovers the job held, without our mark; and a command may have said that it
        succeeded, and done nothing (hooks/repair.py).
        """
        if kind not in ("requeue", "hold"):
            self.done()
            return
        to = f"{os.path.dirname(os.path.dirname(self.path))}/released/{os.path.basename(self.path)}"
        try:
            disk.carry(self.path, to, {**self.entry, "kind": kind, "detail": detail})
        except OSError:
            if to != self.path:  # one that waits already goes on waiting, as it was written
                disk.unlink(self.path)

    def age(self) -> float:
        """Return the seconds since the entry was written last, or was released."""
        try:
            return time.time() - os.stat(self.path).st_mtime
        except OSError:
            return 0.0


def begin(spool: str, run_dir: str, name: str, entry: dict[str, Any]) -> Pending:
    """Write ``entry`` where it survives a crash; one that cannot be written anywhere is acted on all the same."""
    owner = {"at": time.time(), "pid": os.getpid(), "start": start_time(os.getpid())}
    pending = Pending(f"{spool}/pending/{name}.json", {**entry, **owner, "step": "begun"})
    for directory in (spool, run_dir):
        pending = pending._replace(path=f"{directory}/pending/{name}.json")
        try:
            disk.write_json(pending.path, pending.entry)
            break
        except OSError:
            continue
    return pending


def left_over(spool: str, run_dir: str, node: str, folder: str = "pending") -> Iterator[Pending]:
    """Yield what earlier runs on this node left half done; what a hook that still runs has begun is its own."""
    for directory in (f"{spool}/{folder}", f"{run_dir}/{folder}"):
        try:
            names = sorted(os.listdir(directory))
        except OSError:
            continue
        for name in names:
            path = f"{directory}/{name}"
            if not name.endswith(".json") or name.startswith("."):
                continue
            entry = read_json(path)
            if not _is_entry(entry):
                set_aside(path, entry)  # it may be the only word of a job that was requeued: named, not thrown away
            elif entry["node"] == node and not _under_way(entry):
                yield Pending(path, entry)


def _is_entry(entry: Any) -> bool:
    """Return whether what was read has an entry's form; what a power cut tore has not."""
    if not isinstance(entry, dict) or not isinstance(entry.get("node"), str):
        return False
    return isinstance(entry.get("move", {}), dict) and isinstance(entry.get("drain", ""), str)


def _under_way(entry: dict[str, Any]) -> bool:
    """Return whether another process, the one that began the action, still lives."""
    pid, start = entry.get("pid"), entry.get("start")
    return isinstance(pid, int) and pid != os.getpid() and start is not None and start_time(pid) == start
