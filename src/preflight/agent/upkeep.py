"""When what the agent has done beside its answers (duties.py) is due, and how it went. Nothing here waits.

A duty has one child at a time. One that hangs is killed after its limit, and keeps its place until it is gone. What
the last one came to stands in the runtime directory, so that an agent which is started again and again asks the
controller no more often than one that stays.
"""

from __future__ import annotations

import os
import random
import time

from preflight import jsonio
from preflight.agent import duties
from preflight.agent.child import Helper
from preflight.agent.kept import Stale
from preflight.agent.memo import VOLATILE
from preflight.agent.pace import Pace
from preflight.files import read_json, tolerate, write_json
from preflight.hooks import journal
from preflight.hooks.publish import SUBJECTS
from preflight.requirements import encode

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from preflight.agent.kept import Kept
    from preflight.policy.model import Policy

LOOK_S = 5.0  # between two looks at what is due
TOGETHER_S = 0.25  # what is due so soon is done now: one timer for all that the loop wakes for
POLL_S = 0.2  # while a child is at work
SETTLE_S = 1.0  # what changes again within it is one change
PUBLISH_S = 600.0  # the controller may have forgotten what it knew
RETRY_S = 60.0  # for copies that could not be delivered
PRUNE_S = 3600.0
HELD_S = 60.0  # a reset or another driver takes less; then syslog names the fact that is not at hand
FIRST_S = 6  # times the jitter, for nodes that boot together
OUTPUT_MAX = 4096
NOTHING = "what waits has not changed: another is at it, or it cannot be taken"


