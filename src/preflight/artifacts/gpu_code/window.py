"""A part of a file, every access within its bounds, and the work that one file may cause."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Hashable
from typing import Any

from preflight.artifacts.gpu_code.model import Late

MAX_STEPS = 300_000  # a container or an image is one, a page that is searched as well: PyTorch has some ten thousand
PAGE = 4096  # bytes that are searched for one step
_BLOCK = 512  # bytes read at once: the fields of an image lie together, and the next image far away
_CHUNK = 1 << 20  # bytes searched at once


class Damaged(ValueError):
    """Something points out of the file, or there is too much of it; one line."""


def in_time(path: str, deadline: float | None) -> None:
    """Raise Late where ``deadline`` (of time.monotonic) is over; None: there is none."""
    if deadline is not None and time.monotonic() > deadline:
        raise Late(f"{path}: to look into it takes too long here; 'preflight code' takes its time")


class Budget:
    """Counts work; raises Damaged where a file causes more than any real one. ``met``: what was read, each once."""

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.left = steps
        self.met: dict[Hashable, Any] = {}

    def spend(self, steps: int = 1) -> None:
        """Count steps."""
        self.left -= steps
        if self.left < 0:
            raise Damaged("more in it than is looked through")


class File:
    """An open file as a sequence of bytes. Nothing is mapped: a file may become shorter while it is read.

    Raises Damaged for bytes that are not there any more, OSError where the file cannot be read, Late where it is read
    after ``deadline`` (of time.monotonic). ``path``: for that message.
    """

    def __init__(self, descriptor: int, size: int, path: str = "", deadline: float | None = None) -> None:
        self._descriptor, self._size = descriptor, size
        self._path, self._deadline = path, deadline
        self._at, self._block = 0, b""

    def __len__(self) -> int:
        """Return the size that the file had."""
        return self._size

    def __getitem__(self, place: slice) -> bytes:
        """Return the bytes of a slice that lies within the file."""
        begin, end = place.start, place.stop
        if not self._at <= begin <= end <= self._at + len(self._block):
            if end - begin > _BLOCK:
                return self._read(begin, end - begin)
            self._at, self._block = begin, self._read(begin, min(_BLOCK, self._size - begin))
        return self._block[begin - self._at : end - self._at]

    def find(self, what: bytes, begin: int, end: int) -> int:
        """Return the place of some bytes between two, -1 where they are not."""
        while begin + len(what) <= end:
            chunk = self._read(begin, min(_CHUNK, end - begin))
            found = chunk.find(what)
            if found >= 0:
                return begin + found
            begin += len(chunk) - len(what) + 1
        return -1

    def _read(self, at: int, size: int) -> bytes:
        parts = []
        in_time(self._path, self._deadline)
        while size > 0:
            part = _pread(self._descriptor, size, at)
            if not part:
                raise Damaged("became shorter while it was read")
            parts.append(part)
            at, size = at + len(part), size - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _seek_and_read(descriptor: int, size: int, at: int) -> bytes:
    os.lseek(descriptor, at, os.SEEK_SET)
    return os.read(descriptor, size)


_pread = getattr(os, "pread", _seek_and_read)  # Windows has none


class Window:
    """``size`` bytes of ``data`` from ``start`` on (of an archive: a member); offsets are within it."""

    def __init__(self, data: File | bytes, start: int = 0, size: int | None = None) -> None:
        self.data = data
        self.start = start
        self.size = len(data) - start if size is None else size
        if start < 0 or self.size < 0 or start + self.size > len(data):
            raise Damaged("ends too early")

    def check(self, at: int, size: int) -> int:
        """Return the place in ``data`` of ``size`` bytes at an offset; raises Damaged where they are not all there."""
        if at < 0 or size < 0 or at + size > self.size:
            raise Damaged("ends too early")
        return self.start + at

    def slice(self, at: int, size: int) -> bytes:
        """Return a copy of some bytes."""
        place = self.check(at, size)
        return self.data[place : place + size]

    def number(self, at: int, size: int) -> int:
        """Return the little-endian number of 2, 4 or 8 bytes at an offset."""
        place = self.check(at, size)
        return int.from_bytes(self.data[place : place + size], "little")

    def unpack(self, form: struct.Struct, at: int) -> tuple[Any, ...]:
        """Return the fields of a structure at an offset."""
        place = self.check(at, form.size)
        return form.unpack(self.data[place : place + form.size])

    def find(self, what: bytes, begin: int, end: int) -> int:
        """Return the offset of some bytes between two offsets, -1 where they are not."""
        end = min(end, self.size)
        if not 0 <= begin < end:
            return -1
        place = self.data.find(what, self.start + begin, self.start + end)
        return place - self.start if place >= 0 else -1

    def text(self, at: int, end: int, most: int = 4096) -> str:
        """Return the text at an offset up to its NUL, which stands before ``end`` and within ``most`` bytes."""
        stop = self.find(b"\0", at, min(end, at + most))
        if stop < 0:
            raise Damaged("a name without its end")
        return self.slice(at, stop - at).decode("ascii", "replace")
