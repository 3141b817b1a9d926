"""The whole picture of a machine: every question of the catalog that can be asked of it, with its answer."""

from __future__ import annotations

from preflight.catalog import (
    compiler,
    drivers,
    families,
    gpus,
    lifecycle,
    module,
    runs,
    security,
    toolkit_os,
    versions,
    wheels,
)
from preflight.catalog import cuda as majors
from preflight.catalog import driven as drives
from preflight.catalog.forward import Compat
from preflight.catalog.gpus import Gpu
from preflight.catalog.tables import SHIPPED, Tables
from preflight.catalog.toolkit_os import System
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

GOOD, BAD, OPEN = "good", "bad", "open"
_MARK = {
    **dict.fromkeys(("native", "supported", "ok", "either", "required", "proprietary_only", "packaged"), GOOD),
    **dict.fromkeys(("no", "dropped", "unsupported", "eol", "behind", "refused", "too_old"), BAD),
}


class Machine(NamedTuple):
    """What is known of a machine; a part that is None, or empty, is left out.

    ``cuda``: the CUDA of the programs and toolkits in question ("12.8"). ``driver_cuda``: what the driver reports.
    ``compat``: the cuda-compat directories on it; None where that was not looked for.
    """

    cuda: tuple[str, ...] = ()
    driver: str | None = None
    driver_cuda: str | None = None
    gpus: tuple[Gpu, ...] = ()
    system: System | None = None
    support_end: str | None = None
    compat: tuple[Compat, ...] | None = None


class Entry(NamedTuple):
    """One question and its answer. ``data`` is the answer's JSON form, None where it has none; ``ends`` a date."""

    key: str
    title: str
    answer: str
    why: str
    needs: str | None
    source: str
    data: dict[str, Any] | None = None
    ends: str | None = None

    @property
    def mark(self) -> str:
        """Return good, bad or open (a yes with a loss, or not known)."""
        return _MARK.get(self.answer, OPEN)


def picture(machine: Machine, today: str, tables: Tables = SHIPPED) -> list[Entry]:
    """Return the answer to each question that can be asked of a machine on a day."""
    found: list[Entry] = []
    for cuda in machine.cuda:
        found += _cuda(cuda, machine, tables)
    if not machine.cuda:
        found += [_up_to(machine, machine.driver, tables)] if machine.driver is not None else []
        found += [_drives(machine, machine.driver, gpu, tables) for gpu in machine.gpus if machine.driver is not None]
        found += [_range(gpu, tables) for gpu in machine.gpus]
        found += [entry for gpu in machine.gpus for entry in _wheels(machine, gpu, tables)]
    if machine.system is not None:
        found.append(_os(machine.system, machine.support_end, today, tables))
    if machine.driver is not None:
        found += _driver(machine, machine.driver, today, tables)
    found += _module(machine, tables)
    return found


def _cuda(cuda: str, machine: Machine, tables: Tables) -> Iterator[Entry]:
    if machine.driver is not None:
        yield _program(cuda, machine, machine.driver, tables)
    for gpu in machine.gpus:
        fit = gpus.with_toolkit(gpu, cuda, tables)
        data = _data(fit, "answer", "first_cuda", "last_cuda", "source")
        yield Entry("gpu", f"CUDA {cuda} on {gpu.shown}", fit.answer, fit.why, fit.needs, fit.source, data)
    if machine.system is not None:
        held = toolkit_os.toolkit_on(cuda, machine.system, tables)
        title = f"toolkit {cuda} on {_name(machine.system)}"
        yield Entry(
            "toolkit_os", title, held.answer, held.why, held.needs, held.source, _data(held, "answer", "source")
        )
    taken = compiler.compilers(cuda, tables=tables)
    told = f"gcc up to {taken.max_gcc}" if taken.max_gcc is not None else "unknown"
    data = {"max_gcc": taken.max_gcc, "source": taken.source}
    yield Entry("compiler", f"compiler for CUDA {cuda}", told, taken.why, None, taken.source, data)


