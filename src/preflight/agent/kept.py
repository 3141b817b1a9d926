"""The facts at hand, by their kind, and how old each may be when a prolog is answered by it.

What the process itself reads and nothing keeps (free memory, the kernel's log) is read when it is asked for. Static
facts and those of a child that may hang are read ahead, by age. The GPUs are watched (gpus.py). What is older than it
may be, or was never asked for before, is `Stale`: the one-shot hook reads it."""

from __future__ import annotations

import os
import time

from preflight.agent.gpus import STUCK_S, GpuWatch
from preflight.agent.log import LogWatch
from preflight.facts import child
from preflight.facts.answer import Answer
from preflight.facts.collect import WITHOUT_NVML, Collection, begin
from preflight.facts.document import FactsDocument
from preflight.facts.registry import NVML, Fact, fact_of
from preflight.facts.rootfs import Root
from preflight.facts.source import Source
from preflight.facts.stuck import StuckGuard
from preflight.files import tolerate
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from preflight.facts.nvml_result import NvmlResult

REUSE_S = 1.0  # what is read when it is asked for, in a burst of requests
STATIC_S = 15.0  # between two looks at whether a static fact's files have changed
STATIC_MAX_S = 60.0
CHILD_S = 20.0  # between two readings by a child
SELDOM = 3  # times as long, and as old: a static fact, or one that nobody but Slurm is told
CHILD_MAX_S = 60.0
FORGET_S = 3600.0  # after which a subject that no job asked for is no longer read ahead
LOG = "kernel_log"
CRITICAL = "gpus.signals"  # the name in a report's ages of what is looked at every second


SPARE = 8  # descriptors that a reading may need at once


