"""Reads one file: by what it begins with it is an ELF file, an archive, a fatbin, a cubin or PTX."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from preflight.artifacts.gpu_code import archive, cubin, fatbin, ptx, records
from preflight.artifacts.gpu_code.elf import ET_DYN, ET_EXEC, ET_REL, MAGIC, Elf
from preflight.artifacts.gpu_code.model import (
    ARCHIVE,
    CUBIN_FILE,
    FATBIN_FILE,
    IGNORED,
    LIBRARY,
    LINKED,
    LOADED,
    NO_CODE,
    OBJECT,
    PROGRAM,
    PTX_FILE,
    RELOCATABLE,
    Code,
    CodeError,
    Container,
    Needs,
)
from preflight.artifacts.gpu_code.window import PAGE, Budget, Damaged, File, Window
from preflight.facts.arch import ELF_MACHINES

_FATBIN, _RELFATBIN, _RECORDS, _AMD = ".nv_fatbin", "__nv_relfatbin", ".nvFatBinSegment", ".hip_fatbin"
_KINDS = {ET_REL: OBJECT, ET_EXEC: PROGRAM, ET_DYN: LIBRARY}
_PPC64, _LITTLE = 21, "ppc64le"


def read(path: str, deadline: float | None = None) -> Code:
    """Return what a file holds; raises CodeError where it cannot be opened or is no regular file.

    Raises Late, which is one, where that takes until ``deadline`` (of time.monotonic).
    Of a file that changes meanwhile what is read may be neither; one that becomes shorter is told as damaged.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:
        raise CodeError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise CodeError(f"{path}: not a regular file")
        if found.st_size == 0:
            return Code(NO_CODE)
        return read_bytes(File(descriptor, found.st_size, path, deadline))
    except OSError as error:
        raise CodeError(f"{path}: cannot be read: {error.strerror or error}") from None
    finally:
        os.close(descriptor)


def read_bytes(data: File | bytes, budget: Budget | None = None) -> Code:
    """Return what the bytes of a file hold; what is damaged is named in the notes, and nothing is raised."""
    budget, window = budget or Budget(), Window(data)
    try:
        head = data[0 : min(8, len(data))]
        if head[:4] == MAGIC:
            if cubin.is_cubin(window):
                return _cubin(window)
            return _elf(Elf(window, budget)) if _is_ours(window, budget) else Code(NO_CODE)
        if head == archive.MAGIC:
            return _archive(window, budget)
        if head == archive.THIN:
            return _not_read(ARCHIVE, "a thin archive: its objects are files of their own")
        if head[:4] == fatbin.MAGIC:
            return _fatbin(window, budget)
        text = ptx.alone(window)
    except Damaged as error:
        return _not_read(NO_CODE, str(error))
    if text is None:
        return Code(NO_CODE)
    return Code(PTX_FILE, containers=(Container((text,)),))


