"""When a piece of work may be done again: at once where it is rare, once a minute where it is not or fails."""

from __future__ import annotations

import random

from preflight.tuples import NamedTuple

MINUTE_S = 60.0
BURST = 3  # times that may follow each other quickly, one more for each minute
LONGEST_S = 600.0  # between two tries, however often they have failed
SLOW_S = 10.0  # what took so long is asked for no more than once a minute


class Pace(NamedTuple):
    """``rest``: times left of BURST at ``at``, the instant (time.monotonic()) of the last; ``failures`` in a row."""

    rest: float = float(BURST)
    at: float = 0.0
    failures: int = 0
    not_before: float = 0.0

    def begun(self, now: float) -> Pace:
        """Return the pace after one more time that begins ``now``."""
        rest = min(float(BURST), self.rest + (now - self.at) / MINUTE_S) if self.at else self.rest
        rest = max(0.0, rest - 1.0)
        wait_s = (1.0 - rest) * MINUTE_S if rest < 1.0 else 0.0
        return self._replace(rest=rest, at=now, not_before=now + wait_s)

    def ended(self, now: float, well: bool) -> Pace:
        """Return the pace once that time is over: after a failure it is longer each time, and never the same twice."""
        failures = 0 if well else self.failures + 1
        if well and now - self.at < SLOW_S:
            return self._replace(failures=0)
        wait_s = min(MINUTE_S * 2 ** max(0, failures - 1), LONGEST_S) * random.uniform(1.0, 1.5)
        return self._replace(failures=failures, not_before=max(self.not_before, now + wait_s))