def scarce() -> bool:
    """Return whether so few descriptors are left that a fact may be read as missing for the want of one."""
    held: list[int] = []
    try:
        for _ in range(SPARE):
            held.append(os.open("/", os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return True
    finally:
        for descriptor in held:
            os.close(descriptor)
    return False


class Stale(Exception):
    """A fact that is not at hand, or is older than it may be; the text says which and why."""


class Known(NamedTuple):
    """An answer, and the instant (time.monotonic()) at which its reading began."""

    answer: Answer
    at: float


class Kept:
    """The facts of one node under one policy. ``collect`` is what `preflight.hooks.assess.assess` asks for."""

    def __init__(self, source: Source, before: Kept | None = None) -> None:
        """``before``: what was kept under another policy; it is stopped, and what it does not let go is waited for."""
        self.source = source
        if before is not None:
            before.stop()
        self.gpus: GpuWatch | None = GpuWatch(source, before.gpus if before else None) if source.reads_live else None
        self.ages: dict[str, float] = {}
        self.versions: dict[str, int] = {}
        self._answers: dict[str, tuple[Answer, int]] = {}
        self._root = Root(source.root, source.reads_live, source)
        self._log = LogWatch(self._root)
        self._guard = StuckGuard(source.run_dir, NVML)
        self._known: dict[str, Known] = {}
        self._asked: dict[str, float] = {}  # subject -> when a job asked for it, infinite for what every job needs
        self._published: frozenset[str] = frozenset()
        self._merged: dict[tuple[str, bool], tuple[NvmlResult | None, Answer]] = {}
        self._running: tuple[Collection, float, float] | None = None  # began, until
        self._next_static = self._next_child = 0.0

    def want(self, subjects: Iterable[str], forever: bool = False) -> None:
        """Read ``subjects`` ahead from now on: ``forever``, or until no job has asked for them for a while."""
        now = time.monotonic()
        for path in subjects:
            subject = fact_of(path).subject
            if subject not in self._asked and fact_of(path).child not in ("", NVML):
                self._next_child = 0.0
            self._asked[subject] = float("inf") if forever else max(now, self._asked.get(subject, 0.0))

    def publishes(self, subjects: Iterable[str]) -> None:
        """Read ``subjects`` ahead, too, though more seldom where no job needs them: what is told to Slurm."""
        self._published = frozenset(fact_of(path).subject for path in subjects)
        if self._published - self._known.keys():
            self._next_child = 0.0

    # --- when a prolog asks ---------------------------------------------------------------------------------

    def collect(self, subjects: frozenset[str], deadline: float) -> FactsDocument:
        """Return the facts of ``subjects``, none older than it may be; raises Stale.

        `ages` has their ages then, `versions` of each a number that stays as long as it does."""
        self.want(subjects)
        return self._collect(subjects, 1)

    def to_publish(self, subjects: frozenset[str]) -> FactsDocument:
        """Return the facts of ``subjects`` as `collect` does, for no job: they may be as old as what Slurm is told."""
        return self._collect(subjects, SELDOM)

    def _collect(self, subjects: frozenset[str], times: int) -> FactsDocument:
        asked = sorted(subjects)
        facts = {fact.subject: fact for fact in map(fact_of, asked)}
        nvml = any(fact_of(path).child == NVML and path not in WITHOUT_NVML for path in asked)
        told = self._told() if nvml and self.gpus is not None else None
        now = time.monotonic()
        values: dict[str, dict[str, Any]] = {}
        unknown: dict[str, str] = {}
        ages: dict[str, float] = {}
        versions: dict[str, int] = {}
        for subject, fact in facts.items():
            known = self._of_nvml(fact, told) if fact.child == NVML else self._answer(fact, now, times)
            versions[subject] = self._version(subject, known.answer)
            ages[subject] = round(max(0.0, now - known.at), 3)
            if known.answer.values or not known.answer.unknown:
                values[subject] = known.answer.values
            for key, reason in known.answer.unknown.items():
                unknown[f"{subject}.{key}" if key else subject] = reason
        if told is not None and self.gpus is not None:
            ages[CRITICAL] = round(self.gpus.signal_age(), 3)
        self.ages, self.versions = ages, versions
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return FactsDocument(self.source.node, stamp, values, unknown, {})

    def _version(self, subject: str, answer: Answer) -> int:
        last = self._answers.get(subject)
        if last is None:
            last = self._answers[subject] = (answer, 0)
        elif last[0] is not answer:
            last = self._answers[subject] = (answer, last[1] + (last[0] != answer))
        return last[1]

    def _told(self) -> NvmlResult:
        gpus = self.gpus
        stuck = self._guard.stuck()
        if stuck is not None:  # ours may go through where a hook's hangs: what that means, a hook says
            raise Stale(f"gpus: a hook's {stuck}")
        why = "no NVML" if gpus is None else gpus.why_not()
        if why or gpus is None or gpus.result is None:
            raise Stale(f"gpus: {why}")
        return gpus.result

    def nvml_hangs(self) -> str:
        """Return why no child should ask NVML just now, "" where one may."""
        stuck = self._guard.stuck()
        if stuck is not None:
            return f"gpus: a hook's {stuck}"
        proven = self._guard.proven()
        if proven is not None:  # whether it still does takes the time that a hook has
            return f"gpus: hooks have hung in {proven}"
        hangs = self.gpus is not None and self.gpus.stuck_s() > STUCK_S
        return f"gpus: {self.gpus.why_not()}" if hangs and self.gpus is not None else ""

    def _of_nvml(self, fact: Fact, told: NvmlResult | None) -> Known:
        """Return what ``told`` says of an NVML fact, made once for each telling; without one only its files' part."""
        at = time.monotonic() if told is None or self.gpus is None else self.gpus.taken
        key = (fact.subject, told is None)
        made = self._merged.get(key)
        if told is None or made is None or made[0] is not told:
            made = self._merged[key] = (told, fact.read(self._root, told))
        return Known(made[1], at)

    def _answer(self, fact: Fact, now: float, times: int) -> Known:
        known = self._known.get(fact.subject)
        if fact.keep_s or (fact.child == "" and not fact.static):
            fresh = known is not None and now - known.at < REUSE_S and not fact.keep_s
            if fact.subject == LOG and known is not None:
                fresh = not self._log.changed()
            if known is None or not fresh:
                known = self._known[fact.subject] = self._read(fact)
            return known._replace(at=now) if fact.subject == LOG else known
        limit = STATIC_MAX_S if fact.child == "" else CHILD_MAX_S * (SELDOM if fact.static else times)
        if known is None or now - known.at > limit:
            raise Stale(f"{fact.subject}: {'never read' if known is None else f'{now - known.at:.0f} s old'}")
        return known

    def _read(self, fact: Fact) -> Known:
        began = time.monotonic()
        if fact.keep_s:
            from preflight.facts.kept import kept

            return Known(kept(self.source.run_dir, fact), began)
        known = Known(child.read(fact, self._root), began)
        if scarce():
            raise Stale(f"{fact.subject}: no descriptors")
        return known

    # --- ahead of the prologs -------------------------------------------------------------------------------

    def tend(self) -> float:
        """Read ahead what is due, without waiting; return the seconds until there is something to do again."""
        now = time.monotonic()
        if self.gpus is not None:
            self.gpus.tend()
        self._asked = {subject: at for subject, at in self._asked.items() if now - at < FORGET_S}
        if self._running is not None:
            self._finish(now)
        if now >= self._next_static:
            self._next_static = now + STATIC_S
            with tolerate(Stale):
                for fact in map(fact_of, self.subjects()):
                    if fact.static and fact.child == "":
                        self._known[fact.subject] = self._read(fact)
        if self._running is None and now >= self._next_child:
            if scarce():
                self._next_child = now + 1.0
            else:
                self._start(now)
        if self._running is not None:
            return 0.1
        return max(0.05, min(self._next_static, self._next_child, now + 5.0) - now)

    def _start(self, now: float) -> None:
        self._next_child = now + CHILD_S
        due = []
        for fact in map(fact_of, sorted(self.subjects())):
            if fact.child in ("", NVML) or fact.keep_s:
                continue
            known = self._known.get(fact.subject)
            seldom = fact.static or fact.subject not in self._asked
            if known is None or now - known.at >= CHILD_S * (SELDOM if seldom else 1) - 1:
                due.append(fact)
        if due:
            budget_s = sum(fact.budget_s for fact in due) + 1.0
            subjects = [fact.subject for fact in due]
            self._running = (begin(subjects, self.source, budget_s), now, now + budget_s)

    def _finish(self, now: float) -> None:
        """Take what the children have told, once each has ended or its time is over."""
        if self._running is None:
            return
        collection, began, until = self._running
        children = [probe.child for probe in collection.probes.values() if probe.child is not None]
        if now < until and not all(one.wait(now) for one in children):
            return
        self._running = None
        document = collection.finish(now)
        for subject in document.facts.keys() | {path.split(".")[0] for path in document.unknown}:
            answer = collection.answers.get(subject)
            if answer is not None:
                self._known[subject] = Known(answer, began)

    def stop(self) -> None:
        """End the children."""
        if self.gpus is not None:
            self.gpus.stop()
        if self._running is not None:
            collection, self._running = self._running[0], None
            collection.finish(time.monotonic())

    def refresh(self) -> None:
        """Forget what is at hand and read it anew: somebody has put something right, or replaced it."""
        if self._running is not None:
            collection, self._running = self._running[0], None
            collection.finish(time.monotonic())
        self._known.clear()
        self._next_static = self._next_child = 0.0
        if self.gpus is not None:
            self.gpus.look()

    def signature(self, subjects: Iterable[str]) -> tuple[Any, ...]:
        """Return what stays as long as no fact of ``subjects`` that is read ahead was read again."""
        ahead = [fact.subject for fact in map(fact_of, sorted(subjects)) if fact.static or fact.child not in ("", NVML)]
        known = (self._known.get(subject) for subject in ahead)
        return (self.gpus.taken if self.gpus is not None else 0.0, *(one.at if one else 0.0 for one in known))

    def all_ages(self) -> dict[str, float]:
        """Return the age in seconds of each fact that is at hand."""
        now = time.monotonic()
        ages = {subject: round(now - known.at, 1) for subject, known in sorted(self._known.items())}
        if self.gpus is not None and self.gpus.result is not None:
            ages.update({"driver": round(self.gpus.age(), 1), "gpus": round(self.gpus.age(), 1)})
            look = self.gpus.signal_age()
            if look != float("inf"):
                ages[CRITICAL] = round(look, 1)
        return ages

    def complete(self) -> bool:
        """Return whether all that is read ahead has been read."""
        gpus = self.gpus is None or self.gpus.signal_age() < float("inf")
        ahead = (fact for fact in map(fact_of, self.subjects()) if fact.child != NVML and not fact.keep_s)
        return gpus and all(fact.subject in self._known for fact in ahead if fact.child or fact.static)

    def at_hand(self) -> tuple[FactsDocument, dict[str, str]]:
        """Return the facts that are at hand, and why each of the others that are read ahead is not."""
        subjects, missing = set(self.subjects()), dict[str, str]()
        for subject in sorted(subjects):
            try:
                self.to_publish(frozenset((subject,)))
            except Stale as stale:
                subjects.discard(subject)
                missing[subject] = str(stale)
        return self.to_publish(frozenset(subjects)), missing

    def subjects(self) -> frozenset[str]:
        """Return what is read ahead."""
        return self._published.union(self._asked)
