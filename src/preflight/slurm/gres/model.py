"""What the configuration says of a node's GPUs, in a form that can be kept as JSON."""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any


class Line(NamedTuple):
    """One record of gres.conf for this node's GPUs.

    ``type``: None without Type=. ``text``: File= or MultipleFiles= as written, "" without. ``files``: its paths in
    order. ``targets``: what each path is: "gpu:3" (/dev/nvidia3, or a link to it), "cap:66" (a MIG capability),
    "other:PATH". ``links``: Links= as written. ``multiple``: MultipleFiles=, all paths are one GRES.
    """

    type: str | None = None
    text: str = ""
    files: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    number: int = 1
    links: str = ""
    multiple: bool = False


class Gres(NamedTuple):
    """A node's GPUs as slurm.conf and gres.conf give them.

    ``lines``: gres.conf's, in slurmd's order. ``wanted``: (type or None, count) of slurm.conf's Gres=; None where
    slurm.conf does not say what this node has. ``autodetect``: what counts for the node, as written, "" where it is
    not set. ``nvml``: whether slurmd has its NVML plugin; None where that is not known. ``release``: of the slurmd
    that is installed, 2205 for 22.05; 0 where it is not known. ``problem``: why all this cannot be told. ``shared``:
    whether slurm.conf's Gres= has shards or MPS, so that several jobs may have one GPU.
    """

    lines: tuple[Line, ...] = ()
    wanted: tuple[tuple[str | None, int], ...] | None = None
    autodetect: str = ""
    nvml: bool | None = None
    release: int = 0
    problem: str = ""
    shared: bool = False

    @property
    def total(self) -> int | None:
        """Return how many GPUs slurm.conf gives the node; None where it does not say."""
        return None if self.wanted is None else sum(number for _, number in self.wanted)


def to_json(gres: Gres) -> list[Any]:
    """Return ``gres`` as JSON values."""
    return list(gres._replace(lines=[list(line) for line in gres.lines]))  # type: ignore[arg-type]


def from_json(stored: list[Any]) -> Gres:
    """Return what `to_json` was given; raises TypeError or ValueError for anything else."""
    lines, wanted, *rest = stored
    return Gres(
        tuple(_line(*line) for line in lines),
        None if wanted is None else tuple((kind, number) for kind, number in wanted),
        *rest,
    )


def _line(kind: str | None, text: str, files: list[str], targets: list[str], *rest: Any) -> Line:
    return Line(kind, text, tuple(files), tuple(targets), *rest)


def release_number(release: str | int | tuple[int, ...]) -> int:
    """Return "22.05.8", "22.05" or (22, 5) as 2205, by which releases compare; "" and what is no release are 0."""
    if isinstance(release, int):
        return release
    if isinstance(release, str):
        parts = [part for part in release.split(".")[:2] if is_whole(part, 3)]
        release = tuple(int(part) for part in parts)
    return release[0] * 100 + release[1] if len(release) > 1 else 0