class Duty:
    """One kind of work: its child, its pace, and how it went last."""

    def __init__(self, name: str, path: str, left: Callable[[], Any] | None = None) -> None:
        """``path``: where it is remembered. ``left``: what is to be done now, as `want` gets it."""
        self.name, self._path, self._left = name, path, left
        self.helper: Helper | None = None
        self.pace, self.due = Pace(), 0.0  # due: time.monotonic(), 0 where it is not
        self.last: dict[str, Any] = {}  # at, took_s, well, text, failures
        self.done_for: Any = None  # what was to be done when the last one that went well began
        self.wanted: Any = None
        self.waits = ""
        self._aim: Any = None
        self._output = bytearray()
        self._restore()

    @property
    def running(self) -> bool:
        """Return whether a child is at work, or hangs."""
        return self.helper is not None and bool(self.helper.pid)

    def want(self, what: Any, delay_s: float, again_s: float = 0.0) -> None:
        """Have it done where ``what`` is not what it was done for, or that is ``again_s`` ago; None: nothing to do."""
        self.wanted = what
        now = time.monotonic()
        old = again_s and what is not None and now - self.last.get("at", float("-inf")) >= again_s
        if what is None or (what == self.done_for and not old):
            self.due = 0.0
        elif not self.due:
            self.due = max(now + delay_s, self.pace.not_before)

    def begin(self, context: duties.Context) -> None:
        """Start the child where it is due and none is there."""
        now = time.monotonic()
        if not self.due or now < max(self.due, self.pace.not_before) or self.running:
            return
        self.helper = Helper(self.name, duties.child(self.name, context), duties.NICER)
        self._aim, self._output, self.due = self.wanted, bytearray(), 0.0
        self.pace = self.pace.begun(now)
        self._keep()  # an agent that ends before its child asks no more often for that
        if not self.helper.start():
            self._over(False, "no process for it")

    def tend(self) -> None:
        """See how the child goes; never waits."""
        helper = self.helper
        if helper is None or not helper.pid:
            return
        self._read(helper)
        if helper.ended():
            killed = bool(helper.killed)
            text = self._text() or ("" if helper.status == 0 else f"its child ended with status {helper.status}")
            self._over(helper.status == 0, f"it hung for {self._limit_s:g} s" if killed else text)
        elif time.monotonic() - helper.started > self._limit_s:
            helper.kill()

    def stuck_s(self) -> float:
        """Return for how many seconds its child has been past its limit, 0 where it is not."""
        if self.helper is None or not self.helper.pid:
            return 0.0
        return max(0.0, time.monotonic() - self.helper.started - self._limit_s)

    def again(self) -> None:
        """Have it done anew, and at once: what kept it from that may have been put right."""
        self.pace, self.due, self.done_for = Pace(), 0.0, None

    def stop(self) -> None:
        """End the child: what it does bears being cut off, and the next agent does it again."""
        if self.helper is not None:
            self.helper.close()
            self.helper.kill()

    def state(self) -> dict[str, Any]:
        """Return what `preflight agent status` says of it: ``last_s`` and ``next_s`` are seconds from now."""
        now, running = time.monotonic(), self.helper.pid if self.helper is not None and self.helper.pid else None
        return {
            "on": self.wanted is not None or bool(self.waits),
            "pid": running,
            "running_s": round(now - self.helper.started, 1) if running and self.helper is not None else None,
            "stuck_s": round(self.stuck_s(), 1),
            "last_s": round(now - self.last["at"], 1) if self.last else None,
            "took_s": self.last.get("took_s"),
            "well": self.last.get("well"),
            "text": self.last.get("text", ""),
            "failures": self.pace.failures,
            "waits": self.waits,
            "next_s": round(max(0.0, self.due - now, self.pace.not_before - now), 1) if self.due else None,
        }

    @property
    def _limit_s(self) -> float:
        return duties.LIMITS_S[self.name]

    def _read(self, helper: Helper) -> None:
        while helper.socket is not None:
            try:
                part = helper.socket.recv(OUTPUT_MAX)
            except OSError:
                return
            if not part:
                return
            self._output = (self._output + part)[-OUTPUT_MAX:]

    def _text(self) -> str:
        lines = [" ".join(line.split()) for line in self._output.decode("utf-8", "replace").splitlines()]
        return next((line[:200] for line in reversed(lines) if line), "")

    def _over(self, well: bool, text: str) -> None:
        now = time.monotonic()
        began = self.helper.started if self.helper is not None and self.helper.started else now
        if well and self._left is not None and self._left() == self._aim:  # nothing came of it: as good as failed
            well, text = False, text or NOTHING
        if not well and self.last.get("text") != text:
            journal.say(journal.WARNING, f"agent: {self.name}: {text}")
        self.pace = self.pace.ended(now, well)
        if self.due:  # it was wanted meanwhile, when nobody knew how this one would end
            self.due = max(self.due, self.pace.not_before)
        if well:
            self.done_for = self._aim
            if self.wanted == self._aim:  # wanted meanwhile, too, and done now
                self.due = 0.0
        self.last = {"at": now, "took_s": round(now - began, 3), "well": well, "text": text}
        self._keep()

    def _keep(self) -> None:
        with tolerate(OSError):
            write_json(self._path, {"last": self.last, "pace": list(self.pace), "done_for": self.done_for})

    def _restore(self) -> None:
        """Take up what an agent before this one left: instants of this boot, since the directory is gone after it."""
        kept = read_json(self._path)
        with tolerate((KeyError, TypeError, ValueError, AttributeError)):
            now, (rest, at, failures, not_before) = time.monotonic(), map(float, kept["pace"])
            pace = Pace(rest, at, int(failures), not_before)
            last = {key: kept["last"][key] for key in ("at", "took_s", "well", "text")} if kept["last"] else {}
            if pace.at > now or (last and (float(last["at"]) > now or len(last["text"]) > OUTPUT_MAX)):
                return
            self.last, self.pace, self.done_for = last, pace, kept["done_for"]


