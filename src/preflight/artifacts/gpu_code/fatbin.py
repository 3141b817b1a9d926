"""Fatbins: containers of PTX, cubins and LTO-IR, as nvcc's fatbinary writes them (docs/gpu-code.md has the layout)."""

from __future__ import annotations

import struct
from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple

from preflight.artifacts.gpu_code import cubin
from preflight.artifacts.gpu_code.model import CUBIN, LTO, OTHER, PTX, Part
from preflight.artifacts.gpu_code.window import PAGE, Budget, Window

MAGIC = b"\x50\xed\x55\xba"
HEADER, SMALLEST, ALIGNED = 16, 64, 8
_HEADER = struct.Struct("<4sHHQ")
_ENTRY = struct.Struct("<HHIQIIHHIIIQQQ")
_CUBIN = 2
_KINDS = {1: PTX, _CUBIN: CUBIN, 8: LTO}
_FORMAT = 0x0101
WIDE, DEBUG, LINUX, LZ4, ZSTD, HIDDEN = 0x1, 0x2, 0x10, 0x2000, 0x8000, 0x10000
_KNOWN = WIDE | DEBUG | LINUX | LZ4 | ZSTD | HIDDEN
_VARIANT, _NEW = 20, 0x1000000  # flags: from which bit on four tell the variant; what cubins from sm_100 on have
_VARIANTS = {0: "", 1: "a", 2: "f"}


class Found(NamedTuple):
    """A container at an offset of the window; ``doubt``: why not all of it is known."""

    offset: int
    parts: tuple[Part, ...]
    doubt: str


def containers(window: Window, begin: int, end: int, budget: Budget) -> Iterator[Found]:
    """Yield the containers between two offsets; what lies between them, and only looks like one, is passed over."""
    at = begin
    while at + HEADER <= end:
        budget.spend()
        size = _size(window, at, end)
        if size:
            yield one(window, at, end, budget)
            at += -(-size // ALIGNED) * ALIGNED
            continue
        found = window.find(MAGIC, at + 1, end)
        budget.spend(((found if found >= 0 else end) - at) // PAGE)
        if found < 0:
            return
        at = found + (1 if (found - begin) % ALIGNED else 0)


def one(window: Window, at: int, end: int, budget: Budget) -> Found:
    """Return the container at an offset, which `fits`."""
    _, version, first, size = window.unpack(_HEADER, at)
    if version != 1:
        return Found(at, (), f"a container of version {version}")
    parts: list[Part] = []
    doubt = ""
    place, stop = at + first, at + first + size
    while place < stop and not doubt:
        budget.spend()
        step, part = _part(window, place, stop, budget.met)
        if part is None:
            doubt = "" if not any(window.slice(place, min(stop - place, SMALLEST))) else "an image is damaged"
            break
        parts.append(part)
        place += step
    return Found(at, budget.met.setdefault(tuple(map(id, parts)), tuple(parts)), doubt)


def fits(window: Window, at: int, end: int) -> bool:
    """Tell whether a container is at an offset: the magic number, and sizes that stay before ``end``."""
    return _size(window, at, end) > 0


def _size(window: Window, at: int, end: int) -> int:
    if at < 0 or at + HEADER > min(end, window.size):
        return 0
    magic, version, first, size = window.unpack(_HEADER, at)
    if magic != MAGIC or not 0 < version < 256 or not HEADER <= first <= 256 or at + first + size > end:
        return 0
    if version == 1 and size and not 0 < window.number(at + first + 4, 4) <= size:
        return 0  # the number by chance, in a program that looks for it
    return int(first + size)


def _part(window: Window, at: int, stop: int, met: dict[Hashable, Any]) -> tuple[int, Part | None]:
    """Return how far the next image is, and what this one is; None where it is damaged. Those alike are one."""
    if stop - at < SMALLEST:
        return 0, None
    number, form, header, size, packed, _, minor, major, arch, _, _, flags, _, _ = window.unpack(_ENTRY, at)
    if header < SMALLEST or at + header + size > stop:
        return 0, None
    toolkit = kernels = None
    if number == _CUBIN and not packed and not flags & (LZ4 | ZSTD) and size >= 64:
        image = Window(window.data, window.check(at + header, size), size)
        if cubin.is_cubin(image):
            toolkit, kernels = cubin.toolkit(image), cubin.holds(image)
    key = (number, form, packed > size, minor, major, arch, flags, toolkit, kernels)
    part = met.get(key)
    if part is None:
        kind = _KINDS.get(number, OTHER)
        suffix = _VARIANTS.get(flags >> _VARIANT & 0xF, "?")
        isa = (major, minor) if kind == PTX else None
        doubt = _doubt(number, form, flags, packed > size)
        part = met[key] = Part(kind, number if kind == OTHER else arch, suffix, isa, flags, toolkit, kernels, doubt)
    return header + size, part


def _doubt(number: int, form: int, flags: int, too_long: bool) -> str:
    if number not in _KINDS:
        return f"images of kind {number} are not known"
    if form != _FORMAT:
        return f"images of format {form:#x} are not known"
    if too_long:
        return "its size is damaged"
    rest = flags & ~(0xF << _VARIANT) & ~(_NEW if _KINDS[number] == CUBIN else 0)
    if flags >> _VARIANT & 0xF not in _VARIANTS or rest & ~_KNOWN:
        return f"flags {flags:#x} are not known"
    if not flags & WIDE:
        return "32-bit code"
    return ""