def _program(cuda: str, machine: Machine, driver: str, tables: Tables) -> Entry:
    """Answer for a program; of several kinds of GPU the one that it fits least."""
    order = (runs.NO, runs.UNKNOWN, runs.PTX, runs.FORWARD, runs.MINOR, runs.NATIVE)
    # Of a GPU that nobody knows its own entry says so: this one keeps what the driver alone tells.
    considered = tuple(dict.fromkeys(gpu if gpu.capability else None for gpu in machine.gpus)) or (None,)
    answers = [
        runs.runs(cuda, driver, gpu, driver_cuda=machine.driver_cuda, compat=machine.compat, tables=tables)
        for gpu in considered
    ]
    worst = min(answers, key=lambda one: order.index(one.answer))
    title = f"CUDA {cuda} programs on driver {driver}"
    data = _data(worst, "answer", "why", "needs", "source")
    return Entry("cuda", title, worst.answer, worst.why, worst.needs, worst.source, data)


def _up_to(machine: Machine, driver: str, tables: Tables) -> Entry:
    """Answer up to which CUDA a driver runs programs, by itself and by minor-version compatibility."""
    own, exact, came_from = (machine.driver_cuda, True, runs.MATRIX)
    if own is None:
        own, exact, came_from = drivers.own_cuda(driver, tables)
    title = f"CUDA of programs on driver {driver}"
    if own is None:
        return Entry("driver_cuda", title, "unknown", f"the CUDA of driver {driver} is not in the catalog", None, "")
    major = (versions.minor(own) or (0, 0))[0]
    minor = bool(majors.runs_by_minor_version(major, versions.minor(own), versions.parse(driver), tables))
    newest = majors.newest_major(versions.parse(driver), tables) if minor else major
    answer = f"up to {own}" + (f", and any {newest}.x by minor-version compatibility" if minor else "")
    why = f"the driver is of CUDA {own}"
    if not exact:  # by what NVIDIA's drivers have kept to so far: a later branch runs what an earlier one does
        why += f" or newer: its own branch has no CUDA in the catalog, and a branch before it is of {own}"
    why += f"; of a newer {newest}.x {runs.LOST}" if minor else ""
    for gpu in machine.gpus:
        last = gpus.cuda_range(gpu.capability, tables)[1] if gpu.capability else None
        if last and (versions.minor(last) or (0, 0)) <= (newest, gpus.ANY):
            why += f"; {gpu.shown} runs programs up to CUDA {last} alone"
    data = {"own": own, "exact": exact, "minor": f"{newest}.x" if minor else None, "source": came_from or None}
    return Entry("driver_cuda", title, answer, why, None, came_from, data)


def _drives(machine: Machine, driver: str, gpu: Gpu, tables: Tables) -> Entry:
    """Answer whether a driver drives a GPU at all, by the architectures of its branch and by its CUDA."""
    found = drives.driven(driver, gpu.capability, tables)
    if found.why and machine.driver_cuda is not None:
        found = found._replace(answer=True, why="", needs="")  # it runs here, and has told of the GPU
    answer = {True: "ok", False: "no", None: "unknown"}[found.answer]
    what = f"{gpu.shown} ({gpu.arch})" if gpu.arch else gpu.shown
    why = {
        True: f"its branch drives {what}",
        False: f"its branch does not drive {what}",
        None: f"whether its branch drives {what} is not known" + (f": {found.why}" if found.why else ""),
    }[found.answer]
    data = {"answer": answer, "source": found.source or None}
    return Entry("driver_gpu", f"driver {driver} on {gpu.shown}", answer, why, found.needs or None, found.source, data)


def _range(gpu: Gpu, tables: Tables) -> Entry:
    """Answer for a GPU without a toolkit in question: by the newest toolkit that the catalog knows."""
    newest = versions.show(gpus.newest_toolkit(tables) or ())
    fit = gpus.with_toolkit(gpu, newest, tables)
    data = _data(fit, "answer", "first_cuda", "last_cuda", "source")
    return Entry("gpu", f"{gpu.shown} and the newest toolkit", fit.answer, fit.why, fit.needs, fit.source, data)


def _wheels(machine: Machine, gpu: Gpu, tables: Tables) -> Iterator[Entry]:
    """Tell which builds of Python packages have code for a GPU, and run on the driver where one is given."""
    if gpu.capability is None:
        return
    arch = machine.system.arch if machine.system is not None else "x86_64"
    arch = "aarch64" if gpu.kind in gpus.ARM_HOSTS else arch
    families = tuple(dict.fromkeys(row["family"] for row in tables.rows("wheels") if row["arch"] == arch))
    found = {one: wheels.builds(one, gpu.capability, machine.driver, arch, tables) for one in families}
    known = [build for builds in found.values() for build in builds[:1]]
    without = [one for one, builds in found.items() if not builds]
    why = "; ".join(one.shown for one in known) or "none of the builds in the catalog has"
    if known and without:
        why += f". None in the catalog: {', '.join(without)}"
    data = {"builds": [one._asdict() for one in known], "without": without}
    sources = "; ".join(dict.fromkeys(one.source for one in known))
    title = f"Python wheels with code for {gpu.shown}"
    yield Entry("wheels", title, "ok" if known else "none", why, None, sources, data)


