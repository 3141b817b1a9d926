"""A controller that is gone is found before Slurm's own commands have given up looking for it."""

import time
from pathlib import Path
from types import SimpleNamespace

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


def test_one_that_is_down_is_an_error_unless_its_backup_is_up(tmp_path: Path) -> None:
    down = 'echo "Slurmctld(primary) at n0 is DOWN"'
    with pytest.raises(SlurmError, match=r"^no controller answers: Slurmctld\(primary\) at n0 is DOWN$"):
        ping.reached(slurm(tmp_path, f"{down}; exit 1"))
    backup = slurm(tmp_path, f'{down}; echo "Slurmctld(backup) at n1 is UP"; exit 1')
    assert ping.reached(backup) == backup


def test_a_ping_that_fails_otherwise_leaves_little_time(tmp_path: Path) -> None:
    before = time.monotonic()
    left = ping.reached(slurm(tmp_path, 'echo "scontrol: error: munge" >&2; exit 1')).deadline
    assert before < left <= time.monotonic() + ping.DOWN_S


def test_one_that_hangs_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ping, "ANSWER_S", 0.2)
    with pytest.raises(SlurmError, match="did not answer within"):
        ping.reached(slurm(tmp_path, "exec sleep 60"))


def test_a_controller_that_is_being_restarted_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ping, "AGAIN_S", 0.01)
    says = 'echo "Slurmctld(primary) at n0 is'
    restarted = f'echo >>"$0.calls"; [ "$(wc -l <"$0.calls")" -ge 3 ] || {{ {says} DOWN"; exit 1; }}; {says} UP"'
    whole = slurm(tmp_path, restarted)._replace(deadline=time.monotonic() + 600)
    monkeypatch.setattr(ping, "ANSWER_S", 600.0)
    assert ping.awaited(whole) == whole
    monkeypatch.setattr(ping, "ANSWER_S", 0.2)
    with pytest.raises(ping.NoController, match="is DOWN"):
        ping.awaited(slurm(tmp_path, f'{says} DOWN"; exit 1'))


@pytest.mark.parametrize(("took", "pings"), [(2.0, 1), (1.0, 2), (0.01, 10)])
def test_no_ping_is_begun_that_would_not_end_in_time(took: float, pings: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A primary whose host is gone costs each ping TCPTimeout (2 s)."""
    clock, began = [100.0], []

    def gone(_: Slurm) -> Slurm:
        began.append(clock[0])
        clock[0] += took
        raise ping.NoController("down")

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(ping, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep))
    monkeypatch.setattr(ping, "reached", gone)
    with pytest.raises(ping.NoController):
        ping.awaited(Slurm("", "", 1000.0))
    assert len(began) == pings
    assert clock[0] <= 100 + ping.ANSWER_S
