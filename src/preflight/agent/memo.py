"""What checks found, kept as long as what they read stays the same: a request adds only what is its job's own.

A check is a pure function of the facts, the policy, the job's GPUs and what is asked. The facts that change from one
moment to the next (free memory, the log's clock) are not worth remembering: checks that read them run each time.
"""

from __future__ import annotations

from preflight.checks.finding import Finding
from preflight.checks.registry import Check, Context
from preflight.requirements.evaluate import facts_needed

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Hashable

VOLATILE = frozenset(("memory", "tmp", "shm", "kernel_log"))
ASKED = ("requirement", "expectation")  # they read what the clauses ask for
MOST = 4096  # findings of so many checks; then it begins anew


class Memo:
    """The findings of the checks that ran under one policy; ``versions`` says of each fact which answer it is."""

    def __init__(self) -> None:
        self.versions: dict[str, int] = {}
        self._found: dict[Hashable, list[Finding]] = {}
        self._stable: Hashable = ()

    def at(self, versions: dict[str, int]) -> Memo:
        """Return the memo for facts of these versions."""
        self.versions = versions
        self._stable = tuple(sorted(one for one in versions.items() if one[0] not in VOLATILE))
        return self

    def get(self, context: Context, check: Check, action: str, limit: float | None) -> list[Finding] | None:
        """Return what the check found the last time that all was as it is now; None where it has to run."""
        key = self._key(context, check, action, limit)
        return None if key is None else self._found.get(key)

    def put(self, context: Context, check: Check, action: str, limit: float | None, findings: list[Finding]) -> None:
        """Remember what the check found."""
        key = self._key(context, check, action, limit)
        if key is None:
            return
        if len(self._found) >= MOST:
            self._found.clear()
        self._found[key] = findings

    def _key(self, context: Context, check: Check, action: str, limit: float | None) -> Hashable:
        reads = {path.split(".")[0] for path in check.reads}
        asked: Hashable = ()
        if check.name in ASKED:
            asked = (context.asked, context.broken)
            for one in context.asked:
                reads |= {path.split(".")[0] for path in facts_needed(one.requirement)}
        if reads & VOLATILE:
            return None
        gpus = None if context.gpus is None else context.gpus._replace(job=0)
        return check.name, action, limit, context.phase, context.today, gpus, asked, self._stable
