"""A part of a file, every access within its bounds, and the work that one file may cause."""

from __future__ import annotations

import mmap
import struct
from typing import Any

MAX_STEPS = 300_000  # a container or an image is one, a page that is searched as well: PyTorch has some ten thousand
PAGE = 4096  # bytes that are searched for one step
_NUMBERS = {size: struct.Struct(f"<{letter}") for size, letter in ((2, "H"), (4, "I"), (8, "Q"))}


class Damaged(ValueError):
    """Something points out of the file, or there is too much of it; one line."""


class Budget:
    """Counts work; raises Damaged where a file causes more than any real one."""

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.left = steps

    def spend(self, steps: int = 1) -> None:
        """Count steps."""
        self.left -= steps
        if self.left < 0:
            raise Damaged("more in it than is looked through")


class Window:
    """``size`` bytes of ``data`` from ``start`` on (of an archive: a member); offsets are within it."""

    def __init__(self, data: mmap.mmap | bytes, start: int = 0, size: int | None = None) -> None:
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
        found: int = _NUMBERS[size].unpack_from(self.data, self.check(at, size))[0]
        return found

    def unpack(self, form: struct.Struct, at: int) -> tuple[Any, ...]:
        """Return the fields of a structure at an offset."""
        return form.unpack_from(self.data, self.check(at, form.size))

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