def _os(system: System, support_end: str | None, today: str, tables: Tables) -> Entry:
    life = lifecycle.operating_system(
        system.os, system.version, today, stream=system.stream, support_end=support_end, tables=tables
    )
    data = _data(life, "eol", "extended_eol", "answer")
    ends = life.eol if life.answer == lifecycle.SUPPORTED else life.extended_eol
    return Entry("os", _name(system), life.answer, life.why, life.needs, life.source, data, ends)


def _driver(machine: Machine, driver: str, today: str, tables: Tables) -> Iterator[Entry]:
    life = lifecycle.driver(driver, today, tables)
    fixes = security.driver(driver, tables)
    data = _data(life, "branch", "type", "eol", "answer")
    data.update(last_security_fix=fixes.fixed, behind=fixes.behind)
    kind = {"lts": "long-term support", "pb": "production", "nfb": "new features", "dev": "preview"}.get(
        life.type or ""
    )
    title = f"driver {driver}" + (f" ({kind})" if kind else "")
    yield Entry("driver", title, life.answer, life.why, life.needs, life.source, data, life.eol)
    answer = {True: "behind", False: "ok", None: "unknown"}[fixes.behind]
    missed = f"; it misses {fixes.missed} bulletin{'s' if fixes.missed != 1 else ''}" if fixes.missed else ""
    yield Entry("security", "its security fixes", answer, fixes.why + missed, fixes.needs, fixes.source)
    if machine.system is not None and machine.system.kernel:
        built = module.builds(driver, machine.system.kernel, tables)
        answer = {True: "ok", False: "refused", None: "unknown"}[built.answer]
        yield Entry("kernel", f"kernel {machine.system.kernel}", answer, built.why, built.needs, built.source)


def _module(machine: Machine, tables: Tables) -> Iterator[Entry]:
    considered: tuple[Gpu | None, ...] = machine.gpus or ((None,) if machine.driver else ())
    for gpu in considered:
        told = module.flavour(gpu, machine.driver, tables)
        if gpu is not None or told.open != module.UNKNOWN:
            title = "open kernel module" + (f" for {gpu.shown}" if gpu else "")
            yield Entry("module", title, told.open, told.why, told.needs, told.source, {"open": told.open})


def to_json(entries: list[Entry]) -> dict[str, Any]:
    """Return the JSON form: each key once, of several entries of a key the worst."""
    order = (BAD, OPEN, GOOD)
    found: dict[str, Entry] = {}
    for entry in entries:
        known = found.get(entry.key)
        if entry.data is not None and (known is None or order.index(entry.mark) < order.index(known.mark)):
            found[entry.key] = entry
    return {key: entry.data for key, entry in found.items()}


def fits(entries: list[Entry]) -> bool:
    """Tell whether the answer is yes: nothing is a no, and what is asked is known.

    Do CUDA, driver, GPU and system fit: that decides where it is asked. Else whether they are still supported does.
    A distribution that no table was seen for is no no.
    """
    asked = [entry for entry in entries if entry.key in ("cuda", "gpu", "driver_gpu", "toolkit_os")]
    if any(entry.key == "driver_gpu" for entry in asked):  # no CUDA is asked about, so the newest does not decide
        asked = [entry for entry in asked if entry.key != "gpu"]
    if not asked:
        alone = [entry for entry in entries if entry.key in ("compiler", "os", "driver")]
        unlisted = any(entry.answer == "unknown" and not entry.source for entry in alone)  # no such CUDA or driver
        return not unlisted and all(entry.answer != lifecycle.EOL for entry in entries)
    certain = [entry for entry in asked if entry.key != "toolkit_os"] or asked
    return all(entry.mark != BAD for entry in asked) and all(entry.answer != "unknown" for entry in certain)


def _data(answer: Any, *fields: str) -> dict[str, Any]:
    return {field: getattr(answer, field) or None for field in fields}


def _name(system: System) -> str:
    name = families.title(families.canonical(system.os))
    return " ".join(filter(None, (name, "Stream" if system.stream else "", system.version or "")))
