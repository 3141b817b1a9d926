"""An admin's word on what the kernel's log said: a node given back is not drained again for the same old records."""

from __future__ import annotations

from preflight.facts.kmsg.history import History
from preflight.facts.rootfs import Root
from preflight.hooks.drain import correct
from preflight.hooks.drained import ours
from preflight.hooks.run import Run

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    from preflight.slurm.commands import Slurm


def history(run: Run) -> History:
    """Return what is remembered of the kernel's log of this node."""
    source = run.reading.source
    return History(run.run_dir, run.node, Root(source.root, source.reads_live))


def forgotten(run: Run, record: dict[str, Any]) -> bool:
    """Let no record of before the drain be acted on again, where another hand ended it; return whether none is left.

    ``record``: our drain, as it was remembered before Slurm was asked.
    """
    log = history(run)
    seq = record.get("seq")
    if not isinstance(seq, int) or seq < 0:
        return False
    log.handle(seq)
    return all(one["state"] for one in log.events)


def given_back(run: Run, slurm: Slurm) -> bool:
    """Return whether the node was drained for what the log says, an admin gave it back, and nothing new has come."""
    record = ours(run)
    if record is None or correct(run, slurm) is not None or ours(run) is not None:
        return False
    return forgotten(run, record)
