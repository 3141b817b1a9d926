"""One file of the site's checks in the process that runs it: imported, its facts read, its checks run, all told."""

from __future__ import annotations

import os
import sys
import time

from preflight import jsonio
from preflight.checks import registry
from preflight.checks.finding import untold
from preflight.checks.registry import Check, Context
from preflight.hooks.site.results import MAX_FINDINGS, MAX_TEXT, REMEDY, SITE
from preflight.owned import refused
from preflight.policy.site_files import SiteFile, source_of

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from preflight.facts.confine import Tell
    from preflight.facts.source import Source

    Say = Callable[[dict[str, Any]], None]


class Inner:
    """One file, in the process that runs it."""

    def __init__(self, file: SiteFile, context: Context, source: Source) -> None:
        self.file, self.context, self.source = file, context, source
        self._text = b""

    def load(self) -> None:
        """Read the file, as root: it need not be readable for those as whom it runs."""
        if not self.file.entry:
            self._text = source_of(self.file.path)

    def run(self, tell: Tell) -> None:
        """Import the file, say which checks it declares, and run those of the phase."""

        def say(message: dict[str, Any]) -> None:
            tell(f"{jsonio.dumps(message, str)}\n".encode())

        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - until the process ends
        sys.stdout, sys.stderr = (open(one, "w", closefd=False) for one in (1, 2))  # noqa: SIM115 - pipes by now
        own = dict(registry.every_check())
        try:
            self._import()
        except BaseException as error:  # SystemExit too
            say({"broken": _explain(error, self.file)})
            return
        checks = [one for name, one in registry.REGISTRY.items() if own.get(name) is not one]
        ours = sorted(one.name for one in checks if one.name in own)
        if ours:
            say({"broken": f"{ours[0]} is the name of one of Preflight's own checks"})
            return
        say({"declares": [{key: value for key, value in one._asdict().items() if key != "run"} for one in checks]})
        for check in checks:
            self._judge(check, say)

    def _import(self) -> None:
        from types import ModuleType

        sys.dont_write_bytecode = True
        if self.file.entry:
            from importlib import import_module

            sys.path.insert(0, self.file.path)
            module, _, attribute = self.file.entry.partition(":")
            _trust(module.strip().partition(".")[0])
            found: Any = import_module(module.strip())
            for part in attribute.split("[")[0].strip().split(".") if attribute else ():
                found = getattr(found, part)
            return
        name = f"preflight_site_{os.path.basename(self.file.path)[:-3]}"
        made = ModuleType(name)
        made.__file__ = self.file.path
        sys.modules[name] = made
        exec(compile(self._text, self.file.path, "exec"), made.__dict__)

    def _judge(self, check: Check, say: Say) -> None:
        said = self.context.policy.check(check.name)
        if self.context.phase not in check.phases or (said.action or check.action) == "off":
            return
        began = time.perf_counter()
        limit = check.limit if said.limit is None else said.limit
        try:
            context = self._context(check)
            found = [one for one, _ in zip(check.run(context, limit), range(MAX_FINDINGS))]
            rows = [list(one) for one in found]
        except BaseException as error:
            rows = [list(untold(_explain(error, self.file), blame=SITE, remedy=REMEDY))]
        say({"check": check.name, "rows": rows, "ms": round((time.perf_counter() - began) * 1000, 3)})

    def _context(self, check: Check) -> Context:
        """Return the context with the facts that the check reads, the site's own and those that nobody read yet."""
        from preflight.facts.child import read
        from preflight.facts.registry import NVML, fact_of
        from preflight.facts.rootfs import Root

        node = self.context.node
        facts, unknown = dict(node.facts), dict(node.unknown)
        for subject in check.reads:
            if subject in facts or subject in unknown:
                continue
            fact = fact_of(subject)
            if fact.child == NVML:
                continue  # it was not read in this run: `get` says so
            answer = read(fact._replace(static=False), Root(self.source.root, self.source.reads_live, self.source))
            if answer.values or not answer.unknown:
                facts[subject] = answer.values
            unknown.update({f"{subject}.{key}" if key else subject: why for key, why in answer.unknown.items()})
        seen = node._replace(facts=facts, unknown=unknown)
        job = self.context.job._replace(facts={**facts, **self.context.job.facts}, unknown=unknown)
        return self.context._replace(node=seen, job=job)


def _trust(name: str) -> None:
    """Raise PermissionError where somebody else may write the file of a package's module."""
    from importlib.util import find_spec

    spec = find_spec(name)
    why = refused(spec.origin) if spec is not None and spec.origin else ""
    if why:
        raise PermissionError(why)


def _explain(error: BaseException, file: SiteFile) -> str:
    """Return one line that says where the file is wrong."""
    line = getattr(error, "lineno", None)
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file.path:
            line = trace.tb_lineno
        trace = trace.tb_next
    where = f"{file.name}:{line}" if line else file.name
    return f"{where}: {type(error).__name__}: {str(error).partition(chr(10))[0]}"[:MAX_TEXT]
