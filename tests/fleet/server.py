"""A private PostgreSQL: a directory and a socket of its own, ended by the pid it told."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import TracebackType

import psycopg

OPTIONS = "-c listen_addresses= -c shared_buffers=64MB -c max_connections=120"


def programs() -> Path | None:
    """Return the directory of the newest server's programs, None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


class Postgres:
    """A server of the block's; ``url`` names its database. PostgreSQL refuses root, so it runs as its own user."""

    def __init__(self) -> None:
        bin_ = programs()
        assert bin_ is not None
        self._bin = bin_
        self._top = Path(tempfile.mkdtemp(prefix="preflight-pg-"))
        self._server: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self.url = f"postgresql://postgres@/postgres?host={self._top}"

    def __enter__(self) -> Postgres:
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self._top, account.pw_uid, account.pw_gid)
        self._run(self._bin / "initdb", "-D", self._top / "data", "-U", "postgres", "-A", "trust", "-N")
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self._top)

    @contextmanager
    def database(self) -> Iterator[str]:
        """Yield the URL of an empty database, dropped at the end."""
        name = f"fleet{next(self._numbers)}"
        self._admin(f"CREATE DATABASE {name}")
        try:
            yield self.url.replace("/postgres?", f"/{name}?")
        finally:
            self._admin(f"DROP DATABASE {name} WITH (FORCE)")

    def _admin(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [*self._user(), str(self._bin / "postgres"), "-D", str(self._top / "data"), "-k", str(self._top)]
        with open(self._top / "log", "ab") as log:
            self._server = subprocess.Popen([*command, *OPTIONS.split()], stdout=log, stderr=log)
        for _ in range(600):
            if subprocess.run([self._bin / "pg_isready", "-q", "-h", str(self._top)], check=False).returncode == 0:
                return
            assert self._server.poll() is None, (self._top / "log").read_text()
            time.sleep(0.05)
        raise AssertionError("PostgreSQL does not answer")

    def kill(self) -> None:
        """End it at once, as a power cut would; SIGQUIT, since SIGKILL would leave its children."""
        if self._server is not None:
            self._server.send_signal(3)
            self._server.wait()
            self._server = None

    def _run(self, *command: object) -> None:
        subprocess.run([*self._user(), *map(str, command)], check=True, capture_output=True, cwd=self._top)

    def _user(self) -> list[str]:
        # setpriv replaces itself, so that the pid is the server's.
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
