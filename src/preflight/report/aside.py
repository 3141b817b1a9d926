"""Whole reports put aside while a job's others are looked for, and the one JSON document of them all."""

from __future__ import annotations

import json
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from preflight.json_text import indented
from preflight.report.clean import clean
from preflight.report.found import Entry, Report
from preflight.report.merge import last_runs, worst_verdict

IN_MEMORY = 4 << 20  # bytes, compressed, before they go to a nameless file
FASTEST = 1


class Place(NamedTuple):
    """Where a report was put, and its verdict."""

    at: int
    size: int
    verdict: str


class Aside:
    """Reports byte for byte, compressed: in memory, in a nameless file below TMPDIR where they are many."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - it lives as long as this
        self._end = 0

    def keep(self, report: Report, raw: bytes) -> Place:
        """Put a report aside; raises OSError where TMPDIR is full."""
        data = zlib.compress(raw, FASTEST)
        self._file.seek(self._end)
        self._file.write(data)
        place = Place(self._end, len(data), report["verdict"])
        self._end += len(data)
        return place

    def get(self, place: Place) -> bytes:
        """Return a report's bytes."""
        self._file.seek(place.at)
        return zlib.decompress(self._file.read(place.size))


def document(label: str, entries: Sequence[Entry], aside: Aside, notes: Iterable[str] = ()) -> Iterator[str]:
    """Yield the text of one JSON document, format preflight.job/1, with the ``entries`` that ``aside`` kept, whole.

    It is ASCII: what a terminal could take for a command is escaped.
    """
    latest = last_runs((one.head.job, one.head.run) for one in entries)
    last = [one.report.verdict for one in entries if latest[one.head.job] == one.head.run]
    in_time = sorted(entries, key=lambda one: clean(one.head.started))
    head: dict[str, Any] = {
        "format": "preflight.job/1",
        "job": label,
        "verdict": worst_verdict(last),
        "nodes": list(dict.fromkeys(clean(one.head.node) for one in in_time)),
    }
    yield _ascii(indented(head).removesuffix("\n}") + ',\n  "reports": [')
    for number, one in enumerate(entries):
        yield ("," if number else "") + "\n    " + _ascii(_text(json.loads(aside.get(one.report).decode())))
    yield "\n  ],\n" + _ascii(indented({"left_out": list(notes)}).removeprefix("{\n")) + "\n"


def _text(report: Report) -> str:
    try:
        return indented(report, "    ")
    except RecursionError:  # nested so deep as only C can go
        return json.dumps(report)


def _ascii(text: str) -> str:
    return text.replace("\x7f", "\\u007f")
