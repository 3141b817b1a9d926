"""Does GPU code run on a GPU with a driver? By image, by container, by file; what is not known is never a yes.

Which GPUs run code of a target says `preflight.catalog.targets`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from preflight.artifacts.gpu_code.fatbin import ZSTD
from preflight.artifacts.gpu_code.isa import cuda_of
from preflight.artifacts.gpu_code.model import (
    ARCHIVE,
    CUBIN,
    LIBRARY,
    LINKED,
    LOADED,
    LTO,
    OBJECT,
    PROGRAM,
    PTX,
    RELOCATABLE,
    Code,
    Container,
    Part,
)
from preflight.catalog import drivers, gpus, versions
from preflight.catalog.cuda import FIRST_COMPATIBLE_MAJOR
from preflight.catalog.driven import driven
from preflight.catalog.runs import NO as CATALOG_NO
from preflight.catalog.runs import UNKNOWN as CATALOG_UNKNOWN
from preflight.catalog.runs import runs as by_catalog
from preflight.catalog.tables import SHIPPED, Tables
from preflight.catalog.targets import COMPUTE, NO, SM, UNKNOWN, YES, Target, fits, is_known
from preflight.digits import is_whole

# Drivers unpack zstd from this CUDA on. Source: nvcc's documentation, --compress-mode. What older ones answer:
# "device kernel image is invalid" (github.com/ollama/ollama/pull/12258).
UNPACKS_ZSTD = (12, 4)
# Libraries whose number is CUDA's own; that of cuFFT is one less.
NAMED_BY_CUDA = ("libcudart", "libcublas", "libcublasLt", "libnvrtc", "libnvJitLink")


class Gpu(NamedTuple):
    """What code is to run on. ``sm``: 90 of compute capability 9.0. ``driver``: its version, None where none is asked.

    ``cuda``: the driver's own CUDA, None unknown; ``exact``: False where it may be a newer one than that.
    """

    sm: int
    driver: str | None = None
    cuda: tuple[int, int] | None = None
    exact: bool = True
    known: bool = True
    driven: bool | None = True


class Answer(NamedTuple):
    """``answer``: YES, NO or UNKNOWN. ``by``: CUBIN or PTX. ``cuda``: a driver of at least this CUDA is needed."""

    answer: str
    by: str = ""
    cuda: tuple[int, int] | None = None
    why: str = ""


class Fit(NamedTuple):
    """How many of a file's containers run: ``have`` of ``of``, and of ``unknown`` it cannot be told.

    ``cuda``: the driver's CUDA that PTX asks for, where some of them run by PTX alone; ``why``: of the first that does
    not run; ``stop``: why none does whatever they are.
    """

    have: int
    of: int
    unknown: int
    cuda: tuple[int, int] | None = None
    why: str = ""
    stop: str = ""

    @property
    def answer(self) -> str:
        """Return YES where all of it runs, NO where something does not, UNKNOWN else."""
        if self.have == self.of:
            return YES
        return UNKNOWN if self.have + self.unknown == self.of else NO


def gpu(capability: str, driver: str | None = None, tables: Tables = SHIPPED) -> Gpu:
    """Return a GPU of a compute capability ("9.0") with a driver's version, or with any driver."""
    major, _, minor = capability.partition(".")
    sm = int(major) * 10 + int(minor) if is_whole(major, 3) and is_whole(minor, 1) else 0
    row = gpus.architecture(capability, tables)
    known = row is not None and row["capability"] == capability
    if driver is None:
        return Gpu(sm, known=known)
    cuda, exact, _ = drivers.own_cuda(driver, tables)
    drives = driven(driver, capability, tables).answer
    return Gpu(sm, driver, versions.minor(cuda) if cuda else None, exact, known, drives)


