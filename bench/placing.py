"""Evaluating many nodes against one requirement, in one process: what `plan` and a fleet's page do."""

import statistics
import time

from preflight.facts.view import View
from preflight.requirements.grammar import parse
from preflight.requirements.many import evaluate_many

NODES = 10_000


def fleet(count: int = NODES) -> list[View]:
    """Return the facts of ``count`` nodes of a mixed cluster, each with eight GPUs."""
    kinds = (
        ("ubuntu", "22.04", "550.54.15", "12.4", "NVIDIA H100 80GB HBM3", 85520809984, "9.0"),
        ("rocky", "9.4", "535.129.03", "12.2", "NVIDIA A100-SXM4-80GB", 85899345920, "8.0"),
        ("rocky", "8.9", "470.57.02", "11.4", "Tesla V100-SXM2-32GB", 34359738368, "7.0"),
    )
    return [_node(*kinds[number % len(kinds)], number) for number in range(count)]


def _node(
    os_id: str, version: str, driver: str, cuda: str, name: str, memory: int, capability: str, number: int
) -> View:
    gpus = [
        {
            "index": index,
            "name": name,
            "memory": memory,
            "compute_capability": capability,
            "uuid": f"GPU-{number}-{index}",
        }
        for index in range(8)
    ]
    facts = {
        "os": {"id": os_id, "version": version, "like": []},
        "driver": {"version": driver, "cuda": cuda, "module": driver, "nvml": "ok"},
        "gpus": {"count": 8, "devices": gpus, "stuck_at": None},
        "toolkits": {"versions": [], "items": [], "compat": []},
    }
    return View(facts, {})


def seconds(spec: str, rounds: int = 5) -> tuple[float, int]:
    """Return the median time to evaluate all nodes, and how many of them fit."""
    nodes, requirement = fleet(), parse(spec)
    taken, fitting = [], 0
    for _ in range(rounds):
        began = time.perf_counter()
        answers = evaluate_many(requirement, nodes)
        fitting = sum(all(one.status in ("pass", "warn") for one in clauses) for clauses in answers)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken), fitting
