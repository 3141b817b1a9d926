"""Files torn by a power cut, or strange: of every kind that a hook reads."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from campaign.fault import Fault, NotHere
from campaign.world import World, settle

# Kind of file: (where in the world, scenes, whether it is the site's and comes back; whether it is root's only word).
FILES: dict[str, tuple[str, tuple[str, ...], bool]] = {
    "policy": ("p.toml", ("misfit", "sick", "health"), True),
    "drop-in": ("p.d/10-site.toml", ("misfit", "sick"), True),
    "gres.conf": ("gres.conf", ("sick", "fit"), True),
    "slurm.conf": ("slurm.conf", ("sick", "fit"), True),
    "os-release": ("root/etc/os-release", ("fit",), True),
    "osrelease": ("root/proc/sys/kernel/osrelease", ("fit",), True),
    "policy's cache": ("run/policy-n1.json", ("misfit", "sick", "health"), False),
    "facts of the system": ("run/facts-os.json", ("fit", "misfit"), False),
    "facts of toolkits": ("run/facts-toolkits.json", ("fit", "epilog"), False),
    "cache of gres.conf": ("run/gres-n1.json", ("sick", "fit"), False),
    "clock's file": ("run/clock-n1.json", ("health",), False),
    "note of a probe": ("run/stuck-nvml.json", ("fit", "health"), False),
    "note of a call": ("run/stuck-nvml-call.json", ("fit", "health"), False),
    "note of a writer": ("run/stuck-spool-n1.json", ("fit", "health"), False),
    "prolog's report": ("spool/reports/7/n1.0.prolog.json", ("epilog",), False),
    "move begun": ("spool/pending/move-n1-7.json", ("health-half-moved",), False),
    "move released": ("spool/released/move-n1-7.json", ("health",), False),
    "drain begun": ("spool/pending/drain-n1-sent.json", ("health", "sick"), False),
    "drain's record": ("spool/drain-n1.json", ("health-well", "health-past-limit", "sick"), False),
    "copy in the outbox": ("spool/outbox/7.n1.0.prolog.json", ("health-waiting",), False),
    "record in memory": ("run/unkept/6.n1.0.prolog.json", ("health-waiting",), False),
    "task's note": ("run/task/n1.7", ("fit", "epilog"), False),
    "kill switch": ("off", ("fit",), True),
}
WHOLE = (
    "",
    "null",
    "true",
    "4",
    "-1",
    "1e999",
    '"x"',
    "[]",
    "{}",
    "\0" * 64,
    "\ufeff{}",
    "NaN",
    "[" * 100_000,
    "9" * 6000,
)
VALUES: dict[str, Any] = {
    "null": None,
    "number": 4,
    "negative": -(10**30),
    "text": "x\n\u0085y",
    "list": [],
    "object": {},
    "true": True,
    "huge": 10**300,
    "infinite": float("inf"),
}
KEYS = {
    "policy's cache": ("key", "catalog", "policy"),
    "facts of the system": ("key", "collected_ns", "seen", "values"),
    "cache of gres.conf": ("key", "gres", "seen", "values"),
    "clock's file": ("boot", "wall", "since_boot", "jump_s", "jump_at"),
    "note of a probe": ("pid", "start", "boot", "doing", "since", "board", "hung"),
    "note of a writer": ("pid", "start", "boot", "doing"),
    "prolog's report": ("format", "job", "facts", "findings", "action", "started", "node", "verdict"),
    "move begun": ("node", "move", "cause", "at", "pid", "start", "step", "priority"),
    "move released": ("node", "move", "cause", "at", "pid", "start", "step", "priority"),
    "drain begun": ("node", "drain", "at", "pid", "start", "step", "boot", "gpus", "gpu", "reason"),
    "drain's record": ("reason", "user", "time", "boot", "gpus", "gpu"),
    "copy in the outbox": ("node", "phase", "started", "job", "action", "format", "verdict", "facts"),
    "record in memory": ("node", "phase", "started", "job", "action", "format", "verdict", "facts"),
}
SAMPLES: dict[str, dict[str, Any]] = {
    "note of a probe": {"pid": 1, "start": 1, "boot": "x", "doing": "y", "since": 1.0, "board": 5, "hung": False},
    "note of a writer": {"pid": 1, "start": 1, "boot": "x", "doing": "y"},
    "drain begun": {"node": "n1", "drain": "preflight:a:b: c", "at": 1.0, "pid": 1, "start": 1, "step": "sent"},
    "move released": {
        "node": "n1",
        "move": {"id": 7, "gpus": []},
        "cause": "c",
        "at": 1.0,
        "step": "held",
        "priority": 1,
    },
}
REPORTS = ("prolog's report", "copy in the outbox", "record in memory")
THE_ONLY_WORD = ("move begun", "drain's record", "drain begun")


def faults() -> Iterator[Fault]:
    """Every kind of file with every kind of damage."""
    for kind, (path, scenes, site) in FILES.items():
        for scene in scenes:
            for name, damage in damages(kind):
                inject = partial(damaged, path=path, kind=kind, damage=damage, site=site)
                lost = kind in THE_ONLY_WORD or (kind == "policy's cache" and scene != "health")
                yield Fault(
                    "torn", f"{name}: {kind}", scene, inject, word_lost=lost, kills=site, forgets=kind in REPORTS
                )


def damages(kind: str) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Yield (name, what does it) for a kind of file."""
    for power in range(15):
        yield f"cut at {2**power}", partial(_cut, size=2**power)
    for number, text in enumerate(WHOLE):
        yield f"is {text[:12]!r} ({number})", partial(_text, text=text)
    for seed in range(4):
        yield f"bytes flipped ({seed})", partial(_flipped, seed=seed)
    yield "ends in NULs", _nul_tail
    yield "is all NULs", _nuls
    for key in KEYS.get(kind, ()):
        for name, value in VALUES.items():
            yield f"{key} is {name}", partial(_key, key=key, value=value)
        yield f"{key} is missing", partial(_key, key=key, value=KeyError)
    for odd in (_link, _dangling, _loop, _fifo, _directory, _socket, _zero, _full, _terabyte, _foreign, _open_to_all):
        yield f"is {odd.__name__.strip('_').replace('_', ' ')}", odd