def part_runs(part: Part, on: Gpu) -> Answer:
    """Tell whether a GPU runs an image."""
    if part.doubt:
        return Answer(UNKNOWN, why=part.doubt)
    if not on.known or not is_known(part.arch):
        name = "the GPU's architecture" if not on.known else part.target
        return Answer(UNKNOWN, why=f"{name} is not known")
    found = fits(Target(SM if part.kind == CUBIN else COMPUTE, part.arch, part.suffix), on.sm)
    if found != NO and part.kind != LTO and part.flags & ZSTD and _driver_has(UNPACKS_ZSTD, on) != YES:
        why = f"its code is packed by zstd, which needs a driver of CUDA {versions.show(UNPACKS_ZSTD)}"
        return Answer(_driver_has(UNPACKS_ZSTD, on), CUBIN if part.kind == CUBIN else PTX, UNPACKS_ZSTD, why)
    if part.kind == CUBIN:
        return Answer(found, CUBIN, None, "" if found == YES else f"{part.target} alone")
    if part.kind == LTO:
        return Answer(NO if found == NO else UNKNOWN, LTO, None, "LTO-IR is for a linker")
    if found != YES:
        return Answer(found, PTX, None, f"{part.target} alone")
    return _compiles(part, on)


def _compiles(part: Part, on: Gpu) -> Answer:
    """Return whether the driver compiles PTX: its ISA is of the driver's CUDA, or older."""
    cuda = cuda_of(part.isa)
    shown = ".".join(map(str, part.isa)) if part.isa else "of an unknown version"
    if cuda is None:
        return Answer(UNKNOWN, PTX, None, f"PTX {shown} is not known")
    told = _driver_has(cuda, on)
    return Answer(told, PTX, cuda, "" if told == YES else f"PTX {shown} needs a driver of CUDA {versions.show(cuda)}")


def _driver_has(cuda: tuple[int, int], on: Gpu) -> str:
    """Tell whether the driver is of a CUDA at least; any may be where none is asked for."""
    if on.driver is None:
        return YES
    if on.cuda is None:
        return UNKNOWN
    return YES if cuda <= on.cuda else NO if on.exact else UNKNOWN


def container_runs(container: Container, on: Gpu) -> Answer:
    """Tell whether the driver finds an image for a GPU in a container: machine code first, else PTX."""
    answers = [part_runs(part, on) for part in container.parts]
    for part, one in zip(container.parts, answers):
        if one.answer == YES and part.kernels is False:  # the driver may take it, and find no kernel
            return Answer(UNKNOWN, CUBIN, None, f"{part.target} holds no kernel, others do")
    packed = next((one for one in answers if one.by == CUBIN and one.cuda and one.answer != YES), None)
    if packed and any(one.answer == YES for one in answers):  # the driver may take the one that it cannot unpack
        return packed._replace(answer=UNKNOWN)
    for wanted in (YES, UNKNOWN):
        for by in (CUBIN, PTX, LTO, ""):
            found = [one for one in answers if one.answer == wanted and one.by == by]
            if found:
                best = min(found, key=lambda one: one.cuda or (0, 0))
                return best._replace(answer=UNKNOWN, why=container.doubt) if container.doubt else best
    if container.doubt:
        return Answer(UNKNOWN, why=container.doubt)
    late = next((one.why for one in answers if one.cuda), "")  # PTX that a newer driver would compile
    return Answer(NO, why=late or f"has {_targets(container.parts)}")


def _targets(parts: Iterable[Part]) -> str:
    names = list(dict.fromkeys(part.target for part in parts))
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def file_runs(code: Code, on: Gpu, cudas: Iterable[str] = (), tables: Tables = SHIPPED) -> Fit:
    """Tell how much of a file's code runs on a GPU. ``cudas``: what it was built with, which the driver has to run."""
    units = list(code.of(LOADED, LINKED))
    inputs = code.of(RELOCATABLE)
    linkable = code.kind in (OBJECT, ARCHIVE)
    if not units or linkable:
        units += inputs
    if code.unlinked:
        return Fit(0, max(len(units), 1), 0, stop="was never device-linked (nvcc -dlink): it does not load")
    built = list(cudas)
    stop, doubt = _driver_runs(on, built, tables)
    if on.driver and not built and code.kind in (PROGRAM, LIBRARY):
        doubt = doubt or "the CUDA it was built with is not known, so neither is whether the driver runs it"
    if stop:
        return Fit(0, max(len(units), 1), 0, stop=stop)
    answers = list(_answers(units, inputs, on, doubt))
    if not code.complete:
        answers.append(Answer(UNKNOWN, why=(code.notes or ("not all of it was read",))[0]))
    told = [one.answer for one in answers]
    cuda = max((one.cuda for one in answers if one.answer == YES and one.cuda), default=None)
    why = next((one.why for word in (NO, UNKNOWN) for one in answers if one.answer == word), "")
    return Fit(told.count(YES), len(told), told.count(UNKNOWN), cuda, why)


