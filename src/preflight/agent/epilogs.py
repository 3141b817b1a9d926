"""Epilogs: what a job has left behind no fact at hand can tell, so a child of the agent reads the node for each.

It is forked with all modules loaded, which is most of what an epilog of its own takes, and runs the very functions of
hooks/epilog.py. Before the hook has taken the answer it writes only what each hook may remember of the node (caches,
which expectations held, how far the kernel's log was read, a probe that goes on), and nothing of the job. An epilog
that needs more than a record, an action, a moment's patience, a word on what failed before, is the hook's own.
"""

from __future__ import annotations

import time
from collections import deque

from preflight import jsonio
from preflight.agent import answer, wire
from preflight.agent.answer import PASSES, OneShot, gres
from preflight.agent.child import Helper
from preflight.facts.nvml_result import LATE, SLOW
from preflight.facts.probe import Span
from preflight.files import tolerate
from preflight.hooks.run import SLOW_SHARE, Run
from preflight.report.store import MAX_BYTES
from preflight.slurm.gres.cache import Daemon
from preflight.verdict import decide, verdict

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from _socket import socket as Socket
    from select import epoll

    from preflight.agent.connections import Connection
    from preflight.agent.kept import Kept
    from preflight.agent.wire import Request
    from preflight.hooks.assess import Assessment
    from preflight.hooks.epilog import Asked
    from preflight.policy.model import Policy

AT_ONCE = 4  # children that read the node; the others' epilogs wait
GO = b"\n"  # to a child: the hook has taken the answer
SPARE_S = 0.3  # of the client's patience, for the answer's way back
LEAST_S = 0.2  # of it for a child, or none is started
GPUS_S = 1.0  # of a child's time, less of which is for no GPUs: they would be left to the hook half read


class Pending:
    """One epilog: its client, what is to be judged, and the child that does."""

    def __init__(self, one: Connection, run: Run, daemon: Daemon, waiting: bool) -> None:
        self.one, self.run = one, run
        self.helper = Helper("epilog", lambda theirs: _child(theirs, run, daemon, waiting), 0)
        self.data = bytearray()

    @property
    def gone(self) -> bool:
        """Return whether its client has hung up."""
        return self.one.socket.fileno() < 0


