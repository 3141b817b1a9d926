"""The agent's loop: its socket, its children, its journal. One thread, and nothing in it waits.

A prolog's request becomes a report, which is in the journal before the answer goes out. It goes to the writer once the
hook has taken the answer; a hook that did not has gone its own way, and writes its own.
"""

from __future__ import annotations

import errno
import os
import time

from preflight import __version__, jsonio
from preflight.agent import wire
from preflight.agent.answer import Daemons, OneShot, job_of, judged, policy_of, run_of, usual_subjects
from preflight.agent.child import Helper
from preflight.agent.journal import Journal
from preflight.agent.kept import Kept
from preflight.agent.memo import Memo
from preflight.agent.wire import Request
from preflight.agent.writer import Writer
from preflight.files import tolerate
from preflight.hooks import answered, record
from preflight.hooks.reading import reading_of
from preflight.hooks.run import Run
from preflight.hooks.rundir import make_run_dir
from preflight.policy.model import Policy
from preflight.report.model import Report
from preflight.slurm.gres.cache import Daemon

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from _socket import socket as Socket
    from typing import Any

BACKLOG = 4096
AT_ONCE = 64  # connections that are accepted between two looks at the rest
IDLE_S = 5.0  # for a request to come whole, and for its answer to be taken
PENDING_MAX = 2500  # reports that are not on record; past that the one-shot hook is slower, and a bound
WARM_S = 2.0
PAUSE_S = 0.05  # without descriptors
SETTLE_S = answered.SETTLE_S
WHY_MAX = 32  # reasons that are counted apart


class Connection:
    """One client: what has come of its request, and the report whose answer it is to take."""

    def __init__(self, connection: Socket, pid: int) -> None:
        self.socket, self.pid = connection, pid
        self.data = bytearray()
        self.until = time.monotonic() + IDLE_S
        self.waits = False  # it was told that it has to
        self.number = 0  # in the journal, once it was answered
        self.text = ""


