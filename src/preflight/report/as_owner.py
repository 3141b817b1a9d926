"""Users' copies of reports, read for root by a child that has become the user: root itself never opens them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, NoReturn

from preflight.report.aside import Aside
from preflight.report.find import ReportPlaces, Wanted, find
from preflight.report.found import Entry, Keep, entry_of, whole
from preflight.report.validate import MAX_BYTES, ReportError, load

MOST_BYTES = 256 << 20  # of all reports together: so much a user may make root read
LIMIT_S = 30  # a shared directory may hang
_COUNT = 4  # bytes of the number before each report, and of the zero that ends them


class Copies(NamedTuple):
    """What was kept of a user's copies; ``cut``: there are more, which were not read."""

    entries: list[Entry]
    cut: bool


def read_as(uid: int, places: ReportPlaces, wanted: Wanted, keep: Keep = whole) -> Copies:
    """Return the reports of a job that the user ``uid`` can read outside of the spool, none where that fails.

    They are what that user may have written: read them as such. Root only.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _child(uid, places, wanted, writer)
    os.close(writer)
    entries, ended = [], False
    with open(reader, "rb") as file:
        for raw in _each(file):
            ended = not raw
            if not ended and (report := _loaded(raw)):
                entries.append(entry_of(report, raw, keep))
    os.waitpid(child, 0)
    return Copies(entries, not ended)


def _each(file: BinaryIO) -> Iterator[bytes]:
    """Yield what the child wrote, a report at a time, and b"" where it says that these were all."""
    left = MOST_BYTES
    while left > 0:
        count = file.read(_COUNT)
        size = int.from_bytes(count, "big")
        raw = file.read(size) if size <= MAX_BYTES else b""
        if len(count) < _COUNT or len(raw) < size:
            return
        left -= size
        yield raw
        if not raw:
            return


def _loaded(raw: bytes) -> dict[str, object] | None:
    try:
        report = load(raw)
    except ReportError:
        return None
    return report if report["job"] else None


def _child(uid: int, places: ReportPlaces, wanted: Wanted, writer: int) -> NoReturn:
    """Become the user for good, look as the user, and write each report behind its size."""
    try:
        signal.alarm(LIMIT_S)
        os.setgroups([])
        gid = _group(uid)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        aside = Aside()
        entries = find(places._replace(spool=""), wanted, uid, aside.keep).entries
        with open(writer, "wb") as file:
            for entry in entries:
                raw = aside.get(entry.report)
                file.write(len(raw).to_bytes(_COUNT, "big") + raw)
            file.write(bytes(_COUNT))
    finally:
        os._exit(0)


def _group(uid: int) -> int:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return 65534
