"""The site's own checks, in Python: each file in a process of its own (facts/confine.py), which tells what it found.

A file declares facts and checks as Preflight's own do. It is imported, its facts are read and its checks run where
neither can cost more than the file's own result: what it did not tell is `unknown`. On the hook's path only where the
site has any.
"""

from __future__ import annotations

import time

from preflight.checks.finding import Finding, untold
from preflight.checks.registry import Check, Context
from preflight.checks.run import settled
from preflight.facts import isolate
from preflight.facts.confine import confined
from preflight.facts.source import Source
from preflight.facts.view import View
from preflight.files import read_json, tolerate, write_json
from preflight.hooks.site.inner import Inner
from preflight.hooks.site.results import REMEDY, SITE, Result, clean, parse
from preflight.policy.files import identity
from preflight.policy.site_files import SiteFile, any_files, site_files

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from preflight.policy.model import Policy

LEAST_S = 0.2  # below that nothing is begun
SPARE_S = 0.3  # for ending what a file left behind


def site_findings(context: Context, source: Source, deadline: float) -> list[Finding]:
    """Return what the site's checks of ``context.phase`` find, by ``deadline`` (time.monotonic seconds); never raises.

    ``source.run_dir`` keeps which file has checks for which phase, so that a prolog starts none that has no check
    for it.
    """
    files = site_files(context.policy)
    phases = _Phases(source.run_dir)
    wanted = [one for one in files if phases.may_have(one, context.phase)]
    findings: list[Finding] = []
    for result in run(wanted, context, source, deadline):
        phases.keep(result)
        findings += _findings(result, context)
    phases.save()
    return findings


def asks(policy: Policy, phase: str, run_dir: str) -> bool:
    """Return whether some check of the site's own is to be run in ``phase``."""
    phases = _Phases(run_dir)
    return any(phases.may_have(one, phase) for one in site_files(policy))


def catalogue(policy: Policy) -> list[Result]:
    """Return what the site's files declare, or why a file is not run; no check of them is."""
    context = Context("", View({}, {}), View({}, {}), policy)
    return run(site_files(policy), context, Source(), time.monotonic() + policy.hook.deadline_s)


def run(files: list[SiteFile], context: Context, source: Source, deadline: float) -> list[Result]:
    """Return what each of ``files`` tells, all at once; in the phase "" they only declare."""
    results: dict[str, Result] = {}
    children: list[tuple[SiteFile, isolate.Child]] = []
    site = context.policy.site
    left_s = min(deadline - time.monotonic() - SPARE_S, site.budget_s)
    for one in files:
        why = one.problem and f"{one.name} is not run: {one.problem}"
        if not why and left_s < LEAST_S:
            why = f"{one.name} is not run: no time is left"
        if why:
            results[str(one)] = Result(one, (), {}, {}, why)
            continue
        outer = _outer(Inner(one, context, source), left_s, site.user)
        try:
            children.append((one, isolate.start(SITE, outer, left_s)))
        except OSError as error:
            results[str(one)] = Result(one, (), {}, {}, f"{one.name} could not be started: {error.strerror}")
    isolate.wait([child for _, child in children], time.monotonic() + left_s + SPARE_S)
    for one, child in children:
        results[str(one)] = parse(one, child.conclude())
    return [results[str(one)] for one in files]


def _outer(inner: Inner, seconds: float, user: str) -> Callable[[isolate.Channel], None]:
    """Return what a child does: run the file one process further down, and say how that went."""

    def outer(channel: isolate.Channel) -> None:
        inner.load()
        ended = confined(inner.run, seconds, user, inner.source.node)
        why = ended.why
        if ended.signal:
            why = f"was ended by signal {ended.signal}"
        elif ended.status:
            why = f"ended with status {ended.status}"
        channel.tell({"told": ended.told.decode("latin-1")})
        channel.tell({"why": why})

    return outer


def _findings(result: Result, context: Context) -> list[Finding]:
    """Return the findings of one file for the phase; of a check that told nothing, that it is unknown."""
    out: list[Finding] = []
    for check in result.checks:
        action = context.policy.check(check.name).action or check.action
        if context.phase not in check.phases or action == "off":
            continue
        found = result.findings.get(check.name)
        if found is None:
            found = [untold(result.why or f"{result.file.name} told nothing of it", blame=SITE, remedy=REMEDY)]
        out += [settled(one, check, action, context, result.spent_ms.get(check.name, 0.0)) for one in found]
    if result.why and not out:
        out = [untold(result.why, subject=clean(result.file.name).replace(":", " "), blame=SITE, remedy=REMEDY)]
        out = [one._replace(check=SITE, source=result.file.path) for one in out]
    return out


def declared(policy: Policy) -> dict[str, Check]:
    """Return the checks that the site's files declare, by name; files that cannot be run are left out."""
    return {check.name: check for result in catalogue(policy) for check in result.checks}


def names(policy: Policy) -> list[str]:
    """Return the names under which a policy may have a table for the site's checks."""
    return [*declared(policy)] if any_files(policy) else []


class _Phases:
    """Which file has checks for which phases, from run to run: {path and entry: [identity, phases]}."""

    def __init__(self, run_dir: str | None) -> None:
        self._place = None if run_dir is None else f"{run_dir}/site-phases.json"
        stored = read_json(self._place) if self._place else None
        self._known: dict[str, Any] = stored if isinstance(stored, dict) else {}
        self._new: dict[str, Any] = {}

    def may_have(self, file: SiteFile, phase: str) -> bool:
        """Return whether the file must be asked in ``phase``; what is refused is said by epilog and health check."""
        if file.problem:
            return phase != "prolog"
        known = self._known.get(f"{file.path} {file.entry}")
        if not isinstance(known, list) or len(known) != 2 or known[0] != identity(file.path):
            return True
        return phase in known[1]

    def keep(self, result: Result) -> None:
        """Remember the phases of a file that could be imported."""
        if not result.why:
            phases = sorted({phase for check in result.checks for phase in check.phases})
            self._new[f"{result.file.path} {result.file.entry}"] = [identity(result.file.path), phases]

    def save(self) -> None:
        """Write what is new; a file that can't be written is no error."""
        if self._place and any(self._known.get(key) != value for key, value in self._new.items()):
            with tolerate(OSError):
                write_json(self._place, {**self._known, **self._new})
