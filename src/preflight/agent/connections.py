"""Who asks the agent: its socket, and each client from its first byte until its answer is taken or it is gone."""

from __future__ import annotations

import errno
import os
import time
from collections import deque

from preflight.agent import wire
from preflight.files import tolerate

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from _socket import socket as Socket
    from collections.abc import Callable
    from select import epoll

    from preflight.agent.wire import Request

BACKLOG = 4096
AT_ONCE = 64  # descriptors that are looked at between two answers
ACCEPTED = 1024  # connections that are accepted between two
TURN_S = 0.005  # for answers, between two looks at who else has come
IDLE_S = 5.0  # for a request to come whole, and for its answer to be taken
HURRY_S = 0.2  # the same where descriptors are scarce
PAUSE_S = 0.05  # without descriptors
SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)


class Connection:
    """One client: what has come of its request, and the report whose answer it is to take."""

    def __init__(self, connection: Socket, pid: int) -> None:
        self.socket, self.pid = connection, pid
        self.data = bytearray()
        self.until = time.monotonic() + IDLE_S
        self.waits = False  # it was told that it has to
        self.number = 0  # in the journal, once it was answered
        self.text = ""

    def answered(self, number: int, text: str) -> None:
        """Note which report the client is to take the answer of."""
        self.number, self.text, self.until = number, text, time.monotonic() + IDLE_S


class Connections:
    """All clients of one listening socket, watched by ``poll`` beside the agent's own descriptors.

    Whoever comes is heard first, and answered in turn: `serve_some` calls ``serve`` with requests that came whole.
    ``settle`` is called once for each answer that went out, with whether the client took it.
    """

    def __init__(
        self,
        listener: Socket,
        poll: epoll,
        serve: Callable[[Connection, Request], None],
        settle: Callable[[Connection, bool], None],
    ) -> None:
        self.listener = listener
        self.refused = self.malformed = 0
        self._poll, self._serve, self._settle = poll, serve, settle
        self._open: dict[int, Connection] = {}
        self._waiting: deque[tuple[Connection, Request]] = deque()
        self._paused_until = 0.0
        listener.setblocking(False)
        poll.register(listener.fileno(), 1)

    def __len__(self) -> int:
        return len(self._open)

    @property
    def busy(self) -> bool:
        """Return whether somebody waits for an answer."""
        return bool(self._waiting)

    def ready(self, descriptor: int) -> bool:
        """Go on with the client, or the listener, whose ``descriptor`` is ready; return whether it is one of them."""
        if descriptor == self.listener.fileno():
            self._accept()
        elif descriptor in self._open:
            self._hear(self._open[descriptor])
        else:
            return False
        return True

    def tend(self) -> float:
        """Hang up on those that are idle, accept again after a pause; return the seconds until that is due again."""
        now = time.monotonic()
        if self._paused_until and now >= self._paused_until:
            self._paused_until = 0.0
            self._poll.register(self.listener.fileno(), 1)
        self._close_idle(now)
        if self._waiting:
            return 0.0
        if self._paused_until:
            return PAUSE_S
        return 1.0 if self._open else IDLE_S

    def serve_some(self) -> None:
        """Answer those that have waited longest, until none waits or others are to be heard again."""
        limit = time.monotonic() + TURN_S
        while self._waiting:
            one, request = self._waiting.popleft()
            if one.socket.fileno() >= 0:
                self._serve(one, request)
                if time.monotonic() >= limit:
                    return

    def end(self) -> None:
        """Hang up on everybody and listen no more."""
        for one in list(self._open.values()):
            self.close(one)
        self.listener.close()

    def close(self, one: Connection) -> None:
        """Hang up; an answer that the client had taken by now counts as taken."""
        if one.number:
            self._settled(one, _has_taken(one.socket))
        if self._open.pop(one.socket.fileno(), None) is not None:
            with tolerate((OSError, ValueError)):
                self._poll.unregister(one.socket.fileno())
        one.socket.close()

    def _settled(self, one: Connection, taken: bool) -> None:
        self._settle(one, taken)
        one.number = 0

    def _accept(self) -> None:
        batch: list[Connection] = []
        for _ in range(ACCEPTED):
            try:
                descriptor, _ = self.listener._accept()  # type: ignore[attr-defined]
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in SCARCE:
                    self._pause()
                break
            one = self._welcome(descriptor)
            if one is not None:
                batch.append(one)
        for one in batch if self._waiting else batch[1:]:  # seen: they wait rather than start a hook of their own each
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
                self.refused += 1
                connection.close()
                return None
            one = Connection(connection, pid)
            self._poll.register(descriptor, 1)
        except OSError:
            connection.close()
            return None
        self._open[descriptor] = one
        return one

    def _pause(self) -> None:
        """Accept no more for a moment: there are no descriptors, and the queue would wake us without end."""
        if not self._paused_until:
            self._poll.unregister(self.listener.fileno())
            self._paused_until = time.monotonic() + PAUSE_S
            self._close_idle(time.monotonic() + IDLE_S - HURRY_S)

    def _close_idle(self, now: float) -> None:
        for one in [one for one in self._open.values() if now > one.until]:
            self.close(one)

    def _hear(self, one: Connection) -> None:
        try:
            data = one.socket.recv(wire.REQUEST_MAX)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if one.number:
            if data == wire.TAKEN:
                self._settled(one, True)
            self.close(one)
            return
        if not data:
            self.close(one)
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
            self.malformed += 1
            self.close(one)
            return
        self._waiting.append((one, request))


def _has_taken(connection: Socket) -> bool:
    """Return whether a client has taken its answer, unread so far; from now on it cannot, and knows that (EPIPE)."""
    import _socket

    with tolerate(OSError):
        connection.shutdown(_socket.SHUT_RD)
        return connection.recv(wire.REQUEST_MAX) == wire.TAKEN
    return False


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
