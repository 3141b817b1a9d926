"""Running one program that may hang: its output as far as it came, never waited for past a limit."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from typing import IO, NamedTuple

LIMIT = 1 << 16


class Ended(NamedTuple):
    """``status``: exit status, negative for a signal, None where it had to be left. ``ms``: how long it took."""

    status: int | None
    output: str
    errors: str
    ms: float
    problem: str = ""

    @property
    def well(self) -> bool:
        """Return whether it ended with 0."""
        return self.status == 0

    def why(self) -> str:
        """Return one line for how it ended otherwise: its last line of stderr, if it had one."""
        if self.problem or self.status is None:
            return self.problem or f"not ended after {self.ms / 1000:.1f} s"
        said = self.errors.strip().splitlines()
        last = f": {said[-1]}" if said else ""
        if self.status < 0:
            return f"signal {-self.status}{last}"
        return f"exit status {self.status}{last}"


def run(argv: list[str], environment: Mapping[str, str], limit_s: float, user: int | None = None) -> Ended:
    """Run ``argv`` with exactly ``environment``, from /, as uid and gid ``user`` where that is given; never raises.

    Output goes to files, so that nothing it leaves behind can hold us.
    """
    began = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        try:
            child = subprocess.Popen(
                argv,
                env=dict(environment),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=[] if user is not None else None,
            )
        except (OSError, subprocess.SubprocessError) as error:
            return Ended(None, "", "", 0.0, f"{argv[0]}: {getattr(error, 'strerror', None) or error}")
        try:
            status: int | None = child.wait(limit_s)
        except subprocess.TimeoutExpired:
            status = None
            os.killpg(child.pid, signal.SIGKILL)
        ms = (time.monotonic() - began) * 1000
        return Ended(status, _text(out), _text(errors), ms)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(LIMIT).decode(errors="replace")
