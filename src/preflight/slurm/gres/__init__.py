"""Which GPU a Slurm number means: slurm.conf and gres.conf read and put in order as slurmd does.

SLURM_JOB_GPUS holds positions in slurmd's list of the node's GPUs; that is neither NVML's index nor the minor number.
`read` says what the files say, `devices` and `places` what that means for the GPUs that are there; `cached` is for
hooks. Modules that only read files are imported when one has changed.
"""

from __future__ import annotations

from preflight.slurm.gres.cache import cached, conf_directory
from preflight.slurm.gres.model import Gres, release_number

__all__ = ["Gres", "cached", "conf_directory", "devices", "read"]

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any


def read(conf_directory: str, node: str, release: str = "") -> Gres:
    """Return what slurm.conf and gres.conf in ``conf_directory`` give ``node``; never raises.

    ``release``: of the slurmd that reads them ("22.05"), taken to have all its plugins; "" for what is installed here.
    """
    from preflight.slurm.gres.reading import read as read_files

    return read_files(conf_directory, node, release)


def devices(
    gres: Gres, gpus: list[dict[str, Any]], release: str = ""
) -> tuple[list[tuple[int, int | None] | None], str]:
    """Return (position in ``gpus``, position in its mig_devices or None) for each of Slurm's numbers, and a problem.

    ``gpus``: ``devices`` of the facts' subject gpus; None stands for a number whose device is not among them.
    """
    from preflight.slurm.gres.match import places

    found, problem = places(gres, gpus, release_number(release))
    return [place.found[0] if place.found else None for place in found], problem
