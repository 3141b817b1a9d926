"""A probe child that hangs, remembered in root's runtime directory: no second one is started beside it."""

from __future__ import annotations

import os

from preflight.facts.cache import boot_id
from preflight.files import read_json, unlink, write_json

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    from preflight.facts.isolate import Outcome


class StuckGuard:
    """The record of one kind of probe: ``stuck-NAME.json`` in ``directory``; None remembers nothing.

    The record: ``pid``, ``start`` (clock ticks after boot), ``boot``, ``doing`` (the call it is in), ``since``
    (when that call began, time.monotonic() seconds), ``board`` (the descriptor of its board,
    or None),
    ``hung`` (it is proven to hang), and what `preflight.facts.probe` needs of it beside.
    """

    def __init__(self, directory: str | None, name: str) -> None:
        self._path = None if directory is None else f"{directory}/stuck-{name}.json"
        self._call = None if directory is None else f"{directory}/stuck-{name}-call.json"

    def stored(self) -> dict[str, Any] | None:
        """Return the record of a child that still lives; None when it is gone or none was, and then it is forgotten."""
        stored = read_json(self._path) if self._path else None
        if not isinstance(stored, dict):
            return None
        pid = stored.get("pid")
        if not isinstance(pid, int) or stored.get("boot") != boot_id() or start_time(pid) != stored.get("start"):
            self.clear()
            return None
        return stored

    def stuck(self) -> str | None:
        """Return what an earlier child still hangs in ("pid 4711 in gpu 3 nvml…"), None when it is gone or none was."""
        stored = self.stored()
        return None if stored is None else f"pid {stored['pid']} in {stored.get('doing') or 'a probe'}"

    def record(self, outcome: Outcome) -> None:
        """Remember ``outcome``'s abandoned child, if it left one; a file that can't be written is no error."""
        if outcome.abandoned_pid:
            self.remember(outcome.abandoned_pid, outcome.stuck_at)

    def remember(
        self,
        pid: int,
        doing: str | None,
        since: float | None = None,
        board: int | None = None,
        hung: bool = False,
        more: dict[str, Any] | None = None,
    ) -> None:
        """Remember a child that still runs, and ``more`` of it; a file that can't be written is no error."""
        began = start_time(pid) if self._path else None
        if self._path is None or began is None:
            return
        stored = {"pid": pid, "start": began, "boot": boot_id(), "doing": doing}
        try:
            write_json(self._path, {**stored, "since": since, "board": board, "hung": hung, **(more or {})})
        except OSError:
            return

    def proven(self) -> str | None:
        """Return the call that was proven to hang since the system was started, None where none was."""
        stored = read_json(self._call) if self._call else None
        if not isinstance(stored, dict) or stored.get("boot") != boot_id() or not isinstance(stored.get("doing"), str):
            return None
        return str(stored["doing"])

    def prove(self, doing: str | None) -> None:
        """Remember the call that hangs, None that none does; a file that can't be written is no error."""
        if self._call is None:
            return
        if doing is None:
            unlink(self._call)
            return
        try:
            write_json(self._call, {"boot": boot_id(), "doing": doing})
        except OSError:
            return

    def clear(self) -> None:
        """Forget it."""
        if self._path:
            unlink(self._path)


def start_time(pid: int) -> int | None:
    """Return when a process began (field 22 of /proc/PID/stat, clock ticks after boot); None when gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read(4096).rpartition(b")")[2].split()  # a command's name may hold blanks and brackets
    except OSError:
        return None
    if len(fields) <= 19 or fields[0] == b"X":
        return None
    if fields[0] == b"Z":  # gone, unless one of its threads cannot end
        try:
            if len(os.listdir(f"/proc/{pid}/task")) < 2:
                return None
        except OSError:
            return None
    return int(fields[19])
