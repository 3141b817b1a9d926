"""Collecting the facts that are asked for.

What can hang is read in probe children, started first; the rest is read here meanwhile. `begin` and `Collection.finish`
are apart so that a hook can do other work between them.
"""

from __future__ import annotations

import time

from preflight.facts import child
from preflight.facts.answer import Answer
from preflight.facts.document import FactsDocument
from preflight.facts.isolate import Channel, wait
from preflight.facts.probe import Probe, Span
from preflight.facts.registry import NVML, Fact, every_fact, fact_of
from preflight.facts.rootfs import Root
from preflight.facts.source import Source

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from preflight.facts.nvml_result import NvmlResult

WITHOUT_NVML = ("driver.module",)  # of the subjects that the NVML child tells: read from a file


def collect(
    subjects: Iterable[str] | None = None,
    source: Source = Source(),  # noqa: B008 - immutable
    deadline_s: float = 8.0,
) -> FactsDocument:
    """Return the facts of ``subjects`` within ``deadline_s`` seconds.

    ``subjects``: "gpus", or a path such as "driver.module"; None: all there are. Without a ``source.run_dir`` NVML gets
    as long again, where it has not answered: one run has to show whether it hangs.
    Never raises for what a node's files hold: that is unknown, with its reason. An unknown subject raises ValueError.
    """
    deadline = time.monotonic() + deadline_s
    longer_s = deadline_s if source.run_dir is None else 0.0
    return begin(subjects, source, deadline_s, longer_s=longer_s).finish(deadline, longer_s)


class Collection:
    """Facts being collected: the probe children run, the local facts are read."""

    def __init__(self, source: Source, facts: list[Fact]) -> None:
        self.source = source
        self.facts = facts
        self.collected = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.began = time.monotonic()
        self.answers: dict[str, Answer] = {}
        self.timings: dict[str, float] = {}
        self.nvml: Probe | None = None
        self.probes: dict[str, Probe] = {}  # by the child's name

    def finish(self, deadline: float, longer_s: float = 0.0) -> FactsDocument:
        """Return the document, with what the children told by ``deadline`` (time.monotonic seconds).

        ``longer_s``: seconds more for NVML, where it has not answered by then and nothing shows that it hangs. Without
        a runtime directory they are a second look: what is in the same call after them hangs.
        """
        probes = [*self.probes.values(), *([self.nvml] if self.nvml else [])]
        for probe in probes:
            probe.settle_earlier(deadline)
        self._wait(deadline)
        if longer_s and self.nvml is not None:
            for probe in self.probes.values():  # theirs is over, and with it their own alarm's
                probe.conclude()
            self.nvml.wait_longer(deadline + longer_s)
        for probe in probes:
            probe.conclude()
        for name, probe in self.probes.items():
            answers, timings = child.merge(probe.outcome, self._of(name))
            self.answers.update(answers)
            self.timings.update(timings)
        self._merge_nvml()
        self._keep()
        return self._document()

    def _of(self, name: str) -> list[Fact]:
        return [fact for fact in self.facts if fact.child == name and fact.subject not in self.answers]

    def take_kept(self) -> None:
        """Answer dear facts by what the last epilog or health check read."""
        for fact in self.facts:
            if fact.keep_s:
                from preflight.facts.kept import kept

                self.answers[fact.subject] = kept(self.source.run_dir, fact)

    def _keep(self) -> None:
        """Keep dear facts for the prologs to come."""
        run_dir = self.source.run_dir
        for fact in self.facts:
            if fact.keep_s and run_dir and self.source.phase != "prolog" and self.source.keeps:
                from preflight.facts.kept import keep

                keep(run_dir, fact, self.answers[fact.subject])

    def _wait(self, deadline: float) -> None:
        """Wait for the children, each no longer than the budgets of its facts add up to."""
        limits = {
            name: min(deadline, self.began + sum(fact.budget_s for fact in self._of(name))) for name in self.probes
        }
        for limit in sorted({*limits.values(), deadline}):
            for name, probe in self.probes.items():
                if limits[name] < limit:
                    probe.conclude()
            running = [one.child for one in (*self.probes.values(), self.nvml) if one is not None and one.child]
            wait(running, limit)

    def _merge_nvml(self) -> None:
        facts = self._of(NVML)
        if not facts:
            return
        told: NvmlResult | None = None
        if self.nvml is not None:
            from preflight.facts.nvml_result import NvmlResult

            told = NvmlResult(self.nvml.outcome)
            self.timings.update(told.timings)
        root = _root(self.source)
        for fact in facts:
            self.answers[fact.subject] = fact.read(root, told)

    def _document(self) -> FactsDocument:
        facts: dict[str, dict[str, Any]] = {}
        reasons: dict[str, str] = {}
        for fact in self.facts:
            subject, answer = fact.subject, self.answers[fact.subject]
            if answer.values or not answer.unknown:
                facts[subject] = answer.values
            for key, reason in answer.unknown.items():
                reasons[f"{subject}.{key}" if key else subject] = reason
        return FactsDocument(self.source.node, self.collected, facts, reasons, self.timings)


def begin(
    subjects: Iterable[str] | None = None,
    source: Source = Source(),  # noqa: B008 - immutable
    deadline_s: float = 8.0,
    nvml: Probe | None = None,
    longer_s: float = 0.0,
    span: Span = Span(),  # noqa: B008 - immutable
) -> Collection:
    """Start the probe children, read the local facts and return; parameters as `collect`.

    ``deadline_s``: seconds until `Collection.finish`'s deadline, by which a child may plan; it outlives a parent that
    never calls that by little. ``longer_s``: as there. ``nvml``: a probe that `begin_nvml` started before, to be used
    instead of starting one. ``span``: the run's, for NVML.
    """
    asked = tuple(every_fact() if subjects is None else subjects)
    found = {fact.subject: fact for fact in map(fact_of, asked)}
    collection = Collection(source, list(found.values()))
    by_nvml = [path for path in asked if found[path.split(".")[0]].child == NVML]
    if source.reads_live and any(path not in WITHOUT_NVML for path in by_nvml):
        collection.nvml = nvml or begin_nvml(source, deadline_s + longer_s, "gpus" in found, span)
    if source.phase == "prolog":
        collection.take_kept()
    for name in dict.fromkeys(fact.child for fact in found.values() if fact.child not in ("", NVML)):
        facts = collection._of(name)
        if facts:
            collection.probes[name] = _begin_child(name, facts, source, deadline_s)
    root = _root(source)
    for fact in collection._of(""):
        began = time.monotonic()
        collection.answers[fact.subject] = child.read(fact, root)
        collection.timings[fact.subject] = round((time.monotonic() - began) * 1000, 1)
    return collection


def begin_nvml(
    source: Source,
    deadline_s: float,
    devices: bool = True,
    span: Span = Span(),  # noqa: B008 - immutable
) -> Probe:
    """Start the NVML child ahead of everything else: importing pynvml there takes as long as the parent's imports."""

    def run(channel: Channel) -> None:
        from preflight.facts.gpu import probe

        probe(channel, devices, _root(source), lean=source.phase == "prolog")

    return Probe(NVML, run, source.run_dir, deadline_s, source.run_dir is not None, span)


def _begin_child(name: str, facts: list[Fact], source: Source, deadline_s: float) -> Probe:
    return Probe(name, lambda channel: child.probe(channel, facts, source), source.run_dir, deadline_s)


def _root(source: Source) -> Root:
    return Root(source.root, source.reads_live, source)
