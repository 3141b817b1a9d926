"""One kind of probe child from run to run: started, waited for, and remembered where it does not come back.

A child that may only be slow (NVML without a persistence daemon wakes each GPU first) is left to go on at the deadline.
The next run finds it gone, or in another call: it was slow. It finds it in the very same call: it hangs, and is killed.
From then on each run asks anew, and one more hang in that call needs no more proof.

A run may meet a child that is no earlier run's: the node agent's, which had little time for the same epilog, or that
of a hook beside it. That shows nothing: the run asks for itself.
"""

from __future__ import annotations

import os
import time

from preflight.facts import board
from preflight.facts.isolate import Channel, Child, Outcome, Transcript, start, wait
from preflight.facts.stuck import StuckGuard, start_time
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

POLL_S = 0.02
KILL_S = 0.2


class Span(NamedTuple):
    """A run in time, time.monotonic() instants. ``began``: 0 for now.

    ``counts_from``: a run that begins before is no later run than this one: what this one leaves shows it nothing. 0:
    the instant at which it leaves it. One that is given has less time than a hook, and decides nothing: it leaves alone
    what an earlier run has left.
    """

    began: float = 0.0
    counts_from: float = 0.0


class Probe:
    """A probe child behind its StuckGuard; one that could not be started has its outcome already.

    ``lasting``: it is left to go on where it has not finished; else it is killed, and remembered where that fails.
    """

    def __init__(
        self,
        name: str,
        function: Callable[[Channel], None],
        run_dir: str | None,
        deadline_s: float,
        lasting: bool = False,
        span: Span = Span(),  # noqa: B008 - immutable
    ) -> None:
        self._name, self._function, self._deadline_s, self._lasting = name, function, deadline_s, lasting
        self._guard = StuckGuard(run_dir, name)
        self._counts_from = span.counts_from
        self._beside: dict[str, Any] | None = None  # the record of a child that is no earlier run's
        self.child: Child | None = None
        self.outcome = Outcome([], False)
        self._proven: str | None = None
        self._evidence: str | None = None
        self._earlier = self._guard.stored()
        if lasting and self._earlier is not None and _counts_from(self._earlier) > (span.began or time.monotonic()):
            self._beside, self._earlier = self._earlier, None
        if span.counts_from and (self._earlier is not None or (lasting and self._guard.proven() is not None)):
            left, self._earlier = self._earlier or {}, None
            self.outcome = Outcome([], False, left.get("doing") or self._guard.proven(), aged=True)
        elif self._earlier is None:
            self._start()
        elif not lasting:
            why = f"pid {self._earlier['pid']} in {self._earlier.get('doing') or 'a probe'}"
            self.outcome = Outcome([], False, reason=f"an earlier probe still hangs: {why}")

    def settle_earlier(self, deadline: float) -> None:
        """Wait for an earlier run's child until ``deadline``, and start a new one where it has gone.

        A child that is proven to hang is not waited for.
        """
        earlier, self._earlier = self._earlier, None
        if earlier is None or not self._lasting:
            return
        while start_time(earlier["pid"]) == earlier["start"]:
            if time.monotonic() >= deadline or (earlier.get("hung") and _same_call(earlier, _transcript(earlier))):
                self._still_there(earlier)
                return
            time.sleep(POLL_S)
        self._guard.clear()
        self._start()

    def wait_longer(self, deadline: float) -> None:
        """Give a child that has not ended until ``deadline``; one that need not be left is looked at a second time.

        A call that was proven to hang gets no more time.
        """
        if self.child is None or self.child.closed or self._proven:
            return
        first = Transcript(self.child.board.read())
        wait([self.child], deadline)
        second = Transcript(self.child.board.read())
        if not self._lasting and not self.child.closed and first.since is not None and first.since == second.since:
            self._evidence = f"no answer at {second.doing} in {time.monotonic() - first.since:.1f} s"

    def conclude(self) -> None:
        """Take the child's outcome, and remember a child that was left or had to be abandoned."""
        if self.child is None:
            return
        left, self.child = self.child.conclude(), None
        if left.running is not None:
            more = {"counts_from": self._counts_from or time.monotonic()}
            self._guard.remember(left.running, left.stuck_at, left.since, left.board, more=more)
            if self._beside is not None:  # one is enough to show whether it ends
                kill(self._beside, 0.0)
        else:
            self._guard.record(left)
        if self._proven:
            again = not left.finished and left.died is None and left.stuck_at == self._proven
            if again:
                left = left._replace(evidence=f"the same call as in earlier runs: {left.stuck_at}")
            else:
                self._guard.prove(None)
        self.outcome = left._replace(evidence=self._evidence) if self._evidence else left

    def _start(self) -> None:
        self._proven = self._guard.proven() if self._lasting else None
        try:
            lasting = self._lasting and self._proven is None
            self.child = start(self._name, self._function, self._deadline_s, lasting)
        except OSError as error:
            self.outcome = Outcome([], False, died="fork", reason=f"no probe could be started: {error.strerror}")

    def _still_there(self, earlier: dict[str, Any]) -> None:
        """Make the outcome of an earlier run's child that has not ended: it hangs, or it has come further."""
        said, pid = _transcript(earlier), earlier["pid"]
        same = _same_call(earlier, said)
        messages = said.messages if said else []
        doing = (said.doing if said else None) or earlier.get("doing")
        evidence = f"the same call since an earlier run: pid {pid} in {doing or 'a probe'}" if same else None
        if same and kill(earlier):
            self._guard.clear()
            self._guard.prove(doing)
        else:
            since = said.since if said else earlier.get("since")
            self._guard.remember(pid, doing, since, earlier.get("board"), same)
        self.outcome = Outcome(messages, False, doing, evidence=evidence, aged=True)


def _counts_from(record: dict[str, Any]) -> float:
    """Return from when on a run counts as later than the record's; 0 for one of a child that is known to hang."""
    instant = record.get("counts_from")
    return float(instant) if isinstance(instant, (int, float)) and not record.get("hung") else 0.0


def kill(earlier: dict[str, Any], within_s: float = KILL_S) -> bool:
    """End another run's child and all of its session; return whether it is gone within ``within_s``."""
    if start_time(earlier["pid"]) != earlier["start"]:
        return True
    try:
        os.killpg(earlier["pid"], 9)
    except OSError:
        return False
    limit = time.monotonic() + within_s
    while start_time(earlier["pid"]) == earlier["start"]:
        if time.monotonic() >= limit:
            return False
        time.sleep(0.001)
    return True


def _transcript(earlier: dict[str, Any]) -> Transcript | None:
    """Return what an earlier run's child has said up to now, None where that can't be read."""
    descriptor = earlier.get("board")
    data = board.read_of(earlier["pid"], descriptor) if isinstance(descriptor, int) else None
    return None if data is None else Transcript(data)


def _same_call(earlier: dict[str, Any], now: Transcript | None) -> bool:
    """Return whether it is still in the call that the record names; one whose board is gone is ending."""
    if now is None:
        return earlier.get("board") is None
    return now.since == earlier.get("since") and now.doing == earlier.get("doing")
