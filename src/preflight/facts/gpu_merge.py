"""What the NVML probe told, put together as subjects ``driver`` and ``gpus``. Pure."""

from __future__ import annotations

from preflight.facts.answer import Answer, unknown
from preflight.facts.isolate import Outcome
from preflight.facts.nvml import OK, TIMEOUT

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

ABSENT = ("LibraryNotFound", "DriverNotLoaded")
NOT_READ = "NotRead"
DIED = "ProbeDied"
LATE = "Late"  # no answer by the deadline, and nothing yet that shows a hang
HUNG_IN_D_S = 3.0  # a call this long in state D hangs, but for those that wake a GPU without a persistence daemon
WAKING = ("nvmlInit", "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetCount")
IDENTITY = ("minor", "uuid", "bus_id", "name")
SLOW_S = 2.0  # a probe that took less is not called slow
SLOW = "NotAsked"  # the deadline came before NVML was asked anything: a busy machine, or a slow disk
_OURS = ("BindingNotFound", DIED, SLOW)  # a fault of this installation, not of the node


class Told:
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
        return int(words[1]) if len(words) > 2 and words[0] == "gpu" and words[1].isdigit() else None

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


def driver(told: Told, module: Answer) -> Answer:
    """Return subject ``driver``: version, cuda, module, nvml.

    Without an NVIDIA driver version and cuda are None (known absent). ``nvml`` is "Timeout" where the probe hung
    before NVML was up, "Late" where it did not answer in time and may only be slow; a fault of our own
    installation leaves it unknown. ``slow``: what took SLOW_S or more, absent where nothing did.
    """
    values, why = dict(module.values), dict(module.unknown)
    state = told.nvml or (told.ending if not told.outcome.finished else DIED)
    if state in _OURS:
        return Answer(values, {**why, **_each(("version", "cuda", "nvml"), told, state)})
    values["nvml"] = state
    if state in ABSENT and values.get("module") is None and "module" in values:
        values.update(version=None, cuda=None)
    elif state != OK:
        why.update(_each(("version", "cuda"), told, state))
    else:
        if told.culprit is None and not told.outcome.finished and not told.outcome.died:
            values["nvml"] = told.ending  # it began well, and did not come to say how many GPUs there are
        values.update(told.driver)
        for key in ("version", "cuda"):
            if key in told.driver_errors:
                why[key] = f"NVML: {told.driver_errors[key]}"
            elif key not in told.driver:
                why[key] = told.why()
    return Answer({**values, **told.slow()}, why)


def gpus(told: Told) -> Answer:
    """Return subject ``gpus``: count, devices, stuck_at (the call that hung, else None).

    The GPU that hung has error "Timeout" ("Late" where that is not proven, "ProbeDied" where the probe crashed), those
    after it "NotRead"; both keep what was read. Zero GPUs only where NVML, or an empty PCI bus without a
    driver, says so.
    """
    if told.nvml in ABSENT and not told.pci and told.outcome.finished:
        return Answer({"count": 0, "devices": [], "stuck_at": None})
    if told.nvml in ABSENT and told.outcome.finished:
        return unknown(f"NVML: {told.nvml}, but the PCI bus shows {told.pci} NVIDIA GPUs")
    if told.nvml not in (None, OK):
        return unknown(f"NVML: {told.nvml}")
    if told.count is None:
        return unknown(f"NVML: {told.count_error}" if told.count_error else told.why())
    devices = [told.gpus.get(index, {"index": index}) for index in range(told.count)]
    if told.outcome.finished:
        return Answer({"count": told.count, "devices": devices, "stuck_at": None, **_excluded(told)})
    why: dict[str, str] = {}
    for device in devices:
        index = device["index"]
        if index == told.culprit and index not in told.done:
            device["error"], why[str(index)] = told.ending, told.why()
        elif index not in told.done or (told.outcome.aged and "error" not in device):
            device["error"], why[str(index)] = NOT_READ, f"not read: the probe is at {told.outcome.stuck_at}"
    if told.outcome.aged:  # who it is stays true, how it is does not
        devices = [{key: device[key] for key in ("index", "error", *IDENTITY) if key in device} for device in devices]
    return Answer({"count": told.count, "devices": devices, "stuck_at": told.outcome.stuck_at, **_excluded(told)}, why)


def _excluded(told: Told) -> dict[str, Any]:
    return {"excluded": told.excluded} if told.excluded else {}


def _each(keys: tuple[str, ...], told: Told, state: str) -> dict[str, str]:
    reason = told.why() if told.nvml is None else f"NVML: {state}"
    return dict.fromkeys(keys, reason)
