"""Which Slurm is on this host, by its own programs."""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.slurm.commands import Slurm, SlurmError

PROGRAMS = ("scontrol", "slurmd", "slurmctld", "sbatch")  # the first that says it; a host may have one of them alone


def here(slurm: Slurm) -> tuple[int, ...]:
    """Return the release of Slurm's programs on this host, (22, 5, 8); () where there are none that say it."""
    for program in PROGRAMS:
        try:
            said = slurm.run(program, "-V")  # "slurm-wlm 22.05.8", "slurm 24.11.5-1"
        except SlurmError:
            continue
        words = said.split()
        parts = words[1].split("-")[0].split(".") if len(words) > 1 else []
        found = tuple(int(part) for part in parts if is_whole(part))
        if len(found) >= 2:
            return found
    return ()


def written(numbers: tuple[int, ...]) -> str:
    """Return (22, 5, 8) as Slurm writes it, "22.05.8"."""
    return ".".join(f"{part:02}" if position == 1 else str(part) for position, part in enumerate(numbers))