class Agent:
    """The agent of one node; ``listener``: a socket that an earlier agent listened on, None to make one."""

    def __init__(self, config: str, run_dir: str, node: str, listener: Socket | None = None) -> None:
        from select import epoll

        self.config, self.run_dir, self.node = config, run_dir, node
        self.began = time.time()
        make_run_dir(run_dir)
        wire.private_directory(run_dir)
        self.journal = Journal(run_dir, node)
        self._ending: list[Helper] = []  # writers under earlier policies, until they are gone
        self.policy = policy_of(config, node, run_dir)
        self._use(self.policy)
        self._poll = epoll()
        self._listener = listener or listen(run_dir, node)
        self._listener.setblocking(False)
        self._poll.register(self._listener.fileno(), 1)
        self._connections: dict[int, Connection] = {}
        self._registered: dict[str, tuple[Socket, int]] = {}
        self._paused_until = 0.0
        self._daemons = Daemons()
        self._unsettled = [(time.monotonic() + SETTLE_S, one) for one in self.journal.left if not one.taken]
        for one in self.journal.left:
            if one.taken:
                self.writer.put(one.number, jsonio.dumps(one.report))
        self.counts = {"pass": 0, "one-shot": 0, "not_taken": 0, "refused": 0, "malformed": 0}
        self.reasons: dict[str, int] = {}
        self.stopping = self.outdated = False

    def _use(self, policy: Policy) -> None:
        """Take a policy: where facts are read and reports go may be another."""
        reading = reading_of(policy, self.node, self.run_dir, "prolog")
        self.policy, self._reading, self._memo = policy, reading, Memo()
        before: Kept | None = getattr(self, "kept", None)
        if before is None or before.source != reading.source:
            self.kept = Kept(reading.source, before)
        self.kept.want(usual_subjects(policy, self.node), forever=True)
        self.writer = Writer(run_of(policy, self.node, self.run_dir, reading, None))

    @property
    def listener_descriptor(self) -> int:
        """Return the listening socket's descriptor, for whom keeps it while the agent is restarted."""
        return self._listener.fileno()

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
        due = 0.0
        while not self.stopping:
            now = time.monotonic()
            if now >= due:
                due = now + self._tend()
            self._follow()
            self._settle_written()
            self._close_idle()
            patience = max(0.0, due - time.monotonic())
            if self._connections:
                patience = min(patience, 1.0)
            for descriptor, _ in self._poll.poll(patience, AT_ONCE):
                if descriptor == self._listener.fileno():
                    self._accept()
                elif descriptor == wakeup:
                    with tolerate(OSError):
                        os.read(wakeup, 64)
                elif descriptor in self._connections:
                    self._hear(self._connections[descriptor])
                elif self.kept.gpus is not None and descriptor == self.kept.gpus.descriptor:
                    self.kept.gpus.take()

    def stop(self) -> None:
        """Write what is left for a moment, end the children, give up the journal; what is not written stays in it."""
        self.stopping = True
        limit = time.monotonic() + 2.0
        while self.writer.waiting and time.monotonic() < limit:
            self._settle_written()
            time.sleep(0.005)
        for connection in list(self._connections.values()):
            self._close(connection)
        self.writer.stop()
        self.kept.stop()
        self.journal.close()
        self._listener.close()

    def _tend(self) -> float:
        """Do what is due; return the seconds until something is again."""
        patience = self.kept.tend()
        self._ending = [one for one in self._ending if one.pid and not one.ended()]
        now = time.monotonic()
        if self._paused_until and now >= self._paused_until:
            self._paused_until = 0.0
            self._poll.register(self._listener.fileno(), 1)
        for at, entry in self._unsettled[:]:
            if now >= at:
                self._unsettled.remove((at, entry))
                if answered.on_record(self.policy.report.spool, entry.report):
                    self._done(entry.number)
                else:
                    self.writer.put(entry.number, jsonio.dumps(entry.report))
        if self.outdated:
            self.stopping = True  # systemd starts what is installed now; until then the hooks go their own way
        if self._unsettled or self._paused_until:
            patience = min(patience, PAUSE_S if self._paused_until else 1.0)
        return patience

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
        for number in self.writer.tend():
            self._done(number)

    def _done(self, number: int) -> None:
        with tolerate(OSError):
            self.journal.done(number)

    # --- connections ----------------------------------------------------------------------------------------

    def _accept(self) -> None:
        batch: list[Connection] = []
        for _ in range(AT_ONCE):
            try:
                descriptor, _ = self._listener._accept()  # type: ignore[attr-defined]
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
                    self._pause()
                break
            one = self._welcome(descriptor)
            if one is not None:
                batch.append(one)
        for one in batch[1:]:  # they are seen, and wait for it rather than start a hook of their own each
            with tolerate(OSError):
                one.waits = one.socket.send(wire.WAIT) == len(wire.WAIT)
        for one in batch:
            self._hear(one)

    def _welcome(self, descriptor: int) -> Connection | None:
        import _socket

        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, descriptor)
        try:
            connection.setblocking(False)
            pid, uid = wire.peer(connection)
            if uid != 0 or pid == 0:  # root of another user namespace is somebody else in this one
                self.counts["refused"] += 1
                connection.close()
                return None
            one = Connection(connection, pid)
            self._poll.register(descriptor, 1)
        except OSError:
            connection.close()
            return None
        self._connections[descriptor] = one
        return one

    def _pause(self) -> None:
        """Accept no more for a moment: there are no descriptors, and the queue would wake us without end."""
        if not self._paused_until:
            self._poll.unregister(self._listener.fileno())
            self._paused_until = time.monotonic() + PAUSE_S
            self._close_idle(0.2)

    def _close_idle(self, least_s: float = 0.0) -> None:
        now = time.monotonic()
        for one in [
            one for one in self._connections.values() if now > one.until - (IDLE_S - least_s if least_s else 0)
        ]:
            self._close(one)

    def _hear(self, one: Connection) -> None:
        try:
            data = one.socket.recv(wire.REQUEST_MAX)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if one.number:
            if data == wire.TAKEN:
                self._taken(one)
            self._close(one)
            return
        if not data:
            self._close(one)
            return
        one.data += data
        try:
            length = wire.length_of(one.data)
            if length is None or len(one.data) < wire.HEADER + length:
                return
            if len(one.data) > wire.HEADER + length:
                raise ValueError("more than one request")
            request = wire.parse(bytes(one.data[wire.HEADER :]))
        except ValueError:
            self.counts["malformed"] += 1
            self._close(one)
            return
        self._serve(one, request)

    def _close(self, one: Connection) -> None:
        if one.number and _has_taken(one.socket):
            self._taken(one)
        if one.number:  # the hook has not taken the answer: it goes its own way
            self.counts["not_taken"] += 1
            self._done(one.number)
            one.number = 0
        if self._connections.pop(one.socket.fileno(), None) is not None:
            with tolerate((OSError, ValueError)):
                self._poll.unregister(one.socket.fileno())
        one.socket.close()

    # --- answers --------------------------------------------------------------------------------------------

    def _serve(self, one: Connection, request: Request) -> None:
        if request.operation != "prolog":
            from preflight.agent.questions import answer

            try:
                said = jsonio.dumps(answer(self, request))
            except Exception as error:  # a bug of ours ends no agent
                record_bug(error)
                said = jsonio.dumps({"error": f"{type(error).__name__}: {error}"})
            self._say(one, f"{said}\n".encode())
            return
        try:
            if one.waits:
                longer_s = (wire.LONGER - 1) * self.policy.agent.wait_ms / 1000
                request = request._replace(until=request.until + longer_s)
            text, number = self._passed(request, one.pid)
        except OneShot as why:
            self._one_shot(one, str(why))
            self.outdated = self.outdated or why.outdated
            return
        except Exception as error:
            record_bug(error)
            self._one_shot(one, f"{type(error).__name__}")
            return
        one.number, one.text, one.until = number, text, time.monotonic() + IDLE_S
        try:
            sent = one.socket.send(wire.PASS)
        except OSError:
            sent = 0
        if sent != len(wire.PASS):
            self._close(one)

    def _passed(self, request: Request, pid: int) -> tuple[str, int]:
        """Return the report of a request that passes, as JSON, and its number in the journal; raises OneShot."""
        if self.journal.pending >= PENDING_MAX:
            raise OneShot("too many reports are not on record")
        if time.monotonic() >= request.until:
            raise OneShot("too late")
        policy = policy_of(self.config, self.node, self.run_dir)
        if policy != self.policy:
            self._change(policy)
        policy = self.policy
        environment = request.environment
        if environment.get("SLURMD_NODENAME") != self.node:
            raise OneShot("of another node")
        job = job_of(request)
        run = run_of(policy, self.node, self.run_dir, self._reading, job, environment.get("SLURM_CONF", ""))
        daemon = self._daemons.of(pid) if job is not None and job.gpus_text else Daemon()
        report = judged(request, policy, run, self.kept, self._memo, daemon)
        report["duration_ms"] = round(record.spent_ms(run), 3)
        text = encoded(report)
        try:
            number = self.journal.add(text)
        except OSError as error:
            raise OneShot(f"journal: {error.strerror}") from None
        record.note_for_tasks(run, report)
        self.counts["pass"] += 1
        return text, number

    def _one_shot(self, one: Connection, why: str) -> None:
        self.counts["one-shot"] += 1
        reason = why[:80]
        if reason in self.reasons or len(self.reasons) < WHY_MAX:
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
        with tolerate(OSError):
            one.socket.send(wire.OTHERWISE)
        self._close(one)

    def _taken(self, one: Connection) -> None:
        with tolerate(OSError):
            self.journal.taken(one.number)
        self.writer.put(one.number, one.text)
        one.number = 0

    def _say(self, one: Connection, data: bytes) -> None:
        """Send an answer to a person, who waits for it; a client that does not read it costs a second at most."""
        with tolerate(OSError):
            one.socket.settimeout(1.0)
            one.socket.sendall(data)
        self._close(one)

    def _change(self, policy: Policy) -> None:
        """Take another policy; reports that wait are written under it."""
        waiting = self.writer.unwritten()
        self.writer.stop()
        self._ending.append(self.writer.helper)
        self._use(policy)
        for number, text in waiting:
            self.writer.put(number, text)
        self.kept.tend()


