"""The steps taken on this node, on record before each is made: what keeps one from being taken twice.

The record stands in root's spool, on the disk before the step, and outlives the reboot. How long ago a step was taken
is counted by the clock that counts from the boot (CLOCK_BOOTTIME), which nobody sets: what passed in earlier boots as
far as it was saved, and of a new boot no more than both this clock and the wall clock say. So a clock that jumps, or
that the reboot lost, never shortens the hold-down. The time in which a node was off is not counted where it jumped.
"""

from __future__ import annotations

import time

from preflight.checks.finding import Finding
from preflight.facts.cache import boot_id
from preflight.files import damaged, read_json, tolerate
from preflight.hooks import journal
from preflight.hooks import spool as disk
from preflight.times import seconds
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

REBOOT = "reboot"
EVERY = "*"  # the step of a row that stands for all of them
# A row's ``state``: evidence is collected; the step is about to be made; it was made, or refused; it is known of it.
EVIDENCE, BEGUN, FAILED, SENT, DONE = "evidence", "begun", "failed", "sent", "done"
STATES = (EVIDENCE, BEGUN, FAILED, SENT, DONE)
MAX_ROWS = 32
SAVE_S = 600.0
DAMAGED = "a record that could not be read"
_TEXTS = ("step", "check", "subject", "state", "boot", "at", "evidence")
_NUMBERS = ("counted", "up", "wall")


class Now(NamedTuple):
    """One instant: the boot, seconds since it (CLOCK_BOOTTIME), seconds since the epoch."""

    boot: str
    up: float
    wall: float


def now() -> Now:
    """Return this instant."""
    return Now(boot_id(), time.clock_gettime(time.CLOCK_BOOTTIME), time.time())


def is_taken(row: dict[str, Any]) -> bool:
    """Return whether the step was made in this boot, or must be taken for made: a command that was begun may have been.

    Of a reboot that was begun another boot says that it was made, and the node's state that it is under way.
    """
    return row["state"] in (SENT, DONE) or (row["step"] != REBOOT and row["state"] == BEGUN)


def elapsed(row: dict[str, Any], at: Now) -> float:
    """Return the seconds since the step was begun that are certain."""
    if row["clock"] == at.boot:
        return float(row["counted"] + max(0.0, at.up - row["up"]))
    return float(row["counted"] + max(0.0, min(at.up, at.wall - row["wall"])))


class Steps:
    """The record of one node; reading it never fails. One that cannot be read counts as all steps taken just now."""

    def __init__(self, spool: str, node: str, hold_down: str) -> None:
        self.path = f"{spool}/recover-{node}.json"
        self._hold_s = seconds(hold_down)
        self.now = now()
        stored = read_json(self.path)
        rows = stored.get("steps") if isinstance(stored, dict) else None
        good = isinstance(rows, list) and all(map(_well_formed, rows))
        self.rows: list[dict[str, Any]] = list(rows) if good and isinstance(rows, list) else []
        if not good and (stored is not None or damaged(self.path)):
            self._begin_anew()

    def latest(self, step: str, finding: Finding | None = None) -> dict[str, Any] | None:
        """Return the last row of a step within its hold-down, None where there is none.

        A reboot is one of the node, whatever it was for; a command one for a check.
        """
        for row in reversed(self.rows):
            same = row["step"] == step and (step == REBOOT or finding is None or row["check"] == finding.check)
            if (same or row["step"] == EVERY) and elapsed(row, self.now) < self._hold_s:
                found: dict[str, Any] = row
                return found
        return None

    def begin(self, step: str, finding: Finding, evidence: str) -> dict[str, Any]:
        """Return a new row, which `save` writes: the evidence is to be collected."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.now.wall))
        row: dict[str, Any] = {
            "step": step,
            "check": finding.check,
            "subject": finding.subject,
            "state": EVIDENCE,
            "at": stamp,
        }
        row.update(boot=self.now.boot, evidence=evidence, tries=0, detail="", **self._clock(0.0))
        self.rows.append(row)
        return row

    def _begin_anew(self) -> None:
        """Put in the place of a damaged record, which may have held any step, one that holds all of them."""
        row = {"step": EVERY, "check": "", "subject": "", "state": DONE, "at": "", "boot": "", "evidence": ""}
        self.rows[:] = [{**row, "tries": 0, "detail": DAMAGED, **self._clock(0.0)}]
        journal.say(journal.ERROR, f"{self.path}: it cannot be read (a power cut?): no step is taken for the hold-down")
        with tolerate(OSError):
            self.save()

    def _clock(self, counted: float) -> dict[str, Any]:
        return {"clock": self.now.boot, "up": self.now.up, "wall": self.now.wall, "counted": counted}

    def drop(self, row: dict[str, Any]) -> None:
        """Forget a row; `save` writes it."""
        self.rows.remove(row)

    def save(self) -> None:
        """Write the record; it is on the disk when this returns. Raises OSError."""
        disk.write_json(self.path, {"steps": self.rows[-MAX_ROWS:]})

    def tick(self) -> None:
        """Save the time that passed, now and then, so that it counts in later boots."""
        late = [row for row in self.rows if row["clock"] != self.now.boot or self.now.up - row["up"] > SAVE_S]
        for row in late:
            row.update(self._clock(elapsed(row, self.now)))
        if late:
            with tolerate(OSError):
                self.save()


def _well_formed(row: Any) -> bool:
    if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in (*_TEXTS, "clock")):
        return False
    return row["state"] in STATES and all(_is_number(row.get(key)) for key in _NUMBERS)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
