"""Connections that only are there keep nobody out; and what `preflight serve` refuses to start with."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
import uvicorn
from click.testing import CliRunner
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from fleet.collector import Collector, free_port
from preflight.cli.serve import serve
from preflight.fleet.web import connections
from preflight.fleet.web.connections import Patient


def closed(connection: socket.socket) -> bool:
    """Return whether the other side has ended a connection; waits for nothing."""
    connection.setblocking(False)
    try:
        return connection.recv(4096) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_a_thousand_idle_connections_keep_nobody_out(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip("too few descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, hard))
    collector = Collector(f"sqlite:///{tmp_path}/fleet.db").start()
    held: list[socket.socket] = []
    try:
        for _ in range(1100):
            held.append(socket.create_connection(("127.0.0.1", collector.port)))
        fresh = urllib3.PoolManager()  # the one that saw it start has a connection, the oldest of all
        assert fresh.request("GET", f"{collector.url}/healthz", retries=False, timeout=60.0).status == 200
        while sum(map(closed, held)) < 1100 - connections.MOST_IDLE:
            time.sleep(0.05)
        assert not closed(held[-1])  # the youngest may still ask
        held[-1].setblocking(True)
        held[-1].sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert held[-1].recv(12) == b"HTTP/1.1 200"
    finally:
        for one in held:
            one.close()
        collector.kill()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


LARGE = b"x" * (16 << 20)


async def _slow(request: Request) -> Response:
    return PlainTextResponse(await request.body())


async def _large(request: Request) -> Response:
    return PlainTextResponse(LARGE)


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[uvicorn.Server]:
    """A server; a test sets how patient it is."""
    app = Starlette(routes=[Route("/", _slow, methods=["GET", "POST"]), Route("/large", _large)])
    config = uvicorn.Config(app, port=free_port(), http=Patient, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server
    server.should_exit = True
    thread.join()


@pytest.fixture
def port(running: uvicorn.Server, monkeypatch: pytest.MonkeyPatch) -> int:
    """Where a server listens whose patience with requests is short."""
    monkeypatch.setattr(connections, "FIRST_S", 0.3)
    monkeypatch.setattr(connections, "BODY_S", 0.3)
    return running.config.port


def connected(server: uvicorn.Server, buffer: int = 0) -> socket.socket:
    """Return a connection to a server; ``buffer``: bytes that the kernel keeps of what nobody reads."""
    made = socket.socket()
    if buffer:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    made.settimeout(60)
    made.connect(("127.0.0.1", server.config.port))
    return made


def all_ended(server: uvicorn.Server) -> bool:
    """Wait until a server has no connection, and return whether it came to that within a minute."""
    until = time.monotonic() + 60
    while server.server_state.connections and time.monotonic() < until:
        time.sleep(0.01)
    return not server.server_state.connections


@pytest.mark.parametrize(
    "begin",
    [b"", b"GET / HT", b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc"],
    ids=["none", "head", "body"],
)
def test_who_does_not_come_to_an_end_is_not_waited_for(port: int, begin: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(begin)
        connection.settimeout(60)
        assert connection.recv(4096) == b""


def test_who_asks_again_and_again_is_answered(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(60)
        for _ in range(8):
            connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc")
            answer = b""
            while not answer.endswith(b"abc"):
                part = connection.recv(4096)
                assert part
                answer += part
            time.sleep(0.1)


GET = b"GET %s HTTP/1.1\r\nhost: x\r\n\r\n"
LAST = b"GET %s HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "asked",
    [GET % b"/large", GET % b"/large" + GET % b"/", LAST % b"/large"],
    ids=["one", "and another", "to be closed then"],
)
def test_an_answer_that_nobody_takes_holds_no_connection(
    running: uvicorn.Server, monkeypatch: pytest.MonkeyPatch, asked: bytes
) -> None:
    monkeypatch.setattr(connections, "TAKEN_S", 0.3)
    with connected(running, 4096) as connection:
        connection.sendall(asked)
        while not running.server_state.total_requests and not running.server_state.connections:
            time.sleep(0.01)
        assert all_ended(running)


def test_an_answer_that_is_taken_slowly_comes_whole(running: uvicorn.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "TAKEN_S", 1.0)
    looked = threading.Semaphore(0)
    look = Patient._is_taken

    def counted(self: Patient, before: int) -> None:
        look(self, before)
        looked.release()

    monkeypatch.setattr(Patient, "_is_taken", counted)
    got = 0
    with connected(running, 4096) as connection:
        connection.sendall(LAST % b"/large")
        for _ in range(2):  # something of it before each look
            for _ in range(64):
                got += len(connection.recv(64 << 10))
            assert looked.acquire(timeout=60)
        while part := connection.recv(1 << 20):
            got += len(part)
    assert got > len(LARGE)


def ended_by(connection: socket.socket, begin: bytes, more: bytes) -> bool:
    """Send ``begin``, then ``more`` up to 64 MiB; return whether the other side ended the connection before."""
    try:
        connection.sendall(begin)
        for _ in range((64 << 20) // len(more)):
            connection.sendall(more)
    except ConnectionError:
        return True
    return False


LINES = b"".join(b"x-%d: y\r\n" % number for number in range(5000))


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"GET / HTTP/1.1\r\n", LINES),
        (b"GET / HTTP/1.1\r\nx: ", b"y" * 65536),
        (b"GET /", b"y" * 65536),
        (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", LINES),
        (b"", (GET % b"/") * 2000),
    ],
    ids=["lines", "a line", "an address", "lines after the body", "requests sent ahead"],
)
def test_what_has_no_end_is_not_kept(running: uvicorn.Server, begin: bytes, more: bytes) -> None:
    with connected(running) as connection:
        assert ended_by(connection, begin, more)
        assert all_ended(running)


def test_a_few_requests_sent_ahead_and_a_long_head_are_answered(running: uvicorn.Server) -> None:
    head = GET[:-2] % b"/" + b"cookie: " + b"x" * 16_000 + b"\r\n\r\n"
    body = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n"
    with connected(running) as connection:
        connection.sendall(head * 8)
        connection.sendall(body)
        connection.sendall(LAST % b"/")
        got = b""
        while part := connection.recv(1 << 20):
            got += part
    assert got.count(b"HTTP/1.1 200") == 10
    assert b"x" * 100_000 in got


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--webhook", "https://x"), "--webhook and --webhook-secret belong together"),
        (("--webhook", "ftp://x", "--webhook-secret", "S"), "--webhook: no address"),
        (("--webhook", "https://x", "--webhook-secret", "missing"), "missing: No such file"),
        (("--webhook", "https://x", "--webhook-secret", "short"), "fewer than 16 characters"),
        (("--webhook", "https://x", "--webhook-secret", "open"), "others may read it"),
        (("--otlp", "localhost:4318"), "--otlp: no address"),
        (("--public-url", "preflight.example.org"), "--public-url: no address"),
        (("--frame-from", "https://x/page"), "--frame-from: no origin"),
        (("--frame-from", "*"), "--frame-from: no origin"),
        (("--frame-from", "https://x; script-src *"), "--frame-from: no origin"),
    ],
)
def test_what_cannot_be_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text, mode in (("short", "x", 0o600), ("open", "x" * 32, 0o644), ("S", "x" * 32, 0o600)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(mode)
    said = CliRunner().invoke(serve, [*words, "--no-slurm", "--store", f"sqlite:///{tmp_path}/fleet.db"])
    assert said.exit_code in (1, 2)
    assert why in said.output
    assert len(said.output.strip().splitlines()) == 1
