"""A probe child that reads facts one after the other: those that may hang, as on a dead network file system."""

from __future__ import annotations

import time

from preflight.facts.answer import Answer, explain, unknown
from preflight.facts.isolate import Channel, Outcome
from preflight.facts.registry import Fact
from preflight.facts.rootfs import Root
from preflight.facts.source import Source

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any


class _Announcing(Root):
    """A root that announces each path before it is touched, once, and tells each part of an answer as it comes."""

    def __init__(self, source: Source, channel: Channel, subject: str) -> None:
        super().__init__(source.root, source.reads_live, source)
        self._channel, self._subject, self._last = channel, subject, ""

    def touch(self, path: str) -> None:
        if path != self._last:
            self._last = path
            self._channel.doing(f"{self._subject}: {path}")

    def part(self, item: object) -> None:
        self._channel.tell({"part": self._subject, "item": item})


def probe(channel: Channel, facts: list[Fact], source: Source) -> None:
    """Read ``facts``, that with the smallest budget first, and tell each as it is known."""
    for fact in in_order(facts):
        began = time.monotonic()
        channel.doing(fact.subject)
        answer = read(fact, _Announcing(source, channel, fact.subject))
        channel.tell({"subject": fact.subject, "values": answer.values, "unknown": answer.unknown})
        channel.tell({"timing": fact.subject, "ms": round((time.monotonic() - began) * 1000, 1)})


def in_order(facts: list[Fact]) -> list[Fact]:
    """Return the facts as a child reads them: what is least likely to hang first, so that it is not lost behind it."""
    return sorted(facts, key=lambda fact: (fact.budget_s, fact.subject))


def read(fact: Fact, root: Root) -> Answer:
    """Return what ``fact`` is, a static one from the cache where that holds; a file that can't be read is unknown."""
    try:
        if not fact.static:
            return fact.read(root)
        from preflight.facts.cache import cached

        source = root.source
        parameters = [list(source.cuda_prefixes), list(source.module_paths)]
        return cached(source.run_dir, fact.subject, root, parameters, fact.read)
    except OSError as error:
        return unknown(explain(error))


def merge(outcome: Outcome, facts: list[Fact]) -> tuple[dict[str, Answer], dict[str, float]]:
    """Return (subject -> answer, timings in ms) of what the child told; what it did not tell is unknown."""
    answers: dict[str, Answer] = {}
    parts: dict[str, list[Any]] = {}
    timings: dict[str, float] = {}
    for message in outcome.messages:
        if "subject" in message:
            answers[message["subject"]] = Answer(message["values"], message["unknown"])
        elif "part" in message:
            parts.setdefault(message["part"], []).append(message["item"])
        elif "timing" in message:
            timings[message["timing"]] = message["ms"]
    for fact in facts:
        if fact.subject not in answers:
            told = parts.get(fact.subject)
            some = fact.unfinished(told, outcome) if told and fact.unfinished else None
            answers[fact.subject] = some or unknown(outcome.why())
    return answers, timings
