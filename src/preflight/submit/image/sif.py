"""SIF files (Apptainer, Singularity): the global header, the data objects, and the squashfs among them.

Layout: github.com/sylabs/sif, pkg/sif (header 128 bytes, descriptors of 585 bytes, little endian).
"""

from __future__ import annotations

import struct
from typing import IO, NamedTuple

from preflight.submit.image.model import ImageError
from preflight.submit.image.unpack import Window

MAGIC = b"SIF_MAGIC\0"
MAGIC_AT = 32  # after the launch line "#!/usr/bin/env run-singularity"
MAX_OBJECTS = 4096
MAX_TEXT = 4 << 20
_HEADER = struct.Struct("<32s10s3s3s16sqqqqqqqq")
_DESCRIPTOR = struct.Struct("<i?IIIqqqqqqq128s384s")
DEFINITION, VARIABLES, LABELS, PARTITION = 0x4001, 0x4002, 0x4003, 0x4004
OCI_INDEX = 0x400A
SQUASHFS, EXT3, ENCRYPTED = 1, 2, 5
_FILE_SYSTEMS = {
    EXT3: "ext3",
    3: "an archive",
    4: "raw data",
    ENCRYPTED: "an encrypted squashfs",
    6: "a squashfs encrypted by gocryptfs",
}
_SYSTEM, _PRIMARY = 1, 2
_MACHINES = {
    b"01": "i686",
    b"02": "x86_64",
    b"03": "armv7l",
    b"04": "aarch64",
    b"05": "ppc64",
    b"06": "ppc64le",
    b"11": "s390x",
    b"12": "riscv64",
}


class Sif(NamedTuple):
    """What a SIF holds: ``root`` is where its squashfs begins, None with ``why`` it cannot be read."""

    architecture: str | None
    root: int | None
    why: str
    definition: str
    labels: str


class _Object(NamedTuple):
    kind: int
    offset: int
    size: int
    extra: bytes


def read(file: IO[bytes]) -> Sif:
    """Read the header and the data objects of an open file; ImageError where it is no sound SIF."""
    file.seek(0)
    head = file.read(_HEADER.size)
    if len(head) != _HEADER.size or head[MAGIC_AT : MAGIC_AT + 10] != MAGIC:
        raise ImageError("not a SIF file: its magic number is missing")
    _, _, version, arch, _, _, _, _, total, start, _, _, _ = _HEADER.unpack(head)
    if version.rstrip(b"\0") != b"01":
        raise ImageError("the SIF has a version that Preflight does not know: it reads version 01")
    objects = _objects(file, total, start)
    root, why = _root(objects)
    if root is not None:
        arch = root.extra[8:11]
    return Sif(
        _MACHINES.get(arch.rstrip(b"\0")),
        None if root is None else root.offset,
        why,
        _text(file, objects, DEFINITION),
        _text(file, objects, LABELS),
    )


def _objects(file: IO[bytes], total: int, start: int) -> list[_Object]:
    if not 0 <= total <= MAX_OBJECTS or start < 0:
        raise ImageError("the SIF's table of objects is damaged: copy the image again")
    end = file.seek(0, 2)
    file.seek(start)
    raw = file.read(total * _DESCRIPTOR.size)
    found: list[_Object] = []
    for at in range(0, len(raw) - _DESCRIPTOR.size + 1, _DESCRIPTOR.size):
        kind, used, _, _, _, offset, size, *_, extra = _DESCRIPTOR.unpack_from(raw, at)
        if not used:
            continue
        if offset < 0 or size < 0 or offset + size > end:
            raise ImageError("the SIF ends before its objects do: copy the image again")
        found.append(_Object(kind, offset, size, extra))
    return found


def _root(objects: list[_Object]) -> tuple[_Object | None, str]:
    """Return the primary system partition (else the first system partition) if it is a squashfs, and why not."""
    if any(one.kind == OCI_INDEX for one in objects):
        raise ImageError("an OCI-SIF, which Preflight does not read: save the image as an OCI layout or a plain SIF")
    parts = [(one, *struct.unpack_from("<ii", one.extra)) for one in objects if one.kind == PARTITION]
    ranked = [part for part in parts if part[2] == _PRIMARY] + [part for part in parts if part[2] == _SYSTEM]
    if not ranked:
        return None, "the SIF holds no file system"
    one, form, _ = ranked[0]
    if form == SQUASHFS:
        return one, ""
    return (
        None,
        f"the SIF's file system is {_FILE_SYSTEMS.get(form, 'of an unknown kind')}, which Preflight does not read",
    )


def _text(file: IO[bytes], objects: list[_Object], kind: int) -> str:
    """Return the text of the first object of a kind, at most MAX_TEXT bytes; "" where there is none."""
    for one in objects:
        if one.kind == kind:
            return Window(file, one.offset, min(one.size, MAX_TEXT)).read().rstrip(b"\0").decode("utf-8", "replace")
    return ""
