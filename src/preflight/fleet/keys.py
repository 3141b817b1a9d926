"""The numbers under which a store keeps times, statuses and durations; questions and both databases share them."""

from __future__ import annotations

from bisect import bisect_left

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
LASTS_MS = 1 << 62  # the end of what has none yet
STATUSES = ("fail", "unknown", "warn")
BUCKETS_MS = (2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048, 4096, 8192, 16384)
# Of a row of `actions`, 1 where it is a drain that the breaker's limit held back, as report/advice.py has it.
TRIPPED = (
    "CASE WHEN kind = 'drain' AND substr(detail, 1, 15) = 'drain breaker: ' AND substr(detail, 16, 1) IN"
    " ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9') THEN 1 ELSE 0 END"
)


def bucket(duration_ms: float) -> int:
    """Return the place in BUCKETS_MS of a hook's duration in milliseconds; their number for what is longer."""
    return bisect_left(BUCKETS_MS, duration_ms)
