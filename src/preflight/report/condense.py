"""Reports as a view needs them: cleaned, without what no page shows, and equal parts of many reports kept once.

Of the thousand reports of a job most parts are the same in all of them. So what a view takes, in time and in memory,
grows with what differs between the nodes.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any

from preflight.report.clean import Cleaner
from preflight.report.environment import Pruned, shown_of
from preflight.report.model import job_block

Report = dict[str, Any]
NO_JOB = 0  # stands for the job of a report that is about the node alone
# What makes a finding equal to another; how long its check took does not.
FINDING = ("check", "status", "blame", "subject", "expected", "observed", "message", "remedy", "source")
_own = itemgetter(*FINDING)
_DEPTH = 22  # of lists and objects within a part
_OLD_FORM = 2  # of marshal's: equal values give equal bytes, whichever objects they are made of


class Condenser:
    """Condenses the reports of one view, one after the other; equal parts of what it returns are one object.

    Nobody may change what it returns.
    """

    def __init__(self) -> None:
        self._cleaner = Cleaner()
        self._shown: dict[str, Pruned] = {}
        self._parts: dict[tuple[str, bytes], Any] = {}
        self._together: dict[tuple[Any, ...], Any] = {}  # by their parts' ids, which they keep alive
        self._findings: dict[tuple[Any, ...], Report] = {}

    def condense(self, report: Report) -> Report:
        """Return what a view reads of a report, under the names that it has in the report."""
        text = self._cleaner.text
        condensed: Report = {name: text(report[name]) for name in ("cluster", "node", "phase", "started", "verdict")}
        condensed["job"] = self._part("job", report["job"] or job_block(NO_JOB))
        for name in ("requirement", "action", "software", "unknown", "changes"):
            value = report.get(name)
            condensed[name] = self._part(name, value) if value else value
        condensed["findings"] = self._all_findings(report["findings"])
        condensed["facts"] = self._facts(report["facts"])
        condensed["duration_ms"] = report["duration_ms"]
        condensed["timings_ms"] = {text(probe): took for probe, took in report["timings_ms"].items()}
        return condensed

    def _part(self, name: str, value: Any) -> Any:
        """Return a JSON value cleaned, the same object for equal values of one name."""
        try:
            key = (name, marshal.dumps(value, _OLD_FORM))
        except ValueError:  # of a report that was not read from JSON
            return self._cleaner.tree(value, _DEPTH)
        if key not in self._parts:
            self._parts[key] = self._cleaner.tree(value, _DEPTH)
        return self._parts[key]

    def _all_findings(self, findings: Iterable[Report]) -> tuple[Report, ...]:
        known = self._findings
        own = tuple([known.get(key) or self._finding(key) for key in map(_own, findings)])
        found: tuple[Report, ...] = self._together.setdefault(("findings", *map(id, own)), own)
        return found

    def _finding(self, key: tuple[Any, ...]) -> Report:
        """Return a finding, cleaned; of those that differ only in what is cut off, the same one."""
        cleaned = tuple(map(self._cleaner.tree, key))
        finding = self._findings.get(cleaned) or dict(zip(FINDING, cleaned))
        self._findings[key] = self._findings[cleaned] = finding
        return finding

    def _facts(self, facts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for subject, keys in facts.items():
            shown = self._shown.get(subject)
            if shown is None:
                shown = self._shown[subject] = shown_of(subject)
            kept[self._cleaner.text(subject)] = self._part(subject, shown(keys))
        found: dict[str, Any] = self._together.setdefault(("facts", *kept, *map(id, kept.values())), kept)
        return found
