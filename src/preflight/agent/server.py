"""The agent's loop: its clients, its children, its journal. One thread, and nothing in it waits.

A prolog's request becomes a report, which is in the journal before the answer goes out. It goes to the writer once the
hook has taken the answer; a hook that did not has gone its own way, and writes its own.
"""

from __future__ import annotations

import os
import time

from preflight import jsonio
from preflight.agent import wire
from preflight.agent.answer import Daemons, OneShot, encoded, job_of, judged, policy_of, run_of, usual_subjects
from preflight.agent.child import Helper
from preflight.agent.connections import AT_ONCE, Connection, Connections, listen
from preflight.agent.epilogs import Epilogs, report_of, told_to_wait
from preflight.agent.journal import Journal
from preflight.agent.kept import Kept
from preflight.agent.memo import Memo
from preflight.agent.metrics import TextFile
from preflight.agent.questions import metrics_text
from preflight.agent.upkeep import Upkeep
from preflight.agent.wire import Request
from preflight.agent.writer import Writer
from preflight.files import tolerate
from preflight.hooks import answered, record
from preflight.hooks.reading import reading_of
from preflight.hooks.run import Run
from preflight.hooks.rundir import make_run_dir
from preflight.policy.model import Policy
from preflight.slurm.gres.cache import Daemon

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from _socket import socket as Socket

WRITE_FIRST = 1500  # from so many on they are written though clients wait
PENDING_MAX = 2500  # reports that are not on record; past that the one-shot hook is slower, and a bound
WARM_S = 2.0
EPILOGS_S = 0.1  # between two looks at whether an epilog's child is late
SETTLE_S = answered.SETTLE_S
BUGS_MAX = 100  # of our own, before the agent gives up
WAIT_S = 0.1  # after each
WHY_MAX = 32  # reasons that are counted apart


