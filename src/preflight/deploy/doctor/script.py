"""What an installed hook script calls: the paths that `preflight install` wrote into it."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from preflight.files import read_plain

LINE = re.compile(
    r"^(?P<python>/\S+) -I -S (?P<main>/\S+) hook (?P<phase>\w+)"
    r"(?: --config (?P<config>/\S+))? --run-dir (?P<run_dir>/\S+)",
    re.MULTILINE,
)
MAX_BYTES = 1 << 16


class Script(NamedTuple):
    """One hook's script. ``config`` is "" in the task prolog's, which reads no policy."""

    path: str
    python: str
    main: str
    phase: str
    config: str
    run_dir: str

    @property
    def lib(self) -> str:
        """Return the directory of the package and its libraries."""
        return os.path.dirname(os.path.dirname(self.main))

    def argv(self, config: str, run_dir: str) -> list[str]:
        """Return the command that the script runs, with another policy and runtime directory."""
        known = ["--config", config] if self.config else []
        return [self.python, "-I", "-S", self.main, "hook", self.phase, *known, "--run-dir", run_dir]


def read_script(path: str) -> Script | None:
    """Return what the script calls, None for one that is not ours (or no more). Raises OSError."""
    found = LINE.search(read_plain(path, MAX_BYTES).decode(errors="replace"))
    if not found:
        return None
    return Script(path, found["python"], found["main"], found["phase"], found["config"] or "", found["run_dir"])
