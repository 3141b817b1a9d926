"""What the reader answers with."""

from __future__ import annotations

from typing import NamedTuple

PTX, CUBIN, LTO, OTHER = "ptx", "cubin", "lto", "other"
# What a container is in its file. LOADED: a translation unit's, which the runtime hands to the driver. LINKED: the
# outcome of a device link. RELOCATABLE: an input of one, kept in the file. IGNORED: no kernel, or nothing loads it.
LOADED, LINKED, RELOCATABLE, IGNORED = "loaded", "linked", "relocatable", "ignored"
PROGRAM, LIBRARY, OBJECT, ARCHIVE = "program", "library", "object", "archive"
CUBIN_FILE, FATBIN_FILE, PTX_FILE, NO_CODE = "cubin", "fatbin", "ptx", "other"


class CodeError(ValueError):
    """A file or a place that cannot be read; one line."""


class Late(CodeError):
    """There is no time left to look; the file or the place may be sound."""


class Part(NamedTuple):
    """One image within a container.

    ``kind``: PTX, CUBIN, LTO or OTHER. ``arch``: 90 of sm_90 and compute_90. ``suffix``: "", "a", "f", or "?" where
    the file does not tell. ``isa``: PTX's version, None of other kinds. ``toolkit``: the CUDA that a cubin in clear
    was made by, None unknown. ``kernels``: False where a cubin holds neither a kernel nor a variable, None unknown.
    ``doubt``: why nothing certain can be said of it, "" where it can.
    """

    kind: str
    arch: int
    suffix: str = ""
    isa: tuple[int, int] | None = None
    flags: int = 0
    toolkit: tuple[int, int] | None = None
    kernels: bool | None = None
    doubt: str = ""

    @property
    def target(self) -> str:
        """Return the name that nvcc gives it: sm_90a, compute_90, lto_90, kind_16."""
        name = {PTX: "compute", CUBIN: "sm", LTO: "lto"}.get(self.kind, "kind")
        return f"{name}_{self.arch}{self.suffix}"


class Container(NamedTuple):
    """Images of one translation unit or device link, of which the driver takes the one that fits.

    ``offset``: bytes from the file's begin. ``record``: the version of the record that points at it (1 a translation
    unit, 2 a device link), None where none does. ``role``: as above. ``member``: of an archive.
    """

    parts: tuple[Part, ...]
    section: str = ""
    offset: int = 0
    record: int | None = None
    role: str = LOADED
    member: str = ""
    doubt: str = ""


class Needs(NamedTuple):
    """What an ELF file asks of the system: the libraries it names, the highest versions of symbols, as (2, 28).

    ``interpreter``: the dynamic linker that it names, "" of a library and of a static program.
    """

    libraries: tuple[str, ...] = ()
    glibc: tuple[int, ...] = ()
    libstdcxx: tuple[int, ...] = ()
    cxxabi: tuple[int, ...] = ()
    interpreter: str = ""


class Code(NamedTuple):
    """What one file holds.

    ``kind``: PROGRAM, LIBRARY, OBJECT, ARCHIVE, CUBIN_FILE, FATBIN_FILE, PTX_FILE or NO_CODE. ``machine``: the host's,
    as uname says it; None of what is for no host. ``amd``: has AMD's code (.hip_fatbin). ``unlinked``: asks for a
    device link that nobody made, so that it does not load. ``complete``: False where something could not be read:
    ``notes`` say what.
    """

    kind: str
    machine: str | None = None
    containers: tuple[Container, ...] = ()
    amd: bool = False
    unlinked: bool = False
    needs: Needs = Needs()
    complete: bool = True
    notes: tuple[str, ...] = ()

    def of(self, *roles: str) -> tuple[Container, ...]:
        """Return the containers of some roles."""
        return tuple(one for one in self.containers if one.role in roles)
