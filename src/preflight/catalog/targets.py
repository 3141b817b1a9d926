"""What nvcc compiles for, sm_90a or compute_80, and which GPUs run it; what is not known is never a yes.

Sources: NVIDIA's CUDA C++ Programming Guide (binary, PTX, family-specific and architecture-specific compatibility) and
the PTX ISA's .target; docs/gpu-code.md lists the rules.
"""

from __future__ import annotations

from preflight.catalog import versions
from preflight.catalog.tables import SHIPPED, Tables
from preflight.digits import is_whole
from preflight.tuples import NamedTuple

YES, NO, UNKNOWN = "yes", "no", "unknown"
SM, COMPUTE = "sm", "compute"  # machine code; PTX, which the driver compiles
# Of a system on a chip: binaries of it and of other GPUs are not promised to run on each other.
TEGRA = frozenset({32, 53, 62, 72, 87, 88, 101, 110})
# The families that NVIDIA has named: who is asked of a target with f, and for whom it runs.
_FAMILIES = {100: (100, 103), 101: (101,), 103: (103,), 110: (110,), 120: (120, 121), 121: (121,)}
_RENAMED = {101: 110}  # since CUDA 13.0


class Target(NamedTuple):
    """``kind``: SM or COMPUTE. ``arch``: 90 of sm_90. ``suffix``: "", "a", "f", or "?" where it is not told."""

    kind: str
    arch: int
    suffix: str = ""

    def __str__(self) -> str:
        """Return the name that nvcc gives it."""
        return f"{self.kind}_{self.arch}{self.suffix}"


def parse(text: str) -> Target | None:
    """Return the target of a name such as sm_90, sm_100f or compute_80; None where it is none."""
    kind, _, rest = text.partition("_")
    suffix = rest[-1:] if rest[-1:] in ("a", "f") else ""
    number = rest[: len(rest) - len(suffix)]
    if kind not in (SM, COMPUTE) or not is_whole(number, 3) or len(number) < 2 or number[0] == "0":
        return None
    return Target(kind, int(number), suffix)


def is_known(sm: int, tables: Tables = SHIPPED) -> bool:
    """Tell whether the catalog has an architecture, under the name it once had too (10.1 became 11.0)."""
    if "targets" not in tables.memo:
        rows = tables.rows("architectures")
        once = frozenset(_number(row["once"]) for row in rows if "once" in row)
        tables.memo["targets"] = once.union(capabilities(tables))
    return sm in tables.memo["targets"]


def capabilities(tables: Tables = SHIPPED) -> tuple[int, ...]:
    """Return the architectures of the GPUs that the catalog has, sorted: 90 of compute capability 9.0."""
    if "capabilities" not in tables.memo:
        rows = tables.rows("architectures")
        tables.memo["capabilities"] = tuple(sorted(_number(row["capability"]) for row in rows))
    made: tuple[int, ...] = tables.memo["capabilities"]
    return made


def _number(capability: str) -> int:
    major, minor = versions.minor(capability) or (0, 0)
    return major * 10 + minor


def runs(target: Target, sm: int, tables: Tables = SHIPPED) -> str:
    """Tell whether a GPU of an architecture runs code of a target, as far as that is the GPU's to say.

    Of PTX the driver has to know the ISA as well.
    """
    if sm not in capabilities(tables) or not is_known(target.arch, tables):
        return UNKNOWN
    return fits(target, sm)


def fits(target: Target, sm: int) -> str:
    """Answer as `runs` does, of architectures that are known."""
    arch, suffix = target.arch, target.suffix
    same = arch // 10 == sm // 10
    if arch == sm and suffix != "?":
        return YES
    if _RENAMED.get(arch) == sm or (arch in _RENAMED and target.kind == COMPUTE and not suffix and arch < sm):
        return UNKNOWN  # no document says that code under one name runs under the other
    if suffix == "a":
        return NO
    if suffix == "f":
        if arch not in _FAMILIES or (same and arch <= sm and sm not in _FAMILIES):
            return UNKNOWN
        return YES if sm in _FAMILIES[arch] else NO
    if suffix == "?":
        return YES if arch == sm else UNKNOWN if same and arch < sm else NO
    if target.kind == SM:
        if not same or arch > sm:
            return NO
        return UNKNOWN if arch in TEGRA or sm in TEGRA else YES
    return YES if arch <= sm else NO
