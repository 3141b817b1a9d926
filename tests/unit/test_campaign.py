"""A sample of the campaign (tests/campaign, docs/reliability.md), and its judge shown what it must not let pass.

No time is judged here, but that a hook ends: `make campaign` does that, on a machine of its own.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from campaign import families, runner
from campaign.families.controller import failing
from campaign.fault import Fault, chosen
from campaign.processes import adopting
from campaign.table import Rows, counts, summary
from campaign.world import Assets, World, build_shim

# Commands that say that they succeeded and do nothing: each of these went wrong once.
MENDED = (
    "controller/misfit/nothing at command 6",  # the exclusion: the job was released without it
    "controller/misfit-array/nothing at command 6",
    "controller/misfit-no-requeue/nothing at command 2",  # the mark: cancelled without it
    "controller/health-half-moved/nothing at command 1",  # an empty answer was taken for a job that is gone
    "controller/health-half-moved/nothing at command 4",
    "controller/health-past-limit/nothing at command 2",  # the resume: our record of the drain was forgotten
    "controller/misfit/nothing at command 7 and all after it",
    # A server that is gone held the hook in a sleep that no signal ends.
    "servers/fit/the policy: stat 1 hangs",
    "servers/sick/the spool: stat 1 hangs",
)
SAMPLE = chosen([fault for fault in families.every() if not fault.slow], 60, seed=7)


@pytest.fixture(scope="session")
def campaign_assets(package: str, nvml_library: str, tmp_path_factory: pytest.TempPathFactory) -> Assets:
    """The installed package, the simulated driver, and the shim."""
    return Assets(package, nvml_library, build_shim(tmp_path_factory.mktemp("shim")))


PLAYED = [*SAMPLE, *(fault for fault in families.every() if fault.id in MENDED and fault not in SAMPLE)]


@pytest.mark.parametrize("fault", PLAYED, ids=lambda fault: fault.id)
def test_a_fault_costs_nothing_that_it_must_not(fault: Fault, campaign_assets: Assets, tmp_path: Path) -> None:
    row = runner.run(fault, tmp_path, campaign_assets, timed=False)
    if row.result == "not run":
        pytest.skip(row.observed)
    assert row.wrong == [], row.observed


def test_every_fault_has_a_name_of_its_own() -> None:
    names = [fault.id for fault in families.every()]
    assert len(names) == len(set(names)) >= 1000


@pytest.mark.parametrize("scene", ["misfit", "misfit-array"])
def test_no_job_is_released_without_the_exclusion(scene: str, campaign_assets: Assets, tmp_path: Path) -> None:
    """The next health check may come when the job has started again, where it was sent away."""
    seen = []

    @contextmanager
    def inject(world: World) -> Iterator[None]:
        with failing(world, at=6, how="nothing", on=False):
            yield
        seen.append(world.state()["jobs"]["7"])

    row = runner.run(Fault("control", "exclusion", scene, inject), tmp_path, campaign_assets, timed=False)
    assert seen[0]["priority"] == 0, row.observed
    assert row.wrong == [], row.observed
    assert "without n1" in row.observed


@pytest.mark.parametrize("lost", ["the mark", "the mark and the hold by its user's right"])
def test_a_controller_that_dies_just_after_the_uhold_loses_no_word_of_it(
    lost: str, campaign_assets: Assets, tmp_path: Path
) -> None:
    """What slurmctld had not saved yet is gone: it recovers the job as it was after the requeue, or after the mark."""

    @contextmanager
    def inject(world: World) -> Iterator[None]:
        world.submit(7, required="n1")
        yield
        jobs = world.state()["jobs"]
        assert jobs["7"]["priority"] == 0
        assert "preflight:held:n1" in jobs["7"]["admin_comment"]
        if lost == "the mark":
            jobs["7"]["admin_comment"] = jobs["7"]["admin_comment"].partition("; preflight:held:")[0]
        jobs["7"]["requeued_held"] = True
        world.set_state(jobs=jobs)

    row = runner.run(Fault("control", "uhold", "misfit", inject), tmp_path, campaign_assets, timed=False)
    assert row.wrong == [], row.observed
    assert "pending held" in row.observed


def _drained(world: World) -> None:
    nodes = world.state()["nodes"]
    nodes["n1"].update(state="idle+drain", reason="preflight:x:y: z")
    world.set_state(nodes=nodes, drains=[["n1", "preflight:x:y: z"]])


def _held(world: World) -> None:
    world.submit(7, state="PENDING", priority=0)


def _lost(world: World) -> None:
    for path in world.spool.glob("reports/7/*"):
        path.unlink()


def _broken(world: World) -> None:
    script = world.place / "libexec/prolog"
    script.write_text("#!/bin/sh\necho 'Traceback (most recent call last):'\nexit 3\n")


def _other(world: World) -> None:
    world.submit(8, state="PENDING")


@pytest.mark.parametrize(
    ("damage", "scene", "said"),
    [
        (_drained, "fit", "n1 stays drained"),
        (_held, "misfit", "held without our mark"),
        (_lost, "fit", "the report of prolog, job 7 is lost"),
        (_broken, "fit", "Traceback"),
        (_broken, "fit", "prolog ended with 3"),
        (_other, "fit", "another job was touched"),
    ],
)
def test_the_judge_lets_nothing_pass(
    damage: Callable[[World], None], scene: str, said: str, campaign_assets: Assets, tmp_path: Path
) -> None:
    @contextmanager
    def inject(world: World) -> Iterator[None]:
        yield
        damage(world)

    row = runner.run(Fault("control", said, scene, inject), tmp_path, campaign_assets, timed=False)
    assert row.result == "WRONG"
    assert any(said in one for one in row.wrong), row.wrong


def test_a_campaign_that_was_killed_goes_on(tmp_path: Path) -> None:
    def row(id: str, result: str) -> runner.Row:
        return runner.Row(id, "kills", "fit", id, "", "", result, [], 1.0)

    rows = Rows(tmp_path)
    rows.add(row("a", "held"))
    rows.add(row("b", "WRONG"))
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write('{"id": "c", "fam')
    again = Rows(tmp_path)
    assert list(again.rows) == ["a", "b"]
    again.add(row("c", "held"))
    assert list(Rows(tmp_path).rows) == ["a", "b", "c"]
    assert counts(again.rows.values()) == {"kills": {"held": 2, "WRONG": 1}}
    assert "not run" in summary(again.rows.values())
    again.write("22.05")
    assert json.loads((tmp_path / "table.json").read_text())["slurm"] == "22.05"
    assert (tmp_path / "table.txt").read_text().count("WRONG   b") == 1
    assert Rows(tmp_path, fresh=True).rows == {}


def test_what_a_hook_abandons_is_ended(tmp_path: Path) -> None:
    import os
    import subprocess
    import time

    with adopting():
        subprocess.run(["sh", "-c", f"setsid sleep 600 & echo $! >{tmp_path}/pid"], check=True)
        pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        if not os.path.exists(f"/proc/{pid}"):
            return
        time.sleep(0.05)
    raise AssertionError(f"{pid} still runs")
