"""What people ask the agent: `preflight agent status`, `facts`, `check`, `metrics`, and `--release` and its like."""

from __future__ import annotations

import os
import time

from preflight import __version__
from preflight.agent.answer import OneShot, assessed, run_of
from preflight.hooks.assess import Question
from preflight.times import seconds
from preflight.verdict import verdict

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    from preflight.agent.server import Agent
    from preflight.agent.wire import Request
    from preflight.hooks.run import Run

RELEASE = "10m"
RELEASE_MAX_S = 86400.0


def answer(agent: Agent, request: Request) -> dict[str, Any]:
    """Return the answer to any request but a prolog's, as plain JSON values."""
    return ANSWERS[request.operation](agent, request)


def status(agent: Agent, request: Request) -> dict[str, Any]:
    """Return what the agent is, does, and cannot do just now."""
    return _status(agent)


def _status(agent: Agent) -> dict[str, Any]:
    gpus = agent.kept.gpus
    return {
        "preflight": __version__,
        "pid": os.getpid(),
        "node": agent.node,
        "up_s": round(time.time() - agent.began, 1),
        "policy": {"path": agent.policy.path, "sha256": agent.policy.sha256, "problem": agent.policy.problem},
        "answers": agent.counts,
        "one_shot_because": agent.reasons,
        "reports_waiting": agent.journal.pending,
        "writer_pid": agent.writer.helper.pid or None,
        "writer_stuck_s": round(agent.writer.stuck_s(), 1),
        "nvml": None if gpus is None else gpus.state(),
        "upkeep": agent.upkeep.state(),
        "ages_s": agent.kept.all_ages(),
    }


def metrics(agent: Agent, request: Request) -> dict[str, Any]:
    """Return the agent's own numbers in Prometheus' text."""
    return {"text": metrics_text(agent)}


def metrics_text(agent: Agent) -> str:
    """Return the agent's own numbers in Prometheus' text."""
    from preflight.agent.metrics import text
    from preflight.hooks.cluster import cluster_of

    return text(_status(agent), cluster_of(current_run(agent)))


def facts(agent: Agent, request: Request) -> dict[str, Any]:
    """Return the facts at hand, and their ages."""
    document, missing = agent.kept.at_hand()
    return {"document": document.to_dict(), "ages_s": agent.kept.all_ages(), "missing": missing}


def check(agent: Agent, request: Request) -> dict[str, Any]:
    """Return the whole node's verdict on the facts at hand, as a prolog's checks see it."""
    run = current_run(agent)
    question = Question("prolog", agent.node, agent.policy, None, require=request.environment.get("REQUIRE", ""))
    try:
        found = assessed(question, agent.kept, run)
    except OneShot as why:
        return {"verdict": None, "why": str(why), "findings": [], "ages_s": {}}
    findings = [one.as_dict() for one in found.findings]
    return {"verdict": verdict(found.findings), "why": "", "findings": findings, "ages_s": agent.kept.ages}


def current_run(agent: Agent) -> Run:
    """Return a run of no job, for questions about the node."""
    return run_of(agent.policy, agent.node, agent.run_dir, agent.reading, None)


def release(agent: Agent, request: Request) -> dict[str, Any]:
    """Close NVML for a while: a driver's upgrade or a GPU's reset needs nobody to have it open."""
    try:
        wanted = min(seconds(request.environment.get("FOR", RELEASE)), RELEASE_MAX_S)
    except ValueError as error:
        return {"error": f"--for {error}"}
    gpus = agent.kept.gpus
    closed = gpus is None or gpus.release(wanted)
    state = {} if gpus is None else gpus.state()
    return {"released": closed, "seconds": wanted, "nvml": state}


def resume(agent: Agent, request: Request) -> dict[str, Any]:
    """Open NVML again."""
    if agent.kept.gpus is not None:
        agent.kept.gpus.resume()
    return {"released": False}


def refresh(agent: Agent, request: Request) -> dict[str, Any]:
    """Read every fact anew, and try again what failed; until each has been read prologs judge by themselves."""
    agent.kept.refresh()
    agent.upkeep.refresh()
    agent.soon()
    return {"refreshed": True}


ANSWERS = {
    "status": status,
    "facts": facts,
    "check": check,
    "metrics": metrics,
    "release": release,
    "resume": resume,
    "refresh": refresh,
}