class Epilogs:
    """The epilogs that are being judged; ``poll`` watches their children beside the agent's own descriptors."""

    def __init__(self, poll: epoll) -> None:
        self._poll = poll
        self._waiting: deque[Pending] = deque()
        self._running: dict[int, Pending] = {}  # by the descriptor of the child's socket
        self._answered: dict[Connection, Pending] = {}
        self._ending: list[Helper] = []
        self._finishing: list[Helper] = []  # of them, whose answer was taken
        self._hurried: tuple[Policy, Policy] | None = None  # a policy, and what a child has of it

    def __len__(self) -> int:
        return len(self._waiting) + len(self._running)

    def begin(self, one: Connection, request: Request, run: Run, daemon: Daemon, kept: Kept, waiting: bool) -> None:
        """Have an epilog judged until its client waits no longer; raises OneShot where it is the hook's own.

        ``waiting`` as in `hooks.epilog.ask`.
        """
        policy = run.policy
        admitted(request, run)
        gpus = run.job is not None and bool(run.job.gpus_text)
        why = no_time(policy, gpus) or (kept.nvml_hangs() if gpus else "")
        if why:
            raise OneShot(why)
        if self._hurried is None or self._hurried[0] is not policy:
            self._hurried = policy, hurried(policy)
        preload(self._hurried[1], gpus)
        began = min(run.began, request.until - wire.longest_s(policy.agent.wait_ms, policy.hook.deadline_s))
        self._waiting.append(Pending(one, in_time(run, self._hurried[1], began), daemon, waiting))

    def tend(self) -> list[tuple[Connection, str]]:
        """Start what may be started, let go what nobody waits for; return the clients that get no answer, and why."""
        self._reap()
        now, refused = time.monotonic(), []
        for descriptor, pending in list(self._running.items()):
            if pending.gone:
                self._let_go(descriptor)
            elif now >= pending.run.deadline:  # it hangs, or was not run: what is left of the time is the hook's
                self._let_go(descriptor)
                refused.append((pending.one, "the epilog's child gave no answer in time"))
        late = [one for one in self._waiting if one.run.deadline - now < LEAST_S]
        refused += [(one.one, "too late") for one in late if not one.gone]
        self._waiting = deque(one for one in self._waiting if one not in late)
        while self._waiting and len(self._running) < AT_ONCE:
            pending = self._waiting.popleft()
            if pending.gone:
                continue
            if pending.helper.start() and pending.helper.socket is not None:
                self._running[pending.helper.socket.fileno()] = pending
                self._poll.register(pending.helper.socket.fileno(), 1)
            else:
                refused.append((pending.one, "no process for it"))
        return refused

    def ready(self, descriptor: int) -> tuple[Connection, bytes] | None:
        """Take what the child at ``descriptor`` says; return its client and the whole of it once that has come.

        b"" stands for a child that ended without a word.
        """
        pending = self._running.get(descriptor)
        if pending is None or pending.helper.socket is None:
            return None
        with tolerate(OSError):
            try:
                part = pending.helper.socket.recv(1 << 20)
            except BlockingIOError:
                return None
            pending.data += part
            if part and not part.endswith(b"\n"):
                return None
        self._poll.unregister(descriptor)
        del self._running[descriptor]
        said = bytes(pending.data[:-1]) if pending.data.endswith(b"\n") else b""
        if pending.gone or not said.startswith(b"ok "):
            self._end(pending)
        else:
            self._answered[pending.one] = pending
        return None if pending.gone else (pending.one, said)

    def settled(self, one: Connection, taken: bool) -> None:
        """Let the child of an answered epilog do what follows, where the hook has taken the answer."""
        pending = self._answered.pop(one, None)
        if pending is None:
            return
        if taken and pending.helper.socket is not None:
            with tolerate(OSError):
                pending.helper.socket.send(GO)
            self._finishing.append(pending.helper)
        self._end(pending)

    def finishing(self) -> bool:
        """Return whether a child is at what follows an answer that was taken."""
        self._reap()
        return bool(self._finishing)

    def _reap(self) -> None:
        self._ending = [one for one in self._ending if one.pid and not one.ended()]
        self._finishing = [one for one in self._finishing if one.pid]

    def stop(self) -> None:
        """Let all children go: they end by themselves, and change nothing."""
        for descriptor in list(self._running):
            self._let_go(descriptor)
        self._waiting.clear()

    def _let_go(self, descriptor: int) -> None:
        with tolerate((OSError, ValueError)):
            self._poll.unregister(descriptor)
        self._end(self._running.pop(descriptor))

    def _end(self, pending: Pending) -> None:
        pending.helper.close()  # one that waits for a word ends by that; its own alarm ends it in any case
        self._ending.append(pending.helper)


def told_to_wait(one: Connection) -> None:
    """Tell an epilog's client that its answer takes longer than a prolog's; raises OneShot where it has hung up."""
    if one.waits:
        return
    try:
        one.waits = one.socket.send(wire.WAIT) == len(wire.WAIT)
    except OSError:
        raise OneShot("its client has gone") from None


def report_of(words: bytes) -> str:
    """Return the report, as JSON, in what an epilog's child says; raises OneShot with its reason for none."""
    kind, _, text = words.decode().partition(" ")
    if kind != "ok":
        raise OneShot(text or "the epilog's child ended")
    if len(text) > MAX_BYTES:
        raise OneShot("the report is too large")
    return text


def admitted(request: Request, run: Run) -> None:
    """Raise OneShot for an epilog that is the hook's own whatever the node is like."""
    answer.admitted(request, run, "epilog")
    if run.policy.epilog.end_processes and run.policy.mode == "enforce":
        raise OneShot("the policy has processes ended ([epilog] end_processes)")


def hurried(policy: Policy) -> Policy:
    """Return the policy with a deadline before the instant at which an epilog's client gives up."""
    limit_s = wire.longest_s(policy.agent.wait_ms, policy.hook.deadline_s) - SPARE_S
    return policy._replace(hook=policy.hook._replace(deadline_s=limit_s))


def no_time(policy: Policy, gpus: bool) -> str:
    """Return why ``policy`` leaves a child too little time for an epilog, of a job with GPUs, "" where it does not."""
    limit_s = hurried(policy).hook.deadline_s
    if limit_s >= (GPUS_S if gpus else LEAST_S):
        return ""
    keys = f"[agent] wait_ms = {policy.agent.wait_ms} and [hook] deadline_s = {policy.hook.deadline_s:g}"
    return f"{keys} leave {max(0.0, limit_s):.1f} s to read the node in"


