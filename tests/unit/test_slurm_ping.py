"""A controller that is gone is found before Slurm's own commands have given up looking for it."""

import time
from pathlib import Path

import pytest

from preflight.slurm import ping
from preflight.slurm.commands import Slurm, SlurmError


def slurm(place: Path, script: str) -> Slurm:
    """Slurm's commands are a scontrol that runs ``script``."""
    path = place / "scontrol"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return Slurm(str(place), "", time.monotonic() + 60)


def test_one_that_answers_leaves_the_time_as_it_is(tmp_path: Path) -> None:
    whole = slurm(tmp_path, '[ "$*" = ping ] && echo "Slurmctld(primary) at n0 is UP"')
    assert ping.reached(whole) == whole


def test_one_that_is_down_leaves_little_time(tmp_path: Path) -> None:
    before = time.monotonic()
    left = ping.reached(slurm(tmp_path, 'echo "Slurmctld(primary) at n0 is DOWN"; exit 1')).deadline
    assert before < left <= time.monotonic() + ping.DOWN_S


def test_one_that_hangs_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ping, "ANSWER_S", 0.2)
    with pytest.raises(SlurmError, match="did not answer within"):
        ping.reached(slurm(tmp_path, "exec sleep 60"))
