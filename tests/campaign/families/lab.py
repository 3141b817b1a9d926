"""On a real slurmctld: a job's move and a node's drain, with each of their commands failing, the hook killed, or the
controller killed or stopped, before and after each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from campaign import lab_site
from campaign.fault import Fault, NotHere
from campaign.world import Assets
from lab.cluster import Cluster
from lab.daemons import LabError

HOWS = (
    *("kill-before", "kill-after", "fail", "fail-after", "hang", "hang-after", "empty", "nothing", "success-late"),
    *("slow", "crash", "crash-after", "cut", "twice", "denied"),
    *("ctld-killed", "ctld-killed-after", "ctld-stopped", "ctld-restarted-after"),
)
ECC = {"gpu.*.ecc.uncorrected.volatile": 3}
SCENES = {
    "moved": 8,
    "moved, a task": 8,
    "held": 7,
    "cancelled": 6,
    "drained": 3,
    "drained by the health check": 4,
    "resumed": 3,
}
SETTLED_S = 40
SPEEDS = {"at once": (0.0, 0.0), "0.1 to 0.3 s": (0.1, 0.3), "0.6 to 1.2 s": (0.6, 1.2), "0 to 4 s": (0.0, 4.0)}
STOPS = (0.0, 1.0, 2.0, 5.0)


def faults() -> Iterator[Fault]:
    """Each way of failing at each command of each scene."""
    for scene, most in SCENES.items():
        for at in range(1, most + 1):
            for how in HOWS:
                name = f"{how} at command {at}"
                whole = partial(_play, scene=scene, at=at, how=how)
                yield Fault("lab", name, scene, whole=whole, slow=True)
    for speed, (least, most_s) in SPEEDS.items():
        for stop_s in STOPS:
            for limit in (1, 3):
                name = f"commands {speed}, slurmctld stopped {stop_s} s at a time, limit {limit}"
                expected = f"at most {limit} of {lab_site.FLEET} nodes drained two health checks later, 8 s kept"
                whole = partial(_fleet, slow=(least, most_s), stop_s=stop_s, limit=limit)
                yield Fault("lab-fleet", name, "64 nodes", whole=whole, slow=True, expected=expected)


def _fleet(place: Path, assets: Assets, slow: tuple[float, float], stop_s: float, limit: int) -> tuple[str, list[str]]:
    """A policy that is wrong for every node, and a prolog on each at once; then two health checks of each."""
    cluster = lab_site.fleet()
    try:
        cluster.reset()
        cluster.write_policy('[[expect]]\nrequire = "kernel>=99"\n', drain=f"max_nodes = {limit}")
        if slow[1]:
            Path(cluster.directory, "slurm-slow").write_text(f"{slow[0]} {slow[1]}\n")
        with lab_site.stopping(cluster, stop_s):
            prologs = lab_site.everywhere(cluster, "prolog", SLURM_JOB_ID="1", SLURM_JOB_UID="4242")
        seconds, stopped = list(prologs), prologs.count(-1.0)
        Path(cluster.directory, "slurm-slow").unlink(missing_ok=True)
        for _ in range(2):
            for site in cluster.sites:
                lab_site.aged(cluster, site.name)
            # As with HealthCheckNodeState=CYCLE: 64 at once are two cores' trouble, not the controller's.
            seconds += lab_site.everywhere(cluster, "healthcheck", at_once=4)
        drained = lab_site.reasons(cluster)
    except LabError as error:
        lab_site.renew()
        raise NotHere(f"the lab: {str(error).splitlines()[0]}") from error
    wrong = [f"{len(drained)} nodes stay drained: {sorted(drained)[:9]}"] if len(drained) > limit else []
    wrong += [f"{node}: {why}" for node, why in drained.items() if not why.startswith("preflight:expectation")]
    if stopped > limit:
        wrong.append(f"{stopped} prologs stopped a job")
    # 64 hooks on two cores are the machine's trouble: one that its alarm ended had not come as far as to know anything.
    began = [one.name for one, took in zip(cluster.sites, prologs) if took < lab_site.FLEET_DEADLINE_S]
    lost = [name for name in began if not list(cluster.node_dir(name).glob("spool/reports/1/*"))]
    if lost:
        wrong.append(f"no report of {lost[:9]}")
    seen = f"{len(drained)} drained, {stopped} prologs stopped a job, {len(prologs) - len(began)} ended by their alarm"
    return f"{seen}, slowest hook {max(seconds):.1f} s", wrong


def _play(place: Path, assets: Assets, scene: str, at: int, how: str) -> tuple[str, list[str]]:
    cluster = lab_site.cluster()
    try:
        cluster.reset()
        cluster.write_policy(hook="deadline_s = 6")
        if scene == "drained":
            return _drained(cluster, at, how)
        if scene == "resumed":
            return _resumed(cluster, at, how)
        return _checked(cluster, at, how) if scene == "drained by the health check" else _moved(cluster, scene, at, how)
    except LabError as error:
        lab_site.renew()
        raise NotHere(f"the lab: {str(error).splitlines()[0]}") from error


def _moved(cluster: Cluster, scene: str, at: int, how: str) -> tuple[str, list[str]]:
    options = ["--gpus=1", "--require=cuda>=12.4", "-x", "c1" if scene.startswith("moved") else "b1,b2,c1"]
    if scene == "cancelled":
        options.append("--no-requeue")
    if scene == "moved, a task":
        options.append("--array=0")
    with lab_site.failing(cluster, at, how) as struck:
        job = cluster.lab.sbatch("echo ran", *options)
        lab_site.wait(lambda: struck.exists() or _settled(cluster, job), SETTLED_S)
        if how == "ctld-stopped" and struck.exists():
            time.sleep(3)
    hit = struck.read_text().strip() if struck.exists() else ""
    lab_site.wait(lambda: cluster.reports(job) or (how.startswith("kill") and hit), SETTLED_S)
    lab_site.wait(lambda: cluster.lab.job_state(job) != "COMPLETING", SETTLED_S)
    for _ in range(2):
        lab_site.aged(cluster, "a1")
        cluster.health("a1")
    now = cluster.lab.job(job)
    wrong = []
    if "admin_comment" not in now:
        raise NotHere("slurmctld has lost the job, which it had not saved yet")
    comment, state, held = now["admin_comment"], now["state"], now["priority"] == "0"
    if held and state == "PENDING" and "preflight:held:a1" not in comment:
        wrong.append(f"held without our mark: {comment!r}")
    if state == "CANCELLED" and "preflight:cancelled:a1" not in comment:
        wrong.append(f"cancelled without our mark: {comment!r}")
    if state == "PENDING" and not held and "a1" not in now["excluded_nodes"]:
        wrong.append(f"released without the exclusion: {now}")
    if drained := lab_site.reasons(cluster):
        wrong.append(f"drained {drained}")
    if not cluster.reports(job) and not (how.startswith("kill") and hit):
        wrong.append("no report")
    wrong += _late(cluster, job)
    return _seen(hit, f"job {state.lower()}{' held' if held else ''}, without {now['excluded_nodes']}"), wrong


def _settled(cluster: Cluster, job: str) -> bool:
    now = cluster.lab.job(job)
    return bool(cluster.reports(job)) and now["state"] != "COMPLETING"


def _late(cluster: Cluster, job: str) -> list[str]:
    return [f"a hook took {one['duration_ms']} ms" for one in cluster.reports(job) if one["duration_ms"] > 7000]


def _drained(cluster: Cluster, at: int, how: str) -> tuple[str, list[str]]:
    cluster.set_gpus("b1", lab_site.H100, ECC)
    with lab_site.failing(cluster, at, how) as struck:
        job = cluster.lab.sbatch("echo ran", "--gpus=1", "-w", "b1")
        lab_site.wait(lambda: struck.exists() or _settled(cluster, job), SETTLED_S)
        if how == "ctld-stopped" and struck.exists():
            time.sleep(3)
    hit = struck.read_text().strip() if struck.exists() else ""
    lab_site.wait(lambda: cluster.reports(job) or (how.startswith("kill") and hit), SETTLED_S)
    wrong = _late(cluster, job)
    if not cluster.reports(job) and not (how.startswith("kill") and hit):
        wrong.append("no report")
    return _checked_twice(cluster, hit, wrong)


def _checked(cluster: Cluster, at: int, how: str) -> tuple[str, list[str]]:
    cluster.set_gpus("b1", lab_site.H100, ECC)
    with lab_site.failing(cluster, at, how) as struck:
        cluster.health("b1")
    return _checked_twice(cluster, struck.read_text().strip() if struck.exists() else "", [])


def _checked_twice(cluster: Cluster, hit: str, wrong: list[str]) -> tuple[str, list[str]]:
    """The sick node is drained by us, and no other, two health checks later; three, where this machine is slow."""
    for _ in range(4):
        lab_site.aged(cluster, "b1")
        cluster.health("b1")
        if lab_site.reasons(cluster):
            break
    drained = lab_site.reasons(cluster)
    if list(drained) != ["b1"] or not drained["b1"].startswith("preflight:gpu.ecc"):
        wrong.append(f"drained: {drained}")
    return _seen(hit, f"drained {drained}"), wrong


def _resumed(cluster: Cluster, at: int, how: str) -> tuple[str, list[str]]:
    cluster.set_gpus("b1", lab_site.H100, ECC)
    for _ in range(4):
        cluster.health("b1")
        if lab_site.reasons(cluster):
            break
    cluster.set_gpus("b1", lab_site.H100)
    with lab_site.failing(cluster, at, how) as struck:
        cluster.health("b1")
    for _ in range(4):
        cluster.health("b1")
        if not lab_site.reasons(cluster):
            break
    drained = lab_site.reasons(cluster)
    hit = struck.read_text().strip() if struck.exists() else ""
    return _seen(hit, f"drained {drained}"), [f"not resumed: {drained}"] if drained else []


def _seen(hit: str, text: str) -> str:
    if not hit:
        raise NotHere("the scene runs fewer commands")
    return f"{hit}: {text}"
