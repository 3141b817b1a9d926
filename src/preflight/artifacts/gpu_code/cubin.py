"""Cubins: machine code of one GPU architecture, in an ELF file of its own (e_machine 190)."""

from __future__ import annotations

import re

from preflight.artifacts.gpu_code.elf import EM_CUDA, MAGIC
from preflight.artifacts.gpu_code.model import CUBIN, Part
from preflight.artifacts.gpu_code.window import Damaged, Window

_HEADER = 64
_OLD, _NEW = 7, 8  # EI_ABIVERSION: where e_flags keeps the architecture
_ACCELERATED = {_OLD: 0x800, _NEW: 0x8}  # set for sm_90a by CUDA 12, no more since 13
_ARCH = re.compile(rb"(?:-arch|--gpu-name)[ =]sm_(\d{2,3})([af]?)\b")
_NAMES, _TABLE = 64 << 10, 64  # bytes of a table of names that are looked through; sections at most, in thousands
# A section whose name begins so holds what a program can ask for: kernels, variables, constants.
_HOLDS = (b".text.", b".nv.global", b".nv.constant3", b".nv.constant4")
_FIRST_TOOLKIT, _LAST_TOOLKIT = 50, 199


def is_cubin(window: Window) -> bool:
    """Tell whether a window begins as a cubin does."""
    return window.size >= _HEADER and window.slice(0, 4) == MAGIC and window.number(18, 2) == EM_CUDA


def alone(window: Window) -> Part:
    """Return what a cubin says of itself; raises Damaged where it is cut short."""
    window.check(0, _HEADER)
    abi, flags = window.slice(8, 1)[0], window.number(48, 4)
    doubt = "" if abi in _ACCELERATED else f"a cubin of ABI version {abi}"
    arch = flags >> 8 & 0xFF if abi == _NEW else flags & 0xFF
    suffix = "a" if flags & _ACCELERATED.get(abi, 0) else ""
    if not suffix and arch >= 90 and abi == _NEW:  # ptxas of 12.0, 12.4 and 12.9 sets the old one's flag
        suffix = _suffix(window, arch)
    return Part(CUBIN, arch, suffix, None, flags, toolkit(window), holds(window), doubt)


def toolkit(window: Window) -> tuple[int, int] | None:
    """Return the CUDA that made a cubin, (12, 4): e_version is 124 there; None where it is no such number."""
    number = window.number(20, 4)
    return divmod(number, 10) if _FIRST_TOOLKIT <= number <= _LAST_TOOLKIT else None


def holds(window: Window) -> bool | None:
    """Tell whether a cubin has anything that a program could ask for; None where that cannot be told."""
    try:
        start, width = window.number(40, 8), window.number(58, 2)
        count, index = window.number(60, 2), window.number(62, 2)
        if width != 64 or not 0 < index < count:
            return None
        begin, size = window.number(start + index * 64 + 24, 8), window.number(start + index * 64 + 32, 8)
        window.check(begin, size)
    except Damaged:
        return None
    if size > _NAMES:
        return True  # thousands of names: no empty cubin has so many
    names = window.slice(begin, size)
    return any(name in names for name in _HOLDS)  # a name may stand at the end of another's, .rela.text.k


def _suffix(window: Window, arch: int) -> str:
    """Return the suffix by the command line of ptxas, which the note .note.nv.tkinfo keeps; "?" where there is none."""
    at = window.find(b"NVIDIA Corp", 0, window.size)
    tail = window.slice(at, min(4096, window.size - at)) if at >= 0 else b""
    found = _ARCH.search(tail)
    return found[2].decode() if found and int(found[1]) == arch else "?"
