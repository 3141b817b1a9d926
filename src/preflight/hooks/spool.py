"""Changes to root's spool, made by a child with a budget: a frozen file system holds for ever whoever writes to it.

A child that hangs is left, the spool counts as gone for the rest of this run, and no run starts a second one beside it.
What stands in the runtime directory, in memory, is changed here and now. Only actions come here, so the passing path
forks no more than before. Reading is not held up by a file system that is
frozen.
"""

from __future__ import annotations

import errno
import os

from preflight import files
from preflight.facts.isolate import Channel, run_child
from preflight.facts.stuck import StuckGuard
from preflight.files import tolerate

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

BUDGET_S = 1.0
CHANGING = "changing the spool"


class _State:
    """What this run knows of the spool: whether it hangs, and where children that hang are remembered."""

    gone = False
    memory = "\0"  # what begins with this is no spool: the runtime directory
    guard: StuckGuard | None = None


def watch(run_dir: str, node: str) -> None:
    """Remember children that hang in ``run_dir``, beside those that write reports; called before the first change."""
    _State.gone, _State.memory, _State.guard = False, f"{run_dir}/", StuckGuard(run_dir, f"spool-{node}")


def write_json(path: str, data: Any) -> None:
    """Replace ``path`` by ``data``, on the disk when this returns; raises OSError, ETIMEDOUT where it hangs."""
    _change(path, lambda: files.write_json(path, data, durable=True))


def unlink(path: str) -> None:
    """Remove ``path``; one that is not there, or cannot be removed, is no error."""
    if os.path.lexists(path):
        with tolerate(OSError):
            _change(path, lambda: files.unlink(path))


def move(path: str, to: str) -> None:
    """Rename ``path``. Raises OSError."""
    _change(path, lambda: os.rename(path, to))


def carry(path: str, to: str, data: Any) -> None:
    """Write ``data`` to ``to``, on the disk, and remove another ``path``: all by one child. Raises OSError."""

    def both() -> None:
        files.write_json(to, data, durable=True)
        if to != path:
            files.unlink(path)

    _change(path, both)


def _change(path: str, what: Callable[[], None]) -> None:
    if path.startswith(_State.memory):
        files.check(path)
        what()
        return
    if not _State.gone and _State.guard is not None and _State.guard.stuck():
        _State.gone = True
    if _State.gone:
        raise OSError(errno.ETIMEDOUT, "the spool hangs")

    def child(channel: Channel) -> None:
        channel.doing(CHANGING)
        try:
            what()
        except OSError as error:
            channel.tell({"errno": error.errno or errno.EIO, "strerror": str(error.strerror)})
        else:
            channel.tell({"errno": 0})

    try:
        outcome = run_child("spool", child, BUDGET_S)
    except OSError:  # no process to be had: it is done here, as far as it may be
        what()
        return
    if not outcome.messages:
        _State.gone = outcome.died is None
        if _State.guard is not None:
            _State.guard.record(outcome)
        raise OSError(errno.ETIMEDOUT, outcome.why())
    if outcome.messages[0]["errno"]:
        raise OSError(outcome.messages[0]["errno"], outcome.messages[0]["strerror"])
