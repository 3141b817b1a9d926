"""The clock that jumps: found from one health check to the next, and nothing is thrown away by it."""

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from preflight.hooks import clock, upkeep
from unit.hook_site import JOB, Site

DAY_S = 86400.0


class Clocks:
    """The two clocks of a node, set by hand."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.wall, self.boot = 1.8e9, 1000.0
        patch.setattr(clock.time, "time", lambda: self.wall)
        patch.setattr(clock.time, "clock_gettime", lambda _: self.boot)

    def go(self, seconds: float, jump: float = 0.0) -> None:
        self.wall, self.boot = self.wall + seconds + jump, self.boot + seconds


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


def test_a_steady_clock_shows_no_jump(tmp_path: Path, clocks: Clocks) -> None:
    for seconds in (0, 300, 30 * DAY_S):  # the last one slept, or had no health check for a month
        clocks.go(seconds, jump=2.0)
        assert clock.jump(str(tmp_path), "n1") == 0.0


@pytest.mark.parametrize("jump", [400 * DAY_S, -7200.0])
def test_a_jump_is_seen_for_a_week(tmp_path: Path, clocks: Clocks, jump: float) -> None:
    clock.jump(str(tmp_path), "n1")
    clocks.go(300, jump)
    assert clock.jump(str(tmp_path), "n1") == pytest.approx(jump)
    clocks.go(3 * DAY_S)
    assert clock.jump(str(tmp_path), "n1") == pytest.approx(jump)
    clocks.go(5 * DAY_S)
    assert clock.jump(str(tmp_path), "n1") == 0.0


def test_a_clock_that_was_set_right_again_is_believed(tmp_path: Path, clocks: Clocks) -> None:
    clock.jump(str(tmp_path), "n1")
    clocks.go(300, 400 * DAY_S)
    assert clock.jump(str(tmp_path), "n1")
    clocks.go(300, -400 * DAY_S)
    assert clock.jump(str(tmp_path), "n1") == 0.0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"boot": 4}', '{"wall": "x"}'])
def test_what_was_kept_and_is_torn_is_made_anew(tmp_path: Path, clocks: Clocks, text: str) -> None:
    (tmp_path / "clock-n1.json").write_text(text)
    assert clock.jump(str(tmp_path), "n1") == 0.0
    clocks.go(300, DAY_S)
    assert clock.jump(str(tmp_path), "n1") == pytest.approx(DAY_S)


def test_the_health_check_says_it_and_removes_nothing(hooked: Site) -> None:
    hooked.hook("prolog", **JOB)
    old = time.time() - 400 * DAY_S
    os.utime(hooked.spool / "reports/7", (old, old))
    hooked.hook("health")
    assert not (hooked.spool / "reports/7").exists()  # 400 days old by a steady clock
    hooked.hook("prolog", **JOB)
    os.utime(hooked.spool / "reports/7", (old, old))
    kept = hooked.run_dir / "clock-n1.json"
    seen = json.loads(kept.read_text())
    kept.write_text(json.dumps({**seen, "wall": seen["wall"] - 400 * DAY_S}))
    time.sleep(1.1)  # health reports are named by the second
    hooked.hook("health")
    assert (hooked.spool / "reports/7").exists()


def test_a_clock_that_jumps_in_the_middle_of_a_health_check_removes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reports/7").mkdir(parents=True)
    now = time.time()
    report = SimpleNamespace(spool=str(tmp_path), keep_days=90)
    run: Any = SimpleNamespace(started=now, run_dir=str(tmp_path), node="n1", policy=SimpleNamespace(report=report))
    monkeypatch.setattr("time.time", lambda: now + 3650 * DAY_S)
    upkeep.prune(run)
    assert (tmp_path / "reports/7").exists()
    run.started += 100 * DAY_S
    upkeep.prune(run)
    assert not (tmp_path / "reports/7").exists()


def test_a_spool_of_many_jobs_is_listed_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "MANY", 2)
    report = SimpleNamespace(spool=str(tmp_path), keep_days=1)
    run: Any = SimpleNamespace(
        started=time.time(), run_dir=str(tmp_path), node="n1", policy=SimpleNamespace(report=report)
    )

    def pruned(jobs: int, later_s: float) -> bool:
        for job in range(1, jobs + 1):
            (tmp_path / f"reports/{job}").mkdir(parents=True, exist_ok=True)
        os.utime(tmp_path / "reports/1", (1000, 1000))
        run.started += later_s
        upkeep.prune(run)
        return not (tmp_path / "reports/1").exists()

    assert pruned(1, 0)
    assert pruned(2, 1)
    assert pruned(3, 1)  # and now they are many
    assert not pruned(3, 1)
    assert pruned(3, upkeep.SELDOM_S + 1)
