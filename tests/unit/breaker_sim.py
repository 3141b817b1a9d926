"""Many nodes that drain at once, on a clock of their own: the real drain code over a stand-in for slurmctld.

Each hook is a thread, and one runs at a time: who sleeps, or waits for a command, gives the baton back to the clock.
The same seed gives the same run. A command that its caller gives up is carried out all the same when its turn comes,
as one that stands in the queue of a stopped slurmctld is.
"""

import heapq
import itertools
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from preflight.hooks import drain as drain_module
from preflight.hooks import pending as pending_module
from preflight.hooks import spool
from preflight.hooks.drain import Drained, correct, drain
from preflight.hooks.drained import Cause
from preflight.hooks.run import Run
from preflight.policy.model import DrainPolicy, Policy, ReportPolicy
from preflight.slurm import node as slurm_node
from preflight.slurm.commands import SlurmError, SlurmTimeout

EPOCH = 1_750_000_000.0
REASON = "preflight:expectation:gpu.count=9: the node has 8"


class Clock:
    """Virtual time, and threads that run one at a time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._idle = threading.Semaphore(0)
        self._own = threading.local()
        self.failures: list[BaseException] = []

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Have ``what`` done at ``when``."""
        heapq.heappush(self._heap, (max(when, self.now), next(self._numbers), what))

    def thread(self, when: float, work: Callable[[], None]) -> None:
        """Begin a thread of work at ``when``."""
        turn = threading.Semaphore(0)

        def body() -> None:
            self._own.turn = turn
            turn.acquire()
            try:
                work()
            except BaseException as error:
                self.failures.append(error)
            self._idle.release()

        threading.Thread(target=body, daemon=True).start()
        self.at(when, lambda: self._wake(turn))

    def _wake(self, turn: threading.Semaphore) -> None:
        turn.release()
        self._idle.acquire()

    def sleep(self, seconds: float) -> None:
        """Wait, as time.sleep does."""
        turn = self._own.turn
        self.at(self.now + max(0.0, seconds), lambda: self._wake(turn))
        self._idle.release()
        turn.acquire()

    def run(self) -> None:
        """Go on until nothing is left to do."""
        while self._heap:
            self.now, _, what = heapq.heappop(self._heap)
            what()
        if self.failures:
            raise self.failures[0]

    def monotonic(self) -> float:
        """Return seconds, as time.monotonic does."""
        return self.now

    def time(self) -> float:
        """Return seconds since the epoch, as time.time does."""
        return EPOCH + self.now


@dataclass
class Controller:
    """slurmctld: the nodes' states, how long a command takes, and when it is stopped."""

    clock: Clock
    chance: random.Random
    names: list[str]
    slower: tuple[float, float] = (0.01, 0.05)
    stop_s: float = 0.0
    go_s: float = 0.5
    calm_at: float = float("inf")  # from when on commands are quick and nothing is stopped
    drained: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # node: reason, user, time

    def served(self, sent: float) -> float:
        """Return when a command sent then is carried out."""
        if sent >= self.calm_at:
            return sent + 0.02
        at = sent + self.chance.uniform(*self.slower)
        if self.stop_s:
            into = at % (self.stop_s + self.go_s)
            if into < self.stop_s:
                at += self.stop_s - into
        return at

    def sinfo(self, mark: str) -> str:
        """Return what `sinfo -O` prints of all nodes."""
        rows = []
        for name in self.names:
            reason, user, when = self.drained.get(name, ("none", "Unknown", "Unknown"))
            state = "idle+drain" if name in self.drained else "idle"
            rows.append("".join(f"{one}{mark}" for one in (name, state, reason, user, when)))
        return "\n".join(rows) + "\n"

    def update(self, arguments: tuple[str, ...]) -> None:
        """Do what `scontrol update` does."""
        values = dict(one.split("=", 1) for one in arguments[1:])
        if values["State"] == "RESUME":
            self.drained.pop(values["NodeName"], None)
        elif values["NodeName"] not in self.drained:
            when = slurm_node.stamp(self.clock.time())
            self.drained[values["NodeName"]] = (values["Reason"], "root", when)


