"""Records (.nvFatBinSegment): by them the runtime finds the containers of a program; each is 24 bytes.

The address in a record is set by a relocation: of an object by its own table, of a program or a library by the dynamic
linker's. GNU ld writes it in place as well, lld does not.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from preflight.artifacts.gpu_code import fatbin
from preflight.artifacts.gpu_code.elf import ET_REL, RELA, Elf, Section
from preflight.artifacts.gpu_code.window import PAGE, Damaged

MAGIC = b"\xb1\x43\x62\x46"
SIZE = 24
UNIT, LINK = 1, 2  # versions
_RECORD = struct.Struct("<4sIQQ")
_RELOCATION = struct.Struct("<QQq")
_CHUNK = 8192  # relocations read at a time
_MAX = 100_000


class Record(NamedTuple):
    """``version``: of a unit or a link. ``container``: its offset in the file, None where that cannot be told."""

    version: int
    container: int | None


def of_sections(elf: Elf) -> list[Record]:
    """Return the records of a file that has sections."""
    found: list[Record] = []
    for section in elf.named(".nvFatBinSegment"):
        if section.size // SIZE > _MAX:
            raise Damaged("more records than are looked through")
        raw = list(_read(elf, section))
        if elf.type == ET_REL:
            places = _of_an_object(elf, section)
            found += [Record(version, places.get(at)) for at, version, _ in raw]
            continue
        address = {at: section.address + at - section.offset + 8 for at, _, _ in raw}
        places = _resolve(elf, {address[at]: value for at, _, value in raw})
        found += [Record(version, places.get(address[at])) for at, version, _ in raw]
    return found


def without_sections(elf: Elf) -> list[Record]:
    """Return the records of a file without section headers, those whose container is there."""
    raw: dict[int, tuple[int, int]] = {}  # the address of the container's address -> version, the container's address
    for begin, offset, size in elf.loads:
        elf.budget.spend(size // PAGE)
        at = elf.window.find(MAGIC, offset, offset + size)
        while at >= 0:
            elf.budget.spend()
            if (at - offset) % 8 == 0 and at + SIZE <= offset + size:
                _, version, container, _ = elf.window.unpack(_RECORD, at)
                if version in (UNIT, LINK):
                    raw[begin + at - offset + 8] = (version, container)
            at = elf.window.find(MAGIC, at + 1, offset + size)
    places = _resolve(elf, {place: container for place, (_, container) in raw.items()})
    return [Record(version, places[place]) for place, (version, _) in raw.items() if place in places]


def _read(elf: Elf, section: Section) -> Iterator[tuple[int, int, int]]:
    """Yield offset, version and container's address of the records; raises Damaged where other things are there."""
    for at in range(section.offset, section.offset + section.size - SIZE + 1, SIZE):
        elf.budget.spend()
        magic, version, container, _ = elf.window.unpack(_RECORD, at)
        if magic == MAGIC:
            yield at, version, container
        elif any(elf.window.slice(at, SIZE)):
            raise Damaged("a record is damaged")


def _of_an_object(elf: Elf, section: Section) -> dict[int, int]:
    """Return, by the record's offset, where its container is: a section symbol and what is added to it."""
    places: dict[int, int] = {}
    for table in elf.sections:
        if table.kind != RELA or table.info != section.number or not 0 < table.link < len(elf.sections):
            continue
        for at in range(table.offset, table.offset + table.size - _RELOCATION.size + 1, _RELOCATION.size):
            elf.budget.spend()
            place, info, added = elf.window.unpack(_RELOCATION, at)
            index, value = elf.symbol(elf.sections[table.link], info >> 32)
            if index and place % SIZE == 8:
                places[section.offset + place - 8] = elf.sections[index].offset + value + added
    return places


def _resolve(elf: Elf, wanted: dict[int, int]) -> dict[int, int]:
    """Return the offsets of containers by the address of what names them; ``wanted``: what stands there in place."""
    places = {}
    for address, offset in _addresses(elf, wanted).items():
        if fatbin.fits(elf.window, offset, elf.window.size):
            places[address] = offset
    return places


def _addresses(elf: Elf, wanted: dict[int, int]) -> dict[int, int]:
    """Return the offset that each address will hold once the file is loaded, of those that lie in the file."""
    found: dict[int, int] = {}
    missing: set[int] = set()
    for address, value in wanted.items():
        offset = elf.offset(value) if value else None
        if offset is None:
            missing.add(address)
        else:
            found[address] = offset
    for address, value in _relocated(elf, missing):
        offset = elf.offset(value)
        if offset is not None:
            found[address] = offset
    return found


def _relocated(elf: Elf, wanted: set[int]) -> Iterator[tuple[int, int]]:
    """Yield address and value of the relocations of some addresses; they are read only where there are any."""
    if not wanted:
        return
    for begin, size in elf.relocations():
        for at in range(begin, begin + size, _CHUNK * _RELOCATION.size):
            elf.budget.spend(_CHUNK // 20)
            length = min(begin + size - at, _CHUNK * _RELOCATION.size) // _RELOCATION.size * _RELOCATION.size
            for address, info, added in _RELOCATION.iter_unpack(elf.window.slice(at, length)):
                if address in wanted and info >> 32 == 0:
                    yield address, added
