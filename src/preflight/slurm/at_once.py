"""Several questions to Slurm at the same time: a controller that is slow is waited for once, not once a question.

For the user's commands only; a hook runs one command after another.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Begun:
    """Questions under way, each in a thread of its own, and each ends by itself, as Slurm's commands at their limit."""

    def __init__(self, *reads: Callable[[], Any]) -> None:
        from threading import Thread

        self._answers: list[Any] = [None] * len(reads)
        self._errors: list[BaseException | None] = [None] * len(reads)

        def read(place: int) -> None:
            try:
                self._answers[place] = reads[place]()
            except BaseException as error:
                self._errors[place] = error

        self._threads = [Thread(target=read, args=(place,), daemon=True) for place in range(len(reads))]
        for thread in self._threads:
            thread.start()

    def answered(self, count: int, until: float) -> bool:
        """Return whether the first ``count`` have all answered, without an error, by ``until`` (time.monotonic())."""
        for thread in self._threads[:count]:
            thread.join(max(until - time.monotonic(), 0.0))
        running = any(thread.is_alive() for thread in self._threads[:count])
        return not running and not any(self._errors[:count])

    def answers(self, until: float | None = None) -> tuple[Any, ...]:
        """Return what each returned, in their order; raises what the first of them in that order raised.

        Those that are still under way when an earlier one has failed are not waited for. ``until``: a time.monotonic()
        instant; raises TimeoutError where one has not ended by then.
        """
        for thread, place in zip(self._threads, range(len(self._threads))):
            thread.join(None if until is None else max(until - time.monotonic(), 0.0))
            error = TimeoutError() if thread.is_alive() else self._errors[place]
            if error is not None:
                raise error
        return tuple(self._answers)


def at_once(first: Callable[[], Any], *others: Callable[[], Any]) -> tuple[Any, ...]:
    """Return what each returns, in their order; raises what the first of them in that order raised, as `Begun`."""
    begun = Begun(*others)
    answer = first()
    return (answer, *begun.answers())
