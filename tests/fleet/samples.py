"""Reports as nodes write them: made by the real builder, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from preflight.checks.finding import Finding
from preflight.report import model, store
from report_samples import facts, finding

START = 1_795_478_400.0  # 2026-11-24T00:00:00Z
DAY_S = 86_400.0
CLUSTER = "lab"
CHECKS = [f"gpu.sample{number}" for number in range(70)]


def gpu(node: str, index: int, chance: random.Random) -> dict[str, Any]:
    """Return a GPU with what is measured anew each time."""
    return {
        "uuid": f"GPU-{node}-{index}",
        "temperature": chance.randint(30, 80),
        "memory_used": chance.randint(0, 10**9),
        "pcie_width": 16,
        "pcie_width_max": 16,
    }


def report(
    node: str = "n1",
    at: float = START,
    job: int | None = None,
    phase: str = "prolog",
    verdict: str = "ready",
    action: tuple[str, str, bool] = ("none", "", True),
    found: list[Finding] | None = None,
    gpus: int = 8,
    driver: str = "550.54.15",
    user: str = "alice",
    restart: int | None = None,
    cluster: str = CLUSTER,
    policy: str = "a" * 64,
    seed: int = 0,
    checks: int = 8,
    boot: tuple[str, float] | None = None,
    took_ms: float | None = None,
    **other: Any,
) -> bytes:
    """Return one report's bytes as the spool holds them; ``at`` seconds since the epoch."""
    chance = random.Random(f"{node} {at} {seed}")
    its = facts(driver=driver, gpus=gpus, **other)
    for index, device in enumerate(its["gpus"]["devices"]):
        device.update(gpu(node, index, chance))
    names = CHECKS[:checks]
    sound = [finding(name, subject=f"gpu {at % 8}", message=f"{name}: as it is") for at, name in enumerate(names)]
    block = None
    if phase != "health":
        block = model.job_block(
            job or 1, user=user, uid=1000, partition="gpu", nodes=node, gpus=range(gpus), restart=restart
        )
    return store.encode(
        model.build(
            cluster=cluster,
            node=node,
            phase=phase,
            started=at,
            duration_ms=40 + chance.random() * 30 if took_ms is None else took_ms,
            verdict=verdict,
            findings=[*sound, *(found or [])],
            facts=its,
            job=block,
            action=dict(zip(("kind", "detail", "enforced"), action)),
            software=model.software_block(policy),
            boot=None if boot is None else model.boot_block(*boot),
        )
    )


def month(nodes: int, days: int, seed: int = 1, each_day: int = 4) -> Iterator[bytes]:
    """Yield reports of a seeded cluster in order of time: faults, drains and their ends, misfits, an upgrade, drift.

    A driver upgrade rolls over the nodes in the middle third; node n2 drifts (an older driver); who was drained boots
    before it comes back; one day has a policy that is wrong for a quarter of the nodes, in observe mode.
    """
    chance = random.Random(seed)
    drained: dict[str, float] = {}
    booted: dict[str, float] = {}
    job = 1000
    bad_day = days // 2
    for day in range(days):
        for slot in range(each_day):
            for number in range(1, nodes + 1):
                node = f"n{number}"
                at = START + day * DAY_S + slot * DAY_S / each_day + number * 0.731 + chance.random()
                new = day >= days / 3 + number / nodes * days / 3 and number != 2
                common: dict[str, Any] = {
                    "node": node,
                    "at": at,
                    "gpus": 2,
                    "driver": "570.10.01" if new else "550.54.15",
                    "boot": (f"boot-{node}-{booted.get(node, START - 5000):.0f}", booted.get(node, START - 5000)),
                    "policy": ("b" if day == bad_day else "a") * 64,
                    "seed": seed,
                }
                if node in drained:
                    if at - drained[node] > DAY_S / 2:
                        del drained[node]
                        booted[node] = at - 300
                        common["boot"] = (f"boot-{node}-{booted[node]:.0f}", booted[node])
                        yield report(phase="health", action=("resume", "gpu.ecc.uncorrected", True), **common)
                    else:
                        fault = finding("gpu.ecc.uncorrected", "fail", "node", subject="gpu 1")
                        yield report(phase="health", verdict="unhealthy", found=[fault], **common)
                    continue
                job += 1
                luck = chance.random()
                whole = {**common, "job": job, "user": f"user{job % 7}"}
                if luck < 0.01:
                    drained[node] = at
                    fault = finding("gpu.ecc.uncorrected", "fail", "node", subject="gpu 1")
                    why = "preflight:gpu.ecc.uncorrected:gpu 1: 3 uncorrected errors"
                    yield report(verdict="unhealthy", action=("drain", why, True), found=[fault], **whole)
                elif luck < 0.04:
                    misfit = finding("requirement", "fail", "job", subject="node", expected="cuda>=13")
                    yield report(verdict="mismatch", action=("requeue", "cuda>=13", True), found=[misfit], **whole)
                elif day == bad_day and number % 4 == 0:
                    wrong = finding("expectation", "fail", "node", subject="node", expected="gpu.count=9")
                    yield report(verdict="unhealthy", action=("drain", "expectation", False), found=[wrong], **whole)
                elif luck < 0.1:
                    warm = finding("gpu.temperature", "warn", "node", subject="gpu 0")
                    yield report(verdict="degraded", found=[warm], **whole)
                else:
                    yield report(**whole)
