"""What a user can write: the texts of a job, the directory of its reports."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from campaign.fault import Fault, shimmed
from campaign.world import REQUIRE, World

VARIABLES = (
    "SLURM_JOB_USER",
    "SLURM_JOB_COMMENT",
    REQUIRE,
    "SLURM_JOB_PARTITION",
    "SLURM_JOB_NODELIST",
    "SLURM_JOB_GPUS",
    "SLURM_JOB_CONSTRAINTS",
    "CUDA_VISIBLE_DEVICES",
    "SLURM_JOB_UID",
    "SLURM_JOB_RESTART_COUNT",
    "SLURM_ARRAY_JOB_ID",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_HET_JOB_ID",
    "SLURM_CLUSTER_NAME",
    "SLURM_CONF",
)
TEXTS = {
    "empty": "",
    "a shell's words": "$(reboot); `id` | cat & > /etc/passwd",
    "newlines": "a\nprint x\nexport LD_PRELOAD=/tmp/x\r\n",
    "our mark": "preflight:held:n1:run0: x; preflight:moved:n1:run0: y",
    "escapes": "\x1b[2J\x1b]0;x\x07\x7f",
    "bytes": "\udcff\udcfe\udc80",
    "100 KB": "x" * 100_000,
    "100 KB of clauses": "gpu=h100," * 11_000,
    "100 KB of brackets": "n" + "[1" * 30_000,
    "100 KB of require:": "require: " * 11_000,
    "formats": "%s%n%x{0.__class__}{}",
    "a path": "../../../../etc/shadow",
    "a digit of another script": "²٣",
    "right to left": "\u202egnp.exe\u2066",
    "a billion nodes": "n[1-999999999]",
    "many dimensions": "n[0-9][0-9][0-9][0-9][0-9][0-9][0-9]",
    "a range": "0-4294967295",
    "negative": "-1",
    "a float": "1e309",
    "huge": "9" * 500,
    "a GPU of nobody": "GPU-00000000-0000-0000-0000-000000000000",
    "a MIG of nobody": "MIG-GPU-00000000/1/0",
    "JSON": '{"a": [' * 100,
    "a clause": "require: gpu=h100, nope>=3",
    "a version": "cuda>=" + "1." * 5000 + "1",
    "a size": "memory>=" + "9" * 300 + "T",
    "alternatives": "|".join(["gpu=h100"] * 5000),
    "quotes": "\"'\\\"'",
    "a comma": ",,,;;; :",
}


def texts() -> Iterator[Fault]:
    """Every text in every variable that comes from a job."""
    for variable in VARIABLES:
        for name, text in TEXTS.items():
            for scene in ("fit", "epilog"):
                inject = partial(shimmed, **{variable: text})
                yield Fault("users", f"{variable} is {name}", scene, inject, moves=True)


def directories() -> Iterator[Fault]:
    """What a user, or a server, may have made of the job's directory of reports."""
    for name, make in DIRECTORIES.items():
        for scene in ("fit", "epilog", "misfit", "health-waiting"):
            yield Fault("users", f"the job's reports are {name}", scene, partial(_directory, make=make))


@contextmanager
def _directory(world: World, make: Callable[[Path], object]) -> Iterator[None]:
    target = world.place / "victim"
    target.mkdir()
    (target / "n1.0.prolog.json").write_text("precious")
    (target / "n1.0.epilog.json").write_text("precious")
    place = world.reports / "7"
    shutil.rmtree(place, ignore_errors=True)
    make(place)
    yield
    if any(path.read_text() != "precious" for path in target.iterdir()):
        world.violations.append("a link of the user's was followed")


def _made(place: Path, uid: int, mode: int) -> Path:
    place.mkdir(mode=0o700)
    os.chown(place, uid, uid)
    place.chmod(mode)
    return place


def _with(place: Path, what: Callable[[Path], object], uid: int = 0) -> None:
    _made(place, uid, 0o755)
    for phase in ("prolog", "epilog"):
        what(place / f"n1.0.{phase}.json")


def _bound(path: Path) -> None:
    here = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(f"/proc/self/fd/{here}/{path.name}")
    os.close(here)


DIRECTORIES: dict[str, Callable[[Path], object]] = {
    "a link to another directory": lambda place: place.symlink_to("../victim"),
    "a link to the spool": lambda place: place.symlink_to("../spool/reports/7"),
    "a dangling link": lambda place: place.symlink_to("/nonexistent/7"),
    "a file": lambda place: place.write_text("x"),
    "a FIFO": os.mkfifo,
    "a socket": _bound,
    "the user's": lambda place: _made(place, 4242, 0o755),
    "open to all": lambda place: _made(place, 0, 0o777),
    "sticky and open": lambda place: _made(place, 0, 0o1777),
    "closed": lambda place: _made(place, 0, 0o000),
    "linked files": lambda place: _with(place, lambda path: path.symlink_to(f"../../victim/{path.name}")),
    "hard-linked files": lambda place: _with(
        place, lambda path: os.link(place.parents[1] / "victim" / path.name, path)
    ),
    "directories for files": lambda place: _with(place, lambda path: (path / "in it").mkdir(parents=True)),
    "FIFOs for files": lambda place: _with(place, os.mkfifo),
    "sockets for files": lambda place: _with(place, _bound),
    "files of the user's": lambda place: _with(place, lambda path: path.write_text("forged"), 4242),
}
