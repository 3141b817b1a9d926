"""What one input costs, counted so that it is the same on every machine: lines of Preflight run, bytes of memory."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import Any

from fuzz.target import Target


class TooDear(AssertionError):
    """An input that cost more steps or memory than its length allows."""


class _Steps:
    """Counts the lines of Preflight that run, and ends what runs more than ``most``."""

    def __init__(self, most: int) -> None:
        self.most, self.count = most, 0

    def call(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        return self.line if "/preflight/" in frame.f_code.co_filename else None

    def line(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
        self.count += 1
        if self.count > self.most:
            raise TooDear(f"more than {self.most} steps, in {frame.f_code.co_filename}:{frame.f_lineno}")
        return self.line


def measured(target: Target, data: bytes) -> tuple[int, int]:
    """Run one input and return its steps and its peak of memory in bytes; raises TooDear above the target's limits."""
    steps = _Steps(target.steps[0] + target.steps[1] * len(data))
    most = target.peak[0] + target.peak[1] * len(data)
    tracemalloc.start()
    before = sys.gettrace()
    sys.settrace(steps.call)
    try:
        target.run(data)
    finally:
        sys.settrace(before)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    if peak > most:
        raise TooDear(f"{peak} bytes of memory, more than {most}")
    return steps.count, peak