@dataclass
class Commands:
    """What Slurm is in preflight.slurm.commands, for one hook."""

    controller: Controller
    deadline: float
    each_s: float = 5.0

    def _replace(self, **changes: Any) -> "Commands":
        return Commands(self.controller, changes.get("deadline", self.deadline), self.each_s)

    def run(self, command: str, *arguments: str) -> str:
        """Return what a command prints; raises SlurmError."""
        return self.both(command, *arguments)[0]

    def both(self, command: str, *arguments: str) -> tuple[str, str]:
        """Return what a command prints on stdout and stderr; raises SlurmError."""
        clock = self.controller.clock
        limit = min(self.deadline, clock.now + self.each_s)
        if limit <= clock.now:
            raise SlurmError(f"no time left to run {command}")
        served = self.controller.served(clock.now)
        answers: list[str] = []

        def serve() -> None:
            if command == "sinfo":
                answers.append(self.controller.sinfo(arguments[-1].split(":0", 1)[1].split(",")[0]))
            else:
                self.controller.update(arguments)
                answers.append("")

        clock.at(served, serve)
        clock.sleep(min(served + 0.01, limit) - clock.now)
        if not answers:
            raise SlurmTimeout(f"{command} did not end in time")
        return answers[0], ""


class Site:
    """So many nodes with one policy that is wrong for all of them."""

    def __init__(self, place: Path, seed: int, nodes: int, limit: int, **controller: Any) -> None:
        self.chance, self.clock, self.place, self.limit = random.Random(seed), Clock(), place, limit
        self.controller = Controller(self.clock, self.chance, [f"n{one}" for one in range(nodes)], **controller)
        self.stopped: list[str] = []
        self.most_s = 0.0

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the drain code on the virtual clock."""
        for module in (drain_module, pending_module):
            monkeypatch.setattr(module, "time", self.clock)
        monkeypatch.setattr(drain_module, "random", self.chance)
        # The clock is not the disk's: a write that a busy machine delays is no frozen spool here.
        monkeypatch.setattr(spool, "BUDGET_S", 600.0)
        monkeypatch.setattr(spool._State, "gone", False)

    def _run(self, node: str, phase: str) -> Run:
        place = str(self.place / node)
        policy = Policy(drain=DrainPolicy(max_nodes=str(self.limit)), report=ReportPolicy(spool=place))
        source: Any = None
        return Run(phase, node, policy, f"{place}/run", None, "", self.clock.time(), self.clock.now, source)

    def _drain(self, run: Run) -> Drained:
        slurm: Any = Commands(self.controller, run.deadline - 0.5)
        done = drain(run, slurm, Cause(REASON))
        self.most_s = max(self.most_s, self.clock.now - run.began)
        return done

    def prologs(self, when: float, probe_s: float, spread_s: float = 0.5) -> None:
        """Run a prolog on each node that is not drained, all at once; Slurm drains the node of one that fails."""

        def prolog(node: str) -> None:
            run = self._run(node, "prolog")
            self.clock.sleep(probe_s)
            if self._drain(run).enforced:
                self.stopped.append(node)
                if node not in self.controller.drained:
                    stamp = slurm_node.stamp(self.clock.time())
                    self.controller.drained[node] = ("Prolog error", "slurm", stamp)

        for node in self.controller.names:
            self.clock.thread(when + self.chance.uniform(0, spread_s), partial(prolog, node))

    def health_checks(self, when: float, probe_s: float, spread_s: float = 0.5) -> None:
        """Run each node's health check: as hooks/health.py, what it does about drains."""

        def health(node: str) -> None:
            run = self._run(node, "health")
            early: Any = Commands(self.controller, run.probe_deadline)
            corrected = correct(run, early)
            self.clock.sleep(max(0.0, run.began + probe_s - self.clock.now))
            self._drain(run)
            if corrected is not None and not corrected.enforced:
                correct(run, early._replace(deadline=run.deadline - 0.5))
            self.most_s = max(self.most_s, self.clock.now - run.began)

        for node in self.controller.names:
            self.clock.thread(when + self.chance.uniform(0, spread_s), partial(health, node))

    def drained(self) -> list[str]:
        """Return the nodes that are drained, by anyone."""
        return sorted(self.controller.drained)
