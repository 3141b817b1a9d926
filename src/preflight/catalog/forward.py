"""Forward compatibility: does a package cuda-compat-X-Y let an older driver run newer programs?"""

from __future__ import annotations

from preflight.catalog import drivers, versions
from preflight.catalog.gpus import Gpu
from preflight.catalog.tables import SHIPPED, Row, Tables, source
from preflight.tuples import NamedTuple

# NVIDIA: data-center GPUs, "selected NGC-ready RTX GPUs" and Jetson. Which workstation cards those are is not listed.
YES, NO = ("datacenter", "superchip", "jetson"), ("geforce", "titan")
GPUS = "https://docs.nvidia.com/deploy/cuda-compatibility/forward-compatibility.html"


class Compat(NamedTuple):
    """A compat directory on a node: where, and the driver version that its libcuda carries ("550.54.15")."""

    path: str
    driver: str


class Forward(NamedTuple):
    """``works`` True, False, None (not known); ``package`` the one that is meant; ``present`` the one on the node."""

    works: bool | None
    why: str
    package: str | None = None
    present: Compat | None = None
    source: str = ""


def package(cuda: str) -> str:
    """Return "cuda-compat-12-4" of "12.4"."""
    return "cuda-compat-" + cuda.replace(".", "-")


def forward(
    cuda: str, driver: str, gpu: Gpu | None, compat: tuple[Compat, ...] | None = None, tables: Tables = SHIPPED
) -> Forward:
    """Tell whether a package lets ``driver`` run programs of ``cuda``.

    ``compat``: what is on the node; None where that was not asked: any package is then thought of.
    """
    host = versions.parse(driver)
    if not host:
        return Forward(None, f"driver {driver} is no version")
    by_gpu = _allowed(gpu)
    if by_gpu is not None and not by_gpu.works:
        return by_gpu
    answers = []
    for row, here in _candidates(cuda, compat, tables):
        answer = _listed(row, host[0], gpu, here)
        if answer.works:
            return by_gpu or answer
        answers.append(answer)
    doubts = [answer for answer in answers if answer.works is None]
    if answers and not doubts:
        return answers[0]
    # The package of the release itself decides; that later ones are not known to work does not make its no a doubt.
    if compat is None and answers and answers[0].works is False:
        return answers[0]
    if compat is not None and not answers:
        return Forward(False, "no cuda-compat for it is on the node", package(_release(cuda)))
    return doubts[0] if doubts else Forward(None, "the catalog knows no cuda-compat package for it")


def _release(cuda: str) -> str:
    return versions.show(versions.minor(cuda) or ())


def _candidates(cuda: str, compat: tuple[Compat, ...] | None, tables: Tables) -> list[tuple[Row, Compat | None]]:
    """Return the packages that carry the asked CUDA or a newer one, the asked release's own first."""
    asked = versions.minor(cuda) or (0, 0)
    if compat is None:
        rows = [row for row in tables.rows("forward") if (versions.minor(row["cuda"]) or (0, 0)) >= asked]
        rows.sort(key=lambda row: versions.parse(row["cuda"]))
        if not rows or versions.minor(rows[0]["cuda"]) != asked:
            rows.insert(0, {"cuda": _release(cuda), "source": ("",)})
        return [(row, None) for row in rows]
    found: list[tuple[Row, Compat | None]] = []
    for here in compat:
        own, _, _ = drivers.own_cuda(here.driver, tables)
        if own and (versions.minor(own) or (0, 0)) >= asked:
            found.append((tables.find("forward", "cuda", own) or {"cuda": own, "source": ("",)}, here))
    return sorted(found, key=lambda one: versions.parse(one[0]["cuda"]))


def _allowed(gpu: Gpu | None) -> Forward | None:
    """Return what the GPU alone says; None where it is one that forward compatibility is for."""
    if gpu is None:
        return Forward(None, "cuda-compat works on data-center GPUs, not on GeForce: the GPU is not known", source=GPUS)
    if gpu.kind in NO:
        return Forward(False, f"cuda-compat is not for {gpu.shown}: it is for data-center GPUs", source=GPUS)
    if gpu.kind in YES:
        return None
    return Forward(None, f"whether cuda-compat works on {gpu.shown} is not listed", source=GPUS)


def _listed(row: Row, host: int, gpu: Gpu | None, here: Compat | None) -> Forward:
    name = package(row["cuda"])
    came_from = source(row)
    if here is not None and versions.parse(here.driver)[0] <= host:
        return Forward(
            False, f"{here.path} is of driver {here.driver}, no newer than the node's", name, here, came_from
        )
    hosts = row.get("hosts")
    if hosts is None:
        return Forward(None, f"the driver branches that {name} works on are not known", name, here, came_from)
    if host not in hosts:
        listed = ", ".join(map(str, hosts))
        return Forward(False, f"{name} works on the driver branches {listed}, not on {host}", name, here, came_from)
    if host in row.get("tesla_only", ()) and (gpu is None or "tesla" not in gpu.name.lower()):
        return Forward(None, f"{name} works on branch {host} for the brand Tesla alone", name, here, came_from)
    doubt = " (from a weak source)" if row.get("uncertain") else ""
    return Forward(True, f"{name} works on driver branch {host}{doubt}", name, here, came_from)
