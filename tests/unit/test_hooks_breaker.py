"""The drain breaker under controllers of every speed: many nodes of one wrong policy, simulated (breaker_sim.py)."""

import time as clock
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from preflight.checks.finding import Finding
from preflight.facts.cache import boot_id
from preflight.facts.document import FactsDocument
from preflight.hooks.drained import adopt, is_ours, is_well
from preflight.policy.model import Policy, ReportPolicy
from preflight.slurm.node import NodeState, stamp
from unit.breaker_sim import Site

NODES, LIMIT = 8, 2
HUNG_S = 5.34  # of a deadline of 8 s: two thirds are for the probes
SPEEDS: dict[str, dict[str, Any]] = {
    "quick": {},
    "busy": {"slower": (0.2, 0.3)},
    "slow": {"slower": (0.6, 1.2)},
    "stopped": {"slower": (0.02, 0.1), "stop_s": 2.0},
    "slow-and-stopped": {"slower": (0.6, 1.2), "stop_s": 2.0},
    "anything": {"slower": (0.01, 4.0)},
    "long-stops": {"slower": (0.02, 0.1), "stop_s": 20.0, "go_s": 3.0},
}


@pytest.mark.parametrize("probe_s", [0.3, HUNG_S], ids=["answers", "hung"])
@pytest.mark.parametrize("speed", SPEEDS)
def test_at_most_the_limit_stays_drained(
    speed: str, probe_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(4):
        site = Site(tmp_path / str(seed), seed, NODES, LIMIT, **SPEEDS[speed])
        site.patch(monkeypatch)
        site.prologs(0, probe_s)
        site.clock.run()
        stopped = len(site.stopped)
        for _ in range(2):
            site.health_checks(site.clock.now + 60, probe_s)
            site.clock.run()
        assert len(site.drained()) <= LIMIT, f"seed {seed}: {site.controller.drained}"
        assert stopped <= LIMIT
        assert site.most_s <= 7.6  # the deadline, less the half second kept for the record
        if speed in ("quick", "busy"):
            assert len(site.drained()) == stopped == LIMIT


@pytest.mark.parametrize("seed", range(4))
def test_a_controller_that_comes_to_itself_ends_with_exactly_the_limit(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No drain is left that nobody undoes, and sick nodes are drained in the end; 24 nodes, all of them late."""
    site = Site(tmp_path, seed, 24, 3, slower=(0.01, 6.0), calm_at=600)
    site.patch(monkeypatch)
    site.prologs(0, 0.3)
    site.clock.run()
    for _ in range(4):
        site.health_checks(site.clock.now + 300, 0.3)
        site.clock.run()
    assert len(site.drained()) == 3
    assert not list(tmp_path.glob("*/pending/*"))
    assert sorted(path.parent.name for path in tmp_path.glob("*/drain-*.json")) == site.drained()


RECORD = {"reason": "preflight:gpu.ecc:gpu1: 2 errors", "user": "root", "time": "2026-11-24T10:00:00"}
APPENDED = f"{RECORD['reason']} : Not responding"


class Config:
    """Slurm, asked who SlurmUser is."""

    def run(self, *arguments: str) -> str:
        assert arguments == ("scontrol", "show", "config")
        return "SlurmUser               = slurm(64030)\n"


@pytest.mark.parametrize(
    ("flags", "reason", "user", "time", "ours"),
    [
        ("IDLE+DRAIN", RECORD["reason"], "root", RECORD["time"], True),
        ("DOWN+DRAIN", RECORD["reason"], "root", RECORD["time"], True),  # 22.05, after a reboot
        ("DOWN+DRAIN", APPENDED, "slurm", "2026-11-24T10:20:00", True),  # 24.11 and later
        ("IDLE+DRAIN", APPENDED, "slurm", "2026-11-24T10:20:00", True),
        ("IDLE+DRAIN", APPENDED, "root", "2026-11-24T10:20:00", False),  # somebody wrote it
        ("IDLE+DRAIN", APPENDED, "slurm", "2026-11-24T09:00:00", False),
        ("IDLE", RECORD["reason"], "root", RECORD["time"], False),  # 24.11 leaves it on a node that was resumed
        ("DOWN", APPENDED, "slurm", "2026-11-24T10:20:00", False),
        ("IDLE+DRAIN", RECORD["reason"], "root", "2026-11-24T10:00:01", False),
        ("IDLE+DRAIN", RECORD["reason"], "eve", RECORD["time"], False),
        ("IDLE+DRAIN", f"{RECORD['reason']} : Kill task failed", "slurm", "2026-11-24T10:20:00", False),
        ("IDLE+DRAIN", "preflight:gpu.ecc:gpu0: 2 errors : Not responding", "slurm", "2026-11-24T10:20:00", False),
    ],
)
def test_whose_drain_it_is(flags: str, reason: str, user: str, time: str, ours: bool) -> None:
    slurm: Any = Config()
    assert is_ours(slurm, NodeState(tuple(flags.split("+")), reason, user, time), dict(RECORD)) is ours


@pytest.fixture
def autumn(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A zone whose hour from 02:00 comes twice on 2026-10-25."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    clock.tzset()
    yield
    monkeypatch.undo()
    clock.tzset()


@pytest.mark.parametrize(
    ("drained", "appended", "ours"),
    [("02:50", "02:10", True), ("02:50", "01:59", False), ("02:10", "02:50", True), ("03:10", "02:50", False)],
)
@pytest.mark.usefixtures("autumn")
def test_a_reboot_in_the_hour_that_comes_twice_is_no_earlier_one(drained: str, appended: str, ours: bool) -> None:
    slurm: Any = Config()
    state = NodeState(("IDLE", "DRAIN"), APPENDED, "slurm", f"2026-10-25T{appended}:00")
    assert is_ours(slurm, state, {**RECORD, "time": f"2026-10-25T{drained}:00"}) is ours


@pytest.mark.parametrize("later_s", [-310, -300, 0, 240, 300, 320])
@pytest.mark.usefixtures("autumn")
def test_a_drain_that_nobody_heard_of_is_ours_over_the_clock_change(later_s: int, tmp_path: Path) -> None:
    """Begun at 02:58 of the summer's time; two minutes later it is 02:00 once more."""
    began = 1_792_889_880.0
    assert (stamp(began), stamp(began + 120)) == ("2026-10-25T02:58:00", "2026-10-25T02:00:00")
    policy = Policy(report=ReportPolicy(spool=str(tmp_path)))
    run: Any = SimpleNamespace(policy=policy, node="n1", run_dir=str(tmp_path))
    pending: Any = SimpleNamespace(entry={"at": began, "drain": RECORD["reason"]})
    state = NodeState(("IDLE", "DRAIN"), RECORD["reason"], "root", stamp(began + later_s))
    assert adopt(run, state, pending) is (-300 <= later_s <= 308)


def finding(check: str, subject: str, status: str = "pass") -> Finding:
    return Finding(check, status, "node", subject, None, None, "", None, None)


def document(*gpus: str) -> FactsDocument:
    devices = [{"index": index, "uuid": uuid} for index, uuid in enumerate(gpus)]
    return FactsDocument("n1", "2026-11-24T10:00:00Z", {"gpus": {"count": len(gpus), "devices": devices}}, {}, {})


def ecc(*subjects: str) -> list[Finding]:
    return [finding("gpu.ecc", one) for one in subjects]


@pytest.mark.parametrize(
    ("more", "findings", "gpus", "well"),
    [
        ({}, ecc("gpu0", "gpu1"), ("A", "B"), True),
        ({}, ecc("gpu0"), ("A",), False),  # a record of before UUIDs were kept, and the GPU is not there
        ({"gpu": "B"}, ecc("gpu0", "gpu1"), ("B", "A"), True),
        ({"gpu": "B"}, [*ecc("gpu1"), finding("gpu.ecc", "gpu0", "skip")], ("B", "A"), False),  # counted otherwise now
        ({"gpu": "B", "boot": "now"}, ecc("gpu0"), ("A",), False),  # it is gone: nobody has looked at it
        ({"gpu": "B", "boot": "now"}, ecc("gpu0", "gpu1"), ("A", "C"), False),
        ({"gpu": "B", "boot": "before"}, ecc("gpu0", "gpu1"), ("A", "C"), True),  # another board after a reboot
        ({}, [finding("gpu.ecc", "gpu1", "skip")], ("A", "B"), False),
        ({}, [finding("gpu.reset", "gpu1")], ("A", "B"), False),
        ({}, [*ecc("gpu1"), finding("gpu.ecc", "gpu0", "unknown")], ("A", "B"), False),
        ({}, [*ecc("gpu1"), finding("gpu.reset", "gpu0", "fail")], ("A", "B"), False),
        ({"reason": "preflight:gpu.present:/dev/nvidia1: x"}, [finding("gpu.present", "node")], ("A", "B"), True),
        ({"reason": "preflight:expectation:gpu.count=2: x"}, [finding("expectation", "gpu.count=2")], (), True),
        ({"reason": "preflight:expectation:gpu.count=9: x"}, [finding("expectation", "gpu.count=2")], (), True),
        ({"reason": "preflight:expectation:gpu.count=9: x"}, [], (), True),  # the site took it back
        ({"reason": "nonsense"}, ecc("gpu1"), ("A", "B"), False),
    ],
)
def test_a_drain_ends_only_by_a_check_that_looked_at_what_failed(
    more: dict[str, Any], findings: list[Finding], gpus: tuple[str, ...], well: bool
) -> None:
    boot = {"now": boot_id(), "before": "another"}.get(more.get("boot", ""), "")
    assert is_well({**RECORD, **more, "boot": boot}, findings, document(*gpus)) is well
