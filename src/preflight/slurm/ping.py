"""Is there a controller to ask? Slurm's commands look for one for 10 s and more before they say that there is none."""

from __future__ import annotations

import time

from preflight.slurm.commands import Slurm, SlurmError, SlurmTimeout

ANSWER_S = 2.5  # a ping takes no lock of slurmctld's: a busy one answers it at once
DOWN_S = 3.0


def reached(slurm: Slurm) -> Slurm:
    """Return ``slurm``, with DOWN_S left where `scontrol ping` fails for another reason than that all are down.

    Raises SlurmError where every controller is down, or one takes the ping and does not answer it within ANSWER_S.
    """
    began = time.monotonic()
    try:
        slurm._replace(each_s=ANSWER_S).run("scontrol", "ping")
    except SlurmTimeout as error:
        raise SlurmError(f"slurmctld did not answer within {ANSWER_S:g} s (scontrol ping)") from error
    except SlurmError as error:
        if " is UP" in error.output:  # a backup's
            return slurm
        if " is DOWN" in error.output:
            lines = [line for line in error.output.splitlines() if " is DOWN" in line]
            raise SlurmError(f"no controller answers: {'; '.join(lines)}") from error
        return slurm._replace(deadline=min(slurm.deadline, began + DOWN_S))
    return slurm
