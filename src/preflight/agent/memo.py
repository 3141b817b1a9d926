"""What was worked out before, kept as long as what it comes from stays the same: a request adds only its job's own.

A check is a pure function of the facts, the policy, the job's GPUs and what is asked. The facts that change from one
moment to the next (free memory, the log's clock) are not worth remembering: checks that read them run each time.
"""

from __future__ import annotations

from preflight.checks.finding import Finding
from preflight.checks.registry import Check, Context
from preflight.jsonio import dumps
from preflight.requirements.evaluate import facts_needed

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable
    from typing import Any, TypeVar

    from preflight.facts.view import Facts

    Made = TypeVar("Made")

VOLATILE = frozenset(("memory", "tmp", "shm", "kernel_log"))
ASKED = ("requirement", "expectation", "gpu.code")  # they read what the clauses ask for
PAGES = 64  # of findings on the same facts of the same GPUs; then it begins anew
MOST = 512  # of answers on a page, and of those that `once` keeps


class Memo:
    """What was found under one policy; `versions` says of each fact which answer it is.

    Only for runs whose context has nothing but facts, policy, GPUs and requirements: no epilog's.
    """

    def __init__(self) -> None:
        self.versions: dict[str, int] = {}
        self._stable: Hashable = ()
        self._pages: dict[Hashable, dict[Hashable, list[Finding]]] = {}
        self._once: dict[Hashable, Any] = {}
        self._of: tuple[Context | None, Hashable] = (None, ())  # the page's context and facts
        self._page: dict[Hashable, list[Finding]] = {}
        self._asked: Hashable = ()  # the context's, None where it needs what is not remembered
        self._reads: dict[str, bool] = {}  # a check's name -> whether it reads what is not

    def at(self, versions: dict[str, int]) -> Memo:
        """Return the memo for facts of these versions."""
        if versions != self.versions:
            self.versions = versions
            self._stable = tuple(sorted(one for one in versions.items() if one[0] not in VOLATILE))
        return self

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return ``make()``, or what it returned before for this key: of functions of the policy and the key alone."""
        try:
            found: Made = self._once[key]
        except KeyError:
            if len(self._once) >= MOST:
                self._once.clear()
            found = self._once[key] = make()
        return found

    def facts(self, facts: Facts) -> str:
        """Return the facts at hand as JSON; each subject's is made once for each answer."""
        pairs = []
        for one in facts.items():
            key = ("json", one[0], self.versions.get(one[0]))
            pairs.append(self.once(key, lambda one=one: f"{dumps(one[0])}:{dumps(one[1])}"))  # type: ignore[misc]
        return f"{{{','.join(pairs)}}}"

    def get(self, context: Context, check: Check, action: str, limit: float | None) -> list[Finding] | None:
        """Return what the check found the last time that all was as it is now; None where it has to run."""
        key = self._key(context, check, action, limit)
        return None if key is None else self._page.get(key)

    def put(self, context: Context, check: Check, action: str, limit: float | None, findings: list[Finding]) -> None:
        """Remember what the check found."""
        key = self._key(context, check, action, limit)
        if key is None:
            return
        if len(self._page) >= MOST:
            self._page.clear()
        self._page[key] = findings

    def _key(self, context: Context, check: Check, action: str, limit: float | None) -> Hashable:
        if self._of[0] is not context or self._of[1] is not self._stable:
            self._open(context)
        name = check.name
        volatile = self._reads.get(name)
        if volatile is None:
            volatile = self._reads[name] = _volatile(check.reads)
        if volatile:
            return None
        if name not in ASKED:
            return name, action, limit
        return None if self._asked is None else (name, action, limit, self._asked)

    def _open(self, context: Context) -> None:
        """Turn to the page of what was found on these facts of these GPUs."""
        gpus = None if context.gpus is None else context.gpus._replace(job=0)
        where = (context.phase, context.today, gpus, self._stable)
        if where not in self._pages and len(self._pages) >= PAGES:
            self._pages.clear()
        self._page = self._pages.setdefault(where, {})
        self._of = (context, self._stable)
        needed = any(_volatile(facts_needed(one.requirement)) for one in context.asked)
        self._asked = None if needed else (context.asked, context.broken, context.held)


def _volatile(paths: Iterable[str]) -> bool:
    return any(path.split(".")[0] in VOLATILE for path in paths)
