"""The long run of one target, in this process: inputs until their number is reached, and what was seen on the way.

An input that fails is kept once for each place and sort of failure, in ``findings``, and the run goes on.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from fuzz.mutate import Mutator
from fuzz.place import clear
from fuzz.target import Target, load

CPU_S = 2.0  # seconds of this process's own time that an input may take before it counts as slow
HANG_S = 20.0  # after which it is ended
GROWTH = 256 << 20  # bytes by which one input may raise the process's peak
MEMORY = 3 << 30  # address space of the run


class Hang(BaseException):
    """An input that did not end."""


class Run:
    """One target's run: counts, and what failed."""

    def __init__(self, target: Target, inputs: int, findings: Path) -> None:
        self.target, self.inputs, self.findings = target, inputs, findings
        self.done = self.accepted = 0
        self.slowest = 0.0
        self.slow_input = b""
        self.failures: dict[str, int] = {}
        self.began = time.monotonic()
        self.cpu = time.process_time()
        self.peak = _peak()
        findings.mkdir(parents=True, exist_ok=True)
        signal.signal(signal.SIGPROF, _hang)
        for one in (signal.SIGTERM, signal.SIGINT):  # a run that is ended tells its figures
            signal.signal(one, lambda *_: self.finish())
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    def one(self, data: bytes) -> None:
        """Run one input and keep what it shows; never raises."""
        data = data[: self.target.longest]
        signal.setitimer(signal.ITIMER_PROF, HANG_S)
        began = time.thread_time()
        try:
            self.target.run(data)
        except (Exception, Hang) as error:
            self._failed(_signature(error), data, "".join(traceback.format_exception(error)[-12:]))
        finally:
            took = time.thread_time() - began
            signal.setitimer(signal.ITIMER_PROF, 0)
        if took > self.slowest:
            self.slowest, self.slow_input = took, data
            if took > CPU_S:
                self._failed("slow", data, f"{took:.1f} s")
        peak = _peak()
        if peak - self.peak > GROWTH:
            self._failed("memory", data, f"the peak rose from {self.peak >> 20} to {peak >> 20} MiB")
        self.peak = max(peak, self.peak)
        self.done += 1

    def _failed(self, signature: str, data: bytes, what: str) -> None:
        self.failures[signature] = self.failures.get(signature, 0) + 1
        if self.failures[signature] == 1:
            place = self.findings / f"{self.target.name}-{len(self.failures)}"
            place.write_bytes(data)
            place.with_suffix(".txt").write_text(f"{signature}\n{what}", errors="replace")
            print(f"{self.target.name}: {signature} -> {place}", file=sys.stderr, flush=True)

    def result(self) -> dict[str, Any]:
        """Return the run's figures."""
        return {
            "target": self.target.name,
            "inputs": self.done,
            "seconds": round(time.monotonic() - self.began, 1),
            "cpu_seconds": round(time.process_time() - self.cpu, 1),
            "slowest_ms": round(self.slowest * 1000, 1),
            "peak_mib": self.peak >> 20,
            "failures": self.failures,
        }

    def finish(self) -> NoReturn:
        """Write the figures, and the slowest input, and end the process."""
        (self.findings / f"{self.target.name}-slowest").write_bytes(self.slow_input)
        print(json.dumps(self.result()), flush=True)
        clear()
        os._exit(1 if self.failures else 0)


def run(name: str, inputs: int, seed: int, findings: Path) -> NoReturn:
    """Run a target; libFuzzer guides by coverage where atheris is there. Ends the process: 1 where anything failed."""
    try:
        import atheris
    except ImportError:
        _alone(Run(load(name), inputs, findings), seed)
    with atheris.instrument_imports(include=["preflight"]):
        target = load(name)
    state = Run(target, inputs, findings)
    mutator = Mutator(target, seed)

    def mutate(data: bytes, longest: int, number: int) -> bytes:
        if number % 2:
            return bytes(atheris.Mutate(data, longest))
        return mutator.changed(data, min(longest, target.longest))

    def one(data: bytes) -> None:
        state.one(data)
        if state.done >= inputs:
            state.finish()

    corpus = findings / f"{name}-corpus"
    corpus.mkdir(exist_ok=True)
    for number, data in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(data)
    words = [sys.argv[0], f"-seed={seed}", f"-max_len={target.longest}", "-timeout=600", "-rss_limit_mb=0"]
    words += ["-verbosity=0", "-handle_term=0", "-handle_int=0"]
    atheris.Setup([*words, str(corpus)], one, custom_mutator=mutate)
    atheris.Fuzz()
    state.finish()


def _alone(state: Run, seed: int) -> NoReturn:
    mutator = Mutator(state.target, seed)
    for data in state.target.seeds:
        state.one(data)
    while state.done < state.inputs:
        state.one(mutator.new())
    state.finish()


def _hang(number: int, frame: FrameType | None) -> None:
    raise Hang


def _signature(error: BaseException) -> str:
    """Return what makes two failures the same: the sort of error and the last place of Preflight's that it passed."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [one for one in frames if "/preflight/" in one.filename] or frames[-1:]
    return f"{type(error).__name__} {Path(ours[-1].filename).name}:{ours[-1].lineno}"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
