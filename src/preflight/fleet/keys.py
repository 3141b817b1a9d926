"""The numbers under which a store keeps times, statuses and durations; questions and both databases share them."""

from __future__ import annotations

from bisect import bisect_left

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
LASTS_MS = 1 << 62  # the end of what has none yet
STATUSES = ("fail", "unknown", "warn")
BUCKETS_MS = (2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048, 4096, 8192, 16384)


def bucket(duration_ms: float) -> int:
    """Return the place in BUCKETS_MS of a hook's duration in milliseconds; their number for what is longer."""
    return bisect_left(BUCKETS_MS, duration_ms)
