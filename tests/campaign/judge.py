"""One judge for every row: what a fault may never cost."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from campaign.fault import Fault
from campaign.scenes import NEXT_JOB, OTHER_JOB, Scene
from campaign.world import LIMIT, Ran, World
from preflight.hooks.main import DEADLINE_S

OVERRUN_S = 1.0
WORDS = ("Traceback", "cannot start", "Fatal Python error", "Exception ignored", "bug=", "Error: ")


def judge(world: World, fault: Fault, scene: Scene) -> list[str]:
    """Return what went wrong, one line each; [] where everything held."""
    wrong = [
        *world.violations,
        *_drains(world, fault, scene),
        *_jobs(world, fault, scene),
        *_words(world, fault),
        *_statuses(world, fault, scene),
    ]
    return [*wrong, *_overruns(world), *_reports(world, fault), *_goes_on(world, fault, scene)]


def _drains(world: World, fault: Fault, scene: Scene) -> list[str]:
    state = world.state()
    may = scene.truth == "sick" or fault.drains
    wrong = [f"drained {node}: {reason}" for node, reason in state["drains"] if not may or node != "n1"]
    if scene.away and state["nodes"]["n1"]["reason"] != scene.away:
        wrong.append(f"the admin's reason became {state['nodes']['n1']['reason']!r}")
    ours = [name for name, node in state["nodes"].items() if "drain" in node["state"] and _ours(node)]
    if fault.stays:
        return wrong
    if len(ours) > LIMIT:
        wrong.append(f"{len(ours)} nodes stay drained, limit {LIMIT}")
    if "n1" in ours and not may and not (scene.name == "health-well" and fault.word_lost):
        wrong.append("n1 stays drained")
    if world.timed and scene.truth == "sick" and "drain" not in state["nodes"]["n1"]["state"] and len(ours) < LIMIT:
        wrong.append("the sick node is not drained two health checks later")
    return wrong


def _ours(node: dict[str, Any]) -> bool:
    return str(node["reason"]).startswith("preflight:")


def _jobs(world: World, fault: Fault, scene: Scene) -> list[str]:
    jobs = world.state()["jobs"]
    wrong = []
    other = jobs.get(str(OTHER_JOB))
    if other and (other["state"], other["admin_comment"], other["excluded"]) != ("RUNNING", "", ""):
        wrong.append(f"another job was touched: {other}")
    job = jobs.get("7")
    if job is None:
        return wrong
    comment, state = job["admin_comment"], job["state"]
    if scene.truth != "misfit" and not fault.moves:
        return (
            wrong if state == "RUNNING" and not comment else [*wrong, f"a job that fits was touched: {state} {comment}"]
        )
    if state == "PENDING" and job["priority"] == 0 and not _marked(world, comment, fault):
        wrong.append(f"held without our mark: {comment!r}")
    if state == "PENDING" and job["priority"] and "n1" not in job["excluded"]:
        wrong.append("released without the exclusion")
    if state == "CANCELLED" and (scene.batch or "preflight:cancelled:" not in comment):
        wrong.append(f"cancelled without our mark: {comment!r}")
    return wrong


def _marked(world: World, comment: str, fault: Fault) -> bool:
    """Return whether a held job says that it is ours: held for good, or half moved and on record for a health check.

    One whose record was destroyed has the mark of the move alone.
    """
    on_record = any((place / "pending/move-n1-7.json").exists() for place in (world.spool, world.run_dir))
    return "preflight:held:" in comment or ((on_record or fault.word_lost) and "preflight:moved:" in comment)


def _ends(fault: Fault) -> bool:
    """Return whether a hook that is struck may end otherwise than by its own will."""
    return fault.kills or fault.starves or fault.breaks


def _words(world: World, fault: Fault) -> list[str]:
    lines = [line for ran in world.runs for line in (*ran.said.splitlines(), *ran.log)]
    words = [
        word for word in WORDS if not ((fault.breaks or fault.starves) and word in ("bug=", "Error: ", "cannot start"))
    ]
    return [line[:300] for line in lines if any(word in line for word in words)][:3]


def _statuses(world: World, fault: Fault, scene: Scene) -> list[str]:
    wrong = []
    sick = scene.truth == "sick" or fault.drains
    for ran in world.runs:
        if ran.hung:
            wrong.append(f"{ran.phase} did not end")
        allowed = (0, 1) if ran.phase == "prolog" and sick else (0,)
        if ran.status not in allowed and not ran.hung:
            wrong.append(f"{ran.phase} ended with {ran.status}")
        if ran.raw and not ((_ends(fault) or fault.held) and ran.struck):
            wrong.append(f"the hook of {ran.phase} ended with {ran.raw}")
    return wrong


def _overruns(world: World) -> list[str]:
    if not world.timed:
        return []  # what hangs without end shows as a hook that did not
    late = [ran for ran in world.runs if ran.seconds > _deadline(world, ran) + OVERRUN_S + 2 * ran.late_s]
    return [f"{ran.phase} took {ran.seconds:.1f} s ({ran.late_s:.1f} s of them the machine's)" for ran in late]


def _deadline(world: World, ran: Ran) -> float:
    """Return the deadline: until the policy has been read, and with it another, the hook's own alarm is at 8.5 s."""
    return DEADLINE_S if ran.struck and ran.raw == str(128 + signal.SIGALRM) else world.deadline_s