def _has_taken(connection: Socket) -> bool:
    """Return whether a client has taken its answer, unread so far; from now on it cannot, and knows that (EPIPE)."""
    import _socket

    with tolerate(OSError):
        connection.shutdown(_socket.SHUT_RD)
        return connection.recv(wire.REQUEST_MAX) == wire.TAKEN
    return False


def encoded(report: Report) -> str:
    """Return a report as JSON on one line; raises OneShot for one that is larger than a record may be."""
    from preflight.report.store import MAX_BYTES

    text = jsonio.dumps(report)
    if len(text) > MAX_BYTES:
        raise OneShot("the report is too large")
    return text


def listen(run_dir: str, node: str) -> Socket:
    """Return a listening socket, 0600, where the hooks look for it; an earlier one is replaced at once."""
    import _socket

    directory = wire.private_directory(run_dir)
    path = wire.socket_path(run_dir, node)
    temporary = f"{directory}/.{os.getpid()}"
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
    before = os.umask(0o177)
    try:
        with tolerate(FileNotFoundError):
            os.unlink(temporary)
        listener.bind(temporary)
        listener.listen(BACKLOG)
        os.rename(temporary, path)
        with tolerate(FileNotFoundError):
            os.unlink(wire.alias_path(run_dir))
        os.symlink(f"agent/{os.path.basename(path)}", wire.alias_path(run_dir))
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener


def record_bug(error: Exception) -> None:
    """Say in syslog where the agent broke; it goes on."""
    from preflight.hooks.main import report_bug

    report_bug("agent", error)


def software() -> dict[str, Any]:
    """Return what the agent is."""
    return {"preflight": __version__, "pid": os.getpid()}


def current_run(agent: Agent) -> Run:
    """Return a run of no job, for questions about the node."""
    return run_of(agent.policy, agent.node, agent.run_dir, agent._reading, None)
