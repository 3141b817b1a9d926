"""A batch of reports as a shipper sends it: lines of JSON, compressed, and bounded whoever sends it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from preflight.fleet.entry import Entry, EntryReader, RefusedError
from preflight.fleet.store.interface import Refused, StoreError
from preflight.fleet.tokens import Sender
from preflight.fleet.web.words import Words

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_BODY = 8 << 20  # bytes on the wire
MAX_PLAIN = 32 << 20  # bytes once decompressed
MAX_REPORTS = 2000
MAX_FRAMES = 64  # of a body, a shipper sends one: each costs a copy of those behind it, and may be of 9 bytes
WINDOW_LOG_MAX = 23  # 8 MiB, the largest window that RFC 8878 asks a decoder to take
HEAD = 200


class BatchError(ValueError):
    """A body that is no batch: one line, why. Nothing of it is kept."""


class Batch(NamedTuple):
    """What a body holds: reports to keep, and what was refused, by its place in the body.

    ``foreign``: the places of those among them that the sender's token is not for; another token may be. ``size``: the
    bytes of all, unpacked.
    """

    entries: list[Entry]
    refused: list[tuple[int, Refused]]
    foreign: list[int]
    size: int


def plain(body: bytes, encoding: str) -> bytes:
    """Return a body decompressed, MAX_PLAIN bytes at most; raises BatchError, MemoryError where there is too little."""
    if encoding in ("", "identity"):
        return body
    if encoding != "zstd":
        raise BatchError(f"Content-Encoding {ascii(encoding)[:40]} is not zstd")
    found: list[bytes] = []
    size = 0
    try:
        while body:
            if len(found) >= MAX_FRAMES:
                raise BatchError(f"more than {MAX_FRAMES} zstd frames")
            unpacker = _unpacker()
            part = unpacker.decompress(body, MAX_PLAIN + 1 - size)
            size += len(part)
            if size > MAX_PLAIN:
                raise BatchError(f"decompressed larger than {MAX_PLAIN >> 20} MiB")
            if not unpacker.eof:
                raise BatchError("the zstd frame is cut")
            found.append(part)
            body = unpacker.unused_data
    except zstd.ZstdError as error:
        if "not enough memory" in str(error):  # zstd's words for an allocation that failed
            raise MemoryError(str(error)) from error
        raise BatchError(f"not zstd: {error}") from None
    return b"".join(found)


def _unpacker() -> zstd.ZstdDecompressor:
    try:
        return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW_LOG_MAX})
    except zstd.ZstdError as error:  # before it has seen the body
        raise MemoryError(str(error)) from error


def read(
    text: bytes,
    sender: Sender,
    reader: EntryReader,
    pack: Callable[[Entry], Entry] = lambda its: its,
    words: Words | None = None,
) -> Batch:
    """Return the reports in the lines of ``text``; those that are none, or another node's, are refused one by one.

    ``pack`` is the store's (`Store.pack`). ``words``: bounds what a node adds for ever. Raises BatchError, StoreError
    where the store cannot be asked for that, and MemoryError where this machine has too little.
    """
    lines = _lines(text)
    if len(lines) > MAX_REPORTS:
        raise BatchError(f"more than {MAX_REPORTS} reports")
    now_ms = round(time.time() * 1000)
    entries: list[Entry] = []
    refused: list[tuple[int, Refused]] = []
    foreign: list[int] = []
    for place, line in enumerate(lines):
        try:
            entry = reader.read(line, now_ms)
            _own(entry, sender)
            if words is not None:
                words.admit(entry, now_ms)
        except (StoreError, MemoryError):  # no report's fault: all of them come again
            raise
        except RefusedError as error:
            if isinstance(error, _ForeignError):
                foreign.append(place)
            refused.append((place, Refused(now_ms, sender.node, str(error), len(line), bytes(line[:HEAD]))))
        except Exception as error:  # whatever a text does to us, it stops no node's queue
            why = f"{type(error).__name__}: {ascii(str(error))[:160]}"
            refused.append((place, Refused(now_ms, sender.node, why, len(line), bytes(line[:HEAD]))))
        else:
            entries.append(_packed(entry, pack))
    return Batch(entries, refused, foreign, len(text))


def _packed(entry: Entry, pack: Callable[[Entry], Entry]) -> Entry:
    """Return a report packed; where that fails the writer does it, whose failure asks the sender to come again."""
    try:
        return pack(entry)
    except Exception:
        return entry


def _lines(text: bytes) -> list[memoryview]:
    """Return the lines of ``text``, each with its newline, at most one more than MAX_REPORTS.

    They are views: each copy of a batch costs as much as to decompress it.
    """
    found: list[memoryview] = []
    view, begin = memoryview(text), 0
    while begin < len(text) and len(found) <= MAX_REPORTS:
        end = text.find(b"\n", begin) + 1 or len(text)  # a report that ended without a newline is kept so
        found.append(view[begin:end])
        begin = end
    return found


class _ForeignError(RefusedError):
    """A report that is well, and not the sender's."""


def _own(entry: Entry, sender: Sender) -> None:
    for what, its, own in (("node", entry.node, sender.node), ("cluster", entry.cluster, sender.cluster or None)):
        if own is not None and its != own:
            raise _ForeignError(f"a report of {what} {ascii(its)[:60]}, the token is of {ascii(own)[:60]}")