def in_time(run: Run, hurried: Policy, began: float) -> Run:
    """Return ``run`` as a child has it, whose client began at ``began``: less time, and no proof by what it leaves.

    A driver's call that a hook finds again hangs where the hook began after this one's time was over, not before.
    """
    over = began + run.policy.hook.deadline_s * SLOW_SHARE
    reading = run.reading._replace(span=Span(began, over))
    return run._replace(policy=hurried, began=began, reading=reading)


def preload(policy: Policy, gpus: bool) -> None:
    """Work out once, and import, what all children need; of NVML where ``gpus`` are asked."""
    from preflight.checks.registry import Context
    from preflight.checks.run import checks_for
    from preflight.facts.view import View

    checks_for(Context("epilog", View({}, {}), View({}, {}), policy))
    for name in ("preflight.hooks.epilog", "preflight.hooks.spool", *(("preflight.facts.gpu_health",) if gpus else ())):
        __import__(name)


def _child(theirs: Socket, run: Run, daemon: Daemon, waiting: bool) -> None:
    """Judge, say "ok REPORT" or "no WHY", and do what follows the record once that is wanted."""
    from preflight.hooks import epilog, rundir, spool
    from preflight.hooks.assess import assess
    from preflight.hooks.main import backstop

    backstop(run.deadline - time.monotonic())
    rundir.watch(run.run_dir)
    spool.watch(run.run_dir, run.node)
    # The agent's unit may allow less than slurmd does: what makes an epilog the hook's is no answer for prologs.
    run = run._replace(reading=run.reading._replace(source=run.reading.source._replace(keeps=False)))
    if run.job is not None and run.job.gpus_text:
        run = run._replace(reading=run.reading.ahead(run.probe_deadline))
    asked = epilog.ask(run, gres(run, daemon), waiting)
    found = assess(asked.question, asked.run.reading, run.probe_deadline)
    driver = found.document.facts.get("driver", {}).get("nvml")
    late = time.monotonic() >= run.probe_deadline or driver in (LATE, SLOW)  # not unknown: the hook has more time
    why = "the node was not read in time" if late else _more(asked, found)
    if why:
        _answer(theirs, f"no {why}")
        return
    report = epilog.reported(asked, found, decide(run.phase, found.findings, run.policy), [])
    age_s = round(time.monotonic() - run.began, 3)
    report["source"], report["ages_s"] = "agent", dict.fromkeys(sorted(report["facts"]), age_s)
    report["duration_ms"] = round(age_s * 1000, 3)
    if _answer(theirs, f"ok {jsonio.dumps(report)}") == GO:
        _keep(asked.run, found)
        epilog.keep_counters(asked, found)
        epilog.close(asked, found, report)


def _keep(run: Run, found: Assessment) -> None:
    """Keep dear facts for the prologs to come, as a hook's own reading does."""
    from preflight.facts.answer import Answer
    from preflight.facts.kept import keep
    from preflight.facts.registry import fact_of

    unknown = {path.split(".")[0] for path in found.document.unknown}
    for subject, values in found.document.facts.items():
        fact = fact_of(subject)
        if fact.keep_s and subject not in unknown:
            keep(run.run_dir, fact, Answer(values))


def _answer(theirs: Socket, words: str) -> bytes:
    """Say it and return what comes back: b"" where nobody waits for it any more."""
    with tolerate(OSError):
        theirs.sendall(f"{words}\n".encode())
        return theirs.recv(1)
    return b""


def _more(asked: Asked, found: Assessment) -> str:
    """Return what an epilog needs beside a record, "" where that is all."""
    from preflight.checks.changes import left_over

    if left_over(asked.question.before, found.document.facts, found.gpus):
        return "the job has left processes on its GPUs"
    decision = decide(asked.run.phase, found.findings, asked.run.policy)
    said = verdict(found.findings)
    if decision.kind != "none" or said not in PASSES:
        return f"verdict {said}: {decision.kind}"
    if any(one.status == "fail" and one.blame == "node" for one in found.findings):
        return "something fails"
    return ""
