"""A span of time in a question: "7d" until now."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import NamedTuple

from preflight.fleet.keys import DAY_MS, HOUR_MS

_UNITS = {"m": 60_000, "h": 3_600_000, "d": DAY_MS, "w": 7 * DAY_MS}
_SPAN = re.compile(r"([0-9]{1,6})([mhdw])")


class Window(NamedTuple):
    """From ``begin_ms`` up to and without ``end_ms``, milliseconds since the epoch."""

    begin_ms: int
    end_ms: int

    @property
    def days(self) -> range:
        """The days (since the epoch) that the window touches."""
        return range(self.begin_ms // DAY_MS, (self.end_ms - 1) // DAY_MS + 1)

    @property
    def hours(self) -> tuple[int, int]:
        """The first hour (since the epoch) that lies in the window, and the first one behind it."""
        return -(-self.begin_ms // 3_600_000), -(-self.end_ms // 3_600_000)

    @property
    def parts(self) -> tuple[range, tuple[Window, ...]]:
        """The hours (since the epoch) that lie in the window with their whole, and what it has beside them."""
        first, end = -(-self.begin_ms // HOUR_MS), self.end_ms // HOUR_MS
        if first >= end:
            return range(0), (self,)
        beside = Window(self.begin_ms, first * HOUR_MS), Window(end * HOUR_MS, self.end_ms)
        return range(first, end), tuple(one for one in beside if one.begin_ms < one.end_ms)


def parse_window(text: str, now_ms: int) -> Window:
    """Return the window that ends now and is as long as ``text`` says ("30m", "12h", "7d", "4w"); raises ValueError."""
    found = _SPAN.fullmatch(text.strip())
    if not found or int(found[1]) == 0:
        raise ValueError(f"not a span of time: {text[:20]!r}; write 30m, 12h, 7d or 4w")
    return Window(now_ms - int(found[1]) * _UNITS[found[2]], now_ms + 1)


def instant(ms: int) -> str:
    """Return a time as it is shown: UTC, to the minute."""
    return datetime.fromtimestamp(ms / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M")


def length(ms: int) -> str:
    """Return how long something lasted, in its two largest units."""
    minutes = ms // 60_000
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"
