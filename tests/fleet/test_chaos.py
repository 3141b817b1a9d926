"""Collectors and databases that die while reports are on their way: each arrives once (more: python -m fleet.chaos)."""

import os
from pathlib import Path

import pytest

from fleet import chaos
from fleet.server import Postgres, programs


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("BACKOFF_S", 0.02), ("JITTER_S", 0.05), ("BATCH_REPORTS", 20)):
        monkeypatch.setattr(chaos.send, name, value)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk: needs root")
def test_sqlite_killed_and_its_disk_filled(tmp_path: Path) -> None:
    with chaos.small_disk(tmp_path / "store", "64m"):
        plan = chaos.Plan(reports=800, shippers=8, kills=5, fill=True)
        outcome = chaos.run(plan, f"sqlite:///{tmp_path}/store/fleet.db", tmp_path)
    assert outcome[:4] == (0, 0, 0, 0)


@pytest.mark.skipif(programs() is None, reason="no PostgreSQL server is installed")
def test_two_collectors_on_one_postgresql_that_dies(tmp_path: Path) -> None:
    with Postgres() as server, server.database() as url:
        plan = chaos.Plan(reports=600, shippers=8, kills=3, server_kills=2, collectors=2)
        outcome = chaos.run(plan, url, tmp_path, server)
    assert outcome[:4] == (0, 0, 0, 0)
