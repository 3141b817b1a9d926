"""ELF files of Linux: sections, segments, what the dynamic linker is told (elf.h, the gABI)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from preflight.artifacts.gpu_code.model import Needs
from preflight.artifacts.gpu_code.window import PAGE, Budget, Damaged, Window
from preflight.digits import is_whole

MAGIC = b"\x7fELF"
EM_CUDA = 190
ET_REL, ET_EXEC, ET_DYN = 1, 2, 3
NOBITS, RELA, DYNSYM = 8, 4, 11
MAX_SECTIONS = 200_000  # an object of templates has some ten thousand
MAX_OF_A_NAME, MAX_SEGMENTS = 64, 64
MAX_INTERPRETER = 4096
MAX_NEEDED, MAX_VERSIONS = 4096, 16_384
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_PAIR = struct.Struct("<QQ")
_VERNEED = struct.Struct("<HHIII")
_VERNAUX = struct.Struct("<IHHII")
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_STRTAB, _DT_SYMTAB, _DT_RELA, _DT_RELASZ, _DT_STRSZ = 1, 5, 6, 7, 8, 10
_DT_VERNEED = 0x6FFFFFFE
_WEAK = 2  # VER_FLG_WEAK: without that version the program starts all the same
# Where the psABIs and distributions have the dynamic linker; one elsewhere brings a C library of its own.
_LINKERS = re.compile(r"/(?:usr/)?lib(?:32|64|x32)?/(?:[\w-]+/)?ld[\w.-]*")
_LINK = b"__cudaRegisterLinkedBinary_"


def is_system_linker(path: str) -> bool:
    """Tell whether a program's dynamic linker is the system's, whose C library it then gets."""
    return _LINKERS.fullmatch(path) is not None


class Section(NamedTuple):
    """As in elf.h; ``number`` is its index."""

    number: int
    name: str
    kind: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    width: int


class Elf:
    """A 64-bit little-endian ELF file; raises Damaged where it is another."""

    def __init__(self, window: Window, budget: Budget) -> None:
        if window.slice(0, 6) != MAGIC + b"\x02\x01":
            raise Damaged("not a 64-bit little-endian ELF file")
        self.window, self.budget = window, budget
        self.type, self.machine = window.number(16, 2), window.number(18, 2)
        self.interpreted = False  # names a dynamic linker, as programs do
        self.interpreter = ""  # which one
        self.sections = self._sections()
        self.loads, self._dynamic_at = self._segments()
        self.dynamic = self._dynamic()
        self._tags = dict(reversed(self.dynamic))  # the first of each counts

    def named(self, name: str) -> list[Section]:
        """Return the sections of a name that have bytes in the file; raises Damaged where they are too many."""
        found = [one for one in self.sections if one.name == name and one.kind != NOBITS and one.size]
        if len(found) > MAX_OF_A_NAME:
            raise Damaged(f"more sections {name} than are looked through")
        return found

    def offset(self, address: int) -> int | None:
        """Return where the file holds what is loaded at an address, None where it holds nothing of it."""
        for begin, at, size in self.loads:
            if begin <= address < begin + size:
                return at + address - begin
        return None

    def needs(self) -> Needs:
        """Return what the dynamic linker looks for; what is damaged is left out."""
        libraries: list[str] = []
        versions: dict[str, tuple[int, ...]] = {}
        try:
            libraries = list(dict.fromkeys(self._string(value) for tag, value in self.dynamic if tag == _DT_NEEDED))
            for name in self._versions():
                library, _, number = name.partition("_")
                parts = number.split(".")
                if name == "GLIBC_ABI_DT_RELR":  # the symbol that glibc 2.36 began to define for RELR
                    library, parts = "GLIBC", ["2", "36"]
                if all(is_whole(part, 4) for part in parts):
                    versions[library] = max(versions.get(library, ()), tuple(map(int, parts)))
        except Damaged:
            pass
        glibc, libstdcxx, cxxabi = (versions.get(name, ()) for name in ("GLIBC", "GLIBCXX", "CXXABI"))
        return Needs(tuple(libraries[:MAX_NEEDED]), glibc, libstdcxx, cxxabi, self.interpreter)

    def asks_for_a_device_link(self) -> bool:
        """Tell whether a symbol of nvcc's device link is used and defined nowhere in the file."""
        table, size = self._tag(_DT_STRTAB), self._tag(_DT_STRSZ)
        begin = self.offset(table) if table is not None and size else None
        if begin is None or size is None:
            return False
        self.budget.spend(size // PAGE)
        at = self.window.find(_LINK, begin, begin + size)
        wanted = set()
        while at >= 0:
            self.budget.spend()
            wanted.add(at - begin)
            at = self.window.find(_LINK, at + 1, begin + size)
        return bool(wanted) and any(name in wanted and not section for name, section, _ in self._dynamic_symbols())

    def symbol(self, table: Section, number: int) -> tuple[int, int]:
        """Return the section (0: undefined, or none in this file) and the value of a symbol."""
        if not 0 <= number * _SYMBOL.size <= table.size - _SYMBOL.size:
            raise Damaged("no such symbol")
        _, _, _, section, value, _ = self.window.unpack(_SYMBOL, table.offset + number * _SYMBOL.size)
        return section if section < len(self.sections) else 0, value

    def relocations(self) -> Iterator[tuple[int, int]]:
        """Yield (offset and size in the file) of the tables by which the dynamic linker sets addresses (Elf64_Rela)."""
        if self.sections:
            for one in self.sections:
                if one.kind == RELA and one.width == 24:
                    yield one.offset, one.size
            return
        table, size = self._tag(_DT_RELA), self._tag(_DT_RELASZ)
        place = self.offset(table) if table is not None else None
        if place is not None and size:
            yield place, size

    def _sections(self) -> list[Section]:
        start = self.window.number(0x28, 8)
        width, count, names = (self.window.number(at, 2) for at in (0x3A, 0x3C, 0x3E))
        if start == 0:
            return []
        if width != _SECTION.size:
            raise Damaged("section headers of another size")
        first = self.window.unpack(_SECTION, start)
        count, names = count or first[5], first[6] if names == 0xFFFF else names
        if not 0 < count <= MAX_SECTIONS or not names < count:
            raise Damaged("no sections, or too many")
        self.window.check(start, count * width)
        raw = [self.window.unpack(_SECTION, start + number * width) for number in range(count)]
        begin, size = raw[names][4], raw[names][5]
        table = b"" if raw[names][1] == NOBITS else self.window.slice(begin, min(size, 16 << 20))
        found = []
        for number, (name, kind, _, address, offset, size, link, info, _, each) in enumerate(raw):
            end = table.find(b"\0", name, name + 64)
            word = table[name:end].decode("ascii", "replace") if end >= 0 else ""
            if kind != NOBITS:
                self.window.check(offset, size)
            found.append(Section(number, word, kind, address, offset, size, link, info, each))
        return found

    def _segments(self) -> tuple[list[tuple[int, int, int]], tuple[int, int] | None]:
        start = self.window.number(0x20, 8)
        width, count = self.window.number(0x36, 2), self.window.number(0x38, 2)
        loads: list[tuple[int, int, int]] = []
        dynamic = None
        if not start or width != _SEGMENT.size:
            return loads, dynamic
        if count > MAX_SEGMENTS:
            raise Damaged("too many segments")
        self.window.check(start, count * width)
        for number in range(count):
            kind, _, offset, address, _, size, _, _ = self.window.unpack(_SEGMENT, start + number * width)
            if kind == _PT_INTERP and not self.interpreted:
                self.interpreted = True
                if offset + size <= self.window.size:
                    name = self.window.slice(offset, min(size, MAX_INTERPRETER)).partition(b"\0")[0]
                    self.interpreter = name.decode("ascii", "replace")
            if kind in (_PT_LOAD, _PT_DYNAMIC) and size and offset + size <= self.window.size:
                if kind == _PT_LOAD:
                    loads.append((address, offset, size))
                else:
                    dynamic = (offset, size)
        return loads, dynamic

    def _dynamic(self) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        if self._dynamic_at is None:
            return found
        offset, size = self._dynamic_at
        for number in range(min(size // _PAIR.size, 2 * MAX_NEEDED)):
            tag, value = self.window.unpack(_PAIR, offset + number * _PAIR.size)
            if tag == 0:
                break
            found.append((tag, value))
        return found

    def _tag(self, wanted: int) -> int | None:
        return self._tags.get(wanted)

    def _string(self, at: int) -> str:
        table, size = self._tag(_DT_STRTAB), self._tag(_DT_STRSZ)
        begin = self.offset(table) if table is not None and size else None
        if begin is None or size is None or not 0 <= at < size:
            raise Damaged("a name that is not there")
        return self.window.text(begin + at, begin + size)

    def _versions(self) -> Iterator[str]:
        """Yield the versions that are asked of other libraries (GLIBC_2.28)."""
        table = self._tag(_DT_VERNEED)
        at = self.offset(table) if table is not None else None
        budget = Budget(MAX_VERSIONS)
        while at is not None:
            budget.spend()
            _, count, _, first, following = self.window.unpack(_VERNEED, at)
            entry = at + first
            for _ in range(count):
                budget.spend()
                _, flags, _, name, step = self.window.unpack(_VERNAUX, entry)
                if not flags & _WEAK:
                    yield self._string(name)
                entry += step
                if not step:
                    break
            at = at + following if following else None

    def _dynamic_symbols(self) -> Iterator[tuple[int, int, int]]:
        """Yield name (an offset), section and value of the symbols that the dynamic linker sees."""
        table = next((one for one in self.sections if one.kind == DYNSYM), None)
        if table is not None:
            begin, size = table.offset, table.size
        else:  # no section tells where it ends; it stands before its names
            place, names = (self.offset(self._tag(tag) or 0) for tag in (_DT_SYMTAB, _DT_STRTAB))
            if place is None or names is None or names < place:
                return
            begin, size = place, names - place
        self.budget.spend(size // _SYMBOL.size // 20)
        for number in range(size // _SYMBOL.size):
            name, _, _, section, value, _ = self.window.unpack(_SYMBOL, begin + number * _SYMBOL.size)
            yield name, section, value
