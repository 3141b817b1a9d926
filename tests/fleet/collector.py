"""A collector as a process of its own, and nodes that ship to it."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import urllib3

from preflight.fleet.ship.send import ShipError, Shipper
from preflight.report import queue


def free_port() -> int:
    """Return a port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Collector:
    """`preflight serve` on a store; ``url`` is where it listens."""

    def __init__(self, store_url: str, port: int = 0) -> None:
        self.store_url = store_url
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Collector":
        """Start it and wait until it answers."""
        command = [
            sys.executable,
            "-m",
            "preflight",
            "serve",
            "--store",
            self.store_url,
            "--listen",
            f"127.0.0.1:{self.port}",
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while True:
            try:
                urllib3.request("GET", f"{self.url}/healthz", retries=False, timeout=2.0)
            except urllib3.exceptions.HTTPError:
                if self._process.poll() is not None:
                    assert self._process.stderr is not None
                    raise AssertionError(self._process.stderr.read().decode()) from None
                time.sleep(0.05)
            else:
                return self

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stderr is not None
            self._process.stderr.close()
            self._process = None

    def memory(self) -> int:
        """Return the most memory that it has held, in bytes."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024


class Node:
    """A node's spool with reports in its queue."""

    def __init__(self, directory: Path, token: str) -> None:
        self.spool = str(directory)
        self.token = token

    def record(self, raw: bytes) -> None:
        """Write a report into the spool and queue it, as a hook does."""
        os.makedirs(f"{self.spool}/reports/1", mode=0o700, exist_ok=True)
        path = f"{self.spool}/reports/1/{time.monotonic_ns()}.json"
        Path(path).write_bytes(raw)
        queue.enqueue(self.spool, path)
        os.unlink(path)  # pruned meanwhile: the queue alone holds it

    def ship(self, url: str) -> None:
        """Send what waits until nothing does, however often the collector goes away."""
        while queue.waiting(self.spool):
            try:
                Shipper(url, self.token).drain(self.spool)
            except ShipError:
                time.sleep(0.05)
