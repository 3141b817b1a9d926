"""Many reports quickly: each kind of report is built once by the real builder, and its marks are replaced."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from fleet import samples
from preflight.report.model import timestamp

_NODE, _JOB, _AT = "node-of-the-template", 987654321, samples.START + 0.123
_BOOT, _UP = "boot-of-the-template", samples.START - 4000.321


class Template:
    """One kind of report; `make` fills in node, time, job and what is measured."""

    def __init__(self, **kind: Any) -> None:
        common = {"node": _NODE, "at": _AT, "job": _JOB, "checks": len(samples.CHECKS), "boot": (_BOOT, _UP)}
        raw = samples.report(**{**common, **kind})
        stamp, compact = _stamps(_AT)
        up, _ = _stamps(_UP)
        for place, mark in enumerate((_NODE.encode(), stamp, compact, b"%d" % _JOB, _BOOT.encode(), up)):
            raw = raw.replace(mark, b"\0%d\0" % place)
        self._parts = [int(part) if at % 2 else part for at, part in enumerate(raw.split(b"\0"))]

    def make(self, node: str, at: float, job: int, up: float) -> bytes:
        """Return a report of ``node`` at ``at``, which was booted at ``up`` (both seconds since the epoch)."""
        boot, booted = _boot(node, up)
        values = (node.encode(), *_stamps(at), b"%d" % job, boot, booted)
        return b"".join(values[part] if isinstance(part, int) else part for part in self._parts)


@lru_cache(10_000)
def _boot(node: str, up: float) -> tuple[bytes, bytes]:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{node} {up}")).encode(), timestamp(up).encode()


def _stamps(at: float) -> tuple[bytes, bytes]:
    text = timestamp(at)
    return text.encode(), text.replace("-", "").replace(":", "").encode()


def month(
    nodes: int,
    days: int,
    each_day: int,
    end: float | None = None,
    seed: int = 1,
    gpus: int = 8,
    kind: Callable[[int, int], str] = lambda slot, number: "",
) -> Iterator[bytes]:
    """Yield ``nodes`` x ``days`` x ``each_day`` reports that end at ``end``, in order of time.

    Faults with drains and their ends, flapping nodes, misfits, a rolling driver upgrade, two drifting nodes, and one
    day of a policy that is wrong for a quarter of the nodes, in observe mode. ``kind`` may name another for a slot
    and a node: a kind, or "silent" for no report at all.
    """
    chance = random.Random(seed)
    begin = (time.time() if end is None else end) - days * samples.DAY_S
    kinds = _kinds(gpus)
    drained: dict[int, float] = {}
    booted = {number: begin - number * 60.0 for number in range(1, nodes + 1)}
    job = 1000
    for slot in range(days * each_day):
        for number in range(1, nodes + 1):
            at = begin + (slot + number / (nodes + 1)) * samples.DAY_S / each_day
            day = slot // each_day
            new = number not in (2, nodes // 2) and day > days / 3 + number / nodes * days / 3
            age = "new" if new else "old"
            job += 1
            node = f"gpu{number:04d}"
            other = kind(slot, number)
            luck = chance.random() * (0.05 if number % 97 == 5 else 1)  # some flap
            if other:
                if other != "silent":
                    yield kinds[other, age].make(node, at, job, booted[number])
            elif number in drained:
                over = at - drained[number] > samples.DAY_S / 3
                if over:
                    del drained[number]
                    booted[number] = at - 240
                yield kinds["resume" if over else "still", age].make(node, at, job, booted[number])
            elif luck < 0.001:
                drained[number] = at
                yield kinds["fault", age].make(node, at, job, booted[number])
            elif luck < 0.02:
                yield kinds["misfit", age].make(node, at, job, booted[number])
            elif day == days // 2 and number % 4 == 0:
                yield kinds["wrong", age].make(node, at, job, booted[number])
            elif luck < 0.06:
                yield kinds["warm", age].make(node, at, job, booted[number])
            else:
                yield kinds["ready" if slot % 2 else "epilog", age].make(node, at, job, booted[number])


def checks(verdicts: dict[str, str], end: float, old: Sequence[str], gpus: int = 8) -> Iterator[bytes]:
    """Yield a health check of each node of ``verdicts`` within the five minutes before ``end``.

    It says what the node's latest report did, but of a job that did not fit. ``old``: nodes of the older driver.
    """
    kinds = _kinds(gpus)
    words = {"unhealthy": "checked, faulty", "degraded": "checked, warm"}
    for at, (node, verdict) in enumerate(sorted(verdicts.items())):
        age = "old" if node in old else "new"
        yield kinds[words.get(verdict, "checked"), age].make(node, end - 300 * at / len(verdicts), 1, 0.0)


def _kinds(gpus: int) -> dict[tuple[str, str], Template]:
    fault = samples.finding("gpu.ecc.uncorrected", "fail", "node", subject="gpu 1")
    misfit = samples.finding("requirement", "fail", "job", subject="node", expected="cuda>=13")
    wrong = samples.finding("expectation", "fail", "node", subject="node", expected="gpu.count=9")
    warm = samples.finding("gpu.temperature", "warn", "node", subject="gpu 0")
    reason = "preflight:gpu.ecc.uncorrected:gpu 1: 3 uncorrected errors"
    kinds: dict[str, dict[str, Any]] = {
        "ready": {},
        "epilog": {"phase": "epilog"},
        "warm": {"verdict": "degraded", "found": [warm]},
        "misfit": {"verdict": "mismatch", "action": ("requeue", "cuda>=13", True), "found": [misfit]},
        "fault": {"verdict": "unhealthy", "action": ("drain", reason, True), "found": [fault]},
        "wrong": {
            "verdict": "unhealthy",
            "action": ("drain", "preflight:expectation:node: gpu.count=9", False),
            "found": [wrong],
            "policy": "b" * 64,
        },
        "breaker": {
            "verdict": "unhealthy",
            "action": ("drain", "drain breaker: 2 of at most 1 nodes are drained", False),
            "found": [fault],
        },
        "slow": {"took_ms": 5000.0},
        "unknown": {
            "verdict": "unknown",
            "found": [samples.finding("gpu.driver", "unknown", "node", subject="driver", observed=None)],
        },
        "still": {"phase": "health", "verdict": "unhealthy", "found": [fault]},
        "checked": {"phase": "health", "boot": None},
        "checked, warm": {"phase": "health", "boot": None, "verdict": "degraded", "found": [warm]},
        "checked, faulty": {"phase": "health", "boot": None, "verdict": "unhealthy", "found": [fault]},
        "resume": {"phase": "health", "action": ("resume", "gpu.ecc.uncorrected", True)},
    }
    drivers = {"old": "550.54.15", "new": "570.10.01"}
    return {
        (name, age): Template(gpus=gpus, driver=driver, **kind)
        for name, kind in kinds.items()
        for age, driver in drivers.items()
    }
