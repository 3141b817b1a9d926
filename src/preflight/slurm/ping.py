"""Is there a controller to ask? Slurm's commands look for one for 10 s and more before they say that there is none."""

from __future__ import annotations

import time

from preflight.slurm.commands import Slurm, SlurmError, SlurmTimeout

# A ping takes no lock of slurmctld's: a busy one answers it at once. A primary whose host is gone costs it TCPTimeout
# (2 s) before it comes to the backup.
ANSWER_S = 2.5
DOWN_S = 3.0
AGAIN_S = 0.25


class NoController(SlurmError):
    """Every controller of the cluster is down: nothing takes connections in their places."""


def reached(slurm: Slurm) -> Slurm:
    """Return ``slurm``, with DOWN_S left where `scontrol ping` fails for another reason than that all are down.

    Raises NoController where every controller is down, SlurmError where one takes the ping and does not answer it
    within ANSWER_S.
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
            raise NoController(f"no controller answers: {'; '.join(lines)}") from error
        return slurm._replace(deadline=min(slurm.deadline, began + DOWN_S))
    return slurm


def awaited(slurm: Slurm) -> Slurm:
    """Return as `reached`, but wait for a controller that is down, as where it is being restarted: up to ANSWER_S.

    Raises as `reached`. A ping that would not end by then, as the last one took too long for that, is not begun.
    """
    end = time.monotonic() + ANSWER_S
    while True:
        began = time.monotonic()
        try:
            return reached(slurm)
        except NoController:
            now = time.monotonic()
            if now + AGAIN_S + (now - began) >= end:
                raise
        time.sleep(AGAIN_S)