def _reports(world: World, fault: Fault) -> list[str]:
    wrong = []
    for ran in world.runs:
        if ran.job is None or (ran.struck and (fault.unwritable or _never_began(fault, ran))):
            continue
        if not fault.forgets and not _kept(world, ran):
            wrong.append(f"the report of {ran.phase}, job {ran.job} is lost")
    if not fault.unwritable and not list((world.spool / "reports/node").glob("n1.*.health.json")):
        wrong.append("the health checks left no report")
    return wrong


def _never_began(fault: Fault, ran: Ran) -> bool:
    """Return whether the hook was ended from outside, or there was none: no word of its own in syslog."""
    return _ends(fault) and (bool(ran.raw) or not any("phase=" in line and "verdict=" in line for line in ran.log))


def _kept(world: World, ran: Ran) -> bool:
    places = [world.spool / f"reports/{ran.job}", world.spool / "outbox", world.run_dir / "unkept"]
    return any(path.is_file() for place in places for path in place.glob(f"*.{ran.phase}.json*"))


def _goes_on(world: World, fault: Fault, scene: Scene) -> list[str]:
    """Whether the node sees again when the fault is over."""
    if scene.truth == "sick" or fault.drains:
        return []
    report = last_report(world.spool / f"reports/{NEXT_JOB}")
    if report is None:
        return ["the next job has no report"]
    return [] if report["verdict"] in ("ready", "degraded") else [f"the next job is told {report['verdict']}"]


def last_report(folder: Path) -> dict[str, Any] | None:
    """Return a prolog's report of a folder, None where there is none."""
    for path in sorted(folder.glob("*.prolog.json")):
        try:
            loaded: dict[str, Any] = json.loads(path.read_text())
        except (OSError, ValueError):
            return None
        return loaded
    return None


def observed(world: World, scene: Scene) -> str:
    """Return in a few words what came of it."""
    state = world.state()
    struck = [ran for ran in world.runs if ran.struck]
    words = [*world.notes, *(f"{ran.phase} {ran.raw or ran.status} in {ran.seconds:.1f} s" for ran in struck)]
    node = state["nodes"]["n1"]
    words.append(f"node {node['state']}" + (f" ({node['reason'][:60]})" if "drain" in node["state"] else ""))
    job = state["jobs"].get("7")
    if job and scene.truth == "misfit":
        held = " held" if job["priority"] == 0 else ""
        words.append(f"job {job['state'].lower()}{held}{' without ' + job['excluded'] if job['excluded'] else ''}")
    return ", ".join(words)
