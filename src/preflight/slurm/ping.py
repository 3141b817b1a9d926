"""Is there a controller to ask? Slurm's commands look for one for 10 s and more before they say that there is none."""

from __future__ import annotations

import time

from preflight.slurm.commands import Slurm, SlurmError, SlurmTimeout

ANSWER_S = 2.5  # a ping takes no lock of slurmctld's: a busy one answers it at once
DOWN_S = 3.0


def reached(slurm: Slurm) -> Slurm:
    """Return ``slurm``, with DOWN_S left where `scontrol ping` fails: a backup controller may answer all the same.

    Raises SlurmError where the controller takes the ping and does not answer it within ANSWER_S.
    """
    began = time.monotonic()
    try:
        slurm._replace(each_s=ANSWER_S).run("scontrol", "ping")
    except SlurmTimeout as error:
        raise SlurmError(f"slurmctld did not answer within {ANSWER_S:g} s (scontrol ping)") from error
    except SlurmError:
        return slurm._replace(deadline=min(slurm.deadline, began + DOWN_S))
    return slurm
