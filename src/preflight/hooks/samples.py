"""The host's counters over time (links that went down, memory errors): what windows of [[host]] rows are judged by.

The record stands in root's spool. Counters begin at zero with each boot, and so does the record.
"""

from __future__ import annotations

import os
import time

from preflight.facts.cache import boot_id
from preflight.facts.document import FactsDocument
from preflight.files import read_json, tolerate
from preflight.hooks import spool as disk
from preflight.hooks.aside import set_aside
from preflight.policy.model import Policy

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    Samples = dict[str, list[tuple[float, int]]]

SUBJECTS = ("host", "host_waiting")
MAX_SERIES = 2048
MAX_POINTS = 128
LEAST_S = 60.0  # between two samples: an epilog soon after a health check adds none


def samples(policy: Policy, node: str) -> Samples:
    """Return "KIND NAME" -> (seconds ago, value), oldest first; {} where nothing was kept in this boot."""
    now = _now()
    return {
        name: [(now - at, value) for at, value in rows if at <= now]
        for name, rows in _stored(_place(policy, node)).items()
    }


def keep(policy: Policy, node: str, document: FactsDocument) -> None:
    """Add how the counters are now; a full disk costs only the record."""
    place = _place(policy, node)
    series, now = _stored(place), _now()
    seen = set()
    for name, value in _counters(document):
        seen.add(name)
        rows = series.setdefault(name, [])
        if not rows or now - rows[-1][0] >= LEAST_S or rows[-1][0] > now:
            series[name] = _thinned([*rows, [now, value]])
    if not seen:
        return
    with tolerate(OSError):
        kept = {name: series[name] for name in sorted(series, key=lambda one: one not in seen)[:MAX_SERIES]}
        disk.write_json(place, {"boot": boot_id(), "series": kept})


def _thinned(rows: list[list[Any]]) -> list[list[Any]]:
    """Return at most MAX_POINTS samples: of the older half every second one is left out when they are too many."""
    if len(rows) <= MAX_POINTS:
        return rows
    half = len(rows) // 2
    return [*rows[:half:2], *rows[half:]]


def _counters(document: FactsDocument) -> list[tuple[str, int]]:
    found = []
    for subject in SUBJECTS:
        for row in (document.facts.get(subject) or {}).get("rows") or []:
            counters = (row.get("told") or {}).get("counters") or {}
            found += [(f"{row['kind']} {name}", value) for name, value in counters.items()]
    return found


def _stored(place: str) -> dict[str, list[Any]]:
    stored = read_json(place)
    if stored is None and not os.path.lexists(place):
        return {}
    series = stored.get("series") if isinstance(stored, dict) else None
    if not isinstance(series, dict) or not all(_is_series(rows) for rows in series.values()):
        set_aside(place, stored)
        return {}
    return series if stored.get("boot") == boot_id() else {}


def _is_series(rows: Any) -> bool:
    return isinstance(rows, list) and all(
        isinstance(one, list)
        and len(one) == 2
        and all(isinstance(part, (int, float)) and not isinstance(part, bool) for part in one)
        for one in rows
    )


def _place(policy: Policy, node: str) -> str:
    return f"{policy.report.spool}/samples-{node}.json"


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
