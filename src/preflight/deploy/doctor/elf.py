"""For which Slurm a plugin was built: the number in its symbol ``plugin_version``, read from the ELF file.

The plugin cannot be loaded to be asked: Slurm's functions in it are the loading program's.
"""

import struct
from typing import NamedTuple

from preflight.files import read_plain

MAX_BYTES = 16 << 20
DYNSYM = 11
_SECTION = struct.Struct("IIQQQQIIQQ")  # elf.h, Elf64_Shdr
_SYMBOL = struct.Struct("IBBHQQ")  # elf.h, Elf64_Sym


class ElfError(ValueError):
    """A file that is no 64-bit little-endian ELF object with the symbol; one line."""


class _Section(NamedTuple):
    kind: int
    address: int
    offset: int
    size: int
    link: int


def plugin_release(path: str) -> tuple[int, int, int]:
    """Return the release of Slurm whose headers a plugin was built with, (22, 5, 8).

    SPANK_PLUGIN in spank.h sets plugin_version to SLURM_VERSION_NUMBER, 0x160508. Raises OSError, ElfError.
    """
    return release_in(read_plain(path, MAX_BYTES), path)


def release_in(data: bytes, path: str) -> tuple[int, int, int]:
    """Return the same of a plugin's bytes; ``path``: what an error names. Raises ElfError."""
    try:
        number = struct.unpack("<I", _value(data, b"plugin_version", 4))[0]
    except struct.error:
        raise ElfError(f"{path}: cut short") from None
    except ElfError as error:
        raise ElfError(f"{path}: {error}") from None
    return number >> 16 & 0xFF, number >> 8 & 0xFF, number & 0xFF


def _value(data: bytes, name: bytes, size: int) -> bytes:
    """Return the first bytes of an exported object."""
    if data[:6] != b"\x7fELF\x02\x01":
        raise ElfError("not a 64-bit little-endian ELF file")
    start, width, count = struct.unpack_from("<Q", data, 0x28)[0], *struct.unpack_from("<HH", data, 0x3A)
    sections = [_section(data, start + number * width) for number in range(count)]
    for table in sections:
        if table.kind != DYNSYM or table.link >= len(sections):
            continue
        names = sections[table.link]
        for at in range(table.offset, table.offset + table.size, _SYMBOL.size):
            word, _, _, index, address, _ = struct.unpack_from("<" + _SYMBOL.format, data, at)
            begin = names.offset + word
            if 0 < index < len(sections) and data[begin : begin + len(name) + 1] == name + b"\0":
                place = sections[index].offset + address - sections[index].address
                return data[place : place + size]
    raise ElfError("no symbol plugin_version: not a plugin of Slurm's")


def _section(data: bytes, at: int) -> _Section:
    _, kind, _, address, offset, size, link, *_ = struct.unpack_from("<" + _SECTION.format, data, at)
    return _Section(kind, address, offset, size, link)
