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
        """The error name of what the probe did not come to tell: "Timeout" only where an NVML call hung."""
        if self.outcome.died:
            return DIED
        hung = "nvml" in (self.outcome.stuck_at or "") or self.outcome.reason is not None
        return TIMEOUT if hung else SLOW

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
    before NVML was up; a fault of our own installation leaves it unknown.
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
        if told.count is None and not told.outcome.finished and not told.outcome.died:
            values["nvml"] = TIMEOUT  # it began well, and hung before it could say how many GPUs there are
        values.update(told.driver)
        for key in ("version", "cuda"):
            if key in told.driver_errors:
                why[key] = f"NVML: {told.driver_errors[key]}"
            elif key not in told.driver:
                why[key] = told.outcome.why()
    return Answer(values, why)


def gpus(told: Told) -> Answer:
    """Return subject ``gpus``: count, devices, stuck_at (the call that hung, else None).

    The GPU that hung has error "Timeout" ("ProbeDied" where the probe crashed), those after it "NotRead"; both keep
    what was read. Zero GPUs only where NVML, or an empty PCI bus without a driver, says so.
    """
    if told.nvml in ABSENT and not told.pci and told.outcome.finished:
        return Answer({"count": 0, "devices": [], "stuck_at": None})
    if told.nvml in ABSENT and told.outcome.finished:
        return unknown(f"NVML: {told.nvml}, but the PCI bus shows {told.pci} NVIDIA GPUs")
    if told.nvml not in (None, OK):
        return unknown(f"NVML: {told.nvml}")
    if told.count is None:
        return unknown(f"NVML: {told.count_error}" if told.count_error else told.outcome.why())
    devices = [told.gpus.get(index, {"index": index}) for index in range(told.count)]
    if told.outcome.finished:
        return Answer({"count": told.count, "devices": devices, "stuck_at": None, **_excluded(told)})
    left = [device for device in devices if device["index"] not in told.done]
    why: dict[str, str] = {}
    for position, device in enumerate(left):
        device["error"] = NOT_READ if position else told.ending
        why[str(device["index"])] = "not read: an earlier GPU hangs" if position else told.outcome.why()
    return Answer({"count": told.count, "devices": devices, "stuck_at": told.outcome.stuck_at, **_excluded(told)}, why)


def _excluded(told: Told) -> dict[str, Any]:
    return {"excluded": told.excluded} if told.excluded else {}


def _each(keys: tuple[str, ...], told: Told, state: str) -> dict[str, str]:
    reason = told.outcome.why() if told.nvml is None else f"NVML: {state}"
    return dict.fromkeys(keys, reason)