def _answers(units: Sequence[Container], inputs: tuple[Container, ...], on: Gpu, doubt: str) -> Iterator[Answer]:
    """Yield whether each container runs; those alike, which the reader gives the same parts, are asked once."""
    known: dict[tuple[int, str, str], Answer] = {}
    for one in units:
        key = (id(one.parts), one.role, one.doubt)
        if key not in known:
            known[key] = _unit_runs(one, inputs, on, doubt)
        yield known[key]


def _unit_runs(unit: Container, inputs: tuple[Container, ...], on: Gpu, doubt: str) -> Answer:
    """Tell whether a container of a file runs, by what it is there; ``doubt``: why no yes is certain."""
    found = container_runs(unit, on)
    if unit.role == RELOCATABLE and found.answer == YES:
        return Answer(UNKNOWN, why="it has to be device-linked first")
    if unit.role == LINKED and found.answer == NO and _linked_by_driver(inputs, on):
        return Answer(UNKNOWN, why="the driver may link its relocatable PTX")
    return Answer(UNKNOWN, why=doubt) if found.answer == YES and doubt else found


def _linked_by_driver(inputs: tuple[Container, ...], on: Gpu) -> bool:
    """Tell whether every input of the device link has PTX for a GPU: the driver could make the link anew."""
    return bool(inputs) and all(
        any(part.kind == PTX and part_runs(part, on).answer != NO for part in one.parts) for one in inputs
    )


def _driver_runs(on: Gpu, built: Sequence[str], tables: Tables) -> tuple[str, str]:
    """Return why a driver runs nothing of it, and why that cannot be told; "" and "" where it does."""
    if on.driver is None:
        return "", ""
    if on.driven is False:
        return f"driver {on.driver} does not drive this GPU", ""
    doubt = "" if on.driven else f"whether driver {on.driver} drives this GPU is not known"
    for cuda in built:
        found = by_catalog(cuda, on.driver, compat=(), tables=tables)
        if found.answer == CATALOG_NO:
            return f"it was built with CUDA {cuda}: {found.why}", ""
        if found.answer == CATALOG_UNKNOWN:
            doubt = doubt or f"whether the driver runs programs of CUDA {cuda} is not known"
    return "", doubt


def cuda_named(library: str) -> str:
    """Return the CUDA that a library's name says ("12" of libcudart.so.12), "" of one that says none."""
    base, _, number = library.partition(".so.")
    parts = versions.parse(number)
    if base not in NAMED_BY_CUDA or not parts:
        return ""
    # libcudart.so.11.0 is that of each 11.x; older ones have their release's name
    return versions.show(parts[:1] if parts[0] >= FIRST_COMPATIBLE_MAJOR else parts[:2])


def built_with(code: Code) -> tuple[str, ...]:
    """Return the CUDA that a file of a host was built with, as far as it tells: "12" by a library, "12.4" by its code.

    By the libraries that it names (libcudart.so.12), the toolkit of its cubins and the ISA of its PTX.
    """
    found: dict[str, None] = {}
    for name in code.needs.libraries:
        named = cuda_named(name)
        if named:
            found[named] = None
    if not found and code.kind not in ("cubin", "fatbin", "ptx"):
        made = {cuda for one in code.containers for part in one.parts if (cuda := part.toolkit or cuda_of(part.isa))}
        if made:
            found[versions.show(max(made))] = None
    return tuple(found)