class Upkeep:
    """All duties of an agent. ``units``: systemd starts what needs a network."""

    def __init__(self, config: str, run_dir: str, node: str, units: bool) -> None:
        self._config, self._units = config, units
        self._spool = ""
        left: dict[str, Callable[[], Any]] = {
            "ship": lambda: _queued(self._spool),
            "deliver": lambda: _waiting(self._spool, run_dir),
        }
        self.duties = {name: Duty(name, f"{run_dir}/agent/{node}.{name}.json", left.get(name)) for name in duties.NAMES}
        self.slurm_conf = ""  # as the last hook had it
        self._seen: tuple[Any, ...] = ()
        self._answers: tuple[Any, ...] = ()
        self._look = 0.0
        self._held, self._named = 0.0, False  # since when a fact that is to be published is not at hand; in syslog

    def subjects(self, policy: Policy) -> frozenset[str]:
        """Return the facts that are to be read ahead for what is published."""
        return SUBJECTS if policy.agent.upkeep and policy.publish.enabled else frozenset()

    def tend(self, run: Any, kept: Kept) -> float:
        """Start what is due and see how the rest goes; return the seconds until there is something to do again."""
        every = self.duties.values()
        for one in every:
            one.tend()
        now = time.monotonic()
        if now >= self._look - TOGETHER_S:
            self._look = now + LOOK_S
            self._decide(run.policy, run.run_dir, kept)
        context = duties.Context(self._config, run, run.policy.hook.slurm_conf or self.slurm_conf, self._units)
        for one in every:
            one.begin(context)
        if any(one.running for one in every):
            return POLL_S
        dues = [max(one.due, one.pace.not_before) for one in every if one.due]
        return max(TOGETHER_S, min([self._look, *dues]) - time.monotonic())

    def refresh(self) -> None:
        """Have all that is wanted done anew, whatever failed before."""
        self._look = 0.0
        for one in self.duties.values():
            one.again()

    def stop(self) -> None:
        """End all children."""
        for one in self.duties.values():
            one.stop()

    def state(self) -> dict[str, Any]:
        """Return each duty's state (`Duty.state`), by name."""
        return {name: one.state() for name, one in self.duties.items()}

    def _decide(self, policy: Policy, run_dir: str, kept: Kept) -> None:
        on, spool = policy.agent.upkeep, policy.report.spool
        self._spool = spool
        jitter_s = policy.agent.jitter_s
        publish, ship, deliver, prune = (self.duties[name] for name in duties.NAMES)
        publish.waits = ""
        if on and policy.publish.enabled:
            self._facts(policy, kept, publish, jitter_s)
        else:
            publish.want(None, 0.0)
        queued = _queued(spool) if on and policy.ship.url else None
        ship.want(queued, random.uniform(0.0, jitter_s), RETRY_S)
        deliver.want(_waiting(spool, run_dir) if on else None, SETTLE_S, RETRY_S)
        prune.want("records" if on else None, random.uniform(0.0, PRUNE_S / 6), PRUNE_S)

    def _facts(self, policy: Policy, kept: Kept, publish: Duty, jitter_s: float) -> None:
        """Have the facts at hand published where they are others than those that are; half of them never are."""
        signature = kept.signature(SUBJECTS)
        if signature != self._seen or publish.wanted is None:
            try:
                view = kept.to_publish(SUBJECTS).view()
            except Stale as stale:
                publish.waits, publish.due = str(stale), 0.0
                self._held_back(publish.waits)
                return
            self._seen, self._held, self._named = signature, 0.0, False
            versions = {path: at for path, at in kept.versions.items() if path not in VOLATILE}
            answers = policy.cuda, policy.catalog_rows, versions
            if answers != self._answers or publish.wanted is None:  # what is published takes milliseconds to work out
                self._answers = answers
                extra = encode.extra_of(view, policy.cuda.minor_version_compatibility, policy.tables())
                publish.wanted = jsonio.dumps(extra)
        first = publish.done_for is None and not publish.last
        spread_s = random.uniform(0.0, jitter_s * (FIRST_S if first else 1))
        publish.want(publish.wanted, SETTLE_S + spread_s, PUBLISH_S)

    def _held_back(self, why: str) -> None:
        """Say once in syslog that nothing is published for the want of a fact, where that lasts."""
        now = time.monotonic()
        self._held = self._held or now
        if now - self._held > HELD_S and not self._named:
            self._named = True
            journal.say(journal.WARNING, f"agent: publish: waits for {why}; Slurm keeps what it has")


def _queued(spool: str) -> Any:
    return _changed(f"{spool}/ship", ".json")


def _waiting(spool: str, run_dir: str) -> Any:
    """Return what tells apart what waits for `deliver`, from one look to the next; None where nothing does."""
    places = [_changed(place, ".json") for place in (f"{spool}/outbox", f"{run_dir}/unkept")]
    return places if any(places) else None


def _changed(directory: str, suffix: str) -> Any:
    """Return what tells one filling of a directory from the next, None where it holds no file of that suffix."""
    with tolerate(OSError):
        at = os.stat(directory).st_mtime_ns
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.name.endswith(suffix) and not entry.name.startswith("."):
                    return at
    return None
