"""What the NVML probe told, message by message; subjects ``driver`` and ``gpus`` are made of it. Pure."""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.facts.isolate import Outcome
from preflight.facts.nvml import TIMEOUT

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

DIED = "ProbeDied"
LATE = "Late"  # no answer by the deadline, and nothing yet that shows a hang
HUNG_IN_D_S = 3.0  # a call this long in state D hangs, but for those that wake a GPU without a persistence daemon
WAKING = ("nvmlInit", "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetCount")
SLOW_S = 2.0  # a probe that took less is not called slow
SLOW = "NotAsked"  # the deadline came before NVML was asked anything: a busy machine, or a slow disk


class NvmlResult:
    """A probe's messages, sorted."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.nvml: str | None = None
        self.driver: dict[str, Any] = {}
        self.driver_errors: dict[str, str] = {}
        self.count: int | None = None
        self.count_error: str | None = None
        self.pci = 0
        self.excluded: list[dict[str, Any]] = []
        self.excluded_error: str | None = None
        self.timings: dict[str, float] = {}
        self.gpus: dict[int, dict[str, Any]] = {}
        self.done: set[int] = set()
        for message in outcome.messages:
            self._take(message)

    @property
    def ending(self) -> str:
        """The error name of what the probe did not come to tell: "Timeout" only where an NVML call is known to hang."""
        if self.outcome.died:
            return DIED
        call = self.outcome.stuck_at or ""
        if "nvml" not in call and not call.startswith("gpu ") and self.outcome.reason is None:
            return SLOW
        return TIMEOUT if self.evidence else LATE

    @property
    def evidence(self) -> str | None:
        """Why it is known that a call hangs: it was found in two runs, or it can't be interrupted and wakes no GPU."""
        outcome, call = self.outcome, self.outcome.stuck_at or ""
        if outcome.evidence or outcome.reason:
            return outcome.evidence or outcome.reason
        stuck_s = outcome.pace.stuck_s if outcome.pace else 0.0
        waking = any(name in call for name in WAKING)
        if outcome.state == "D" and not waking and stuck_s >= HUNG_IN_D_S:
            return f"{call} for {stuck_s:.1f} s, and cannot be interrupted"
        return None

    @property
    def culprit(self) -> int | None:
        """The index of the GPU at which the probe was when it was looked at."""
        words = (self.outcome.stuck_at or "").split()
        return int(words[1]) if len(words) > 2 and words[0] == "gpu" and is_whole(words[1]) else None

    def why(self) -> str:
        """Return one line for what was not told."""
        if self.outcome.aged and self.outcome.evidence:
            return self.outcome.evidence
        if self.outcome.aged:
            return f"an earlier run's probe is still at it: {self.outcome.stuck_at}"
        return self.outcome.why()

    def slow(self) -> dict[str, Any]:
        """Return {"slow": …} of a probe that took SLOW_S or more; {} of one that did not."""
        pace = self.outcome.pace
        if pace is None or pace.took_s < SLOW_S:
            return {}
        took = {"took_s": round(pace.took_s, 2), "call": pace.call, "call_s": round(pace.call_s, 2)}
        return {"slow": {**took, "answered": self.outcome.finished}}

    def _take(self, message: dict[str, Any]) -> None:
        if "gpu" in message:
            self._gpu(message)
        elif "driver" in message:
            key = message["driver"]
            if "error" in message:
                self.driver_errors[key] = message["error"]
            else:
                self.driver[key] = message["value"]
        elif "timing" in message:
            self.timings[message["timing"]] = message["ms"]
        else:
            for key, value in message.items():
                setattr(self, key, value)

    def _gpu(self, message: dict[str, Any]) -> None:
        index = message["gpu"]
        gpu = self.gpus.setdefault(index, {"index": index})
        if "set" in message:
            gpu.update(message["set"])
        if "errors" in message:
            gpu.setdefault("errors", {}).update(message["errors"])
        if "error" in message:
            gpu["error"] = message["error"]
        if "done" in message:
            self.done.add(index)
