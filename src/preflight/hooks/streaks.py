"""How often in a row, and since when, a check has failed or passed: what `after`, `for` and flapping are judged by.

The record stands in root's spool, which outlives a reboot. It holds only what has failed: a node that was always well
has none. A check that did not look at what failed (skip, unknown, nothing said of it) changes nothing.
"""

from __future__ import annotations

import os
import time

from preflight.checks.finding import Finding
from preflight.facts.cache import boot_id
from preflight.facts.document import FactsDocument
from preflight.files import read_json, tolerate
from preflight.hooks import spool as disk
from preflight.hooks.aside import set_aside
from preflight.hooks.drained import is_other_hardware, uuids
from preflight.policy.model import Policy
from preflight.times import seconds
from preflight.verdict import reason_subject

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

DAY_S = 86400.0
MAX_ROWS = 256
MAX_TURNS = 32


def path_of(spool: str, node: str) -> str:
    """Return where the record of ``node`` stands."""
    return f"{spool}/streaks-{node}.json"


class Streaks:
    """The record of one node. A row is one check and one subject, a GPU by its UUID.

    A row: ``fails`` in a row, 0 while it passes; ``since``, ``boot`` and ``up`` (CLOCK_BOOTTIME) of the first of them;
    ``turns``, the times at which it began to fail within a day.
    """

    def __init__(self, spool: str, node: str) -> None:
        self._path = path_of(spool, node)
        self.rows: dict[str, dict[str, Any]] = {}
        self.gpus: list[str] = []
        self._unread = False  # the disk failed for a moment: what stands there is not written over
        stored = read_json(self._path)
        if _well_formed(stored):
            self.rows, self.gpus = stored["rows"], stored["gpus"]
        elif stored is not None or os.path.lexists(self._path):
            set_aside(self._path, stored)
            self._unread = os.path.lexists(self._path)
        self._now, self._up, self._boot = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), boot_id()

    def take(self, findings: list[Finding], document: FactsDocument) -> None:
        """Count what ``findings`` say of a check and a subject that failed, now or before."""
        names = uuids(document)
        if is_other_hardware(self.gpus, names):
            self.rows = {}
        self.gpus = list(names.values()) or self.gpus
        failed = {_key(one, names) for one in findings if one.status == "fail" and one.blame == "node"}
        for key in failed:
            self._fail(key)
        silent = {_key(one, names) for one in findings if one.status in ("unknown", "warn")}
        passed = {_key(one, names) for one in findings if one.status == "pass"}
        for key in [key for key in self.rows if key not in failed and key not in silent]:
            if key in passed or f"{key.partition('|')[0]}|node" in passed - silent:
                self._pass(key)

    def _fail(self, key: str) -> None:
        row = self.rows.setdefault(key, {"fails": 0, "since": 0.0, "boot": "", "up": 0.0, "turns": []})
        if row["fails"] == 0:
            row.update(since=self._now, boot=self._boot, up=self._up)
            row["turns"] = [*row["turns"], self._now][-MAX_TURNS:]
        row["fails"] = min(row["fails"] + 1, 1_000_000)

    def _pass(self, key: str) -> None:
        self.rows[key]["fails"] = 0

    def lasted(self, row: dict[str, Any]) -> float:
        """Return the seconds for which a row has failed, within one boot by the clock that counts from it."""
        if row["boot"] == self._boot:
            return max(0.0, self._up - float(row["up"]))
        return max(0.0, self._now - float(row["since"]))

    def save(self) -> None:
        """Write it down, without what is well and has not failed for a day; a full disk costs only the record."""
        if self._unread:
            return
        for row in self.rows.values():
            row["turns"] = [at for at in row["turns"] if 0 <= self._now - at < DAY_S]
        kept = {key: row for key, row in self.rows.items() if row["fails"] or row["turns"]}
        if len(kept) > MAX_ROWS:
            latest = sorted(kept, key=lambda key: (kept[key]["fails"] > 0, kept[key]["since"]))[-MAX_ROWS:]
            kept = {key: kept[key] for key in latest}
        with tolerate(OSError):
            if kept:
                disk.write_json(self._path, {"gpus": self.gpus, "rows": kept})
            else:
                disk.unlink(self._path)

    def patient(self, findings: list[Finding], document: FactsDocument, policy: Policy) -> list[Finding]:
        """Return the findings, a failed one a warning until it has failed as often and as long as the policy asks."""
        names = uuids(document)
        return [self._judged(one, names, policy) for one in findings]

    def _judged(self, finding: Finding, names: dict[str, str], policy: Policy) -> Finding:
        said = policy.check(finding.check)
        if finding.status != "fail" or finding.blame != "node" or (said.after <= 1 and not said.for_):
            return finding
        row = self.rows.get(_key(finding, names))
        fails, lasted = (row["fails"], self.lasted(row)) if row else (1, 0.0)
        waits = []
        if fails < said.after:
            waits.append(f"failed {fails} of {said.after} times in a row")
        if lasted < seconds(said.for_):
            waits.append(f"has failed for {lasted:.0f} s of {said.for_}")
        if not waits:
            return finding
        return finding._replace(status="warn", message=f"{finding.message}; {', '.join(waits)}: no action yet")

    def flaps(self) -> dict[str, int]:
        """Return how often within the last day each row began to fail: {"gpu.nvlink|GPU-…": 3}."""
        return {key: sum(0 <= self._now - at < DAY_S for at in row["turns"]) for key, row in self.rows.items()}


def _key(finding: Finding, names: dict[str, str]) -> str:
    return f"{finding.check}|{names.get(finding.subject) or reason_subject(finding.subject)}"


def _well_formed(stored: Any) -> bool:
    if not isinstance(stored, dict) or not isinstance(stored.get("rows"), dict):
        return False
    if not isinstance(stored.get("gpus"), list) or not all(isinstance(one, str) for one in stored["gpus"]):
        return False
    return all(_is_row(row) for row in stored["rows"].values())


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("boot"), str) or not isinstance(row.get("turns"), list):
        return False
    numbers = [row.get("fails"), row.get("since"), row.get("up"), *row["turns"]]
    return all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in numbers)
