"""Questions asked at the same time."""

import threading
import time

import pytest

from preflight.slurm.at_once import Begun, at_once


def test_all_are_under_way_before_one_is_answered() -> None:
    barrier = threading.Barrier(3, timeout=60)

    def read(answer: int) -> int:
        barrier.wait()
        return answer

    assert at_once(lambda: read(1), lambda: read(2), lambda: read(3)) == (1, 2, 3)


def test_the_first_in_order_that_failed_is_told_and_what_still_runs_is_not_waited_for() -> None:
    over = threading.Event()

    def fail(text: str) -> None:
        raise ValueError(text)

    try:
        with pytest.raises(ValueError, match="first"):
            at_once(lambda: 1, lambda: fail("first"), lambda: fail("second"), lambda: over.wait(60))
    finally:
        over.set()


def test_what_has_not_ended_in_time_is_an_error_and_an_earlier_failure_is_told_first() -> None:
    over = threading.Event()

    def fail() -> None:
        raise ValueError("failed")

    try:
        with pytest.raises(TimeoutError):
            Begun(lambda: 1, lambda: over.wait(60)).answers(time.monotonic())
        with pytest.raises(ValueError, match="failed"):
            Begun(fail, lambda: over.wait(60)).answers(time.monotonic() + 30)
        assert Begun(lambda: 1, lambda: 2).answers(time.monotonic() + 30) == (1, 2)
    finally:
        over.set()
