"""Several questions to Slurm at the same time: a controller that is slow is waited for once, not once a question.

For the user's commands only; a hook runs one command after another.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def at_once(*reads: Callable[[], Any]) -> tuple[Any, ...]:
    """Return what each of ``reads`` returns, in their order; raises what the first of them in that order raised.

    Each must end by itself, as Slurm's commands do at their limit. Those that are still under way when an earlier one
    has failed are not waited for.
    """
    from threading import Thread

    answers: list[Any] = [None] * len(reads)
    errors: list[BaseException | None] = [None] * len(reads)

    def read(place: int) -> None:
        try:
            answers[place] = reads[place]()
        except BaseException as error:
            errors[place] = error

    threads = [Thread(target=read, args=(place,), daemon=True) for place in range(1, len(reads))]
    for thread in threads:
        thread.start()
    read(0)
    for place, error in enumerate(errors):
        if place:
            threads[place - 1].join()
            error = errors[place]
        if error is not None:
            raise error
    return tuple(answers)
