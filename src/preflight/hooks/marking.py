"""Our entries in a job's AdminComment: writing them so that they stay, and what they say of a move."""

from __future__ import annotations

import random
import time

from preflight.digits import is_whole
from preflight.slurm import job as slurm_job
from preflight.slurm.commands import Slurm, SlurmError
from preflight.slurm.job import JobState
from preflight.slurm.marks import EVERY, EXCLUDED, HELD, MOVED, appended

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from preflight.hooks.move import Move


def one_line(text: str, limit: int = 300) -> str:
    """Return user text as one printable line that cannot be taken for another entry of AdminComment."""
    cleaned = "".join(c if c.isprintable() else " " for c in text).replace(";", ",").replace("preflight:", "preflight ")
    return cleaned[:limit].strip()


def is_half_done(what: Move, state: JobState) -> bool:
    """Return whether a waiting job is in the run behind this move's, and nobody has decided to hold it since."""
    return _is_next_run(what, state) and not held_for_good(what, state)


def held_for_good(what: Move, state: JobState) -> bool:
    """Return whether AdminComment says that the job, in the run behind this move's, is held, and why."""
    since = _since(entries(state.admin_comment), what, state.array)
    return _is_next_run(what, state) and any(one.startswith(HELD) and _run_of(one) >= what.run for one in since)


def _is_next_run(what: Move, state: JobState) -> bool:
    return (what.job.uid is None or state.uid == what.job.uid) and state.restarts == what.run + 1


def is_marked(what: Move, state: JobState) -> bool:
    """Return whether the job's AdminComment says that this run of it was moved off this node."""
    return f"{MOVED}{what.marker}:" in state.admin_comment


def _since(all_of_them: list[str], what: Move, array: str) -> list[str]:
    """Return the entries behind the first one of this run: a task of an array may have one from before it ran."""
    if not array:
        return all_of_them
    began = [place for place, entry in enumerate(all_of_them) if entry.startswith(MOVED) and _run_of(entry) == what.run]
    return all_of_them[began[0] :] if began else []


def _run_of(entry: str) -> int:
    parts = entry.split(":")
    digits = parts[3].removeprefix("run") if len(parts) > 3 else ""
    return int(digits) if is_whole(digits) else 0


def mark(
    slurm: Slurm, name: str, kind: str, what: Move, why: str = "", now: str | None = None, sure: bool = False
) -> str:
    """Append our marker to AdminComment, keeping what others wrote, and return all of it; raises SlurmError.

    Where other nodes of the job write it too: again until it stays, as for ExcNodeList. ``now``: as it was just read.
    ``sure``: it is read back, for what follows cannot be undone.
    """
    every = EVERY if what.every and kind == MOVED else ""
    entry = f"{kind}{what.marker}: {one_line(f'{why}: {what.cause}' if why else what.cause)}{every}"
    if what.alone and not sure:
        now = slurm_job.admin_comment(slurm, name) if now is None else now
        if f"{kind}{what.marker}:" in now:
            return now
        slurm_job.update(slurm, name, AdminComment=appended(now, entry))
        return appended(now, entry)
    return _until_it_stays(slurm, name, [entry], what, now)


def mark_excluded(slurm: Slurm, name: str, nodes: dict[str, str], what: Move) -> None:
    """Say of ``nodes``, by the reason of each, that the job is not tried there; raises SlurmError."""
    wanted = [f"{EXCLUDED}{node}:run{what.run}: {one_line(nodes[node])}" for node in sorted(nodes)]
    if wanted:
        _until_it_stays(slurm, name, wanted, what, None)


def _until_it_stays(slurm: Slurm, name: str, wanted: list[str], what: Move, now: str | None) -> str:
    seen = 0
    for attempt in range(slurm_job.ROUNDS):
        if attempt or now is None:
            now = slurm_job.admin_comment(slurm, name)
        missing = [entry for entry in wanted if entry.partition(" ")[0] not in now]
        seen = 0 if missing else seen + 1
        if seen == 2 or (seen and not what.shared):
            return now
        if missing:
            slurm_job.update(slurm, name, AdminComment=appended(now, *missing))
        if attempt or what.shared:
            time.sleep(random.uniform(0.03, 0.08) * (1 + attempt / 4))
    raise SlurmError(f"AdminComment of job {name} does not keep what is written to it")


def held_by_another(slurm: Slurm, what: Move, name: str) -> bool:
    """Return whether a node of the job decided that this run of it stays held; raises SlurmError."""
    ending = f":run{what.run}"
    array = name.partition("_")[0] if "_" in name else ""
    since = _since(entries(slurm_job.admin_comment(slurm, name)), what, array)
    return any(entry.startswith(HELD) and entry.split(": ")[0].endswith(ending) for entry in since)


def entries(comment: str) -> list[str]:
    """Return the entries of an AdminComment, those of others too."""
    return [entry.strip() for entry in comment.split(";")]
