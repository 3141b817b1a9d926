"""How much a node may send: a bucket a node that fills again, so that one that runs wild costs the others nothing."""

from __future__ import annotations

import time

RATE = 50.0  # reports a second, for ever
BURST = 20_000.0  # reports at once: what a node's spool holds after a day's outage
KNOWN = 50_000
# Bytes that count as a report, be they fewer reports: a spool holds 256 MiB at most, and that is its burst.
WEIGHT = (256 << 20) / BURST


class Limits:
    """Counts what each node has sent."""

    def __init__(self, rate: float = RATE, burst: float = BURST) -> None:
        self._rate, self._burst = rate, burst
        self._levels: dict[str, tuple[float, float]] = {}  # node -> (level, when)

    def wait_s(self, node: str) -> float:
        """Return the seconds until ``node`` may send again, 0 where it may now."""
        level = self._level(node)
        return (level - self._burst) / self._rate if level > self._burst else 0.0

    def count(self, node: str, reports: int, size: int = 0) -> None:
        """Take note of ``reports`` sent now, of ``size`` bytes together."""
        if len(self._levels) >= KNOWN:
            self._levels.clear()
        self._levels[node] = (self._level(node) + max(reports, size / WEIGHT), time.monotonic())

    def _level(self, node: str) -> float:
        level, when = self._levels.get(node, (0.0, 0.0))
        return max(0.0, level - (time.monotonic() - when) * self._rate)