class Agent:
    """The agent of one node; ``listener``: a socket that an earlier agent listened on, None to make one.

    ``units``: systemd starts what needs a network.
    """

    def __init__(
        self, config: str, run_dir: str, node: str, listener: Socket | None = None, units: bool = False
    ) -> None:
        from select import epoll

        self.config, self.run_dir, self.node = config, run_dir, node
        self.began = time.time()
        make_run_dir(run_dir)
        wire.private_directory(run_dir)
        self.journal = Journal(run_dir, node)
        self._ending: list[Helper] = []  # writers under earlier policies, until they are gone
        self._in_force = policy_of(config, node, run_dir)
        self.upkeep = Upkeep(config, run_dir, node, units)
        self.policy = self._in_force.get()
        self._use(self.policy)
        self._poll = epoll()
        self._clients = Connections(listener or listen(run_dir, node), self._poll, self._serve, self._settle)
        self._epilogs = Epilogs(self._poll)
        self._registered: dict[str, tuple[Socket, int]] = {}
        self._daemons = Daemons()
        self._text_file = TextFile(run_dir, node)
        self._unsettled = [(time.monotonic() + SETTLE_S, one) for one in self.journal.left if not one.taken]
        for one in self.journal.left:
            if one.taken:
                self.writer.put(one.number, jsonio.dumps(one.report))
        self._counts = {"pass": 0, "one-shot": 0, "not_taken": 0}
        self.reasons: dict[str, int] = {}
        self.stopping = self.outdated = False
        self._due = 0.0  # when what is read ahead is to be looked after again

    def _use(self, policy: Policy) -> None:
        """Take a policy: where facts are read and reports go may be another."""
        reading = reading_of(policy, self.node, self.run_dir, "prolog")
        self.policy, self.reading, self._memo = policy, reading, Memo()
        before: Kept | None = getattr(self, "kept", None)
        if before is None or before.source != reading.source:
            self.kept = Kept(reading.source, before)
        self.kept.want(usual_subjects(policy, self.node), forever=True)
        self.kept.publishes(self.upkeep.subjects(policy))
        self.writer = Writer(run_of(policy, self.node, self.run_dir, reading, None))

    @property
    def listener_descriptor(self) -> int:
        """Return the listening socket's descriptor, for whom keeps it while the agent is restarted."""
        return self._clients.listener.fileno()

    @property
    def counts(self) -> dict[str, int]:
        """Return how many requests were answered in which way."""
        return {**self._counts, "refused": self._clients.refused, "malformed": self._clients.malformed}

    def warm_up(self) -> None:
        """Read ahead what a prolog asks for before the first one is heard; those that wait longer judge themselves."""
        limit = time.monotonic() + WARM_S
        while not self.kept.complete() and time.monotonic() < limit and not self.stopping:
            self.kept.tend()
            time.sleep(0.01)

    # --- the loop -------------------------------------------------------------------------------------------

    def run(self, wakeup: int) -> None:
        """Serve until `stopping`; ``wakeup``: a descriptor that becomes readable for a signal."""
        self._poll.register(wakeup, 1)
        bugs = 0
        while not self.stopping:
            try:
                self._turn(wakeup)
            except Exception as error:  # a module that is being replaced, say: the clients go their own way meanwhile
                record_bug(error)
                bugs += 1
                if bugs > BUGS_MAX:
                    raise  # systemd starts another
                time.sleep(WAIT_S)

    def _turn(self, wakeup: int) -> None:
        now = time.monotonic()
        if now >= self._due:
            self._due = now + self._tend()
        self._follow()
        self._settle_written()
        for one, why in self._epilogs.tend():
            self._one_shot(one, why)
        patience = min(self._clients.tend(), max(0.0, self._due - time.monotonic()))
        if self._epilogs:
            patience = min(patience, EPILOGS_S)
        for descriptor, _ in self._poll.poll(patience, AT_ONCE):
            if self._clients.ready(descriptor):
                continue
            if descriptor == wakeup:
                with tolerate(OSError):
                    os.read(wakeup, 64)
            elif self.kept.gpus is not None and descriptor == self.kept.gpus.descriptor:
                self.kept.gpus.take()
            else:
                self._judged(self._epilogs.ready(descriptor))
        self._clients.serve_some()

    def stop(self) -> None:
        """Write what is left for a moment, end the children, give up the journal; what is not written stays in it.

        What follows an epilog whose hook has taken its answer is nobody else's to do: it is waited for.
        """
        self.stopping = True
        limit = time.monotonic() + 2.0
        while self.writer.waiting and time.monotonic() < limit:
            self._settle_written()
            time.sleep(0.005)
        self._clients.end()
        self._epilogs.stop()
        limit = time.monotonic() + 2.0
        while self._epilogs.finishing() and time.monotonic() < limit:
            time.sleep(0.005)
        self.writer.stop()
        self.upkeep.stop()
        self.kept.stop()
        self.journal.close()

    def soon(self) -> None:
        """Look at once after what is read ahead."""
        self._due = 0.0

    def _tend(self) -> float:
        """Do what is due; return the seconds until something is again."""
        self._follow_policy()
        patience = self.kept.tend()
        self._ending = [one for one in self._ending if one.pid and not one.ended()]
        self._text_file.tend(self.policy.metrics.textfile, lambda: metrics_text(self))
        run = run_of(self.policy, self.node, self.run_dir, self.reading, None)
        patience = min(patience, self.upkeep.tend(run, self.kept))
        self._settle_earlier()
        if self.outdated:
            self.stopping = True  # systemd starts what is installed now; until then the hooks go their own way
        return min(patience, 1.0) if self._unsettled else patience

    def _settle_earlier(self) -> None:
        """Have written what an agent before this one answered, where no hook has written a report of its own."""
        now = time.monotonic()
        for at, entry in self._unsettled[:]:
            if now >= at:
                self._unsettled.remove((at, entry))
                if answered.on_record(self.policy.report.spool, entry.report):
                    self._done(entry.number)
                else:
                    self.writer.put(entry.number, jsonio.dumps(entry.report))

    def _follow(self) -> None:
        """Watch the children's descriptors, which change as they come and go."""
        gpus = self.kept.gpus
        wanted = {
            "gpus": (gpus.helper.socket if gpus else None, 1),
            "writer": (self.writer.helper.socket, 5 if self.writer.hungry else 1),
        }
        for name, (socket, events) in wanted.items():
            before, was = self._registered.get(name, (None, 0))
            if before is socket and was == events:
                continue
            if before is not None:  # one that was closed has no number: that may be a client's by now
                with tolerate((OSError, ValueError)):
                    self._poll.unregister(before.fileno())
                del self._registered[name]
            if socket is not None:
                with tolerate(FileExistsError):
                    self._poll.register(socket.fileno(), events)
                self._registered[name] = socket, events

    def _settle_written(self) -> None:
        busy = self._clients.busy and self.journal.pending < WRITE_FIRST and not self.stopping
        for number in self.writer.tend(hold=busy):
            self._done(number)

    def _done(self, number: int) -> None:
        with tolerate(OSError):
            self.journal.done(number)

    # --- answers --------------------------------------------------------------------------------------------

    def _serve(self, one: Connection, request: Request) -> None:
        if request.operation not in wire.HOOKS:
            try:
                from preflight.agent.questions import answer

                said = jsonio.dumps(answer(self, request))
            except Exception as error:  # a bug of ours ends no agent
                record_bug(error)
                said = jsonio.dumps({"error": f"{type(error).__name__}: {error}"})
            self._say(one, f"{said}\n".encode())
            return
        try:
            if request.operation == "epilog":
                self._begin_epilog(one, request)
                return
            text, number = self._passed(self._patient(one, request), one.pid)
        except OneShot as why:
            self._one_shot(one, str(why))
            self.outdated = self.outdated or why.outdated
            return
        except Exception as error:
            record_bug(error)
            self._one_shot(one, f"{type(error).__name__}")
            return
        self._pass(one, number, text)

    def _pass(self, one: Connection, number: int, text: str) -> None:
        """Let a client go on whose report is in the journal."""
        self._counts["pass"] += 1
        one.answered(number, text)
        try:
            sent = one.socket.send(wire.PASS)
        except OSError:
            sent = 0
        if sent != len(wire.PASS):
            self._clients.close(one)

    def _patient(self, one: Connection, request: Request) -> Request:
        """Return the request of a client that may have been told to wait."""
        if not one.waits:
            return request
        return request._replace(
            until=request.until + wire.longer_s(self.policy.agent.wait_ms, self.policy.hook.deadline_s)
        )

    def _run(self, request: Request, pid: int) -> tuple[Run, Daemon]:
        """Return the run that a hook asks for, under the policy in force, and the slurmd it is of; raises OneShot."""
        if self.journal.pending >= PENDING_MAX:
            raise OneShot("too many reports are not on record")
        if time.monotonic() >= request.until:
            raise OneShot("too late")
        self._follow_policy()
        environment, phase = request.environment, request.operation
        if environment.get("SLURMD_NODENAME") != self.node:
            raise OneShot("of another node")
        if environment.get("SLURM_SCRIPT_CONTEXT", f"{phase}_slurmd") != f"{phase}_slurmd":
            raise OneShot(f"slurm.conf names the {phase}'s client for another script")
        job, reading = job_of(request), self.reading
        if phase != "prolog":
            reading = reading_of(self.policy, self.node, self.run_dir, phase)
        conf = self.upkeep.slurm_conf = environment.get("SLURM_CONF", "")
        run = run_of(self.policy, self.node, self.run_dir, reading, job, conf, phase)
        return run, self._daemons.of(pid) if job is not None and job.gpus_text else Daemon()

    def _passed(self, request: Request, pid: int) -> tuple[str, int]:
        """Return the report of a prolog that passes, as JSON, and its number in the journal; raises OneShot."""
        run, daemon = self._run(request, pid)
        report = judged(request, run, self.kept, self._memo, daemon)
        report["duration_ms"] = round(record.spent_ms(run), 3)
        text = encoded(report, self._memo)
        number = self._in_journal(text)
        record.note_for_tasks(run, report)
        return text, number

    def _in_journal(self, text: str) -> int:
        try:
            return self.journal.add(text)
        except OSError as error:
            raise OneShot(f"journal: {error.strerror}") from None

    # --- epilogs --------------------------------------------------------------------------------------------

    def _begin_epilog(self, one: Connection, request: Request) -> None:
        """Have a child judge an epilog, whose client waits for that; raises OneShot."""
        told_to_wait(one)
        request = self._patient(one, request)
        run, daemon = self._run(request, one.pid)
        self._epilogs.begin(one, request, run, daemon, self.kept, self.journal.pending > 0)

    def _judged(self, said: tuple[Connection, bytes] | None) -> None:
        """Answer an epilog as its child has judged it."""
        if said is None:
            return
        one, words = said
        try:
            text = report_of(words)
            self._pass(one, self._in_journal(text), text)
        except OneShot as why:
            self._epilogs.settled(one, False)
            self._one_shot(one, str(why))

    def _one_shot(self, one: Connection, why: str) -> None:
        self._counts["one-shot"] += 1
        reason = why[:80]
        if reason in self.reasons or len(self.reasons) < WHY_MAX:
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
        with tolerate(OSError):
            one.socket.send(wire.OTHERWISE)
        self._clients.close(one)

    def _settle(self, one: Connection, taken: bool) -> None:
        self._epilogs.settled(one, taken)
        if not taken:  # that hook goes its own way, and writes its own report
            self._counts["not_taken"] += 1
            self._done(one.number)
            return
        with tolerate(OSError):
            self.journal.taken(one.number)
        self.writer.put(one.number, one.text)

    def _say(self, one: Connection, data: bytes) -> None:
        """Send an answer to a person, who waits for it; a client that does not read it costs a second at most."""
        with tolerate(OSError):
            one.socket.settimeout(1.0)
            one.socket.sendall(data)
        self._clients.close(one)

    def _follow_policy(self) -> None:
        policy = self._in_force.get()
        if policy is not self.policy and policy != self.policy:
            self._change(policy)

    def _change(self, policy: Policy) -> None:
        """Take another policy; reports that wait are written under it."""
        waiting = self.writer.unwritten()
        self.writer.stop()
        self._ending.append(self.writer.helper)
        self._use(policy)
        for number, text in waiting:
            self.writer.put(number, text)
        self.kept.tend()
        self.soon()


def record_bug(error: Exception) -> None:
    """Say in syslog where the agent broke; it goes on."""
    from preflight.hooks.main import report_bug

    report_bug("agent", error)
