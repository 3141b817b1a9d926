"""Small files with GPU code, written after the layout in docs/gpu-code.md; no compiler is needed."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

PTX, CUBIN, LTO = 1, 2, 8
WIDE, LINUX, LZ4, ZSTD = 0x1, 0x10, 0x2000, 0x8000
PLAIN, ACCELERATED, FAMILY = 0, 1 << 20, 2 << 20
BASE = 0x10000  # where the one segment is loaded
X86_64, AARCH64, PPC64, CUDA = 62, 183, 21, 190
REL, EXEC, DYN = 1, 2, 3
PROGBITS, STRTAB, RELA, DYNAMIC, NOBITS, DYNSYM, SYMTAB = 1, 3, 4, 6, 8, 11, 2
VERNEED = 0x6FFFFFFE
FOUR = (PTX, CUBIN, LTO, 16)


class Section(NamedTuple):
    """``data``: the bytes, or how many there are with a function of the sections' offsets that makes them."""

    name: str
    data: bytes | tuple[int, Callable[[dict[str, int]], bytes]]
    kind: int = PROGBITS
    link: str = ""
    info: str = ""
    width: int = 0


def elf(
    sections: Sequence[Section],
    kind: int = DYN,
    machine: int = X86_64,
    *,
    headers: bool = True,
    flags: int = 0,
    abi: int = 0,
    version: int = 1,
    interpreter: bool | str = False,
) -> bytes:
    """Return an ELF file: one segment with all of it, PT_DYNAMIC where it has .dynamic. Address = BASE + offset."""
    linker = "/lib64/ld-linux-x86-64.so.2" if interpreter is True else interpreter or ""
    named = [Section(".interp", linker.encode() + b"\0")] if linker else []
    everything = [Section("", b"", 0), *sections, *named, Section(".shstrtab", b"", STRTAB)]
    names = b"\0"
    at_name = {}
    for one in everything[1:]:
        at_name[one.name] = len(names)
        names += one.name.encode() + b"\0"
    everything[-1] = everything[-1]._replace(data=names)
    number = {one.name: index for index, one in enumerate(everything)}
    segments = 1 + (".dynamic" in number) + bool(linker)
    place, offsets, sizes = 64 + 56 * segments, {}, {}
    for one in everything:
        size = one.data[0] if isinstance(one.data, tuple) else len(one.data)
        place = -(-place // 8) * 8
        offsets[one.name], sizes[one.name] = place, size
        place += 0 if one.kind == NOBITS else size
    table = -(-place // 8) * 8
    total = table + 64 * len(everything) * headers
    out = bytearray(total)
    shape = (64 if segments else 0, table if headers else 0)
    ident = b"\x7fELF\x02\x01\x01" + bytes([0x33 if machine == CUDA else 0, abi]) + bytes(7)
    count = (len(everything), number[".shstrtab"]) if headers else (0, 0)
    header = struct.pack("<HHIQQQIHHHHHH", kind, machine, version, 0, *shape, flags, 64, 56, segments, 64, *count)
    out[:64] = ident + header
    loads = [(1, 7, 0, BASE, BASE, total, total, 4096)]
    if ".dynamic" in number:
        loads.append(_segment(2, offsets[".dynamic"], sizes[".dynamic"]))
    if linker:
        loads.append(_segment(3, offsets[".interp"], sizes[".interp"]))
    for index, fields in enumerate(loads):
        struct.pack_into("<IIQQQQQQ", out, 64 + 56 * index, *fields)
    for one in everything:
        data = one.data[1](offsets) if isinstance(one.data, tuple) else one.data
        if one.kind != NOBITS:
            out[offsets[one.name] : offsets[one.name] + len(data)] = data
    for index, one in enumerate(everything if headers else ()):
        address = 0 if kind == REL else BASE + offsets[one.name]
        link, info = number.get(one.link, 0) if one.link else 0, number.get(one.info, 0) if one.info else 0
        where = (offsets[one.name], sizes[one.name]) if index else (0, 0)
        fields_of = (at_name.get(one.name, 0), one.kind, 2, address, *where, link, info, 8, one.width)
        struct.pack_into("<IIQQQQIIQQ", out, table + 64 * index, *fields_of)
    return bytes(out)


def _segment(kind: int, offset: int, size: int) -> tuple[int, ...]:
    return (kind, 6, offset, BASE + offset, BASE + offset, size, size, 8)


def cubin(
    sm: int = 90, *, abi: int = 8, kernels: bool = True, version: int = 1, flag: int = 0, note: str = ""
) -> bytes:
    """Return a cubin; ``note``: the command line of ptxas that it keeps."""
    sections = [Section(".text._Z1kPi", bytes(16))] if kernels else [Section(".nv.info", bytes(8))]
    if note:
        sections.append(
            Section(".note.nv.tkinfo", b"NVIDIA Corp\0\0ptxas\0Cuda compilation tools\0 " + note.encode() + b" \0")
        )
    flags = sm << 8 | flag if abi == 8 else sm << 16 | sm | flag
    return elf(sections, EXEC, CUDA, flags=flags, abi=abi, version=version)


def image(
    sm: int,
    kind: int = CUBIN,
    variant: int = PLAIN,
    *,
    isa: tuple[int, int] | None = None,
    flags: int | None = None,
    data: bytes | None = None,
    packed: int = 0,
    header: int = 64,
    form: int = 0x0101,
) -> bytes:
    """Return an entry of a container: a cubin in clear, or PTX that LZ4 packed, of a CUDA 12.8."""
    if data is None:
        data = cubin(sm) if kind == CUBIN else bytes(range(1, 41))
    if flags is None:
        flags = WIDE | LINUX | (LZ4 if kind == PTX else 0) | (0x1000000 if kind == CUBIN and sm >= 100 else 0)
    packed = packed or (len(data) if kind == PTX else 0)
    major, minor = isa or ((8, 7) if kind == PTX else (1, 8))
    data += bytes(-len(data) % 8)
    fields = (kind, form, header, len(data), packed, 0, minor, major, sm, 0, 0, flags | variant, 0, 0)
    return struct.pack("<HHIQIIHHIIIQQQ", *fields) + bytes(header - 64) + data


def ptx(sm: int, isa: tuple[int, int] = (8, 7), variant: int = PLAIN) -> bytes:
    """Return an entry of PTX."""
    return image(sm, PTX, variant, isa=isa)


def container(*images: bytes, version: int = 1) -> bytes:
    """Return a container."""
    body = b"".join(images)
    return struct.pack("<4sHHQ", b"\x50\xed\x55\xba", version, 16, len(body)) + body


EMPTY = container(image(75, data=cubin(75, kernels=False)))  # what every link of nvcc adds


def text(sm: str = "sm_90", isa: str = "8.7") -> bytes:
    """Return PTX as a file has it."""
    head = "//\n// Generated by a compiler\n/* of\nours */\n"
    return f"{head}.version {isa}\n.target {sm}, debug\n.address_size 64\n".encode()


def library(
    units: Sequence[bytes] = (),
    *,
    linked: bytes | None = EMPTY,
    inputs: Sequence[bytes] = (),
    in_place: bool = True,
    needed: Sequence[str] = (),
    versions: Sequence[str] = (),
    undefined: Sequence[str] = (),
    gap: int = 0,
    **more: object,
) -> bytes:
    """Return what a linker makes: ``linked`` first in .nv_fatbin, then the units; ``inputs`` of the device link.

    ``in_place``: the addresses stand in the records (GNU ld); else by relocations alone (lld).
    """
    code = [*([linked] if linked is not None else []), *units]
    starts, body = _packed(code, gap)
    input_starts, input_body = _packed(inputs, gap)
    wanted = [(1, ".nv_fatbin", at) for at in starts[linked is not None :]]
    wanted += [(1, "__nv_relfatbin", at) for at in input_starts]
    if linked is not None:
        wanted.append((2, ".nv_fatbin", starts[0]))

    def records(offsets: dict[str, int]) -> bytes:
        listed = BASE + (1 << 24)  # memory that the runtime fills
        rows = (
            (version, (BASE + offsets[name] + at) * in_place, listed * (version == 2)) for version, name, at in wanted
        )
        return b"".join(struct.pack("<4sIQQ", b"\xb1\x43\x62\x46", *row) for row in rows)

    def relocations(offsets: dict[str, int]) -> bytes:
        places = (BASE + offsets[".nvFatBinSegment"] + 24 * index + 8 for index in range(len(wanted)))
        return b"".join(
            struct.pack("<QQq", place, 8, BASE + offsets[name] + at) for place, (_, name, at) in zip(places, wanted)
        )

    strings, dynamic, symbols, need = _dynamic(needed, versions, undefined)
    sections = [
        Section(".dynsym", symbols, DYNSYM, ".dynstr", "", 24),
        Section(".dynstr", strings, STRTAB),
        Section(".gnu.version_r", need, VERNEED, ".dynstr"),
        Section(".rela.dyn", (24 * len(wanted), relocations), RELA, ".dynsym", "", 24),
        Section(".nv_fatbin", body),
        Section("__nv_relfatbin", input_body),
        Section(".dynamic", (16 * 10 + 16 * len(needed), dynamic), DYNAMIC, ".dynstr", "", 16),
        Section(".nvFatBinSegment", (24 * len(wanted), records)),
    ]
    kept = [one for one in sections if one.name not in (".nv_fatbin", "__nv_relfatbin") or one.data]
    return elf(kept, **more)  # type: ignore[arg-type]


def _packed(containers: Sequence[bytes], gap: int) -> tuple[list[int], bytes]:
    starts, body = [], b""
    for one in containers:
        starts.append(len(body))
        body += one + bytes(-len(one) % 8) + bytes(gap)
    return starts, body[: len(body) - gap] if gap else body


def _dynamic(
    needed: Sequence[str], versions: Sequence[str], undefined: Sequence[str]
) -> tuple[bytes, Callable[[dict[str, int]], bytes], bytes, bytes]:
    strings = b"\0"
    at: dict[str, int] = {}
    for name in (*needed, *versions, *undefined, "libc.so.6"):
        at.setdefault(name, len(strings))
        strings += name.encode() + b"\0"
    symbols = bytes(24) + b"".join(struct.pack("<IBBHQQ", at[name], 0x12, 0, 0, 0, 0) for name in undefined)
    need = struct.pack("<HHIII", 1, len(versions), at["libc.so.6"], 16, 0) if versions else b""
    for index, name in enumerate(versions):
        need += struct.pack("<IHHII", 0, 0, index + 2, at[name], 16 if index < len(versions) - 1 else 0)

    def dynamic(offsets: dict[str, int]) -> bytes:
        place = {name: BASE + offset for name, offset in offsets.items()}
        tags = [(1, at[name]) for name in needed]
        tags += [(5, place[".dynstr"]), (10, len(strings)), (6, place[".dynsym"]), (7, place[".rela.dyn"])]
        tags += [(8, place[".nv_fatbin" if ".nv_fatbin" in place else ".dynamic"] - place[".rela.dyn"])]
        tags += [(VERNEED, place[".gnu.version_r"]), (0x6FFFFFFF, 1)] if versions else []
        return b"".join(struct.pack("<QQ", *tag) for tag in tags) + bytes(16)

    return strings, dynamic, symbols, need


def obj(units: Sequence[bytes] = (), inputs: Sequence[bytes] = (), machine: int = X86_64) -> bytes:
    """Return an object file: its records are told by .rela.nvFatBinSegment, over section symbols."""
    starts, body = _packed(units, 0)
    input_starts, input_body = _packed(inputs, 0)
    wanted = [(1, at) for at in starts] + [(2, at) for at in input_starts]
    records = b"".join(struct.pack("<4sIQQ", b"\xb1\x43\x62\x46", 1, 0, 0) for _ in wanted)
    relocations = b"".join(
        struct.pack("<QQq", 24 * index + 8, symbol << 32 | 1, at) for index, (symbol, at) in enumerate(wanted)
    )
    # sections in their order: 1 .nv_fatbin, 2 __nv_relfatbin; symbols 1 and 2 stand for them
    symbols = bytes(24) + b"".join(struct.pack("<IBBHQQ", 0, 3, 0, number, 0, 0) for number in (1, 2))
    sections = [
        Section(".nv_fatbin", body),
        Section("__nv_relfatbin", input_body),
        Section(".nvFatBinSegment", records),
        Section(".rela.nvFatBinSegment", relocations, RELA, ".symtab", ".nvFatBinSegment", 24),
        Section(".symtab", symbols, SYMTAB, ".strtab", "", 24),
        Section(".strtab", b"\0", STRTAB),
    ]
    return elf(sections, REL, machine)


def archive(members: dict[str, bytes]) -> bytes:
    """Return an archive as GNU ar writes it, names of more than 15 letters in the table of names."""
    table = b"".join(f"{name}/\n".encode() for name in members if len(name) > 15)
    out = b"!<arch>\n"
    if table:
        out += _member("//", table)
    for name, content in members.items():
        short = f"{name}/" if len(name) <= 15 else f"/{table.index(name.encode())}"
        out += _member(short, content)
    return out


def _member(name: str, content: bytes) -> bytes:
    return f"{name:<16}{0:<12}{0:<6}{0:<6}{644:<8}{len(content):<10}`\n".encode() + content + b"\n" * (len(content) % 2)


def wheel(path: Path, files: dict[str, bytes]) -> Path:
    """Write a wheel; its name is the path's."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return path


def install(site: Path, name: str, version: str, files: dict[str, bytes]) -> None:
    """Write an installed package with its RECORD into a site-packages directory."""
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "RECORD").write_text("".join(f"{one},sha256=x,1\n" for one in files))
    for one, content in files.items():
        place = site / one
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
