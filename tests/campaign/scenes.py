"""What goes on while a fault strikes: which hooks run before it and during it, and what is true of node and job."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from campaign.world import LATER_S, World, job_variables

ECC = {"gpu.1.ecc.uncorrected.volatile": 2}
A100 = "gpu=a100"
OTHER_JOB = 8  # runs beside, and is nobody's business
NEXT_JOB = 99


@dataclass(frozen=True)
class Scene:
    """``prepare`` runs without the fault, ``strike`` with it. ``truth``: "sound", "sick" or "misfit".

    ``batch``: a job that does not fit is moved, else cancelled. ``away``: the node is drained by somebody else.
    """

    name: str
    strike: Callable[[World], None]
    prepare: Callable[[World], None] = lambda world: None
    truth: str = "sound"
    batch: bool = True
    away: str = ""


def _prolog(require: str = "gpu=h100", **more: str) -> Callable[[World], None]:
    return lambda world: void(world.hook("prolog", struck=True, **job_variables(7, require, **more)))


def _epilog(world: World) -> None:
    world.hook("epilog", struck=True, **job_variables())


def _health(world: World) -> None:
    world.hook("healthcheck", struck=True)


def void(_: object) -> None:
    """Drop a value."""


def warm(world: World) -> None:
    """Fill the caches, as on a node that has run jobs before."""
    world.submit(7)
    world.submit(OTHER_JOB, uid=5000)
    world.hook("prolog", **job_variables(5))
    world.hook("healthcheck")


def _sick(world: World) -> None:
    warm(world)
    world.driver(ECC)


def _ran(world: World) -> None:
    warm(world)
    world.hook("prolog", **job_variables())


def _ran_then_sick(world: World) -> None:
    _ran(world)
    world.driver(ECC)


def _cancelled(world: World) -> None:
    warm(world)
    world.submit(7, requeue=0)


def _array(world: World) -> None:
    warm(world)
    world.submit(7, task=3)


def _drained(world: World) -> None:
    """A node that we drained, and that is well again."""
    _sick(world)
    world.hook("healthcheck")
    world.driver()


def _changed(world: World) -> None:
    """A policy that is another than the one that the hooks remember: it is read, and not only looked at."""
    warm(world)
    world.policy("# another")


def _requeued(world: World) -> None:
    """A move whose hook died just after the requeue."""
    warm(world)
    world.submit(7, state="PENDING", priority=0, restarts=1, requeued_held=True, nodes="")
    jobs = world.state()["jobs"]
    jobs["7"]["admin_comment"] = "site: x; preflight:moved:n1:run0: needs gpu=a100"
    world.set_state(jobs=jobs)
    move = {"id": 7, "user": "alice", "uid": 4242, "partition": "main", "nodes": "n1", "gpus": [0, 1], "restart": 0}
    entry = {"node": "n1", "move": move, "cause": "needs gpu=a100", "at": time.time() - 60, "pid": 2**22 + 1}
    place = world.spool / "pending"
    place.mkdir(exist_ok=True)
    (place / "move-n1-7.json").write_text(json.dumps({**entry, "start": 1, "step": "held", "priority": 4294901750}))


def _past_limit(world: World) -> None:
    """A drain of ours past the limit, let through by a controller that was slow."""
    _sick(world)
    world.hook("healthcheck")
    nodes = world.state()["nodes"]
    for name in ("n2", "n3"):
        nodes[name] = {**nodes["n1"], "time": "2020-01-01T00:00:00"}
    world.set_state(nodes=nodes)


def _by_admin(world: World) -> None:
    _sick(world)
    nodes = world.state()["nodes"]
    nodes["n1"] = {"state": "idle+drain", "reason": "bad dimm", "user": "carol", "time": "2026-01-01T00:00:00"}
    world.set_state(nodes=nodes)


def _waiting(world: World) -> None:
    """Copies of reports that wait for the users' directory, and one record in memory."""
    warm(world)
    away = world.reports.with_name("away")
    world.reports.rename(away)
    world.hook("prolog", **job_variables())
    away.rename(world.reports)
    unkept = world.run_dir / "unkept"
    unkept.mkdir(mode=0o700, exist_ok=True)
    report = (world.spool / "reports/7/n1.0.prolog.json").read_text().replace('"id":7', '"id":6')
    (unkept / "6.n1.0.prolog.json").write_text(report)


SCENES = {
    scene.name: scene
    for scene in (
        Scene("fit", _prolog(), warm),
        Scene("changed", _prolog(), _changed),
        Scene("first", _prolog()),  # nothing is cached yet
        Scene("sick", _prolog(), _sick, "sick"),
        Scene("misfit", _prolog(A100), warm, "misfit"),
        Scene("misfit-array", _prolog(A100), _array, "misfit"),
        Scene("misfit-no-requeue", _prolog(A100), _cancelled, "misfit", batch=False),
        Scene("epilog", _epilog, _ran),
        Scene("epilog-sick", _epilog, _ran_then_sick, "sick"),
        Scene("health", _health, warm),
        Scene("health-sick", _health, _sick, "sick"),
        Scene("health-well", _health, _drained),
        Scene("health-half-moved", _health, _requeued, "misfit"),
        Scene("health-past-limit", _health, _past_limit, "sick"),
        Scene("health-by-admin", _health, _by_admin, "sick", away="bad dimm"),
        Scene("health-waiting", _health, _waiting),
    )
}


def play(world: World, scene: Scene) -> None:
    """Run what follows the fault: two health checks, and the next job's prolog."""
    world.hook("healthcheck")
    world.hook("healthcheck", later_s=LATER_S)
    world.hook("prolog", **job_variables(NEXT_JOB))
