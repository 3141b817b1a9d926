"""Is a CUDA toolkit supported on a distribution?"""

from __future__ import annotations

from preflight.catalog import compiler, families, versions
from preflight.catalog.tables import SHIPPED, Row, Tables, source
from preflight.tuples import NamedTuple

SUPPORTED, PACKAGED, UNSUPPORTED, UNKNOWN = "supported", "packaged", "unsupported", "unknown"
MUSL = ("alpine",)
MUSL_SOURCE = "https://docs.nvidia.com/cuda/cuda-installation-guide-linux/ (no distribution on musl is listed)"
_ARCHS = {"x86_64": ("x86_64",), "aarch64": ("sbsa", "sbsa-grace"), "ppc64le": ("ppc64le",)}


class System(NamedTuple):
    """A distribution as os-release has it, and what it runs. None: not known; ``l4t`` set makes it a Jetson.

    ``kernel`` as uname -r has it, ``glibc`` and ``gcc`` as versions; ``musl`` where the C library is not glibc.
    """

    os: str
    version: str | None
    arch: str = "x86_64"
    stream: bool = False
    kernel: str | None = None
    glibc: str | None = None
    gcc: str | None = None
    musl: bool = False
    l4t: str | None = None


class Support(NamedTuple):
    """``answer`` supported (NVIDIA lists it), packaged (its repository has packages of it), unsupported or unknown."""

    answer: str
    why: str
    needs: str | None
    source: str


def toolkit_on(cuda: str, system: System, tables: Tables = SHIPPED) -> Support:
    """Tell whether a toolkit ("12.4") is supported on a system.

    NVIDIA's tables name the kernel, gcc and glibc that were tested: those are no bounds. A gcc that nvcc refuses is.
    """
    asked = versions.minor(cuda)
    os_id = families.canonical(system.os)
    shown = f"{families.title(os_id)} {'Stream ' if system.stream else ''}{system.version or '(no version)'}"
    if asked is None:
        return Support(UNKNOWN, f"{cuda} is no CUDA version", None, "")
    if os_id in MUSL or system.musl:
        why = f"NVIDIA publishes no CUDA for musl, the C library of {shown}"
        return Support(UNSUPPORTED, why, "a distribution with glibc, or a container with one", MUSL_SOURCE)
    release = versions.show(asked)
    answer = _in_tables(release, os_id, shown, system, tables)
    return _compiler(cuda, system, answer, tables) if answer.answer in (SUPPORTED, PACKAGED) else answer


def _in_tables(release: str, os_id: str, shown: str, system: System, tables: Tables) -> Support:
    stated = versions.parse(system.version or "")
    if not stated:
        return Support(UNKNOWN, f"{shown} states no version to look up", None, "")
    archs = ("sbsa-jetson",) if system.l4t else _ARCHS.get(system.arch, (system.arch,))
    listed = [row for row in tables.rows("toolkit_os") if row["cuda"] == release and row["arch"] in archs]
    mine = [row for row in listed if row["os"] == os_id and not (system.stream and os_id == "centos")]
    newer: Row | None = None
    for row in mine:
        held = _covers(row, stated)
        if held:
            return Support(SUPPORTED, _tested(release, shown, row, system), None, source(row))
        newer = row if held is None else newer
    packaged = _packaged(release, os_id, stated, system.arch, tables)
    if packaged is not None and packaged.answer == PACKAGED:
        return packaged
    if newer is not None:
        why = f"the guide of CUDA {release} names point releases up to {newer['upto']}; {shown} is not one of them"
        return Support(UNKNOWN, why, None, source(newer))
    whole = next(
        (row for row in tables.rows("toolkit_tables") if row["cuda"] == release and row["arch"] in archs), None
    )
    if whole is None:
        why = f"no table of the distributions of CUDA {release} was seen"
        return packaged or Support(UNKNOWN, why, None, "")
    kin = _kin(os_id, stated, listed)
    why = f"the guide of CUDA {release} does not list {shown}" + (f", though it lists {kin}" if kin else "")
    return Support(UNSUPPORTED, why, _needs(os_id, listed), source(whole))


def _covers(row: Row, stated: tuple[int, ...]) -> bool | None:
    """Tell whether a row is about a version; None for a point release newer than those it names."""
    own = versions.parse(row["version"])
    if stated[: len(own)] != own:
        return False
    upto = versions.parse(row.get("upto", ""))
    return True if not upto or stated <= upto[: len(stated)] else None


def _tested(release: str, shown: str, row: Row, system: System) -> str:
    """Say that it is listed, and where the system differs from what NVIDIA tested."""
    text = f"the guide of CUDA {release} lists {shown}"
    kernel = row.get("kernel")
    if kernel and system.kernel and versions.natural(system.kernel)[:2] != versions.natural(kernel)[:2]:
        text += f"; it was tested with kernel {kernel}, which is no bound"
    glibc = row.get("glibc")
    if glibc and system.glibc and system.glibc != glibc:
        text += f"; with glibc {glibc}"
    return text


def _compiler(cuda: str, system: System, answer: Support, tables: Tables) -> Support:
    """Let a gcc that nvcc refuses turn a yes around."""
    if system.gcc is None:
        return answer
    taken = compiler.compilers(cuda, gcc=system.gcc, tables=tables)
    if taken.answer in (compiler.TOO_NEW, compiler.TOO_OLD):
        which = "newer" if taken.answer == compiler.TOO_NEW else "older"
        limit = f"gcc {taken.max_gcc if which == 'newer' else taken.min_gcc}"
        why = f"gcc {system.gcc} is {which} than {limit}, the limit of CUDA {cuda}"
        return Support(UNSUPPORTED, why, taken.needs, taken.source)
    return answer


def _packaged(release: str, os_id: str, stated: tuple[int, ...], arch: str, tables: Tables) -> Support | None:
    """Answer from the listings of NVIDIA's package repositories; None where none of the distribution was seen."""
    asked = versions.minor(release) or (0, 0)
    for row in tables.rows("repositories"):
        own = versions.parse(row["version"])
        machine = {"sbsa": "aarch64"}.get(row["arch"], row["arch"])
        if row["os"] != os_id or stated[: len(own)] != own or machine != arch:
            continue
        first, last = versions.minor(row["first"]) or asked, versions.minor(row["last"]) or asked
        name = f"NVIDIA's repository {row['repository']}"
        if first <= asked <= last and release not in row.get("absent", ()):
            return Support(
                PACKAGED, f"{name} has packages of CUDA {release}; no table of it was seen", None, source(row)
            )
        held = f"{row['first']} to {row['last']}" + (" (seen in part)" if row.get("cut") else "")
        return Support(UNKNOWN, f"{name} has CUDA {held}; no table of CUDA {release} was seen", None, source(row))
    return None


def _kin(os_id: str, stated: tuple[int, ...], listed: list[Row]) -> str | None:
    """Return a listed distribution of the same family and version, for people: "RHEL 9"."""
    for row in listed:
        same = os_id in families.members(row["os"]) and row["os"] != os_id
        if same and _covers(row, stated):
            return f"{families.title(row['os'])} {row['version']}"
    return None


def _needs(os_id: str, listed: list[Row]) -> str | None:
    """Return what is listed instead: other releases of the distribution, else the distributions."""
    own = list(dict.fromkeys(str(row.get("upto") or row["version"]) for row in listed if row["os"] == os_id))
    if own:
        return f"{families.title(os_id)} {', '.join(own)}"
    others = list(dict.fromkeys(families.title(row["os"]) for row in listed))
    return f"one of {', '.join(others)}" if others else None
