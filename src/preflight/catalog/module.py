"""The NVIDIA kernel module: open or proprietary, and which kernels a branch builds on."""

from __future__ import annotations

from preflight.catalog import drivers, versions
from preflight.catalog.gpus import Gpu
from preflight.catalog.tables import SHIPPED, Tables, source
from preflight.tuples import NamedTuple

REQUIRED, EITHER, PROPRIETARY_ONLY, UNKNOWN = "required", "either", "proprietary_only", "unknown"
GUIDE = "https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/620/ (section kernel modules)"
OPEN_FROM, OPEN_DEFAULT, OPEN_ONLY_FROM = 515, 560, 620  # branches
BEFORE_OPEN = ("fermi", "kepler", "maxwell", "pascal", "volta")  # no GSP: the open modules do not drive them
OPEN_ONLY = ("blackwell", "rubin")
GRACE = "superchip"


class Module(NamedTuple):
    """``open``: are the open kernel modules required, either possible, proprietary_only, or unknown."""

    open: str
    why: str
    needs: str | None
    source: str


class Builds(NamedTuple):
    """``answer``: does a branch build on a kernel, True, False or None (not known)."""

    answer: bool | None
    why: str
    needs: str | None
    source: str


def flavour(gpu: Gpu | None, driver: str | None = None, tables: Tables = SHIPPED) -> Module:
    """Tell which kernel modules a GPU and a driver branch take; either may be left out."""
    parts = versions.parse(driver) if driver else ()
    arch = gpu.arch if gpu else None
    if arch in BEFORE_OPEN:
        why = f"the open kernel modules drive Turing and newer; {gpu.shown if gpu else arch} is {arch}"
        needs = f"driver branch 580 or older: {parts[0]} has open modules alone" if parts and parts[0] >= 590 else None
        return Module(PROPRIETARY_ONLY, why, needs, GUIDE)
    if parts and parts[0] < OPEN_FROM:
        return Module(PROPRIETARY_ONLY, f"open kernel modules begin with branch {OPEN_FROM}", None, GUIDE)
    if parts and parts[0] >= OPEN_ONLY_FROM:
        return Module(REQUIRED, f"from branch {OPEN_ONLY_FROM} on there are open kernel modules alone", None, GUIDE)
    if arch in OPEN_ONLY or (gpu is not None and gpu.kind == GRACE):
        which = "Grace Hopper and Blackwell"
        return Module(
            REQUIRED, f"{which} are driven by the open kernel modules alone", "the open kernel modules", GUIDE
        )
    if arch is None:
        return Module(
            UNKNOWN, "the GPU is not known" if gpu is None or not gpu.name else f"{gpu.name} is not known", None, ""
        )
    return Module(
        EITHER, f"{arch} works with both; the open ones are the default from branch {OPEN_DEFAULT}", None, GUIDE
    )


def builds(driver: str, kernel: str, tables: Tables = SHIPPED) -> Builds:
    """Tell whether a driver's branch takes a kernel ("3.10.0-1160.el7.x86_64").

    Branches declare a lowest kernel alone: a newer one is never known to build.
    """
    row = drivers.branch(driver, tables)
    lowest = row.get("kernel_min") if row else None
    running = versions.parse(".".join(kernel.split("-")[0].split(".")[:2]))
    if row is None or lowest is None or not running:
        return Builds(None, f"the lowest kernel for driver {driver} is not known", None, source(row))
    if running < versions.parse(lowest):
        why = f"driver branch {row['branch']} refuses kernels below {lowest}; this is {kernel}"
        return Builds(False, why, f"a kernel from {lowest} on, or an older driver branch", source(row))
    return Builds(True, f"driver branch {row['branch']} takes kernels from {lowest} on", None, source(row))