@contextmanager
def damaged(world: World, path: str, kind: str, damage: Callable[[Path], None], site: bool) -> Iterator[None]:
    """Damage a file; one of the site's is mended when the scene is over."""
    place = world.place / path
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        if kind in SAMPLES or site:
            place.write_text(json.dumps(SAMPLES.get(kind, "")))
        else:
            place.write_text("{}")
    kept = place.read_bytes() if site and kind != "kill switch" else None
    damage(place)
    with suppress(OSError):
        settle(place)
    yield
    if site:
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        place.unlink(missing_ok=True)
        if kept is not None:
            place.write_bytes(kept)
            settle(place)


def _cut(path: Path, size: int) -> None:
    data = path.read_bytes()
    if len(data) <= size:
        raise NotHere("the file is smaller")
    path.write_bytes(data[:size])


def _text(path: Path, text: str) -> None:
    path.write_text(text)


def _flipped(path: Path, seed: int) -> None:
    chance, data = random.Random(seed), bytearray(path.read_bytes())
    for _ in range(1 + len(data) // 40):
        if data:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(bytes(data))


def _nul_tail(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + b"\0" * (len(data) - len(data) // 2))


def _nuls(path: Path) -> None:
    path.write_bytes(b"\0" * max(1, path.stat().st_size))


def _key(path: Path, key: str, value: Any) -> None:
    try:
        data = json.loads(path.read_text())
    except ValueError:
        data = {}
    if key not in data and value is KeyError:
        raise NotHere("the file has no such key")
    if value is KeyError:
        del data[key]
    else:
        data[key] = value
    path.write_text(json.dumps(data))


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


def _dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("/nonexistent/file")


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _directory(path: Path) -> None:
    path.unlink()
    (path / "in it").mkdir(parents=True)


def _socket(path: Path) -> None:
    path.unlink()
    here = os.open(path.parent, os.O_RDONLY)
    try:  # a socket's path may not be long
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(f"/proc/self/fd/{here}/{path.name}")
    finally:
        os.close(here)


def _zero(path: Path) -> None:
    path.unlink()
    os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))


def _full(path: Path) -> None:
    path.unlink()
    os.mknod(path, 0o600 | 0o020000, os.makedev(1, 7))


def _terabyte(path: Path) -> None:
    os.truncate(path, 1 << 40)


def _foreign(path: Path) -> None:
    os.chown(path, 4242, 4242)


def _open_to_all(path: Path) -> None:
    path.chmod(0o666)
