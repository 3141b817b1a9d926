"""The GPUs of one scenario after another, as Preflight's own probe reads them.

`python -m gres.facts LIBRARY` reads lines of two paths, scenario and root directory, and answers each with a line of
JSON, the devices list of subject gpus. A process of its own: a library that is loaded stays loaded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


class Facts:
    """The probe's process; a context."""

    def __init__(self, library: Path) -> None:
        self._library = library

    def __enter__(self) -> Facts:
        command = [sys.executable, "-m", "gres.facts", str(self._library)]
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=20)

    def gpus(self, scenario: Path, root: Path) -> list[dict[str, Any]]:
        """Return the devices list; ``root`` is where /proc/driver is read."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{scenario} {root}\n")
        self._process.stdin.flush()
        found: list[dict[str, Any]] = json.loads(self._process.stdout.readline())
        return found


class _Kept:
    """The probe's channel, kept in memory."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def tell(self, message: dict[str, Any]) -> None:
        self.messages.append(message)

    def doing(self, what: str) -> None:
        pass


def main() -> None:
    """Answer each line of stdin."""
    from preflight.facts import gpu, gpus
    from preflight.facts.isolate import Outcome
    from preflight.facts.nvml_result import NvmlResult
    from preflight.facts.rootfs import Root
    from preflight.facts.source import Source

    for line in sys.stdin:
        scenario, root = line.split()
        os.environ["NVML_SIM_SCENARIO"] = scenario
        channel: Any = _Kept()
        gpu.probe(channel, True, Root(root, True, Source(root, nvml_library=sys.argv[1])))
        answer = gpus.merged(NvmlResult(Outcome(channel.messages, True)))
        print(json.dumps(answer.values["devices"]), flush=True)


if __name__ == "__main__":
    main()
