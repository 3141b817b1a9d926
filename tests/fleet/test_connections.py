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


async def _slow(request: Request) -> Response:
    return PlainTextResponse(await request.body())


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server whose patience is short."""
    monkeypatch.setattr(connections, "FIRST_S", 0.3)
    monkeypatch.setattr(connections, "BODY_S", 0.3)
    at = free_port()
    app = Starlette(routes=[Route("/", _slow, methods=["GET", "POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=at, http=Patient, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield at
    server.should_exit = True
    thread.join()


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
