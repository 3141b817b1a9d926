"""slurmrestd of the lab's release, on a unix socket; requests to it, as the user that it runs as (rest_auth/local).

It runs neither SPANK plugins nor cli_filter: what it submits is a job whose requirement is in its comment, or nowhere.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from lab.daemons import Daemon, LabError
from lab.lab import Lab
from lab.release import Release
from lab.users import account

PROGRAM = "slurmrestd"
# By Slurm's release: the newest version of its interface that the plugins of Debian's package know.
INTERFACES = {(22, 5): "v0.0.38", (24, 11): "v0.0.42", (26, 5): "v0.0.45"}
_CLIENT = """
import http.client, socket, sys
class Local(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(sys.argv[1])
connection = Local("localhost")
body = sys.stdin.read() or None
connection.request(sys.argv[2], sys.argv[3], body, {"Content-Type": "application/json"})
sys.stdout.write(connection.getresponse().read().decode("utf-8", "replace"))
"""


def unavailable(release: Release) -> str | None:
    """Return why no slurmrestd can be run, or None."""
    return None if release.find(PROGRAM) else f"this Slurm has no {PROGRAM} (Debian: apt-get install {PROGRAM})"


class Rest:
    """A running slurmrestd, as a context manager. ``user`` is who it runs as, who asks it and whose jobs they are."""

    def __init__(self, lab: Lab, user: str = "pfalice") -> None:
        self.lab, self.user = lab, user
        self.socket = os.path.join(lab.work, "slurmrestd.socket")
        version = lab.release.version()[:2]
        if version not in INTERFACES:
            raise LabError(f"lab/rest.py does not know which interface slurmrestd {version} has")
        self.interface = INTERFACES[version]
        # Without -s it loads slurmdbd's interface as well, and ends where there is no slurmdbd.
        plugin = f"openapi/{self.interface}" if version < (23, 2) else "openapi/slurmctld"
        args = ["-f", lab.slurm_conf, "-a", "rest_auth/local", "-s", plugin, f"unix:{self.socket}"]
        self._daemon = Daemon(lab.directory, PROGRAM, lab.release, PROGRAM, args, account(user))

    def __enter__(self) -> Rest:
        self._daemon.start()
        self.lab.daemons.append(self._daemon)
        try:
            self.lab.wait_until(lambda: os.path.exists(self.socket), 30, "slurmrestd's socket")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it and remove its socket."""
        self.lab.daemons.remove(self._daemon)
        self._daemon.stop()
        if os.path.exists(self.socket):
            os.unlink(self.socket)

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        """Send one request, ``path`` below the interface ("ping"); raises LabError where the answer has errors."""
        words = ["-c", _CLIENT, self.socket, method, f"/slurm/{self.interface}/{path}"]
        text = json.dumps(body) if body is not None else ""
        said = self.lab.check_run([self.lab.release.interpreter(), *words], self.user, stdin=text)
        try:
            answer: dict[str, Any] = json.loads(said)
        except ValueError:
            raise LabError(f"slurmrestd answered {method} {path} with {said[:200]!r}") from None
        if answer.get("errors"):
            raise LabError(f"slurmrestd answered {method} {path} with {answer['errors']}")
        return answer

    def submit(self, script: str, **options: object) -> str:
        """Submit a batch script with options of the interface's own names (comment, current_working_directory …)."""
        variables = {"PATH": "/usr/bin:/bin"}
        # A list of NAME=value since v0.0.39.
        listed = [f"{name}={value}" for name, value in variables.items()]
        job = {
            "name": "by-rest",
            "current_working_directory": self.lab.work,
            "environment": variables if self.interface == "v0.0.38" else listed,
            **options,
        }
        return str(self.ask("POST", "job/submit", {"script": script, "job": job})["job_id"])
