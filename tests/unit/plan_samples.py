"""A cluster for tests of plan: nodes as Slurm has them, that published by Extra or by Features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from preflight.facts.view import View
from preflight.policy.model import Policy
from preflight.requirements.encode import extra_of, features_of
from preflight.slurm.models import Node
from preflight.submit.infer import Inference, infer
from preflight.submit.plan import ClusterState, Plan, plan
from preflight.submit.plan.model import Group, Part
from preflight.submit.script import read

NO_NEEDS = Inference((), (), ())


def view(system: str, driver: str | None, cuda: str | None, gpu: str, capability: str, count: int = 8) -> View:
    """Return a node's facts; ``system`` as "ubuntu 22.04"."""
    os_id, version = system.split()
    device = {"name": gpu, "compute_capability": capability, "memory": 85520809984, "ecc": True, "mig": False}
    return View(
        {
            "os": {"id": os_id, "version": version, "like": []},
            "arch": {"machine": "x86_64"},
            "libc": {"glibc": "2.34"},
            "driver": {"version": driver, "cuda": cuda},
            "memory": {"total": 512 << 30},
            "toolkits": {"versions": [], "compat": []},
            "gpus": {"devices": [{"index": index, **device} for index in range(count)]},
        },
        {},
    )


H100 = view("ubuntu 22.04", "550.54.15", "12.4", "NVIDIA H100 80GB HBM3", "9.0")
A100 = view("rocky 9.4", "535.129.03", "12.2", "NVIDIA A100-SXM4-80GB", "8.0", 4)
V100 = view("rocky 8.9", "470.57.02", "11.4", "Tesla V100-SXM2-32GB", "7.0", 4)
CPU = view("debian 12", None, None, "", "", 0)


def node(name: str, facts: View | None, extra: bool = True, **changed: Any) -> Node:
    """Return a node of partition gpu, idle; ``facts`` None: it published nothing."""
    features = tuple(features_of(facts)) if facts and not extra else ()
    count = len(facts.facts["gpus"]["devices"]) if facts else 4
    made = Node(
        name,
        ("IDLE",),
        "",
        ("gpu",),
        features,
        features,
        json.dumps({"rack": 1, **extra_of(facts)}) if facts and extra else "",
        f"gpu:{count}" if count else "",
        64,
        512 << 10,
    )
    return made._replace(**changed)


def cluster(extra: bool = True) -> ClusterState:
    """Return 3 H100 nodes (one busy, one drained), 2 A100, 1 V100, 1 without GPUs, 1 that published nothing."""
    return ClusterState(
        [
            node("h1", H100, extra),
            node("h2", H100, extra, state=("MIXED",)),
            node("h3", H100, extra, state=("IDLE", "DRAIN"), reason="bad \x1b[31mfan"),
            node("a1", A100, extra),
            node("a2", A100, extra, state=("ALLOCATED",)),
            node("v1", V100, extra),
            node("c1", CPU, extra),
            node("s1", None, extra),
            node("other1", H100, extra, partitions=("other",)),
        ],
        "gpu",
        extra,
    )


def planned(*words: str, state: ClusterState | None = None, mode: str = "warn", cwd: str = "/") -> Plan:
    """Return the plan of a command; a script's text may stand in place of its name."""
    arguments, script = list(words), None
    if arguments and arguments[-1].startswith("#!"):
        script = arguments.pop()
    submission = read(arguments, {}, script, cwd) if script else read([*arguments, "--wrap=true"], {}, None, cwd)
    needs = NO_NEEDS
    if script and mode != "off":
        needs = infer(script, submission.components, environment={}, cwd=cwd, home="/home/none", root=str(Path("/")))
    return plan(submission, needs, state or cluster(), Policy(), mode, cwd)


def part(*words: str, **options: Any) -> Part:
    """Return the plan of a job of one component."""
    (only,) = planned(*words, **options).parts
    return only


def said(groups: tuple[Group, ...]) -> dict[str, tuple[str, str]]:
    """Return groups by their nodes."""
    return {",".join(group.nodes): (group.what, group.detail) for group in groups}