def _is_ours(window: Window, budget: Budget) -> bool:
    """Tell whether an ELF file may hold code: none of 32 bits that does not name the section, and no core."""
    if window.slice(4, 2) == b"\x02\x01":
        return window.number(16, 2) in _KINDS
    budget.spend(window.size // PAGE)
    return window.find(_FATBIN.encode(), 0, window.size) >= 0


def _not_read(kind: str, note: str) -> Code:
    return Code(kind, complete=False, notes=(note,))


def _cubin(window: Window) -> Code:
    return Code(CUBIN_FILE, containers=(Container((cubin.alone(window),)),))


def _fatbin(window: Window, budget: Budget) -> Code:
    found: list[Container] = []
    note = ""
    try:
        for one in fatbin.containers(window, 0, window.size, budget):
            found.append(Container(one.parts, "", one.offset, None, _role(LOADED, one), "", one.doubt))
    except Damaged as error:
        note = str(error)
    if not found:
        note = note or "a container is cut short"
    return Code(FATBIN_FILE, containers=tuple(found), complete=not note, notes=(note,) if note else ())


def _archive(window: Window, budget: Budget) -> Code:
    """Return what the objects of an archive hold together."""
    containers: list[Container] = []
    notes: list[str] = []
    machine: str | None = None
    amd = False
    try:
        for name, content in archive.members(window, budget):
            if content.size < 64 or content.slice(0, 4) != MAGIC:
                continue
            try:
                code = _elf(Elf(content, budget))
            except Damaged as error:
                notes.append(f"{name}: {error}")
                budget.spend(100)
                continue
            machine, amd = machine or code.machine, amd or code.amd
            containers += [one._replace(member=name, offset=one.offset + content.start) for one in code.containers]
            notes += [f"{name}: {note}" for note in code.notes[: max(0, 20 - len(notes))]]
    except Damaged as error:
        notes.append(str(error))
    return Code(ARCHIVE, machine, tuple(containers), amd, complete=not notes, notes=tuple(notes[:20]))


def _elf(elf: Elf) -> Code:
    containers: list[Container] = []
    note = ""
    try:
        containers = list(_containers(elf) if elf.sections else _without_sections(elf))
    except Damaged as error:
        note = str(error)
    if any(one.name in (_FATBIN, _RELFATBIN) and one.kind == 8 for one in elf.sections):
        note = "its code stands in another file: this one holds what was stripped from it"
    linkable = any(one.role == RELOCATABLE or not elf.sections for one in containers)
    unlinked = False
    if linkable and elf.type != ET_REL and not any(one.role == LINKED for one in containers):
        try:
            unlinked = elf.asks_for_a_device_link()
        except Damaged as error:
            note = note or str(error)
    kind = PROGRAM if elf.interpreted else _KINDS.get(elf.type, NO_CODE)
    machine = _LITTLE if elf.machine == _PPC64 else ELF_MACHINES.get(elf.machine)
    needs = elf.needs() if elf.type != ET_REL else Needs()
    amd = bool(elf.named(_AMD))
    return Code(kind, machine, tuple(containers), amd, unlinked, needs, not note, (note,) if note else ())


def _containers(elf: Elf) -> Iterator[Container]:
    """Yield the containers of a file that has sections, by whom they are loaded."""
    code, inputs = elf.named(_FATBIN), elf.named(_RELFATBIN)
    if not code and not inputs:
        return
    found = records.of_sections(elf)
    version = _versions(found)
    # a file without a unit's record loads its code in another way, which nothing tells
    followed = records.UNIT in version.values()
    for section in (*code, *inputs):
        for one in fatbin.containers(elf.window, section.offset, section.offset + section.size, elf.budget):
            record = version.get(one.offset)
            doubt = one.doubt
            if section.name == _RELFATBIN:
                role = RELOCATABLE
            elif record == records.LINK:
                role = LINKED if inputs else IGNORED
            elif record is None and followed and elf.type != ET_REL:
                role = IGNORED
            else:
                role = LOADED
                doubt = doubt or ("" if record == records.UNIT else "no record points at it")
            yield Container(one.parts, section.name, one.offset, record, _role(role, one), "", doubt)


def _without_sections(elf: Elf) -> Iterator[Container]:
    """Yield the containers that the records of a file without section headers point at.

    Where something was device-linked, nothing tells its inputs from the units: the runtime makes their list.
    """
    found = []
    for offset, record in _versions(records.without_sections(elf)).items():
        elf.budget.spend()
        found.append((record, fatbin.one(elf.window, offset, elf.window.size, elf.budget)))
    linked = any(record == records.LINK and _role(LINKED, one) == LINKED for record, one in found)
    doubt = "without section headers, what is loaded cannot be told from what was linked" if linked else ""
    for record, one in found:
        role = _role(LINKED if record == records.LINK else LOADED, one)
        yield Container(one.parts, "", one.offset, record, role, "", one.doubt or (doubt if role != IGNORED else ""))


def _versions(found: list[records.Record]) -> dict[int, int]:
    """Return the record's version by the container; a unit's counts before a device link's."""
    version: dict[int, int] = {}
    for one in found:
        if one.container is not None and version.get(one.container) != records.UNIT:
            version[one.container] = one.version
    return version


def _role(role: str, one: fatbin.Found) -> str:
    """Return IGNORED of a container that is empty, or whose cubins, all in clear, hold nothing to ask for."""
    if one.doubt or role == RELOCATABLE:
        return role
    told = [part.kernels for part in one.parts if part.kind == "cubin"]
    if not one.parts or (told and all(kernels is False for kernels in told)):
        return IGNORED
    return role
