"""Runs a generated script in real bash, every program of it a stand-in that logs its words and the script's line.

Nothing else can be started: PATH holds the stand-ins, bash and cat alone, the environment is empty, the directory
temporary; processor time, the size of files and what a run starts are limited, and what it leaves behind is ended.
"""

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

STUBS = [
    "module",
    "ml",
    "srun",
    "mpirun",
    "apptainer",
    "python",
    "tee",
    "grep",
    "nvidia-smi",
    "hostname",
    "nohup",
    "sleep",
    "cp",
    "mkdir",
    "touch",
    "rm",
    "date",
    "enroot",
    "timeout",
]
PROGRAMS = [f"p{number}" for number in range(4)] + ["check_gpu", "run.sh"]
FLAGS = ("f1", "f2", "f3")
# Which line of the script is read when a program starts; shells within are of the line that starts them.
_TRACE = """if [ -z "$LN" ]; then
  ulimit -t 10 -f 8192; FUNCNEST=30
  export LN=0; trap 'export LN=$LINENO' DEBUG; set -T
fi
"""


class Started(NamedTuple):
    """A program that a run started: the script's ``line`` and its ``words``, the name without its directory first."""

    line: int
    words: tuple[str, ...]


class Run(NamedTuple):
    """One traced run: its exit ``status`` and what was started, in order."""

    status: int
    started: tuple[Started, ...]


class Referee:
    """Compiles the stand-in once; each run has a directory of its own below ``where``."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self.runs = 0
        self.stubs = where / "stubs"
        self.stubs.mkdir(parents=True)
        source = Path(__file__).with_name("stub.c")
        compiler = shutil.which("cc") or shutil.which("gcc") or "cc"
        subprocess.run([compiler, "-O1", "-Wall", "-Werror", "-o", str(where / "stub"), str(source)], check=True)
        for name in STUBS:
            (self.stubs / name).symlink_to(where / "stub")
        for name in ("bash", "cat"):
            (self.stubs / name).symlink_to(shutil.which(name) or f"/bin/{name}")
        (where / "trace").write_text(_TRACE)

    def accepts(self, text: str) -> bool:
        """Whether `bash -n` takes the script."""
        done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False)
        return done.returncode == 0 and not done.stderr

    def run(self, text: str, seed: int) -> Run:
        """Run the script; ``seed`` tells which files there are and what questions answer."""
        directory = self.where / "run"
        if not directory.exists():
            directory.mkdir()
            for name in PROGRAMS:
                (directory / name).symlink_to(self.where / "stub")
        for name in set(os.listdir(directory)) - set(PROGRAMS):
            (directory / name).unlink()
        for at, name in enumerate(FLAGS):
            if seed >> at & 1:
                (directory / name).touch()
        self.runs += 1  # a log of its own: what ran in the background may write to that of the run before
        log = self.where / f"log{self.runs}"
        (self.where / "script").write_text(text)
        environment = {
            "PATH": str(self.stubs), "LOGFILE": str(log), "SEED": str(seed), "BASH_ENV": str(self.where / "trace"),
            "HOME": str(directory), "DEVICE": "gpu" if seed >> 3 & 1 else "cpu",
        }  # fmt: skip
        process = subprocess.Popen(
            [str(self.stubs / "bash"), str(self.where / "script")],
            env=environment, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            status = process.wait(60)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what it left in the background
            process.wait()
        raw = log.read_text() if log.exists() else ""
        log.unlink(missing_ok=True)
        records = [record.split("\x1f") for record in raw.split("\x1e") if record]
        return Run(status, tuple(Started(int(one[0]), tuple(one[1:])) for one in records))
